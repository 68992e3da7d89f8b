package transfer

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// plainEntry reads a row of a listing in the form of nearly all rows: its members
// are strings without escapes, numbers and nulls. Package json takes several times
// as long, and a source may have a million files.
//
// The text is a JSON object. If ok is false, it has another form, and package json
// must read it.
func plainEntry(text string) (e Entry, ok bool) {
	s := &members{rest: text[1:]}
	for s.next() {
		if !e.set(s) {
			return Entry{}, false
		}
	}
	return e, !s.odd
}

// set sets the field of a member, and reports whether it could.
func (e *Entry) set(m *members) bool {
	switch m.key {
	case "name":
		return m.string(&e.Name)
	case "type":
		return m.string(&e.Type)
	case "size":
		return m.number(&e.Size)
	case "last_modified":
		return m.time(&e.LastModified)
	case "permissions":
		return m.string(&e.Permissions)
	case "user":
		return m.string(&e.User)
	case "group":
		return m.string(&e.Group)
	case "link_target":
		return m.string(&e.LinkTarget)
	case "link_size":
		return m.number(&e.LinkSize)
	case "link_user":
		return m.string(&e.LinkUser)
	case "link_group":
		return m.string(&e.LinkGroup)
	case "link_last_modified":
		return m.time(&e.LinkLastModified)
	}
	// Package json ignores case: it would take NAME for name.
	return m.key == "DATA_TYPE" || strings.Trim(m.key, "abcdefghijklmnopqrstuvwxyz_0123456789") == ""
}

// members iterates over the members of a JSON object.
type members struct {
	rest   string
	key    string
	value  string // of a string, what is between its quotes
	quoted bool   // the value is a string
	odd    bool   // there is a list, an object or an escape
}

// next reads a member. It returns false at the end, and sets odd if it cannot read on.
func (m *members) next() bool {
	const space = " \t\r\n"
	m.rest = strings.TrimLeft(m.rest, space+",")
	if m.rest[0] == '}' {
		return false
	}
	m.key = m.text()
	m.rest = strings.TrimLeft(m.rest, space+":")
	if m.quoted = m.rest[0] == '"'; m.quoted {
		m.value = m.text()
		return !m.odd
	}
	end := strings.IndexAny(m.rest, ",}"+space)
	m.value, m.rest = m.rest[:end], m.rest[end:]
	m.odd = m.odd || strings.ContainsAny(m.value, "[{")
	return !m.odd
}

// text reads a string in quotes.
func (m *members) text() string {
	rest := m.rest[1:]
	end := strings.IndexByte(rest, '"')
	text := rest[:end]
	m.rest = rest[end+1:]
	m.odd = m.odd || strings.IndexByte(text, '\\') >= 0 || !utf8.ValidString(text)
	return text
}

// null reports whether a value that is not a string is null.
func (m *members) null() bool { return m.value == "null" }

func (m *members) string(to *string) bool {
	if m.quoted {
		*to = m.value
	}
	return m.quoted || m.null()
}

func (m *members) number(to *int64) bool {
	switch {
	case m.quoted:
		return false
	case m.null():
		return true
	}
	n, err := strconv.ParseInt(m.value, 10, 64)
	*to = n
	return err == nil
}

func (m *members) time(to *Time) bool {
	if m.quoted {
		return to.UnmarshalText([]byte(m.value)) == nil
	}
	if m.null() {
		*to = Time{}
	}
	return m.null()
}
