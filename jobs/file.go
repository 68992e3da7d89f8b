package jobs

import (
	"cmp"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// maxHistory bounds history.max_runs: more would not fit on the disks that
// ledgers are kept on.
const maxHistory = 100_000_000

// A History says which finished runs are remembered: those that are young
// enough and among the newest of their job.
type History struct {
	Keep    time.Duration // since the run ended
	MaxRuns int           // of each job
	// Receipts is how long receipts are kept, which stay when their runs are
	// forgotten; 0 means for ever.
	Receipts time.Duration
}

// defaultHistory is the history of a file that does not set it.
func defaultHistory() History { return History{Keep: 400 * 24 * time.Hour, MaxRuns: 100_000} }

// A File is the content of one or several jobs files.
type File struct {
	Collections map[string]Collection // by name
	Jobs        []*Job                // sorted by name
	Channels    map[string]*Channel   // by name; those that jobs may tell
	History     History
	// Warnings are what looks wrong but does no harm, in the order of the text.
	Warnings []*Problem
}

// A Collection is a place at Globus that a jobs file has named.
type Collection struct {
	ID   string // UUID in lower case
	Path string // where relative paths start; empty means that there are none
}

// A Source is the text of one jobs file.
type Source struct {
	Name string // file name, for messages; a relative manifest is looked for beside it
	Data []byte // YAML, at most 4 MiB
}

// Parse reads jobs files. What it returns needs no second check: a file, or
// the [errors.Join] of every [*Problem] that was found, never both.
//
// The sources share collections and jobs; defaults and env apply only to the source that has
// them. The variables that env names are looked up with getenv; a nil getenv knows none,
// which is enough to check a file. Templates are executed once, for a sample instant, with
// sample values for variables that are not set.
func Parse(getenv func(string) string, sources ...Source) (*File, error) {
	p, _ := parseAll(getenv, sources)
	if len(p.problems) > 0 {
		return nil, joinProblems(p.problems)
	}
	p.file.Warnings = p.warnings
	standard := defaultHistory()
	p.file.History.Keep = cmp.Or(p.file.History.Keep, standard.Keep)
	p.file.History.MaxRuns = cmp.Or(p.file.History.MaxRuns, standard.MaxRuns)
	slices.SortFunc(p.file.Jobs, func(a, b *Job) int { return cmp.Compare(a.Name, b.Name) })
	return p.file, nil
}

// parseAll does the work of [Parse], and returns the sources that could be read.
func parseAll(getenv func(string) string, sources []Source) (*parser, []*source) {
	p := &parser{
		file:    &File{Collections: map[string]Collection{}, Channels: map[string]*Channel{}},
		getenv:  getenv,
		named:   map[string]*declared{},
		listed:  map[string]*listed{},
		drafts:  map[string]*draft{},
		each:    map[string]*arrival{},
		follows: map[string]string{},
		owners:  map[string]string{"": ""},
		zones:   map[string]*time.Location{},
		rank:    map[string]int{},
	}
	var read []*source
	for i, src := range sources {
		p.rank[src.Name] = i
		s := newSource(p, src)
		if root := s.read(src.Data); root != nil {
			s.head(root)
			read = append(read, s)
		}
	}
	for _, s := range read {
		s.channels()
		s.arrivals()
	}
	for _, s := range read {
		s.jobs()
	}
	if len(sources) == 0 {
		p.problems = append(p.problems, &Problem{Msg: "there is no jobs file"})
	}
	p.checkAll()
	return p, read
}

// joinProblems returns the problems as one error.
func joinProblems(problems []*Problem) error {
	errs := make([]error, len(problems))
	for i, problem := range problems {
		errs[i] = problem
	}
	return errors.Join(errs...)
}

// A parser has what all sources say.
type parser struct {
	file      *File
	getenv    func(string) string
	named     map[string]*declared // collections by name
	listed    map[string]*listed   // channels by name
	addressed []addressed          // channels that jobs name
	drafts    map[string]*draft    // jobs by name
	order     []*draft             // in the order of the text
	each      map[string]*arrival  // by job
	owners    map[string]string    // whose items templates may name, by job; see eachOf
	follows   map[string]string    // what a job comes after, by its name; empty for those that come after none
	moves     []move
	prunes    []pruning
	audits    []auditing
	deletions []deletion
	zones     map[string]*time.Location
	rank      map[string]int // of sources by name
	problems  []*Problem
	warnings  []*Problem
}

// A declared is a collection, and where the jobs file declares it.
type declared struct {
	Collection
	src   *source
	key   ast.Node
	name  string
	valid bool
	used  bool
}

// A draft is a job with where it was described.
type draft struct {
	*Job
	src   *source
	key   ast.Node
	field string
	wrong bool // it has problems of its own
}

// A passage is a step or a path of a job, and where it was described.
type passage struct {
	draft *draft
	steps int // how many steps of the job come before it
	field string
	node  ast.Node
}

// problem reports what is wrong with it.
func (p *passage) problem(format string, args ...any) {
	p.draft.src.problem(p.node, p.field, format, args...)
}

// head reads all of a source but the jobs.
func (s *source) head(root ast.Node) {
	version := 0
	s.object(root, "", keys{
		"version":     s.count(&version, 1, 1),
		"collections": s.collections,
		"defaults":    s.readDefaults,
		"env":         s.variables,
		"history":     s.history,
		"notify":      func(n ast.Node, _ string) { s.toTell = n },
		"jobs":        func(n ast.Node, _ string) { s.jobsNode = n },
	})
	s.require(root, "", "version", "write version: 1")
	s.require(root, "", "jobs", "name at least one job")
}

// jobs reads the jobs of a source.
func (s *source) jobs() {
	if s.jobsNode == nil {
		return
	}
	found := false
	for key, n := range s.pairs(s.jobsNode, "jobs") {
		found = true
		s.readJob(key, n)
	}
	if !found && len(s.problems) == 0 {
		s.problem(s.jobsNode, "jobs", "there is no job, name at least one")
	}
}

// variables reads the names that templates may ask for.
func (s *source) variables(n ast.Node, field string) {
	for i, n := range s.items(n, field, 0) {
		at := element(field, i)
		name, ok := s.text(n, at)
		switch {
		case !ok:
		case !variablePattern().MatchString(name):
			s.problem(n, at, "%q is not the name of a variable, want letters, digits and _", name)
		case strings.Contains(strings.ToUpper(name), "SECRET") || name == "RUNNER_STATE":
			s.problem(n, at, "%s may hold a secret, which has no place in a path", name)
		default:
			s.env[name] = ""
			if s.getenv == nil {
				continue
			}
			if s.env[name] = s.getenv(name); s.env[name] == "" {
				s.warn(n, at, "%s is not set here; a job that uses it cannot start", name)
			}
		}
	}
}

// history reads which finished runs are remembered.
func (s *source) history(n ast.Node, field string) {
	before, problems := s.file.History, len(s.problems)
	s.object(n, field, keys{
		"keep":     s.duration(&s.file.History.Keep, time.Second),
		"max_runs": s.count(&s.file.History.MaxRuns, 1, maxHistory),
		"receipts": s.duration(&s.file.History.Receipts, time.Second),
	})
	if before != (History{}) {
		s.problem(n, field, "another file has it already, keep one of them")
	}
	if s.file.History == before && len(s.problems) == problems {
		s.problem(n, field, "it is empty, say how long or how many runs of a job, such as keep: 90d or max_runs: 1000")
	}
}

// collections reads short names of collections.
func (s *source) collections(n ast.Node, field string) {
	for key, n := range s.pairs(n, field) {
		name := key.GetToken().Value
		p := &declared{src: s, key: key, name: name}
		at := field + "." + name
		if mapping(n) {
			s.object(n, at, keys{
				"id":   s.collectionID(p),
				"path": s.collectionPath(p),
			})
			s.require(n, at, "id", "give the collection's UUID")
		} else {
			s.collectionID(p)(n, at)
		}
		if !collectionPattern().MatchString(name) {
			s.problem(key, at, "name %q: want lower-case letters, digits, and inner dashes or underscores", name)
		}
		if other := s.named[name]; other != nil {
			s.problem(key, at, "%s has named a collection %s already", other.src.name, name)
			continue
		}
		s.named[name] = p
		s.file.Collections[name] = p.Collection
	}
}

// aCollectionID is what the id of a collection is.
const aCollectionID = "a collection id (a UUID such as 0b6c8f2e-0000-4000-8000-000000000001)"

func (s *source) collectionID(p *declared) decoder {
	return func(n ast.Node, field string) {
		if number(n) {
			s.wrongType(n, field, aCollectionID)
			return
		}
		id, ok := s.text(n, field)
		if !ok {
			return
		}
		if p.ID = strings.ToLower(id); !uuidPattern().MatchString(p.ID) {
			s.problem(n, field, "%q is not %s", id, aCollectionID)
			return
		}
		p.valid = true
	}
}

func (s *source) collectionPath(p *declared) decoder {
	return func(n ast.Node, field string) {
		path, ok := s.text(n, field)
		if !ok {
			return
		}
		if strings.Contains(path, "{{") {
			s.problem(n, field, "the path of a collection is fixed; put the template into the jobs' paths")
			return
		}
		path = home(path)
		if err := checkPath(path); err != nil {
			s.problem(n, field, "%v", err)
			return
		}
		p.Path = path
	}
}

// beside returns the name of a file that a source names.
func (s *source) beside(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(filepath.Dir(s.name), name)
}
