package globussim

import (
	"net/http"
	"path"
	"strings"
	"unicode/utf8"
)

// undecodable marks a name whose bytes are not UTF-8; the bytes follow, each
// as the Latin-1 character of its value.
const undecodable = "\uFFFD"

// resolve returns the absolute and clean form of a path as a client writes it,
// with names in the bytes of the file system. The result never ends in "/",
// except for the root itself, and never holds "..".
func (p *collection) resolve(raw string) (string, *apiError) {
	if e := checkName(raw); e != nil {
		return "", e
	}
	abs := raw
	switch {
	case raw == "~" || raw == "/~":
		abs = p.home()
	case strings.HasPrefix(raw, "/~/"):
		abs = p.home() + raw[len("/~/"):]
	case strings.HasPrefix(raw, "~/"):
		abs = p.home() + raw[len("~/"):]
	case !strings.HasPrefix(raw, "/"):
		abs = p.home() + raw
	}
	abs = path.Clean("/" + abs)
	if rest, ok := strings.CutPrefix(abs+"/", "/~/"); ok { // only now it can be seen
		abs = path.Clean(p.home() + rest)
	}
	if !strings.Contains(abs, undecodable) {
		return abs, nil
	}
	names := strings.Split(abs, "/")
	for i, name := range names {
		names[i] = diskName(name)
	}
	return strings.Join(names, "/"), nil
}

// checkName refuses what no path may hold.
func checkName(raw string) *apiError {
	if !strings.ContainsAny(raw, "\r\n\x00") {
		return nil
	}
	return &apiError{
		Status: http.StatusBadRequest, Code: "InvalidPath",
		Message: "A path must not contain line ends",
	}
}

// inRoot is the form of a resolved path that os.Root takes.
func inRoot(abs string) string {
	if abs == "/" {
		return "."
	}
	return abs[1:]
}

// wireName returns a file's name as documents spell it.
func wireName(name string) string {
	if utf8.ValidString(name) {
		return name
	}
	var b strings.Builder
	b.WriteString(undecodable)
	for i := range len(name) {
		b.WriteRune(rune(name[i]))
	}
	return b.String()
}

// diskName is the inverse of wireName.
func diskName(name string) string {
	rest, ok := strings.CutPrefix(name, undecodable)
	if !ok {
		return name
	}
	var raw []byte
	for _, r := range rest {
		if r > 0xFF {
			return name
		}
		raw = append(raw, byte(r))
	}
	if s := string(raw); !utf8.ValidString(s) {
		return s
	}
	return name
}

// wirePath is wireName for each name of a path.
func wirePath(p string) string {
	if utf8.ValidString(p) {
		return p
	}
	names := strings.Split(p, "/")
	for i, name := range names {
		names[i] = wireName(name)
	}
	return strings.Join(names, "/")
}

// join appends a name to a resolved path.
func join(dir, name string) string {
	if strings.HasSuffix(dir, "/") {
		return dir + name
	}
	return dir + "/" + name
}
