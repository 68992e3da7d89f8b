package engine

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/globus-runner/globus-runner/internal/evidence"
)

const (
	// rivalPause is how often a prune looks whether the list that it waits for is over.
	// It is drawn up to half as long again, so that two that wait for each other part.
	rivalPause = 10 * time.Second
	// rivalLife is for how long a list without an end counts as one that is at work: far
	// longer than Globus has for it.
	rivalLife = 24 * listLife
)

// rival returns the run of another list that is at work on a file of l, or on a copy
// for which l deletes one, or that deletes a file for which one of l is the copy; 0 if
// there is none. What two lists name, the slower one would delete when others believe
// that it is gone, and of two copies of a file each could go for the other's sake.
//
// It is asked once l is recorded: of two runs at least one then sees the other.
func (p *pruning) rival(ctx context.Context, l *list) (run int64, err error) {
	mine, copies := map[evidence.Spot]bool{}, map[evidence.Spot]bool{}
	for _, f := range l.files {
		mine[evidence.SpotOf(l.source.Collection, f.path)] = true
		for _, c := range f.copies {
			copies[evidence.SpotOf(c.At.Collection, c.Path)] = true
		}
	}
	for other, err := range prunedLists(p.run.journal.ledger.OpenLists(ctx)) {
		switch {
		case err != nil:
			return 0, unusable(fmt.Errorf("read which lists of files are being deleted: %w", err))
		case other.run == p.run.journal.run.ID || time.Since(other.sent) > rivalLife:
			continue
		}
		for _, path := range other.paths {
			if at := evidence.SpotOf(other.source.Collection, path); mine[at] || copies[at] {
				return other.run, nil
			}
		}
		for _, s := range other.shelves {
			for _, path := range s.Paths {
				if mine[evidence.SpotOf(s.Collection, path)] {
					return other.run, nil
				}
			}
		}
	}
	return 0, nil
}

// giveWay takes back a part that was recorded and not sent if it has a rival, and waits
// for that one's end. It reports whether it did; then the files are to be looked at anew.
func (p *part) giveWay(ctx context.Context) (waited bool, err error) {
	if p.rival == nil {
		return false, nil
	}
	run, err := p.rival(ctx)
	if run == 0 && err == nil {
		return false, nil
	}
	p.run.journal.addRefusal(ctx, p.position) // first, as the rival may wait for this one
	if err == nil {
		p.run.log.Info("another run is deleting some of the same files, or their copies: waiting for its end", "other_run", run)
	}
	for run != 0 && err == nil {
		p.run.held = fmt.Sprintf("run %d was deleting some of the same files, or their copies", run)
		if err = sleep(ctx, rivalPause+rand.N(rivalPause/2)); err == nil {
			run, err = p.rival(ctx)
		}
	}
	return true, err
}
