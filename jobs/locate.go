package jobs

import (
	"cmp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// Locate fills in the places of problems that were found in what [Parse] made
// of the sources, and sorts by them. A problem needs its Field, such as
// jobs.nightly.jitter, and its Msg. One whose field a job has from the defaults
// is at the defaults; one whose field was not given is at the job's name. The same
// goes for channels, such as notify.ops. Any other field is about the whole file, if
// there is only one.
func Locate(problems []*Problem, sources ...Source) {
	if len(problems) == 0 {
		return // it costs a second look at the text
	}
	p, read := parseAll(nil, sources)
	for _, problem := range problems {
		*problem = *p.locate(problem.Field, problem.Msg, read)
	}
	slices.SortStableFunc(problems, p.byPlace)
}

// locate returns the problem with a field, in its place.
func (p *parser) locate(field, msg string, read []*source) *Problem {
	if rest, ok := strings.CutPrefix(field, "notify."); ok {
		name, _, _ := strings.Cut(rest, ".")
		if at := p.listed[name]; at != nil {
			return at.src.note(position(cmp.Or(at.src.marks[field], at.key)), 0, field, msg)
		}
	}
	rest, _ := strings.CutPrefix(field, "jobs.")
	name, key, _ := strings.Cut(rest, ".")
	d := p.drafts[name]
	if d == nil || rest == field {
		problem := &Problem{Field: field, Msg: msg}
		if len(read) == 1 {
			problem.File = read[0].name
		}
		return problem
	}
	at := d.key
	for _, n := range []ast.Node{d.src.marks[field], d.src.marks["defaults."+key]} {
		if n != nil {
			at = n
			break
		}
	}
	return d.src.note(position(at), 0, field, msg)
}
