package status

import (
	"errors"
	"io/fs"
	"net/url"
	"regexp"
	"strings"

	"github.com/globus-runner/globus-runner/internal/plain"
)

// maxError bounds the text of an error, in characters.
const maxError = 400

// A censor removes from errors what not everybody may see.
type censor struct {
	private *regexp.Regexp
}

func newCensor() *censor {
	return &censor{regexp.MustCompile(strings.Join([]string{
		`[A-Za-z][A-Za-z0-9+.-]*://[^\s"'<>]*[^\s"'<>:,;.)]`,                                 // URL
		`"(?:~|\.\.?|[A-Za-z]:)?[/\\][^"]+`,                                                  // absolute path in quotes
		`(?:^|[\s"'(=:,;<[])(?:~|\.\.?|[A-Za-z]:)?[/\\][^\s"'():;,<>[\]]+`,                   // absolute path
		`(?:^|[\s"'(=:,;<[])[^\s"'():;,<>[\]=/]+(?:/[^\s"'():;,<>[\]/]+)*/[^\s"':;,/]*\.\w+`, // a/b.c, but not I/O
	}, "|"))}
}

// text returns the text of err on one bounded line, without paths, and with
// only scheme and host of URLs.
func (c *censor) text(err error) string {
	text := err.Error()
	if e, ok := errors.AsType[*fs.PathError](err); ok && strings.ContainsAny(e.Path, `/\`) {
		text = strings.ReplaceAll(text, e.Path, "[path]") // it may contain blanks
	}
	text = c.private.ReplaceAllStringFunc(text, func(s string) string {
		switch {
		case strings.Contains(s, "://"):
			return host(s)
		case strings.ContainsAny(s[:1], " \t\r\n\"'(=:,;<["):
			return s[:1] + "[path]"
		}
		return "[path]"
	})
	return plain.Short(text, maxError)
}

func host(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return "[url]"
	}
	return u.Scheme + "://" + u.Host
}
