// Package plain makes foreign text harmless for people to read: the name of a
// file, a label, a message of a service. Unchanged, such text could move a
// terminal's cursor, begin a new line, or reverse the reading order.
//
// Invisible characters are shown in the notation of JSON, such as \u001b, and
// never dropped. A text that contains these six characters itself looks the
// same, so the original cannot always be recovered; -F json prints the exact
// data.
//
// [Count], [Size] and [Some] format our own words.
package plain

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

const hex = "0123456789abcdef"

// Line returns s on one line of visible characters. Control characters, line
// ends, marks that change the direction of text, characters without a width,
// and blanks other than the common one become escapes such as \n, \u202e or
// \udb40\udc41; a byte that is not UTF-8 becomes one such as \xff. A line is
// its own Line.
func Line(s string) string { return escape(s, isVisible) }

// Short returns the words of s as one line with one blank between them, in at
// most limit characters. A longer text is cut and ends in "…". Short is for
// sentences; for names, in which white space matters, use [Line].
func Short(s string, limit int) string {
	const longest = 12 // bytes of one character as shown: two escapes
	if most := longest * limit; len(s) > 4*most {
		s = strings.ToValidUTF8(s[:4*most], "") + "…" // no more can be shown
	}
	line := []rune(Line(strings.Join(strings.Fields(s), " ")))
	if len(line) > limit {
		return string(line[:max(0, limit-1)]) + "…"
	}
	return string(line)
}

// text is [Line], but keeps line ends and tabs. It is for text whose lines were
// built from harmless parts.
func text(s string) string {
	return escape(s, func(r rune) bool { return r == '\n' || r == '\t' || isVisible(r) })
}

// JSON returns a JSON document equivalent to doc, in whose strings everything
// is escaped that [Line] escapes. A byte in them that is not UTF-8 becomes
// U+FFFD, as it does in every JSON reader.
func JSON(doc []byte) []byte {
	for _, b := range doc {
		if b < ' ' && b != '\n' && b != '\t' || b > '~' {
			return []byte(text(string([]rune(string(doc))))) // each byte that is not UTF-8 is a rune U+FFFD
		}
	}
	return doc // the usual case
}

// Writer returns a writer that makes text harmless as [Line] does, but keeps line
// ends and tabs, and passes it on to w. A character must not be split between
// calls of Write.
func Writer(w io.Writer) io.Writer { return writer{w} }

type writer struct{ out io.Writer }

func (w writer) Write(p []byte) (int, error) {
	if _, err := io.WriteString(w.out, text(string(p))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// isVisible reports whether r is shown as itself.
func isVisible(r rune) bool {
	const ideographicSpace = '\u3000' // common in East Asian names, and visible
	return r >= ' ' && r <= '~' || r == ideographicSpace ||
		unicode.IsPrint(r) && !unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r)
}

// escape returns s with every character escaped for which keep is false.
func escape(s string, keep func(rune) bool) string {
	good := func(r rune, size int) bool { return keep(r) && (r != utf8.RuneError || size > 1) }
	var b strings.Builder
	done := 0 // bytes of s that are in b
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		if !good(r, size) {
			b.WriteString(s[done:i])
			if r == utf8.RuneError && size == 1 {
				b.WriteString(`\x`)
				b.WriteByte(hex[s[i]>>4])
				b.WriteByte(hex[s[i]&0xf])
			} else {
				escapeRune(&b, r)
			}
			done = i + size
		}
		i += size
	}
	if done == 0 {
		return s
	}
	b.WriteString(s[done:])
	return b.String()
}

// escapeRune writes r as JSON does within a string.
func escapeRune(b *strings.Builder, r rune) {
	switch r {
	case '\n':
		b.WriteString(`\n`)
		return
	case '\r':
		b.WriteString(`\r`)
		return
	case '\t':
		b.WriteString(`\t`)
		return
	}
	for _, unit := range utf16.AppendRune(nil, r) {
		b.WriteString(`\u`)
		for shift := 12; shift >= 0; shift -= 4 {
			b.WriteByte(hex[unit>>shift&0xf])
		}
	}
}

// Count returns a number with a noun: 1 file, 2 files.
func Count[N int | int64](n N, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// Size returns a number of bytes in the largest unit that keeps it at 1 or more:
// 512 B, 1.5 MB. gap is put before the unit.
func Size(n int64, gap string) string {
	const step = 1000
	if n < step {
		return fmt.Sprintf("%d%sB", n, gap)
	}
	value, unit := float64(n), 0
	for value >= step && unit < 5 {
		value /= step
		unit++
	}
	return fmt.Sprintf("%.1f%s%cB", value, gap, " kMGTP"[unit])
}

// Some returns at most most words of a list, and the number of the others: a, b and 3
// more.
func Some(words []string, most int) string {
	if len(words) <= most {
		return strings.Join(words, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(words[:most], ", "), len(words)-most)
}
