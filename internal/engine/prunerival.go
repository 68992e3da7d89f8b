package engine

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/globus-runner/globus-runner/internal/evidence"
)

const (
	// rivalPause is the interval at which a prune checks whether the list that it
	// waits for is over. Up to half of it is added at random, so that two prunes
	// that wait for each other get out of step.
	rivalPause = 10 * time.Second
	// rivalLife is how long a list without a recorded end counts as unfinished: far
	// longer than its deadline at Globus.
	rivalLife = 24 * listLife
)

// rival returns the run of an unfinished list that deletes a file of l, or a copy that
// allows l to delete a file, or a file whose copy l deletes; 0 if there is none. If
// two lists had the same file, the slower one would delete it when others believe that
// it is already gone. And if two lists had one copy each of the same file, each would
// rely on the other's copy.
//
// It is called after l was recorded, so of two runs at least one sees the other.
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

// giveWay withdraws a part that was recorded but not sent if it has a rival, and waits
// for the rival's end. It reports whether it did; then the files must be checked again.
func (p *part) giveWay(ctx context.Context) (waited bool, err error) {
	if p.rival == nil {
		return false, nil
	}
	run, err := p.rival(ctx)
	if run == 0 && err == nil {
		return false, nil
	}
	p.run.journal.addRefusal(ctx, p.position) // before waiting, because the rival may wait for this one
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
