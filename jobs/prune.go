package jobs

import (
	"slices"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/globus-runner/globus-runner/internal/spelling"
	"github.com/globus-runner/globus-runner/transfer"
)

// A Prune deletes the files that receipts prove to be elsewhere, and nothing else: no folder
// with unknown content, and no file that has changed since it was copied.
type Prune struct {
	// Of are the jobs whose receipts count. Empty means those of the steps
	// before, in the same run.
	Of []string
	// Jobs are the jobs of these names. A receipt counts for what they copy now,
	// and to where.
	Jobs []*Job
	// OlderThan is how long ago the copy must have been proven. 0 means that
	// any time will do.
	OlderThan time.Duration
	// Copies is how many collections must have each file. 0 means 1.
	Copies int
	// MaxDelete is how many of the files that are looked at may be deleted.
	// Empty means [NoMaxDelete].
	MaxDelete MaxDelete
	// EmptyFolders removes the folders that the prune emptied.
	EmptyFolders bool
	// Accept is what counts as a verified copy. Empty means [AcceptChecksum].
	Accept Accept
}

// An Accept says what counts as a verified copy.
type Accept string

// The kinds of verified copies.
const (
	AcceptChecksum Accept = "checksum" // Globus compared the checksums
	AcceptMtime    Accept = "mtime"    // also: size and time are equal
	AcceptSize     Accept = "size"     // also: the size is equal
)

// A pruning is a prune with where it was described.
type pruning struct {
	*Prune
	passage
	named []ast.Node // those of Of
}

// prune reads what to prune. The names of jobs are checked later, by [parser.checkPrune].
func (s *source) prune(d *draft, n ast.Node, field string) *Prune {
	p := pruning{Prune: &Prune{}, passage: passage{d, len(d.Steps), field, n}}
	s.object(n, field, keys{
		"of":            s.jobNames(&p.Of, &p.named),
		"older_than":    s.duration(&p.OlderThan, 0),
		"copies":        s.count(&p.Copies, 1, 100),
		"max_delete":    s.maxDelete(&p.MaxDelete),
		"empty_folders": s.either(&p.EmptyFolders, "keep", "remove"),
		"accept":        choice(s, &p.Accept, AcceptChecksum, AcceptMtime, AcceptSize),
	})
	s.prunes = append(s.prunes, p)
	return p.Prune
}

// checkPrune checks what the receipts of a prune can prove, and has the jobs keep receipts.
func (p *parser) checkPrune(pr *pruning) {
	src := pr.draft.src
	p.keepReceipts(pr.draft, pr)
	var copies []*transfer.Transfer
	for i, name := range pr.Of {
		d := p.copying(&pr.passage, pr.named[i], name, "it has no receipts; name a job that copies what is to be deleted")
		if d == nil {
			continue
		}
		p.keepReceipts(d, pr)
		pr.Jobs = append(pr.Jobs, d.Job)
		copies = append(copies, transfersOf(d.Steps)...)
	}
	if len(pr.Of) == 0 {
		copies = transfersOf(pr.draft.Steps[:pr.steps])
	}
	switch most := destinations(copies); {
	case len(copies) == 0 && len(pr.Of) == 0 && !pr.draft.wrong:
		pr.problem("no transfer comes before it, so no receipts say what may be deleted; " +
			"name the jobs that copy it, such as of: [nightly-archive]")
	case len(copies) > 0 && pr.Copies > most:
		at := pr.field + ".copies"
		src.problemOf(at, "%d collections cannot have each file, because it is copied to %d; write copies: %d, or name more jobs in of", pr.Copies, most, most)
	}
	if kept := p.file.History.Receipts; kept > 0 && pr.OlderThan >= kept {
		at := pr.field + ".older_than"
		src.problemOf(at, "history.receipts forgets receipts before they are so old, so nothing would ever be deleted; keep them longer, or lower older_than")
	}
	p.doubtAge(pr)
	p.doubtMemory(pr)
	if pr.Accept != "" && pr.Accept != AcceptChecksum {
		return
	}
	for _, t := range copies {
		if !t.VerifyChecksum && (t.SyncLevel == nil || *t.SyncLevel < transfer.SyncChecksum) {
			src.warn(pr.node, pr.field, "the copies are made with verify_checksum: false, so they prove nothing and their files stay; "+
				"switch it on or write sync_level: checksum at the transfer, or accept: size here")
			break
		}
	}
}

// checkMirrors reports mirrors that would delete the copies of what a prune has
// deleted.
func (p *parser) checkMirrors() {
	byJob, mirrors := p.movesByJob(), map[string][]*move{} // these by the collection where they delete
	for i := range p.moves {
		if m := &p.moves[i]; m.mirror {
			mirrors[m.to.collection] = append(mirrors[m.to.collection], m)
		}
	}
	for i := range p.prunes {
		pr := &p.prunes[i]
		for _, m := range pr.moves(byJob) {
			if k := slices.IndexFunc(mirrors[m.to.collection], func(mirror *move) bool { return m.writes.meets(&mirror.writes) }); k >= 0 {
				mirror := mirrors[m.to.collection][k]
				pr.problem("the job %s mirrors to %s and deletes there what its source does not have, "+
					"also the copies of what this prune deletes; take delete_destination_extra out of it, or leave out the prune", mirror.draft.Name, short(mirror.writes.text))
				break
			}
		}
	}
}

// movesByJob returns the moves of each job.
func (p *parser) movesByJob() map[string][]*move {
	byJob := map[string][]*move{}
	for i := range p.moves {
		m := &p.moves[i]
		byJob[m.draft.Name] = append(byJob[m.draft.Name], m)
	}
	return byJob
}

// moves returns what the transfers move whose receipts count.
func (pr *pruning) moves(byJob map[string][]*move) (all []*move) {
	for _, job := range pr.Of {
		all = append(all, byJob[job]...)
	}
	if len(pr.Of) == 0 {
		for _, m := range byJob[pr.draft.Name] {
			if m.steps < pr.steps {
				all = append(all, m)
			}
		}
	}
	return all
}

// keepReceipts has a job keep receipts, because a prune depends on them.
func (p *parser) keepReceipts(d *draft, pr *pruning) {
	at := d.field + ".receipts"
	if keeps, said := d.src.said(at); said && !keeps && !d.Receipts {
		d.src.problemOf(at, "the prune of the job %s depends on the receipts of this one; leave receipts out, or write true", pr.draft.Name)
	}
	d.Receipts = true
}

// copying returns the job of a name, which is n in the list of a passage, or nil
// if it copies nothing; why ends the sentence that says so.
func (p *parser) copying(at *passage, n ast.Node, name, why string) *draft {
	d, src, field := p.drafts[name], at.draft.src, at.field+".of"
	switch {
	case d == nil:
		src.problem(n, field, "there is no job %q%s", short(name), spelling.Hint(name, p.allNames()...))
	case len(transfersOf(d.Steps)) > 0:
		return d
	case !d.wrong:
		src.problem(n, field, "the job %s copies nothing, so %s", name, why)
	}
	return nil
}

// transfersOf returns the transfers among steps.
func transfersOf(steps []Step) (all []*transfer.Transfer) {
	for i := range steps {
		if t := steps[i].Transfer; t != nil {
			all = append(all, t)
		}
	}
	return all
}

// destinations returns how many collections can have the same file, if it is
// copied by these transfers.
func destinations(copies []*transfer.Transfer) (most int) {
	to := map[string]map[string]bool{} // by source
	for _, t := range copies {
		if to[t.SourceEndpoint] == nil {
			to[t.SourceEndpoint] = map[string]bool{}
		}
		to[t.SourceEndpoint][t.DestinationEndpoint] = true
		most = max(most, len(to[t.SourceEndpoint]))
	}
	return most
}
