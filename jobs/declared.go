package jobs

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"

	"github.com/globus-runner/globus-runner/internal/pattern"
	"github.com/globus-runner/globus-runner/internal/spelling"
)

// collection reads the name of a collection.
func (s *source) collection(to **declared) decoder {
	return func(n ast.Node, field string) {
		if name, ok := s.text(n, field); ok {
			*to = s.find(n, field, name)
		}
	}
}

// find returns the collection of a name. An unknown one is not reported if it was declared
// with a problem, or if the key collections is misspelled.
func (s *source) find(n ast.Node, field, name string) *declared {
	p := s.named[name]
	switch {
	case p == nil && s.meant["collections"]:
		return nil
	case p == nil && uuidPattern().MatchString(strings.ToLower(name)):
		s.problem(n, field, "a collection needs a short name here; add it to collections")
		return nil
	case p == nil:
		hint := spelling.Hint(name, slices.Sorted(maps.Keys(s.named))...)
		s.problem(n, field, "there is no collection %q%s", short(name), cmp.Or(hint, "; collections has none of that name"))
		return nil
	}
	p.used = true
	if !p.valid {
		return nil
	}
	return p
}

// lowerDrive is what may be a drive of Windows, but is rather a collection whose
// name has one letter.
var lowerDrive = pattern.Lazy(`^[a-z]:[^\\]*$`)

// location reads collection:path. If on is set, the collection must be the same; otherwise
// location sets it.
func (s *source) location(on **declared, n ast.Node, field string) (p target, ok bool) {
	text, ok := s.text(n, field)
	if !ok {
		return target{}, false
	}
	name, rest, found := strings.Cut(text, ":")
	if !found || strings.ContainsAny(name, "/{") {
		s.problem(n, field, "%q has no collection, want collection:/path", short(text))
		return target{}, false
	}
	if err := CheckForeign(text); err != nil && s.named[name] == nil && !lowerDrive().MatchString(text) {
		s.problem(n, field, "%v; want collection:/path", err)
		return target{}, false
	}
	offset := utf8.RuneCountInString(name) + 1
	at := s.find(n, field, name)
	if at == nil {
		s.path(nil, n, field, rest, offset)
		return target{}, false
	}
	if *on != nil && (*on).ID != at.ID {
		s.problem(n, field, "the items before are on %s: a task is between two collections, use another step", (*on).name)
		return target{}, false
	}
	*on = at
	return s.path(at, n, field, rest, offset)
}

// pathOn reads a path on a collection, which is nil if it is not known.
func (s *source) pathOn(on *declared, n ast.Node, field string) (p target, ok bool) {
	text, ok := s.text(n, field)
	if !ok {
		return target{}, false
	}
	return s.path(on, n, field, text, 0)
}

// A target is a path as it was written, made absolute.
type target struct {
	text   string // may be a template
	sample string // the same for the sample instant
}

// path checks a path that begins some characters after the beginning of n.
func (s *source) path(on *declared, n ast.Node, field, text string, offset int) (p target, ok bool) {
	sample, ok := s.sample(n, field, text, offset)
	if !ok {
		return target{}, false
	}
	if err := CheckForeign(sample); err != nil {
		s.problem(n, field, "%v", err)
		return target{}, false
	}
	written := text
	if each, _ := s.eachOf(s.job); each != nil { // where it is, is known
		text = itemPath().ReplaceAllString(text, each.Folder+"{{ .Item.Name }}")
	}
	p = target{home(text), home(sample)}
	switch spaced := strings.TrimLeft(text, " "); {
	case text == "":
		s.problem(n, field, "the path is empty, want / or a folder or file")
		return target{}, false
	case spaced != text && strings.HasPrefix(home(spaced), "/"):
		if offset > 0 && on != nil {
			spaced = on.name + ":" + spaced
		}
		s.problem(n, field, "there is a space before the path; write %s", short(spaced))
		return target{}, false
	case strings.HasPrefix(p.text, "/"):
	case on == nil:
		return target{}, false // the collection has a problem already
	case on.Path == "":
		s.problem(n, field, "path %q is not absolute, and collection %s has no path that it could be below; write /%s", short(text), on.name, short(text))
		return target{}, false
	default:
		folder := strings.TrimSuffix(on.Path, "/") + "/"
		p = target{folder + text, folder + sample}
	}
	if err := checkPath(p.sample); err != nil {
		s.problem(n, field, "%v", err)
		return target{}, false
	}
	s.doubtPath(n, field, written)
	return p, true
}

// itemPath is a path that begins with that of the item.
var itemPath = pattern.Lazy(`^\{\{\s*\.Item\.Path\s*\}\}`)

func among(words []string) string {
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}
