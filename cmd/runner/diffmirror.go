package main

import (
	"cmp"
	"errors"
	"fmt"
	"iter"

	"github.com/globus-runner/globus-runner/internal/audit"
	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

// guarded passes on what a mirror would do, and says whether its guard would refuse it.
func guarded(changes iter.Seq2[audit.Change, error], doc *transfer.Transfer, guard *jobs.Guard, to *diffDocument) iter.Seq2[audit.Change, error] {
	return func(yield func(audit.Change, error) bool) {
		m := mirrored{doc: doc, guard: guard}
		for c, err := range changes {
			if err == nil {
				m.see(&c)
			}
			if !yield(c, err) || err != nil {
				return
			}
		}
		to.Refused = m.refused()
	}
}

// A mirrored is what a diff tells the guard of a mirror.
type mirrored struct {
	doc     *transfer.Transfer
	guard   *jobs.Guard
	judged  engine.Losses // of the items before, whose sources are not empty
	why     string        // one of them is refused
	item    int           // the present one
	found   bool          // its source has files, or it is not known that there are none
	isFile  bool          // it is a file, or cannot be looked at, and has nothing to guard
	present engine.Losses
}

// see takes note of a change.
func (m *mirrored) see(c *audit.Change) {
	m.begin(c.Item)
	if c.Source == m.doc.Items[c.Item].SourcePath {
		m.isFile = true
		return
	}
	switch c.Action {
	case audit.Delete:
		m.present.Delete()
	case audit.Replace, audit.Compare:
		m.found = true
		m.present.Replace(c.There, c.Size)
	case audit.Same:
		m.found = true
		m.present.Keep()
	case audit.Unlisted:
		m.found = true
		if c.Source == "" && fault.Of(c.Why).Kind == fault.Refused && m.most() != jobs.NoMaxDelete {
			why := fmt.Sprintf("a folder at the destination cannot be listed (%v)", c.Why)
			if e, ok := errors.AsType[*transfer.Error](c.Why); ok && e.NotDirectory() {
				why = engine.NoFolder
			}
			m.why = cmp.Or(m.why, why)
		}
	case audit.Copy, audit.CopyLink, audit.FollowLink, audit.Block, audit.Absent:
		m.found = true
	}
}

// begin begins with an item, and ends those before it.
func (m *mirrored) begin(item int) {
	for ; m.item < item; m.item++ {
		switch {
		case m.isFile:
		case m.found:
			m.judged.Add(m.present)
		case !m.guard.AllowEmptySource:
			m.why = cmp.Or(m.why, fmt.Sprintf("the source %s has no file to copy, and mirroring it would delete everything at the destination (guard.empty_source)",
				m.doc.Items[m.item].SourcePath))
		}
		m.found, m.isFile, m.present = false, false, engine.Losses{}
	}
}

func (m *mirrored) most() jobs.MaxDelete { return cmp.Or(m.guard.MaxDelete, jobs.DefaultMaxDelete) }

// refused says why the guard would refuse the mirror; it is empty if it would not.
func (m *mirrored) refused() string {
	m.begin(len(m.doc.Items))
	if m.why == "" && !m.most().Allows(m.judged.Files(), m.judged.There) {
		return fmt.Sprintf("it would %v, more than max_delete allows (%s)", m.judged, m.most())
	}
	return m.why
}
