package engine

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/plain"
	"github.com/globus-runner/globus-runner/internal/tree"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

// Deletes are the files that a mirror deletes: those that were at its destination
// and not at its source when it was submitted. Everything but a folder counts as
// a file.
type Deletes struct {
	Files   int64
	AtLeast bool // some folders were not looked at, or could not be listed
}

func (d Deletes) String() string {
	if d.AtLeast {
		return fmt.Sprintf("at least %d", d.Files)
	}
	return fmt.Sprint(d.Files)
}

// words says how many files that are.
func (d Deletes) words() string {
	text := plain.Count(d.Files, "file")
	if d.AtLeast {
		text = "at least " + text
	}
	return text
}

// guard compares both sides of a mirror before it is submitted. It refuses a
// mirror whose source is empty, because the disk may not be mounted, and a mirror
// that would delete more than the job allows, because its sides may be swapped.
func (p *part) guard(ctx context.Context) error {
	p.deletes = nil
	doc, ok := p.doc.(*transfer.Transfer)
	if !ok || !doc.DeleteDestinationExtra {
		return nil
	}
	allow := p.run.job.Guard
	var all mirror
	for _, item := range doc.Items {
		folder, err := p.isFolder(ctx, doc, item)
		if err == nil && !folder {
			continue
		}
		var m *mirror
		if err == nil {
			m, err = p.compare(ctx, doc, item, max(1, allow.Look-all.folders))
		}
		if f := noSource(doc, item.SourcePath, err); f != nil {
			return f
		}
		if err != nil {
			return fmt.Errorf("compare both sides of a mirror: %w", err)
		}
		empty := m.found == 0 && !m.cut
		switch {
		case empty && !allow.AllowEmptySource:
			return m.refuseEmpty()
		case m.unlisted != nil && allow.MaxDelete != jobs.NoMaxDelete:
			return m.refuseUnlisted()
		}
		all.add(m, !empty)
	}
	p.deletes = &all.deletes
	p.run.log.Info("mirror compared", "files_to_delete", all.deletes.Files, "files_at_destination", all.there, "folders", all.folders)
	if all.deletes.AtLeast {
		p.run.log.Warn("a part of the mirror was not compared: it has more folders than guard.look, or some that cannot be listed",
			"folders", all.folders, "look", allow.Look, "path", all.skipped)
	}
	if !allow.MaxDelete.Allows(all.judged, all.judgedOf) {
		return all.refuseDeletes(allow.MaxDelete)
	}
	p.run.journal.note(ctx, "compared", fmt.Sprintf("the mirror deletes %v of %s at its destination", all.deletes, plain.Count(all.there, "file")))
	return nil
}

// isFolder reports whether an item is a folder. If neither the document nor the
// path says so, it asks the collection, as Globus will.
func (p *part) isFolder(ctx context.Context, doc *transfer.Transfer, item transfer.Item) (bool, error) {
	switch {
	case item.Recursive != nil:
		return *item.Recursive, nil
	case strings.HasSuffix(item.SourcePath, "/"):
		return true, nil
	}
	entry, err := p.run.globus.Stat(ctx, doc.SourceEndpoint, item.SourcePath, transfer.AsLocalUser(doc.SourceLocalUser))
	if err != nil {
		return false, fmt.Errorf("look at the source %s: %w", item.SourcePath, err)
	}
	return entry.Type == "dir", nil
}

// compare compares both sides of an item. It looks at no more than look folders.
func (p *part) compare(ctx context.Context, doc *transfer.Transfer, item transfer.Item, look int) (*mirror, error) {
	m := &mirror{item: item, filtered: len(doc.FilterRules) > 0, links: doc.RecursiveSymlinks == "keep" || doc.RecursiveSymlinks == "copy"}
	source := tree.Folder{Lister: p.run.globus, Collection: doc.SourceEndpoint, Path: item.SourcePath, LocalUser: doc.SourceLocalUser}
	destination := tree.Folder{Lister: p.run.globus, Collection: doc.DestinationEndpoint, Path: item.DestinationPath, LocalUser: doc.DestinationLocalUser}
	options := tree.Options{Rules: tree.NewRules(doc.FilterRules), Look: look}
	for p, err := range tree.Compare(ctx, source, destination, options) {
		if err == nil {
			err = m.see(p)
		}
		if err != nil {
			return nil, err
		}
		if m.found > 0 && m.fresh {
			break // there is nothing to delete
		}
	}
	return m, nil
}

// A mirror is what is known about one item of a mirror, or the sum of several.
type mirror struct {
	item     transfer.Item
	filtered bool    // there are filter rules
	links    bool    // symbolic links are copied
	folders  int     // that were looked at
	found    int64   // files at the source
	there    int64   // files at the destination
	deletes  Deletes // of them
	first    []string
	fresh    bool   // the destination does not exist
	cut      bool   // there is more at the source than was looked at
	hidden   error  // why a folder of the source could not be listed; nil if all could
	unlisted error  // the same at the destination
	skipped  string // the first path at which something was not looked at

	judged, judgedOf int64 // files to be deleted, and at the destination, where the source is not empty
	others           int   // further items of which files are to be deleted
}

// firstPaths is how many paths a refusal names.
const firstPaths = 3

// see takes note of what both sides have at one path. An error says that nothing
// can be known about the mirror now.
func (m *mirror) see(p tree.Pair) error {
	if s := p.Source; s != nil {
		switch {
		case s.Kind == tree.File || s.Kind == tree.Link && m.links:
			m.found++
		case s.Err != nil && p.Path == "" && !errors.Is(s.Err, tree.ErrTooMany):
			return fmt.Errorf("list the source %s: %w", m.item.SourcePath, s.Err)
		case s.Err != nil:
			if err := m.miss(m.item.SourcePath, p.Path, s.Err, &m.hidden); err != nil {
				return err
			}
		}
	}
	d := p.Destination
	switch {
	case d == nil:
	case d.Err != nil && tree.Gone(d.Err):
		m.fresh = p.Path == ""
	case d.Err != nil:
		if err := m.miss(m.item.DestinationPath, p.Path, d.Err, &m.unlisted); err != nil {
			return err
		}
	case d.Kind != tree.Dir:
		m.there++
		// Where the source has a link, Globus leaves alone what is there.
		if p.Source == nil || p.Source.Kind == tree.Dir {
			m.deletes.Files++
			if len(m.first) < firstPaths {
				m.first = append(m.first, below(m.item.DestinationPath, p.Path))
			}
		}
	}
	if listed(p.Source) || listed(d) {
		m.folders++
	}
	return nil
}

// listed reports whether e is a folder that was asked for.
func listed(e *tree.Entry) bool {
	return e != nil && e.Kind == tree.Dir && !errors.Is(e.Err, tree.ErrCut)
}

// miss takes note of a folder that was not listed. It returns an error that may
// pass.
func (m *mirror) miss(top, path string, err error, why *error) error {
	switch {
	case tree.Gone(err):
		return nil // it has gone meanwhile
	case errors.Is(err, tree.ErrCut), errors.Is(err, tree.ErrTooMany):
		m.cut = m.cut || why == &m.hidden
	case fault.Of(err).Kind == fault.Refused:
		if *why == nil {
			*why = fmt.Errorf("%s: %w", below(top, path), err)
		}
	default:
		return fmt.Errorf("list %s: %w", below(top, path), err)
	}
	m.deletes.AtLeast = true
	if m.skipped == "" {
		m.skipped = below(top, path)
	}
	return nil
}

func below(top, path string) string {
	if path == "" {
		return top
	}
	return strings.TrimSuffix(top, "/") + "/" + path
}

// add adds an item to a sum. Only the files of a judged item count for
// guard.max_delete.
func (m *mirror) add(item *mirror, judged bool) {
	if judged {
		m.judged += item.deletes.Files
		m.judgedOf += item.there
		m.first = append(m.first, item.first...)
		m.first = m.first[:min(len(m.first), firstPaths)]
		switch {
		case item.deletes.Files == 0:
		case m.item.SourcePath == "":
			m.item = item.item
		default:
			m.others++
		}
	}
	m.folders += item.folders
	m.there += item.there
	m.deletes.Files += item.deletes.Files
	m.deletes.AtLeast = m.deletes.AtLeast || item.deletes.AtLeast
	if m.skipped == "" {
		m.skipped = item.skipped
	}
}

func refuse(format string, args ...any) *Failure {
	return &Failure{Kind: fault.Guard, state: ledger.Failed, Message: fmt.Sprintf(format, args...)}
}

func (m *mirror) refuseEmpty() *Failure {
	what := "is empty"
	switch {
	case m.hidden != nil:
		what = fmt.Sprintf("has no file that can be seen (%v)", m.hidden)
	case m.filtered:
		what = "has no file that the filter rules let through"
	}
	gone := ""
	if m.deletes.Files > 0 {
		gone = fmt.Sprintf(", %s (%s)", m.deletes.words(), m.examples(m.deletes.Files))
	}
	return refuse("the source %s %s, and mirroring it would delete everything below %s%s; fill it, or allow an empty source (guard: {empty_source: allow}, or --allow-empty-source)",
		m.item.SourcePath, what, m.item.DestinationPath, gone)
}

func (m *mirror) refuseUnlisted() *Failure {
	return refuse("it is not known what mirroring %s to %s would delete, because a folder at the destination cannot be listed: %v; "+
		"get the permission to read it, or exclude it by a filter rule, or turn the guard off (guard: {max_delete: none}, or --max-delete none)",
		m.item.SourcePath, m.item.DestinationPath, m.unlisted)
}

func (m *mirror) refuseDeletes(most jobs.MaxDelete) *Failure {
	others := ""
	if m.others > 0 {
		others = fmt.Sprintf(", and %d more like it,", m.others)
	}
	return refuse("mirroring %s to %s%s would delete %v of %s at the destination (%s), more than max_delete allows (%s); "+
		"check whether source and destination are swapped or the source is incomplete; if the files should be deleted, raise the limit (guard: {max_delete: %[8]s}, or --max-delete %[8]s)",
		m.item.SourcePath, m.item.DestinationPath, others, Deletes{m.judged, m.deletes.AtLeast}, plain.Count(m.judgedOf, "file"), m.examples(m.judged), most, enough(Deletes{m.judged, m.deletes.AtLeast}))
}

// enough is the smallest max_delete that allows what would be deleted. If nobody knows
// how much that is, no number is.
func enough(d Deletes) jobs.MaxDelete {
	if d.AtLeast {
		return jobs.NoMaxDelete
	}
	return jobs.MaxDelete(strconv.FormatInt(d.Files, 10))
}

// examples names the first of so many files that would be deleted.
func (m *mirror) examples(n int64) string {
	text := strings.Join(m.first, ", ")
	if more := n - int64(len(m.first)); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
