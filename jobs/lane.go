package jobs

import (
	"path"
	"regexp"
	"slices"
	"strings"
	"text/template/parse"

	"github.com/globus-runner/globus-runner/internal/pattern"
)

// An End is a path on a collection, as one of several local accounts sees it.
type End struct {
	Collection string // id
	LocalUser  string // may be empty
	Path       string // whole
}

// Lanes say from where to where the transfers of jobs copy, in any of their occurrences. The
// zero value has none.
type Lanes struct {
	all   []*lane
	open  []*lane            // those that depend on the occurrence
	fixed map[string][]*lane // the others, by where they begin
}

// A lane is the source and destination of one item.
type lane struct {
	from, to     End // without a path
	reads        reach
	writes       reach
	series       *Series        // of where it begins; nil if that does not depend on the occurrence
	begins, ends *regexp.Regexp // match whole paths, without a slash at their ends
	single       bool           // the item is a file
	anywhere     bool           // lines of a manifest say what goes where below the ends
}

// Add adds what the transfers among the first steps of a job copy.
func (ls *Lanes) Add(j *Job, steps int) {
	for i := range j.Steps[:min(steps, len(j.Steps))] {
		s := &j.Steps[i]
		if s.Transfer == nil {
			continue
		}
		for _, item := range s.Transfer.Items {
			ls.add(&lane{
				from:     End{Collection: strings.ToLower(s.Transfer.SourceEndpoint), LocalUser: s.Transfer.SourceLocalUser},
				to:       End{Collection: strings.ToLower(s.Transfer.DestinationEndpoint), LocalUser: s.Transfer.DestinationLocalUser},
				reads:    newReach("", item.SourcePath, false),
				writes:   newReach("", item.DestinationPath, false),
				series:   newSeries(j.marked(item.SourcePath)),
				begins:   j.occurrences(item.SourcePath),
				ends:     j.occurrences(item.DestinationPath),
				single:   item.Recursive != nil && !*item.Recursive,
				anywhere: s.Manifest != "",
			}, item.SourcePath)
		}
	}
}

func (ls *Lanes) add(l *lane, from string) {
	ls.all = append(ls.all, l)
	if strings.Contains(from, "{{") {
		ls.open = append(ls.open, l)
		return
	}
	if ls.fixed == nil {
		ls.fixed = map[string][]*lane{}
	}
	at := path.Clean(from)
	ls.fixed[at] = append(ls.fixed[at], l)
}

// MayMeet reports whether files of an item may be on a lane. False is certain; true may be
// wrong.
func (ls *Lanes) MayMeet(from, to End) bool {
	source, destination := newReach("", from.Path, false), newReach("", to.Path, false)
	return slices.ContainsFunc(ls.all, func(l *lane) bool {
		return l.between(from, to) && l.reads.meets(&source) && l.writes.meets(&destination)
	})
}

// Have reports whether a lane leads from a file to a path: whether the jobs would
// put that file there.
func (ls *Lanes) Have(from, to End) bool {
	source, destination := path.Clean(from.Path), path.Clean(to.Path)
	leads := func(l *lane) bool { return l.between(from, to) && l.has(source, destination) }
	for at := range (spot{path: source}).folders() {
		if slices.ContainsFunc(ls.fixed[at.path], leads) {
			return true
		}
	}
	return slices.ContainsFunc(ls.open, leads)
}

// AlwaysFrom reports whether every occurrence of a job copies from a path.
func (ls *Lanes) AlwaysFrom(from End) bool {
	at := path.Clean(from.Path)
	return slices.ContainsFunc(ls.all, func(l *lane) bool {
		return l.series == nil && l.from.Collection == strings.ToLower(from.Collection) && l.from.LocalUser == from.LocalUser && l.begins.MatchString(at)
	})
}

// between reports whether the lane is between two collections.
func (l *lane) between(from, to End) bool {
	return l.from.Collection == strings.ToLower(from.Collection) && l.from.LocalUser == from.LocalUser &&
		l.to.Collection == strings.ToLower(to.Collection) && l.to.LocalUser == to.LocalUser
}

// has reports whether the lane leads from a file to a path; both are clean.
func (l *lane) has(from, to string) bool {
	switch {
	case l.begins.MatchString(from) && l.ends.MatchString(to):
		return true
	case l.single:
		return false
	case l.anywhere:
		return below(l.begins, from) && below(l.ends, to)
	}
	for path.Base(from) == path.Base(to) && from != "/" {
		from, to = path.Dir(from), path.Dir(to)
		if l.begins.MatchString(from) && l.ends.MatchString(to) {
			return true
		}
	}
	return false
}

// below reports whether a folder that a file is in matches.
func below(folder *regexp.Regexp, file string) bool {
	return slices.ContainsFunc(slices.Collect(spot{path: path.Dir(file)}.folders()), func(at spot) bool { return folder.MatchString(at.path) })
}

// What stands for a part of a path that each occurrence has anew.
const (
	anyDigits = "\x01"
	anySign   = "\x02"
	anyName   = "\x03"
	anyText   = "\x04"
)

// occurrences matches the paths that a path of the job may become. What does not
// depend on the occurrence is resolved; digits stand for other digits, and words
// for other words.
func (j *Job) occurrences(text string) *regexp.Regexp { return whole(path.Clean(j.marked(text))) }

// marked is a path of the job with a mark for each part that depends on the
// occurrence.
func (j *Job) marked(text string) string {
	tree, err := parseTemplate(text)
	if err != nil || j.Literal {
		return text
	}
	var b strings.Builder
	for _, n := range tree.Root.Nodes {
		b.WriteString(j.occurrencesOf(n))
	}
	return b.String()
}

// whole matches a text with marks.
func whole(marked string) *regexp.Regexp {
	expr := strings.NewReplacer(anyDigits, `[0-9]+`, anySign, `[-+]`, anyName, `[^/]+`, anyText, `.+`).Replace(regexp.QuoteMeta(marked))
	return regexp.MustCompile(`^(?s:` + expr + `)$`)
}

var (
	signPattern  = pattern.Lazy(`[-+]`)
	digitPattern = pattern.Lazy(`[0-9]+`)
	wordPattern  = pattern.Lazy(`[^/]*\pL[^/]*`)
)

// occurrencesOf is occurrences for a part of a template.
func (j *Job) occurrencesOf(n parse.Node) string {
	if text, ok := n.(*parse.TextNode); ok {
		return string(text.Text)
	}
	item := j.SampleItem()
	sample, err := renderText(n.String(), momentOf(j, sampleKey(), sampleTime(), item), scope{env: j.Env, item: item})
	switch {
	case !ofOccurrence(n) && err != nil:
		return n.String() // the job cannot run
	case !ofOccurrence(n):
		return sample
	case err != nil:
		return anyText
	}
	sample = wordPattern().ReplaceAllString(sample, anyName)
	sample = signPattern().ReplaceAllString(sample, anySign)
	return digitPattern().ReplaceAllString(sample, anyDigits)
}

// ofOccurrence reports whether a part of a template depends on the occurrence.
func ofOccurrence(n parse.Node) bool {
	switch n := n.(type) {
	case *parse.ActionNode:
		return ofOccurrence(n.Pipe)
	case *parse.PipeNode:
		return slices.ContainsFunc(n.Cmds, func(c *parse.CommandNode) bool { return slices.ContainsFunc(c.Args, ofOccurrence) })
	case *parse.FieldNode:
		return n.Ident[0] != "Job"
	}
	return false
}
