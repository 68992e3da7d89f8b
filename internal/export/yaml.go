package export

import (
	"strconv"
	"strings"

	"github.com/globus-runner/globus-runner/internal/plain"
)

// A scalar is a text whose String is YAML.
type scalar string

// String returns the text as it is if YAML reads it unchanged, and otherwise in
// quotes. YAML knows all escapes of Go.
func (s scalar) String() string {
	text := string(s)
	path := strings.TrimLeft(text, ".") // such as ./jobs.yaml
	if path == "" || !letter(rune(path[0])) && path[0] != '/' || path != text && path[0] != '/' || strings.HasSuffix(text, ":") || strings.ContainsFunc(text, odd) || reserved(text) {
		return strconv.Quote(text)
	}
	return text
}

func letter(r rune) bool { return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' }

// odd reports whether a character may need quotes.
func odd(r rune) bool {
	return !letter(r) && (r < '0' || r > '9') && !strings.ContainsRune("-_./:@", r)
}

// reserved reports whether some version of YAML reads a word as a boolean or
// null.
func reserved(word string) bool {
	switch strings.ToLower(word) {
	case "true", "false", "yes", "no", "on", "off", "y", "n", "null":
		return true
	}
	return false
}

// A block is a text of several lines whose String is YAML: the value of a key
// that is indented by four blanks less than the lines.
type block string

// String returns the text as a literal block, or in quotes if a block would
// change it.
func (b block) String() string {
	text := string(b)
	body := strings.TrimRight(text, "\n")
	if body == "" || strings.ContainsFunc(text, unprintable) || strings.HasPrefix(strings.TrimLeft(text, "\n"), " ") || strings.HasSuffix(body, " ") {
		return strconv.Quote(text)
	}
	var out strings.Builder
	switch len(text) - len(body) {
	case 0:
		out.WriteString("|-")
	case 1:
		out.WriteString("|")
	default:
		out.WriteString("|+")
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
		out.WriteString("\n")
		if line != "" {
			out.WriteString("    " + line)
		}
	}
	return out.String()
}

// unprintable reports whether a literal block would change a character.
func unprintable(r rune) bool { return r != '\n' && plain.Line(string(r)) != string(r) }
