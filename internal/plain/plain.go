// Package plain makes text that comes from elsewhere harmless where people
// read it: the name of a file, a label, a service's own words. Raw, such text
// could move a terminal's cursor, begin a line of its own, or reverse the order
// of what is read.
//
// What is not visible is shown in the notation of JSON, such as \u001b, and
// never dropped. A text that holds these six characters itself looks the same,
// so what is shown cannot always be turned back; -F json prints the exact data.
//
// [Count] is for our own words.
package plain

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

const hex = "0123456789abcdef"

// Line returns s on one line of visible characters. Control characters, line
// ends, marks that change the direction of text, characters without a width,
// and blanks other than the common one become escapes such as \n, \u202e or
// \udb40\udc41; a byte that is not UTF-8 becomes one such as \xff. The line of
// a line is the line itself.
func Line(s string) string { return escape(s, isVisible) }

// Short returns the words of s as one line with one blank between them, in at
// most limit characters. What is longer ends in "…". It is for sentences; white
// space in a name has a meaning, so a name is for [Line].
func Short(s string, limit int) string {
	const longest = 12 // bytes for one character as it is shown: two escapes
	if most := longest * limit; len(s) > 4*most {
		s = strings.ToValidUTF8(s[:4*most], "") + "…" // more cannot be shown
	}
	line := []rune(Line(strings.Join(strings.Fields(s), " ")))
	if len(line) > limit {
		return string(line[:max(0, limit-1)]) + "…"
	}
	return string(line)
}

// text returns s like [Line], but keeps its line ends and tabs. It is for what
// has lines already, each of them built from harmless parts.
func text(s string) string {
	return escape(s, func(r rune) bool { return r == '\n' || r == '\t' || isVisible(r) })
}

// JSON returns a JSON document that means the same as doc, with everything
// escaped in its strings that [Line] escapes. A byte in them that is not UTF-8
// becomes U+FFFD, as it does in every JSON reader.
func JSON(doc []byte) []byte {
	if !slices.ContainsFunc(doc, func(b byte) bool { return b < ' ' && b != '\n' && b != '\t' || b > '~' }) {
		return doc // as most are, and some are long
	}
	return []byte(text(string([]rune(string(doc))))) // each such byte is a rune U+FFFD
}

// Writer returns a writer that passes on to w what it is given, made harmless like
// a [Line], but with its line ends and tabs. Each call of Write must hold whole
// characters.
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
	const ideographicSpace = '\u3000' // common in East Asian names, and seen
	return r >= ' ' && r <= '~' || r == ideographicSpace ||
		unicode.IsPrint(r) && !unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r)
}

// escape returns s with everything escaped that keep does not want to keep.
func escape(s string, keep func(rune) bool) string {
	good := func(r rune, size int) bool { return keep(r) && (r != utf8.RuneError || size > 1) }
	var b strings.Builder
	done := 0 // what of s is in b
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

// Count says how many of something there are: 1 file, 2 files.
func Count[N int | int64](n N, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// Size says how many bytes something has, in the largest unit that keeps it at 1 or
// more: 512 B, 1.5 MB. The gap stands before the unit.
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

// Some names the first words of a list, at most so many, and says how many more there
// are: a, b and 3 more.
func Some(words []string, most int) string {
	if len(words) <= most {
		return strings.Join(words, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(words[:most], ", "), len(words)-most)
}
