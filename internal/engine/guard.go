package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/plain"
	"github.com/globus-runner/globus-runner/internal/tree"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

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
		empty := m.found == 0
		switch {
		case empty && !allow.AllowEmptySource:
			return m.refuseEmpty(allow.Look)
		case m.unlisted != nil && allow.MaxDelete != jobs.NoMaxDelete:
			return m.refuseUnlisted()
		case m.unseen > 0 && allow.MaxDelete != jobs.NoMaxDelete:
			return m.refuseUnseen(allow.Look)
		}
		all.add(m, !empty)
	}
	p.deletes = &Deletes{all.losses.Deleted, all.losses.AtLeast}
	p.run.log.Info("mirror compared", "files_to_delete", all.losses.Deleted, "files_at_destination", all.losses.There, "folders", all.folders)
	if all.losses.AtLeast {
		p.run.log.Warn("a part of the mirror was not compared: it has more folders than guard.look, or some that cannot be listed",
			"folders", all.folders, "look", allow.Look, "path", all.skipped)
	}
	if !allow.MaxDelete.Allows(all.judged.Files(), all.judged.There) {
		return all.refuseDeletes(allow)
	}
	p.run.journal.note(ctx, "compared", fmt.Sprintf("the mirror deletes %v of %s at its destination", p.deletes, plain.Count(all.losses.There, "file")))
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
	m := &mirror{
		item: item, filtered: len(doc.FilterRules) > 0, links: doc.RecursiveSymlinks == "keep" || doc.RecursiveSymlinks == "copy",
		replaces: doc.SyncLevel == nil || *doc.SyncLevel != transfer.SyncExists,
	}
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
	if m.found == 0 && m.losses.AtLeast {
		return m, m.dig(ctx, source, options.Rules, p.run.job.Guard.Look)
	}
	return m, nil
}

// dig looks for a file at the source, depth first and in at most look folders. The
// comparison does not look into folders beyond guard.look, or into those that cannot
// be listed at the destination.
func (m *mirror) dig(ctx context.Context, source tree.Folder, rules tree.Rules, look int) error {
	folders := 0
	for e, err := range tree.Walk(ctx, source, tree.Options{Rules: rules}) {
		if err == nil {
			err = m.seeSource(e)
		}
		if err != nil {
			return err
		}
		if e.Kind == tree.Dir {
			folders++
		}
		m.cut = folders > look
		if m.found > 0 || m.cut {
			break
		}
	}
	return nil
}

// A mirror is what is known about one item of a mirror, or the sum of several.
type mirror struct {
	item     transfer.Item
	filtered bool  // there are filter rules
	links    bool  // symbolic links are copied
	folders  int   // listed
	found    int64 // files at the source
	losses   Losses
	replaces bool // files that differ are replaced
	first    []string
	fresh    bool   // the destination does not exist
	cut      bool   // no file was found at the source, but not all of it was listed
	bounded  bool   // a side has more folders than guard.look
	hidden   error  // why a folder of the source cannot be listed; may be nil
	unlisted error  // why a folder of the destination cannot be listed, if that is a reason to refuse
	unseen   int    // folders that would be deleted and were not listed
	gone     string // the first of them
	skipped  string // the first path that was not looked at

	judged Losses // where the source is not empty
	others int    // further items that would lose files
}

// firstPaths is how many paths a refusal names.
const firstPaths = 3

// see takes in what both sides have at one path. An error means that nothing can
// be known about the mirror now.
func (m *mirror) see(p tree.Pair) error {
	if p.Source != nil {
		if err := m.seeSource(p.Source); err != nil {
			return err
		}
	}
	d := p.Destination
	switch {
	case d == nil:
	case d.Err != nil && tree.Gone(d.Err):
		m.fresh = p.Path == ""
	case d.Err != nil:
		goes, why := p.Source == nil || p.Source.Kind != tree.Dir, &m.unlisted
		if !goes && p.Path != "" && errors.Is(d.Err, tree.ErrTooMany) {
			why = new(error) // the folder stays, and other folders show whether the source is complete
		}
		if err := m.miss(m.item.DestinationPath, p.Path, d.Err, why); err != nil {
			return err
		}
		if goes && errors.Is(d.Err, tree.ErrCut) {
			if m.unseen++; m.unseen == 1 {
				m.gone = below(m.item.DestinationPath, p.Path)
			}
		}
	case d.Kind != tree.Dir:
		before := m.losses.Files()
		// Globus does not touch what exists in the place of a link of the
		// source.
		switch s := p.Source; {
		case s == nil || s.Kind == tree.Dir:
			m.losses.Delete()
		case m.replaces && s.Kind == tree.File:
			m.losses.Replace(d.Size, s.Size)
		default:
			m.losses.Keep()
		}
		if m.losses.Files() > before && len(m.first) < firstPaths {
			m.first = append(m.first, below(m.item.DestinationPath, p.Path))
		}
	}
	if listed(p.Source) || listed(d) {
		m.folders++
	}
	return nil
}

// seeSource takes in what the source has at one path. Its error is that of
// [mirror.see].
func (m *mirror) seeSource(e *tree.Entry) error {
	switch {
	case m.copies(e):
		m.found++
	case e.Err == nil:
	case e.Path == "" && !errors.Is(e.Err, tree.ErrTooMany):
		return fmt.Errorf("list the source %s: %w", m.item.SourcePath, e.Err)
	default:
		return m.miss(m.item.SourcePath, e.Path, e.Err, &m.hidden)
	}
	return nil
}

// copies reports whether the destination has e after the transfer.
func (m *mirror) copies(e *tree.Entry) bool {
	return e.Kind == tree.File || e.Kind == tree.Link && m.links
}

// listed reports whether e is a folder that was asked for.
func listed(e *tree.Entry) bool {
	return e != nil && e.Kind == tree.Dir && !errors.Is(e.Err, tree.ErrCut)
}

// miss takes in a folder that was not listed. It returns an error if that is
// temporary.
func (m *mirror) miss(top, path string, err error, why *error) error {
	switch {
	case tree.Gone(err):
		return nil // it was deleted meanwhile
	case errors.Is(err, tree.ErrCut):
		m.bounded = true
	case errors.Is(err, tree.ErrTooMany), fault.Of(err).Kind == fault.Refused:
		if *why == nil {
			*why = fmt.Errorf("%s: %w", below(top, path), err)
		}
	default:
		return fmt.Errorf("list %s: %w", below(top, path), err)
	}
	m.losses.AtLeast = true
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
		m.judged.Add(item.losses)
		m.first = append(m.first, item.first...)
		m.first = m.first[:min(len(m.first), firstPaths)]
		switch {
		case item.losses.Files() == 0:
		case m.item.SourcePath == "":
			m.item = item.item
		default:
			m.others++
		}
	}
	m.folders += item.folders
	m.losses.Add(item.losses)
	m.bounded = m.bounded || item.bounded
	if m.skipped == "" {
		m.skipped = item.skipped
	}
}

func refuse(format string, args ...any) *Failure {
	return &Failure{Kind: fault.Guard, state: ledger.Failed, Message: fmt.Sprintf(format, args...)}
}

func (m *mirror) refuseEmpty(look int) *Failure {
	what, instead := "is empty", "fill it"
	switch {
	case m.hidden != nil:
		what, instead = fmt.Sprintf("has no file that can be seen (%v)", m.hidden), "make its folders readable"
	case m.filtered:
		what = "has no file that the filter rules let through"
	}
	if m.cut {
		what += fmt.Sprintf(", as far as was looked (guard.look: %d)", look)
	}
	gone := ""
	if n := m.losses.Deleted; n > 0 {
		gone = fmt.Sprintf(", %s (%s)", plain.Count(n, "file"), m.examples(n))
		if m.losses.AtLeast {
			gone = ", at least" + gone[1:]
		}
	}
	return refuse("the source %s %s, and mirroring it would delete everything below %s%s; %s, or allow an empty source (guard: {empty_source: allow}, or --allow-empty-source for one run)",
		m.item.SourcePath, what, m.item.DestinationPath, gone, instead)
}

func (m *mirror) refuseUnlisted() *Failure {
	if e, ok := errors.AsType[*transfer.Error](m.unlisted); ok && e.NotDirectory() {
		return refuse("%s cannot be mirrored to %s: %s", m.item.SourcePath, m.item.DestinationPath, NoFolder)
	}
	return refuse("it is not known what mirroring %s to %s would delete, because a folder at the destination cannot be listed: %v; "+
		"get the permission to read it, or exclude it by a filter rule, or turn the guard off (guard: {max_delete: none}, or --max-delete none for one run)",
		m.item.SourcePath, m.item.DestinationPath, m.unlisted)
}

// NoFolder says of a mirror that its destination is not a folder.
const NoFolder = "there is a file in the place of the destination, or of a folder above it; move the file away, or name another destination"

func (m *mirror) refuseUnseen(look int) *Failure {
	return refuse("it is not known how many files mirroring %s to %s would delete: the source lacks %s of the destination (the first is %s), "+
		"more than guard.look (%d) lets it look into; check whether source and destination are swapped or the source is incomplete, "+
		"and then look into more folders (guard: {look: %[6]d}, or --look %[6]d for one run)",
		m.item.SourcePath, m.item.DestinationPath, plain.Count(int64(m.unseen), "folder"), m.gone, look, (look+m.unseen)*2)
}

func (m *mirror) refuseDeletes(allow jobs.Guard) *Failure {
	others := ""
	if m.others > 0 {
		others = fmt.Sprintf(", and %d more like it,", m.others)
	}
	advice := fmt.Sprintf("if it should be so, raise the limit (guard: {max_delete: %[1]d}, or --max-delete %[1]d for one run)", m.judged.Files())
	if m.bounded {
		advice = fmt.Sprintf("to learn how many files it would be, look into more folders (guard: {look: %[1]d}, or --look %[1]d for one run)", allow.Look*4)
	}
	return refuse("mirroring %s to %s%s would %v (%s), more than max_delete allows (%s); "+
		"check whether source and destination are swapped or the source is incomplete; %s",
		m.item.SourcePath, m.item.DestinationPath, others, m.judged, m.examples(m.judged.Files()), allow.MaxDelete, advice)
}

// examples names the first of the n files that would be deleted.
func (m *mirror) examples(n int64) string {
	text := strings.Join(m.first, ", ")
	if more := n - int64(len(m.first)); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
