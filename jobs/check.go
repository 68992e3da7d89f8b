package jobs

import (
	"cmp"
	"slices"
	"strings"

	"github.com/globus-runner/globus-runner/internal/spelling"
)

// checkAll makes the checks that need all jobs.
func (p *parser) checkAll() {
	p.checkChains()
	p.checkCopies()
	for i := range p.prunes {
		p.checkPrune(&p.prunes[i])
	}
	p.checkMirrors()
	for i := range p.audits {
		p.checkAudit(&p.audits[i])
	}
	p.checkDeletes()
	p.checkNotify()
	for name, c := range p.named {
		if !c.used {
			c.src.warn(c.key, "collections."+name, "no job uses the collection %s", name)
		}
	}
	slices.SortStableFunc(p.problems, p.byPlace)
	slices.SortStableFunc(p.warnings, p.byPlace)
}

// byPlace compares problems by their places in the text.
func (p *parser) byPlace(a, b *Problem) int {
	return cmp.Or(cmp.Compare(p.rank[a.File], p.rank[b.File]), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col), cmp.Compare(a.Msg, b.Msg))
}

// allNames returns the names of the jobs, in the order of the text.
func (p *parser) allNames() []string {
	names := make([]string, len(p.order))
	for i, d := range p.order {
		names[i] = d.Name
	}
	return names
}

// checkChains reports an after that names no job, and circles.
func (p *parser) checkChains() {
	names := p.allNames()
	done := map[string]bool{} // leads to no circle, or was reported
	for _, d := range p.order {
		path := []string{}
		for at := d; at != nil && at.After != "" && !done[at.Name]; at = p.drafts[at.After] {
			if i := slices.Index(path, at.Name); i >= 0 {
				at.src.problemOf(at.field+".after",
					"the jobs wait for each other: %s; one of them needs a schedule instead", strings.Join(append(path[i:], at.Name), " after "))
				break
			}
			path = append(path, at.Name)
			if p.drafts[at.After] == nil {
				at.src.problemOf(at.field+".after", "there is no job %q%s", short(at.After), spelling.Hint(at.After, names...))
			}
		}
		for _, name := range path {
			done[name] = true
		}
	}
}

// checkCopies reports transfers that write into their own source, and jobs that
// write into each other's.
func (p *parser) checkCopies() {
	reading, writing := map[spot][]int{}, map[spot][]int{}
	for i := range p.moves {
		m := &p.moves[i]
		if err := m.self(); err != nil && !m.listed {
			m.problem("%v", err)
		}
		reading[m.from.clean()] = append(reading[m.from.clean()], i)
		writing[m.to.clean()] = append(writing[m.to.clean()], i)
	}
	p.checkMixed(writing)
	p.checkSwept(writing)
	p.checkShared(writing)
	told := map[[2]string]bool{}
	tell := func(a, b *move) {
		pair := [2]string{a.draft.Name, b.draft.Name}
		if a.draft == b.draft || told[pair] || told[[2]string{pair[1], pair[0]}] || !a.to.overlaps(b.from) || !b.to.overlaps(a.from) {
			return
		}
		told[pair] = true
		b.problem("the jobs %s and %s write into each other's source: each would undo or repeat what the other did, copy one way only", pair[0], pair[1])
	}
	for i := range p.moves {
		m := &p.moves[i]
		for folder := range m.to.folders() {
			for _, other := range reading[folder] { // m writes into other's source
				tell(&p.moves[min(i, other)], &p.moves[max(i, other)])
			}
		}
		for folder := range m.from.folders() {
			for _, other := range writing[folder] { // other writes around m's source
				tell(&p.moves[min(i, other)], &p.moves[max(i, other)])
			}
		}
	}
}

// checkMixed warns of jobs that copy different sources to the same path: a file
// replaces one of the same name. writing has the transfers by their destination.
func (p *parser) checkMixed(writing map[spot][]int) {
	for i := range p.moves {
		m := &p.moves[i]
		first := &p.moves[writing[m.to.clean()][0]]
		if first.draft == m.draft || first.from.clean() == m.from.clean() || first.mirror || m.mirror {
			continue
		}
		m.draft.src.warn(m.node, m.field, "the job %s copies to the same path, from another source: files of the same name replace each other; "+
			"give each job a folder of its own, unless their names always differ", first.draft.Name)
	}
}

// checkSwept warns of mirrors that delete what other jobs copy to, or below, their
// destinations. writing has the transfers by their destination.
func (p *parser) checkSwept(writing map[spot][]int) {
	told := map[[2]string]bool{}
	for i := range p.moves {
		m := &p.moves[i]
		for folder := range m.to.folders() {
			for _, k := range writing[folder] {
				mirror := &p.moves[k]
				pair := [2]string{min(mirror.draft.Name, m.draft.Name), max(mirror.draft.Name, m.draft.Name)}
				if !mirror.mirror || mirror.draft == m.draft || mirror.leads(m) || told[pair] {
					continue
				}
				told[pair] = true
				mirror.draft.src.warn(mirror.node, mirror.field, "it is a mirror, and deletes at its destination what its source does not have: "+
					"also what the job %s copies to %s; give each job a folder of its own", m.draft.Name, short(m.to.path))
			}
		}
	}
}

// checkShared warns of jobs that copy a part of what another job copies, to the same paths.
// Both may then work on one file, because Globus refuses a second task only if its paths are
// identical. writing has the transfers by their destination.
func (p *parser) checkShared(writing map[spot][]int) {
	told := map[[2]string]bool{}
	for i := range p.moves {
		m := &p.moves[i]
		for folder := range m.to.folders() {
			for _, k := range writing[folder] {
				whole := &p.moves[k]
				pair := [2]string{whole.draft.Name, m.draft.Name}
				if folder == m.to.clean() || whole.filtered || told[pair] || !whole.leads(m) || p.comesAfter(whole.draft, m.draft) || p.comesAfter(m.draft, whole.draft) {
					continue
				}
				told[pair] = true
				m.draft.src.warn(m.node, m.field, "the job %s copies this as well, and to the same place: two tasks may write one file at once, because Globus refuses "+
					"a second task only if its paths are the same; leave it out there with filter_rules, or let one job come after the other", whole.draft.Name)
			}
		}
	}
}

// comesAfter reports whether a job comes after another, or after one that does. A job
// comes after itself.
func (p *parser) comesAfter(d, other *draft) bool {
	for range p.order { // a circle is reported elsewhere
		if d == nil || d == other {
			break
		}
		d = p.drafts[d.After]
	}
	return d == other
}

// leads reports whether m copies the source of another move to where that one does.
func (m *move) leads(other *move) bool {
	rest, below := strings.CutPrefix(other.to.clean().path, strings.TrimSuffix(m.to.clean().path, "/"))
	source := spot{m.from.collection, m.from.path + "/" + rest}
	return below && source.clean() == other.from.clean()
}
