package proof

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// A line is a row with its text.
type line struct {
	row  Row
	text string // including its line feed
}

// newLine returns the line for a row.
func newLine(r Row) (*line, error) {
	if r.section() == 0 {
		return nil, errors.New("a row of a receipt must be of one kind")
	}
	if text, ok := plainText(&r); ok {
		return &line{r, text}, nil
	}
	text, err := encode(r)
	if err != nil {
		return nil, err
	}
	return &line{r, string(text)}, nil
}

// readLine reads a line that [newLine] has made.
func readLine(text string) (*line, error) {
	if row, ok := plainRow(text); ok {
		return &line{row, text}, nil
	}
	l := &line{text: text}
	return l, json.Unmarshal([]byte(text), &l.row)
}

// compareLines orders the lines of rows by kind, then by paths, then by text.
func compareLines(a, b *line) int {
	if c := a.row.section() - b.row.section(); c != 0 {
		return c
	}
	a1, a2 := a.row.paths()
	b1, b2 := b.row.paths()
	if c := ComparePaths(a1, b1); c != 0 {
		return c
	}
	if c := ComparePaths(a2, b2); c != 0 {
		return c
	}
	return strings.Compare(a.text, b.text)
}

// The texts before the values of a plain line.
const (
	copiedBegins   = `{"copied":{"source":"`
	foundBegins    = `{"found":{"path":"`
	landedBegins   = `{"landed":{"source":"`
	theDestination = `","destination":"`
	theSize        = `","size":`
	theChecksum    = `,"checksum":"`
	theAlgorithm   = `,"algorithm":"`
	theTime        = `,"modified":"`
	lineEnds       = "}}\n"
)

// wholeSeconds is the layout of instants in a plain line, a form of RFC 3339.
const wholeSeconds = "2006-01-02T15:04:05Z"

// plainText returns the same line for a row as [encode], if it is a plain line:
// about a file, and without escapes. Nearly all lines of a long receipt are plain,
// and package json takes several times as long to write and read them.
func plainText(r *Row) (text string, ok bool) {
	b := make([]byte, 0, 512)
	switch {
	case r.Copied != nil:
		c := r.Copied
		if !isPlain(c.Source) || !isPlain(c.Destination) || !isPlain(c.Checksum) || !isPlain(c.Algorithm) {
			return "", false
		}
		b = append(append(append(append(b, copiedBegins...), c.Source...), theDestination...), c.Destination...)
		b = strconv.AppendInt(append(b, theSize...), c.Size, 10)
		if c.Checksum != "" {
			b = append(append(append(b, theChecksum...), c.Checksum...), '"')
		}
		if c.Algorithm != "" {
			b = append(append(append(b, theAlgorithm...), c.Algorithm...), '"')
		}
	case r.Found != nil && isPlain(r.Found.Path) && isWhole(r.Found.Modified):
		f := r.Found
		b = append(append(b, foundBegins...), f.Path...)
		b = appendTime(strconv.AppendInt(append(b, theSize...), f.Size, 10), f.Modified)
	case r.Landed != nil && isPlain(r.Landed.Source) && isPlain(r.Landed.Destination) && isWhole(r.Landed.Modified):
		l := r.Landed
		b = append(append(append(append(b, landedBegins...), l.Source...), theDestination...), l.Destination...)
		b = appendTime(strconv.AppendInt(append(b, theSize...), l.Size, 10), l.Modified)
	default:
		return "", false
	}
	b = append(b, lineEnds...)
	return string(b), len(b) <= maxLine
}

// isPlain reports whether JSON writes a text without escapes.
func isPlain(s string) bool {
	wide := false
	for i := range len(s) {
		c := s[i]
		if c < ' ' || c == '"' || c == '\\' {
			return false
		}
		wide = wide || c >= utf8.RuneSelf
	}
	return !wide || utf8.ValidString(s) && !strings.ContainsAny(s, "\u2028\u2029")
}

func isWhole(t time.Time) bool {
	return t.Nanosecond() == 0 && t.Year() >= 0 && t.Year() <= 9999
}

func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return b
	}
	return append(t.AppendFormat(append(b, theTime...), time.RFC3339), '"')
}

// plainRow reads a plain line. The row shares the memory of the text. If the line is
// not plain, ok is false, and package json must read it.
func plainRow(text string) (r Row, ok bool) {
	s := &scan{rest: text}
	switch {
	case s.has(copiedBegins):
		c := &Copied{Source: s.text(), Destination: s.next(theDestination), Size: s.number()}
		c.Checksum, c.Algorithm = s.optional(theChecksum), s.optional(theAlgorithm)
		r.Copied = c
	case s.has(foundBegins):
		r.Found = &Found{Path: s.text(), Size: s.number(), Modified: s.time()}
	case s.has(landedBegins):
		r.Landed = &Landed{Source: s.text(), Destination: s.next(theDestination), Size: s.number(), Modified: s.time()}
	default:
		return Row{}, false
	}
	return r, !s.failed && s.rest == lineEnds
}

// A scan reads the values of a plain line one after the other.
type scan struct {
	rest   string
	failed bool // the line is not plain
}

// has skips words if they come next, and reports whether they do.
func (s *scan) has(words string) (there bool) {
	s.rest, there = strings.CutPrefix(s.rest, words)
	return there
}

// text reads up to the quote at the end of a text, without the quote.
func (s *scan) text() string {
	end := strings.IndexByte(s.rest, '"')
	if end < 0 || !isPlain(s.rest[:end]) {
		s.failed = true
		return ""
	}
	text := s.rest[:end]
	s.rest = s.rest[end:]
	return text
}

// next reads the text after some words.
func (s *scan) next(words string) string {
	s.failed = !s.has(words) || s.failed
	return s.text()
}

// optional reads the text after some words, which are omitted if the text is empty.
func (s *scan) optional(words string) string {
	if !s.has(words) {
		return ""
	}
	text := s.text()
	s.failed = !s.has(`"`) || text == "" || s.failed
	return text
}

// number reads a size, after the end of the text before it.
func (s *scan) number() (n int64) {
	s.has(theSize) // if it fails, no digit follows
	digits := 0
	for digits < len(s.rest) && '0' <= s.rest[digits] && s.rest[digits] <= '9' && digits < 18 {
		n = 10*n + int64(s.rest[digits]-'0')
		digits++
	}
	s.failed = s.failed || digits == 0 || s.rest[0] == '0' && digits > 1
	s.rest = s.rest[digits:]
	return n
}

// time reads an instant, which is omitted if it is zero.
func (s *scan) time() time.Time {
	text := s.optional(theTime)
	if text == "" {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339, text)
	s.failed = s.failed || err != nil || t.IsZero() || len(text) != len(wholeSeconds)
	return t
}
