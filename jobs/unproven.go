package jobs

import (
	"fmt"
	"path"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// A deletion is a path that a job deletes, with no proof that what is there is
// elsewhere.
type deletion struct {
	draft *draft
	step  int // how many steps of the job come before it
	field string
	node  ast.Node
	at    reach
}

// A reach are the paths on a collection that a path of a jobs file may stand
// for, one time or another.
type reach struct {
	collection string
	text       string // as it was written
	home       bool   // the path is below the default folder, wherever that is
	begin      string // all of the paths begin so, in lower case
	open       bool   // there may be several
}

// newReach returns the reach of a path; globs says whether wildcards are
// expanded.
func newReach(collection, text string, globs bool) reach {
	r := reach{collection: collection, text: text, home: strings.HasPrefix(text+"/", homeFolder)}
	fixed, _, open := strings.Cut(text, "{{")
	if i := strings.IndexAny(fixed, `*?[\`); globs && i >= 0 {
		fixed, open = fixed[:i], true
	}
	r.open = open
	folder, last := path.Split(fixed)
	r.begin = strings.TrimSuffix(path.Clean(folder), "/") + "/" + last
	if !open {
		r.begin = strings.TrimSuffix(path.Clean(fixed), "/") + "/"
	}
	r.begin = strings.ToLower(r.begin) // a collection may not tell A from a
	return r
}

// homeFolder is what Globus calls the default folder.
const homeFolder = "/~/"

// meets reports whether one of the paths of r may be one of other, or inside it,
// or around it.
func (r *reach) meets(other *reach) bool {
	if r.collection != other.collection {
		return false
	}
	return r.home != other.home || strings.HasPrefix(r.begin, other.begin) || strings.HasPrefix(other.begin, r.begin)
}

// checkDeletes reports each delete where a transfer copies from: it asks nobody
// whether all that is there was copied.
func (p *parser) checkDeletes() {
	sources := map[string][]*move{} // by collection
	for i := range p.moves {
		m := &p.moves[i]
		sources[m.reads.collection] = append(sources[m.reads.collection], m)
	}
	for i := range p.deletions {
		d := &p.deletions[i]
		var nearest *move
		for _, m := range sources[d.at.collection] {
			if d.at.meets(&m.reads) && (nearest == nil || d.distance(m) < d.distance(nearest)) {
				nearest = m
			}
		}
		if nearest != nil {
			p.refuse(d, nearest)
		}
	}
}

// distance is small for the transfer that the delete most likely is about.
func (d *deletion) distance(m *move) int {
	switch m.job {
	case d.draft.Name:
		return 0
	case d.draft.After:
		return 1
	}
	return 2
}

// refuse reports a delete where m copies from, and says what would be right.
func (p *parser) refuse(d *deletion, m *move) {
	verb, why, rewrite := "would", "", ""
	switch {
	case d.at.home != m.reads.home:
		verb, why, rewrite = "may", ", since ~/ may be anywhere", "both paths with or without ~/, or "
	case (d.at.open || m.reads.open) && d.at.text != m.reads.text:
		verb = "may"
	}
	owner, instead, prune := "the job "+m.job, fmt.Sprintf("prune: {of: [%s]}", m.job), &Prune{Of: []string{m.job}}
	if m.job == d.draft.Name {
		owner = "this job"
		if m.step < d.step {
			instead, prune = "- prune: {}", &Prune{}
		}
	}
	problem := d.draft.src.note(position(d.node), 0, d.field, fmt.Sprintf("this %s delete what %s copies from %s%s, also files that were not copied or have changed since; "+
		"write %s%s instead of the delete, or unproven: true if they need no copy", verb, owner, short(m.reads.text), why, rewrite, instead))
	problem.Prune = prune
	p.report(problem)
}
