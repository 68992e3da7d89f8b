package jobs

import (
	"fmt"
	"path"
	"strings"
)

// A deletion is a path that a job deletes without proof of copies.
type deletion struct {
	passage
	at reach
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

// checkDeletes reports each delete of what a transfer copies: nothing checks whether all files
// there were copied. It also reports each delete of copies that are the only ones after a
// prune.
func (p *parser) checkDeletes() {
	sources := map[string][]*move{} // by collection
	for i := range p.moves {
		m := &p.moves[i]
		sources[m.reads.collection] = append(sources[m.reads.collection], m)
	}
	copies := p.prunedTo()
	for i := range p.deletions {
		d := &p.deletions[i]
		var nearest *move
		for _, m := range sources[d.at.collection] {
			if d.mayMeet(m, &m.reads) && (nearest == nil || d.distance(m) < d.distance(nearest)) {
				nearest = m
			}
		}
		if nearest != nil {
			p.refuse(d, nearest)
			continue
		}
		for _, c := range copies[d.at.collection] {
			if d.mayMeet(c.move, &c.move.writes) {
				p.refuseCopies(d, &c)
				break
			}
		}
	}
}

// A remainder is where the copies of pruned files are.
type remainder struct {
	move  *move
	prune *pruning
}

// prunedTo returns where the copies are of what prunes delete, by collection.
func (p *parser) prunedTo() map[string][]remainder {
	byJob, copies := p.movesByJob(), map[string][]remainder{}
	for i := range p.prunes {
		pr := &p.prunes[i]
		for _, m := range pr.moves(byJob) {
			copies[m.writes.collection] = append(copies[m.writes.collection], remainder{m, pr})
		}
	}
	return copies
}

// mayMeet reports whether the delete may meet an end of a transfer. Lines of a
// manifest may name any path of the collection.
func (d *deletion) mayMeet(m *move, end *reach) bool { return m.listed || d.at.meets(end) }

// distance is smallest for the transfer that the delete is most likely about.
func (d *deletion) distance(m *move) int {
	near := 0
	if !d.at.meets(&m.reads) {
		near = 3 // only a line of a manifest may say so
	}
	switch m.draft.Name {
	case d.draft.Name:
		return near
	case d.draft.After:
		return near + 1
	}
	return near + 2
}

// refuse reports a delete where m copies from, and says what would be right.
func (p *parser) refuse(d *deletion, m *move) {
	verb, why, rewrite := d.verb(&m.reads), "", ""
	switch {
	case !d.at.meets(&m.reads):
		verb, why = "may", ", since lines of its manifest may be anywhere"
	case d.at.home != m.reads.home:
		why, rewrite = ", since ~/ may be anywhere", "both paths with or without ~/, or "
	}
	job := m.draft.Name
	owner, instead, prune := "the job "+job, fmt.Sprintf("prune: {of: [%s]}", job), &Prune{Of: []string{job}}
	if m.draft == d.draft {
		owner = "this job"
		if m.steps < d.steps {
			instead, prune = "- prune: {}", &Prune{}
		}
	}
	p.refused(d, prune, "this %s delete what %s copies from %s%s, also files that were not copied or have changed since; "+
		"write %s%s instead of the delete, or unproven: true if they need no copy", verb, owner, short(m.reads.text), why, rewrite, instead)
}

// refuseCopies reports a delete of copies of what a prune deletes.
func (p *parser) refuseCopies(d *deletion, c *remainder) {
	verb, why := d.verb(&c.move.writes), ""
	if !d.at.meets(&c.move.writes) {
		verb, why = "may", ", or where else its manifest says"
	}
	p.refused(d, &Prune{Of: []string{c.move.draft.Name}}, "this %s delete copies at %s%s, which may be the only ones: the prune of the job %s deletes what they were made of; "+
		"leave out one of the two, or write unproven: true if nobody needs the copies", verb, short(c.move.writes.text), why, c.prune.draft.Name)
}

// refused reports a delete.
func (p *parser) refused(d *deletion, instead *Prune, format string, args ...any) {
	problem := d.draft.src.note(position(d.node), 0, d.field, fmt.Sprintf(format, args...))
	problem.Prune = instead
	p.report(problem)
}

// verb says how sure it is that a delete meets another path.
func (d *deletion) verb(other *reach) string {
	if d.at.home != other.home || (d.at.open || other.open) && d.at.text != other.text {
		return "may"
	}
	return "would"
}
