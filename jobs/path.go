package jobs

import (
	"cmp"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/globus-runner/globus-runner/internal/pattern"
)

// Absolute returns a path as Globus wants it. A path that is relative is below
// folder; one that begins with / or ~/ stands for itself, as in globus-cli's
// batches. It may still be more than a task should touch: see [Step.Check].
func Absolute(folder, path string) (string, error) {
	if err := CheckForeign(path); err != nil {
		return "", err
	}
	path = home(path)
	if !strings.HasPrefix(path, "/") && folder != "" {
		path = strings.TrimSuffix(home(folder), "/") + "/" + path
	}
	return path, checkPath(path)
}

// home puts ~/ into the form that the service has for it.
func home(path string) string {
	if path == "~" || strings.HasPrefix(path, "~/") {
		return "/~/" + strings.TrimPrefix(path[1:], "/")
	}
	return path
}

// checkPath checks a path whose templates are resolved.
func checkPath(path string) error {
	if err := checkText(path); err != nil {
		return err
	}
	if !strings.HasPrefix(path, "/") {
		return fmt.Errorf("path %q is not absolute; write /%s, or ~/%s below the default directory", short(path), short(path), short(path))
	}
	return nil
}

// checkText checks a path that may be relative.
func checkText(path string) error {
	if err := CheckForeign(path); err != nil {
		return err
	}
	if !utf8.ValidString(path) {
		return fmt.Errorf("path %q is not UTF-8: Globus would take it for another name", short(path))
	}
	if strings.ContainsAny(path, "\r\n\x00") {
		return fmt.Errorf("path %q has a line break or a NUL in it, which Globus does not allow", short(path))
	}
	if i := strings.IndexFunc(path, invisible); i >= 0 {
		r, _ := utf8.DecodeRuneInString(path[i:])
		return fmt.Errorf("path %q has the invisible character %U in it; remove it", short(path), r)
	}
	if len(path) > maxText {
		return fmt.Errorf("the path has %d bytes, at most %d are possible", len(path), maxText)
	}
	if strings.Contains(path, "..") && slices.Contains(strings.Split(path, "/"), "..") {
		return fmt.Errorf("path %q has .. in it, write where it leads to", short(path))
	}
	return nil
}

// byteOrderMark is what Windows puts before a text.
const byteOrderMark = '\uFEFF'

// invisible reports whether r is a character that a path should not have.
func invisible(r rune) bool { return unicode.IsControl(r) || r == byteOrderMark }

var (
	urlPattern    = pattern.Lazy(`^/*([A-Za-z][-+.A-Za-z0-9]+)://([^/]*)(.*)$`)
	drivePattern  = pattern.Lazy(`^/?([A-Za-z]):([\\/].*)?$`)
	rootPattern   = pattern.Lazy(`^(/[A-Za-z])?\\[\pL\pN_]`)
	sharePattern  = pattern.Lazy(`^\\\\[\pL\pN_]`)
	windowsFolder = pattern.Lazy(`^[^/\\]+\\[\pL\pN_][^/]*$`)
)

// CheckForeign returns an error if a text is a path of another system, such as a URL or a path
// of Windows, and says how to write it for Globus.
func CheckForeign(path string) error {
	if !strings.ContainsAny(path, `:\`) {
		return nil
	}
	switch {
	case urlPattern().MatchString(path):
		return fmt.Errorf("%q is a URL; write %s", short(path), short(withoutURL(path)))
	case sharePattern().MatchString(path):
		return fmt.Errorf("%q is a network share of Windows; write the path as the collection shows it, such as /C/data", short(path))
	case drivePattern().MatchString(path), rootPattern().MatchString(path):
		return fmt.Errorf("%q is a path of Windows; write %s", short(path), short(cleanWindows(path)))
	case windowsFolder().MatchString(path):
		return fmt.Errorf("%q is a path of Windows; write %s, or ./%s if the name really has a backslash in it", short(path), short(cleanWindows(path)), short(path))
	}
	return nil
}

// withoutURL says what to write in the place of a URL.
func withoutURL(text string) string {
	parts := urlPattern().FindStringSubmatch(text)
	scheme, host, rest := strings.ToLower(parts[1]), parts[2], parts[3]
	if u, err := url.Parse(text); err == nil && strings.HasPrefix(scheme, "http") { // of Globus's file manager
		for _, end := range []string{"origin", "destination"} {
			if id := u.Query().Get(end + "_id"); uuidPattern().MatchString(id) {
				return id + ":" + cmp.Or(u.Query().Get(end+"_path"), "/")
			}
		}
	}
	switch {
	case scheme == "file" && rest != "":
		return "the path alone, " + cleanWindows(rest)
	case scheme == "globus" && uuidPattern().MatchString(strings.ToLower(host)):
		return host + ":" + cmp.Or(rest, "/")
	}
	return "a collection and a path on it, since Globus copies between collections"
}

// cleanWindows returns a path of Windows as Globus Connect Personal has it:
// C:\data is /C/data.
func cleanWindows(path string) string {
	if drive := drivePattern().FindStringSubmatch(path); drive != nil {
		path = "/" + strings.ToUpper(drive[1]) + "/" + strings.TrimLeft(drive[2], `\/`)
	}
	return strings.ReplaceAll(path, `\`, "/")
}

// checkNoWildcard checks a path of a transfer, or of a folder to make, in which
// Globus takes wildcards for letters.
func checkNoWildcard(p string) error {
	if !hasWildcard(p) {
		return nil
	}
	folder, pattern := path.Split(p)
	if hasWildcard(folder) || strings.Trim(pattern, "*") == "" {
		return fmt.Errorf("path %q has a wildcard, which Globus takes literally here; name each folder or file, or copy the whole folder above", short(p))
	}
	return fmt.Errorf("path %q has a wildcard, which Globus takes literally here; copy the folder %s recursively, with filter rules that include %q and exclude \"*\"",
		short(p), short(folder), short(pattern))
}

var wildcardPattern = pattern.Lazy(`[*?]|\[[!^]|\[[^]/]-[^]/]`)

// hasWildcard reports whether a path looks like a pattern. Brackets alone do
// not: many a file is called scan[1].tif.
func hasWildcard(path string) bool {
	return strings.ContainsAny(path, "*?[") && wildcardPattern().MatchString(path)
}

// checkDelete guards against a template, or a slip, that would empty a whole
// collection; globs says whether wildcards are expanded.
func checkDelete(p string, globs bool) error {
	top := strings.TrimLeft(path.Clean("/"+p), "/~") // below the top, or the default folder
	if !strings.Contains(top, "/") && takesAll(top) {
		return fmt.Errorf("path %q: this would delete everything on the collection, name folders or files", short(p))
	}
	if globs && hasWildcard(path.Dir(strings.TrimSuffix(p, "/"))) {
		return fmt.Errorf("path %q has a wildcard in a folder, but Globus expands only those in the last part of a path; name each folder", short(p))
	}
	return nil
}

// CheckLiteral reports a wildcard in a path to delete that Globus would take
// literally, because wildcards are not to be expanded.
func CheckLiteral(p string) error {
	if !hasWildcard(p) {
		return nil
	}
	return fmt.Errorf("path %q has a wildcard, which Globus takes literally unless wildcards are switched on; then a name that really has a * is written \\*", short(p))
}

var bracketPattern = pattern.Lazy(`\[[^]]+\]`)

// takesAll reports whether a pattern of names matches nearly every name.
func takesAll(pattern string) bool {
	rest := bracketPattern().ReplaceAllString(pattern, "")
	brackets := rest != pattern
	return strings.Trim(rest, "*?.") == "" && (!brackets || strings.Contains(rest, "*"))
}
