package main

import (
	"cmp"
	"fmt"
	"iter"

	"github.com/globus-runner/globus-runner/internal/audit"
	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/internal/plain"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

// guarded passes on what a mirror would do, and says whether its guard would refuse it.
func guarded(changes iter.Seq2[audit.Change, error], doc *transfer.Transfer, guard *jobs.Guard, to *diffDocument) iter.Seq2[audit.Change, error] {
	return func(yield func(audit.Change, error) bool) {
		var lost engine.Losses
		var there, found int64 // files at the destination, and at the source
		for c, err := range changes {
			switch c.Action {
			case audit.Delete:
				lost.Deleted++
				there++
			case audit.Replace, audit.Compare, audit.Same:
				there++
				found++
				if c.Size == 0 && c.There > 0 && c.Action != audit.Same {
					lost.Emptied++
				}
			case audit.Copy, audit.CopyLink, audit.FollowLink, audit.Block, audit.Absent, audit.Unlisted:
				found++ // or it is not known that there is none
			}
			if !yield(c, err) || err != nil {
				return
			}
		}
		switch most := cmp.Or(guard.MaxDelete, jobs.DefaultMaxDelete); {
		case found == 0 && len(doc.Items) == 1 && !guard.AllowEmptySource:
			to.Refused = "the source has no file to copy, and mirroring it would delete everything at the destination (guard.empty_source)"
		case !most.Allows(lost.Files(), there):
			to.Refused = fmt.Sprintf("it would %s of %s at the destination, more than max_delete allows (%s)", lost, plain.Count(there, "file"), most)
		}
	}
}
