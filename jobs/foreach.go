package jobs

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/globus-runner/globus-runner/internal/glob"
	"github.com/globus-runner/globus-runner/internal/pattern"
)

// A ForEach makes one occurrence of its job for each item of a folder that is
// ready. The job's schedule says how often the folder is looked at.
type ForEach struct {
	Collection string // id
	Folder     string // absolute, with a slash at the end; not a template
	LocalUser  string // chooses among several local accounts; may be empty
	Kind       ItemKind
	Match      Match
	// NewerThan leaves out items that were modified longer ago when they are
	// first seen. 0 means none.
	NewerThan time.Duration
	Ready     Readiness
	// Again says what happens to an item that has changed after it was done.
	// Empty means [AgainNever].
	Again Again
	// Order is that in which items start that are ready at the same time. Empty
	// means [OldestFirst].
	Order ItemOrder
	// MaxActive is how many items are at work at the same time. 0 means 10.
	MaxActive int
}

// An ItemKind is what items are.
type ItemKind string

// The kinds of items.
const (
	FolderItems ItemKind = "dir"
	FileItems   ItemKind = "file"
)

// Readiness says when an item is ready: when all conditions that are given hold.
// At least one is.
type Readiness struct {
	// UnchangedFor is how long names, sizes and times of all that is below a
	// folder, or size and time of a file, must have stayed the same.
	UnchangedFor time.Duration
	// OlderThan is how long ago an item, and all below it, must have been modified.
	OlderThan time.Duration
	// Marker is a name, or a pattern, that must be there: directly in a folder;
	// beside a file, with * for the file's name.
	Marker string
	// NoMarker is a name, or a pattern, that must not be there: anywhere below a
	// folder; beside a file, with * for the file's name.
	NoMarker string
}

// Again says what happens to an item that has changed after it was done.
type Again string

// What can happen to it.
const (
	AgainNever   Again = "never"
	AgainChanged Again = "changed" // it is done once more, when it is ready again
)

// An ItemOrder is the order in which items start.
type ItemOrder string

// The orders. Items of the same time start by name.
const (
	OldestFirst ItemOrder = "oldest"
	NewestFirst ItemOrder = "newest"
	ByName      ItemOrder = "name"
)

// defaultMaxActive is how many items are at work at the same time.
const defaultMaxActive = 10

// setDefaults fills in the defaults.
func (e *ForEach) setDefaults() {
	setDefault(&e.Kind, FolderItems)
	setDefault(&e.Again, AgainNever)
	setDefault(&e.Order, OldestFirst)
	setDefault(&e.MaxActive, defaultMaxActive)
}

// A NeedsLedgerError says what a for_each needs a ledger for.
type NeedsLedgerError struct{ Why string }

func (e *NeedsLedgerError) Error() string { return e.Why }

// WithoutLedger returns a [*NeedsLedgerError] if a single look cannot tell which items are
// ready, or nil.
func (e *ForEach) WithoutLedger() error {
	switch {
	case e.Ready.UnchangedFor > 0:
		return &NeedsLedgerError{"unchanged_for compares two looks at a folder, and without a ledger nothing is kept of the first; " +
			"set RUNNER_STATE to a file or a database, or use marker, no_marker or older_than"}
	case e.Again == AgainChanged:
		return &NeedsLedgerError{"again: changed compares an item with what was copied, and without a ledger nothing is kept of that; " +
			"set RUNNER_STATE to a file or a database, or leave again out"}
	}
	return nil
}

// An arrival is a for_each with where it was described.
type arrival struct {
	*ForEach
	wrong bool // it has problems of its own
	vague bool // so that it is not known which items there are, and what they have
}

// arrivals reads the for_each of all jobs of a source. It does so before the jobs are read,
// because the templates of a job may name the items of a job that comes later in the file.
func (s *source) arrivals() {
	for key, n := range entries(s.jobsNode) {
		job := key.GetToken().Value
		if _, twice := s.follows[job]; twice {
			continue // reported with the jobs
		}
		s.follows[job] = ""
		for key, n := range entries(n) {
			switch name := key.GetToken().Value; {
			case name == "after":
				s.follows[job] = n.GetToken().Value
			case s.each[job] != nil:
			case name == "for_each":
				s.each[job] = s.forEach(n, "jobs."+job+"."+name)
			case nearest(name, keys{"for_each": s.skip, "after": s.skip}) == "for_each":
				s.each[job] = &arrival{ForEach: &ForEach{}, wrong: true, vague: true} // the key is reported with the job
			}
		}
	}
}

// skip reads nothing, because the key is read elsewhere.
func (s *source) skip(ast.Node, string) {}

// eachOf returns the for_each whose items the templates of a job may name: that of
// the job itself, or of the one that it comes after, and the name of the job that
// has it. Nil means that there is none.
func (p *parser) eachOf(job string) (each *arrival, owner string) {
	var passed []string
	for at, found := job, false; !found; at = p.follows[at] {
		if owner, found = p.owners[at]; found {
			break
		}
		p.owners[at] = "" // if this is a circle, which is reported elsewhere, nobody has it
		passed = append(passed, at)
		if p.each[at] != nil {
			owner, found = at, true
		}
	}
	for _, name := range passed {
		p.owners[name] = owner
	}
	return p.each[owner], owner
}

// forEach reads which items a job is done for.
func (s *source) forEach(n ast.Node, field string) *arrival {
	before := len(s.problems)
	e := &ForEach{}
	s.object(n, field, keys{
		"folder":     s.watched(e),
		"local_user": s.line(&e.LocalUser),
		"type":       choice(s, &e.Kind, FolderItems, FileItems),
		"match":      s.match(&e.Match),
		"newer_than": s.duration(&e.NewerThan, time.Second),
		"ready":      s.skip, // wants the type, which may come later
		"again":      choice(s, &e.Again, AgainNever, AgainChanged),
		"order":      choice(s, &e.Order, OldestFirst, NewestFirst, ByName),
		"max_active": s.count(&e.MaxActive, 1, maxActive),
	})
	e.setDefaults()
	s.require(n, field, "folder", "say which folder to look at, as collection:/path/")
	s.require(n, field, "ready", "say when an item is complete, such as {unchanged_for: 15m} or {marker: CopyComplete.txt}")
	if ready := s.marks[field+".ready"]; ready != nil {
		s.readiness(e, ready, field+".ready")
	}
	return &arrival{e, len(s.problems) > before, slices.ContainsFunc(s.problems[before:], func(p *Problem) bool {
		key, _, _ := strings.Cut(strings.TrimPrefix(p.Field, field+"."), ".")
		return !slices.Contains([]string{"ready", "newer_than", "again", "order", "max_active"}, key)
	})}
}

// maxActive is the largest max_active: Globus lets an account have as many tasks.
const maxActive = 100

// watched reads the folder of the items.
func (s *source) watched(e *ForEach) decoder {
	return func(n ast.Node, field string) {
		if text, ok := n.(*ast.StringNode); ok && strings.Contains(text.Value, "{{") {
			s.problem(n, field, "the folder is fixed, because the items of all times are known by their names in it; put the template into the paths of the steps")
			return
		}
		var on *declared
		at, ok := s.location(&on, n, field)
		if !ok || on == nil {
			e.Folder = "/" + sampleItem + "/" // so that the paths of items are not reported as well
			return
		}
		if err := checkNoWildcard(at.sample); err != nil {
			s.problem(n, field, "the folder has a wildcard; name the folder that the items are in, and put the pattern into match")
			return
		}
		e.Collection, e.Folder = on.ID, strings.TrimRight(at.sample, "/")+"/"
	}
}

// match reads which names are taken: a pattern, a list of them, or a regular
// expression as {pattern: …}.
func (s *source) match(to *Match) decoder {
	return func(n ast.Node, field string) {
		if mapping(n) {
			s.object(n, field, keys{"pattern": func(n ast.Node, field string) {
				if text, ok := s.oneLine(n, field); ok {
					match, err := MatchPattern(text)
					if err != nil {
						s.problem(n, field, "%v", err)
					}
					*to = match
				}
			}})
			s.require(n, field, "pattern", `give a regular expression such as "^(?P<run>[0-9]+)_.*$"`)
			return
		}
		if text, ok := n.(*ast.StringNode); ok && looksRegular().MatchString(text.Value) {
			*to, _ = MatchPattern(text.Value) // so that its groups are not reported as well
			s.namePattern(n, field, "", asExpression(n))
			return
		}
		var patterns []string
		if list, ok := n.(*ast.SequenceNode); ok {
			for i, n := range s.items(list, field, 1) {
				patterns = append(patterns, s.namePattern(n, element(field, i), "!", asExpression(n)+" in place of the list"))
			}
		} else {
			patterns = append(patterns, s.namePattern(n, field, "!", asExpression(n)))
		}
		*to = MatchGlobs(patterns...)
	}
}

// looksRegular finds a regular expression where a pattern of names should be.
var looksRegular = pattern.Lazy(`\(\?|\\[dwsDWS]|^\^.*\$$`)

// asExpression says how a regular expression is written in a match.
func asExpression(n ast.Node) string { return "write {pattern: '" + short(n.GetToken().Value) + "'}" }

// asPlainName returns the pattern of names that a regular expression is, or an
// example.
func asPlainName(expr string) string {
	name := strings.NewReplacer(`\.`, ".", ".*", "*").Replace(strings.Trim(expr, "^$"))
	if name == "" || strings.ContainsAny(name, `\()[]{}+|^$`) {
		return `one, such as CopyComplete.txt or "*.done"`
	}
	return name
}

// namePattern reads a name or a pattern of names, which may begin with a prefix.
// instead says what to write for a regular expression.
func (s *source) namePattern(n ast.Node, field, prefix, instead string) string {
	text, ok := s.oneLine(n, field)
	if !ok {
		return ""
	}
	switch rest := strings.TrimPrefix(text, prefix); {
	case looksRegular().MatchString(text):
		s.problem(n, field, "%q is a regular expression, and this is a pattern of names, with * for any characters; %s", short(text), instead)
	case strings.Contains(text, "/"):
		s.problem(n, field, "%q has a / in it, but this is about the names in one folder", short(text))
	case rest == "":
		s.problem(n, field, "%q leaves out nothing; write a pattern behind it, such as !*_test", text)
	case glob.Open(text):
		s.problem(n, field, "%q has a [ without a ]; close it, or write \\[ for a name with a [ in it", short(text))
	case strings.Contains(text, "{{"):
		s.problem(n, field, "%q is a template, and this is a pattern of names, with * for any characters", short(text))
	}
	return text
}

// readiness reads when an item is ready.
func (s *source) readiness(e *ForEach, n ast.Node, field string) {
	r := &e.Ready
	named := func(to *string) decoder {
		return func(n ast.Node, field string) {
			*to = s.namePattern(n, field, "", "write "+asPlainName(n.GetToken().Value))
			if e.Kind == FileItems && *to != "" && strings.Count(*to, "*") != 1 {
				s.problem(n, field, "%q: items are files, so it is beside the file and needs one * for the file's name, such as \"*.done\"", short(*to))
			}
			if strings.Trim(*to, "*") == "" && *to != "" {
				s.problem(n, field, "%q is every name; give a part of it, such as \"*.done\"", short(*to))
			}
		}
	}
	problems := len(s.problems)
	s.object(n, field, keys{
		"unchanged_for": s.duration(&r.UnchangedFor, time.Second),
		"older_than":    s.duration(&r.OlderThan, time.Second),
		"marker":        named(&r.Marker),
		"no_marker":     named(&r.NoMarker),
	})
	switch {
	case len(s.problems) > problems:
	case *r == Readiness{}:
		s.problem(n, field, "it is empty; say when an item is complete, such as {unchanged_for: 15m} or {marker: CopyComplete.txt}")
	case *r == Readiness{NoMarker: r.NoMarker}:
		s.problem(n, field, "no_marker alone takes an item before its writer has made the marker; add unchanged_for or older_than, such as unchanged_for: 15m")
	case r.Marker != "" && r.Marker == r.NoMarker:
		s.problemOf(field+".no_marker", "marker and no_marker are the same, so no item would ever be ready")
	}
}

// namesItem is a template that differs from item to item.
var namesItem = pattern.Lazy(`\{\{[^}]*\.(Item|Key)\b`)

// NamesItem reports whether a path of a job is another one for each item.
func NamesItem(path string) bool { return namesItem().MatchString(path) }

// forItems checks what a job does for each item; moves are the job's own.
func (s *source) forItems(d *draft, moves []move) {
	each, owner := s.eachOf(d.Name)
	if each == nil {
		return
	}
	d.Items, d.ItemsOf = each.ForEach, owner
	if owner == d.Name {
		d.ForEach = each.ForEach
		s.forOwnItems(d)
	}
	if each.vague {
		return
	}
	for i := range moves {
		m := &moves[i]
		switch reads, writes := NamesItem(m.reads.text), NamesItem(m.writes.text); {
		case reads && !writes:
			m.problem("all items would be copied to one place, and one would replace the other; put {{ .Item.Name }} into the destination")
		case writes && !reads && each.within(m):
			m.problem("each item would be a copy of the whole folder, also of items that are not ready; write {{ .Item.Path }} as the path of the source")
		case writes && !each.apart(m.writes.text):
			m.problem("two items may be copied to one place, and one would replace the other; put {{ .Item.Name }} into the destination, or all that differs in match as named groups between slashes")
		}
		if each.takesCopies(m) {
			m.problem("the copies would be in the folder that for_each looks at, and be items themselves; copy them elsewhere, or leave them out with match")
		}
	}
}

// forOwnItems checks a job with for_each.
func (s *source) forOwnItems(d *draft) {
	at := d.field + ".for_each"
	if s.has(d.field + ".after") {
		s.problemOf(d.field+".after", "the job has for_each as well; it can start for the items of a folder or after another job, not both")
	}
	if !d.wrong && !s.each[d.Name].vague && !slices.ContainsFunc(d.Steps, func(step Step) bool { return step.names(namesItem()) }) {
		s.problemOf(at, "no path of the job depends on the item, so each item would do the same; put {{ .Item.Name }} into the paths")
	}
	s.noEffect(d, "and has no effect on items, which start when they are ready")
}

// names reports whether a path of the step has what a pattern finds.
func (s *Step) names(what *regexp.Regexp) bool {
	paths := []string{s.Manifest}
	switch {
	case s.Transfer != nil:
		for _, item := range s.Transfer.Items {
			paths = append(paths, item.SourcePath, item.DestinationPath)
		}
	case s.Delete != nil:
		for _, item := range s.Delete.Items {
			paths = append(paths, item.Path)
		}
	case s.Mkdir != nil:
		paths = append(paths, s.Mkdir.Path)
	case s.Share != nil:
		paths = append(paths, s.Share.Path)
	case s.Flow != nil:
		texts(s.Flow.Body, func(text string) bool { paths = append(paths, text); return true })
	}
	return slices.ContainsFunc(paths, what.MatchString)
}

// DoesTheSame reports whether all occurrences of the job do the same: nothing in its
// steps depends on their time, key or item.
func (j *Job) DoesTheSame() bool {
	return !slices.ContainsFunc(j.Steps, func(s Step) bool {
		return s.names(namesOccurrence()) || s.Share != nil && namesOccurrence().MatchString(s.Share.Message)
	})
}

// isFile reports whether a path is that of an item that is a file.
func (e *ForEach) isFile(collection, text string) bool {
	name, below := strings.CutPrefix(text, e.Folder)
	return e.Kind == FileItems && e.Collection == collection && below && onlyName().MatchString(name)
}

// onlyName is a template that is the name of the item, and nothing else.
var onlyName = pattern.Lazy(`^\{\{-?\s*\.Item\.Name\s*-?\}\}/?$`)

// within reports whether the folder of e is in what a transfer copies.
func (e *ForEach) within(m *move) bool {
	folder := newReach(e.Collection, e.Folder, false)
	return m.reads.meets(&folder) && strings.HasPrefix(folder.begin, m.reads.begin)
}

// takesCopies reports whether the copies of a transfer would be items of e.
func (e *ForEach) takesCopies(m *move) bool {
	rest, below := strings.CutPrefix(m.to.path, e.Folder)
	if m.to.collection != e.Collection || !below || rest == "" {
		return false
	}
	name, inside, folder := strings.Cut(rest, "/")
	if folder != (e.Kind == FolderItems) && (inside != "" || e.Kind == FolderItems) {
		return false
	}
	text := strings.TrimPrefix(m.writes.text, e.Folder)
	_, taken := e.Match.Name(name)
	return taken || strings.Contains(strings.SplitN(text, "/", 2)[0], "{{")
}
