package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/globus-runner/globus-runner/internal/arrival"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
)

// ErrWatched is the error of a look while another process looks at the folder.
var ErrWatched = errors.New("another process looks at the folder of the items now")

// keepEvery is how many items a look records at once, and keepAfter is how long a
// ready item waits at most before it is recorded.
const (
	keepEvery = 200
	keepAfter = 300 * time.Millisecond
)

// A Survey is the result of a look at the folder of a job.
type Survey struct {
	States  map[arrival.State]int // number of items by state
	Elapsed time.Duration
}

// Look looks once at the folder of a job with a for_each, and records what it
// finds. [Engine.Record] then does ready items. Look calls ready, unless that is
// nil, each time it has recorded ready items. If another process is looking at the
// folder, the error is [ErrWatched].
func (e *Engine) Look(ctx context.Context, rec Recording, job *jobs.Job, ready func()) (*Survey, error) {
	ctx, done, err := e.watchFolder(ctx, rec, job.Name)
	if err != nil {
		return nil, err
	}
	defer done()
	survey, err := e.survey(ctx, rec, job, ready)
	if ctx.Err() == nil { // otherwise another process looks, or the result is not wanted
		err = errors.Join(err, e.endLook(ctx, rec, job, err))
	}
	return survey, err
}

// endLook reports and records how a look has ended. If it is cut off between the two,
// the next look does both.
func (e *Engine) endLook(ctx context.Context, rec Recording, job *jobs.Job, failed error) error {
	err := e.tellLook(ctx, rec, job, failed)
	why := ""
	if failed != nil {
		why = e.inWords(failed)
	}
	return errors.Join(err, rec.Ledger.EndLook(ctx, job.Name, why))
}

// survey is the look of the process that watches the folder.
func (e *Engine) survey(ctx context.Context, rec Recording, job *jobs.Job, ready func()) (*Survey, error) {
	begin := time.Now()
	notes := &lookNotes{rec: rec, job: job.Name, known: map[string]*ledger.Item{}, ready: ready, begun: begin, kept: begin}
	survey := &Survey{States: map[arrival.State]int{}}
	known := knownItems(rec.Ledger.Items(ctx, job.Name), notes.remember)
	var refused refusals
	for f, err := range arrival.Look(ctx, e.globus, job.ForEach, known, e.clock) {
		if err == nil {
			survey.States[f.State]++
			refused.add(&f)
			err = notes.add(ctx, &f)
		}
		if err != nil {
			return nil, errors.Join(err, notes.keep(ctx))
		}
	}
	survey.Elapsed = time.Since(begin)
	e.warnOfRefused(job.Name, &refused)
	return survey, notes.keep(ctx)
}

// watchFolder makes rec's holder the only one that looks at the folder of a job,
// until done is called. The context ends if another process takes over meanwhile.
func (e *Engine) watchFolder(ctx context.Context, rec Recording, job string) (watching context.Context, done func(), err error) {
	mine, err := rec.Ledger.Watch(ctx, job, rec.Holder, rec.Lease)
	if err != nil {
		return nil, nil, unusable(err)
	}
	if !mine {
		return nil, nil, ErrWatched
	}
	ctx, cancel := context.WithCancelCause(ctx)
	var keeper sync.WaitGroup
	keeper.Go(func() {
		for sleep(ctx, rec.Lease/3) == nil {
			if mine, err := rec.Ledger.Watch(ctx, job, rec.Holder, rec.Lease); err == nil && !mine {
				cancel(ErrWatched)
			}
		}
	})
	return ctx, func() {
		cancel(nil)
		keeper.Wait()
	}, nil
}

// knownItems yields the ledger's items in the form of package arrival, and calls
// remember for each, unless that is nil.
func knownItems(rows iter.Seq2[*ledger.Item, error], remember func(*ledger.Item)) iter.Seq2[arrival.Known, error] {
	return func(yield func(arrival.Known, error) bool) {
		for row, err := range rows {
			if err != nil {
				yield(arrival.Known{}, unusable(err))
				return
			}
			if remember != nil {
				remember(row)
			}
			known := arrival.Known{
				Name: row.Name, Generation: row.Generation, Stage: stageOf(row), State: arrival.State(row.State), Why: row.Why,
				Fingerprint: row.Fingerprint, Unchanged: row.Unchanged, Looked: arrival.Instant{Time: row.Looked, Clock: row.Clock},
				Modified: row.Modified, Size: row.Size, Gone: !row.Gone.IsZero(),
			}
			if !yield(known, nil) {
				return
			}
		}
	}
}

// stageOf returns the stage of the newest occurrence of an item.
func stageOf(row *ledger.Item) arrival.Stage {
	switch state := cmp.Or(row.RunState, ledger.State(row.State)); {
	case state == ledger.Succeeded:
		return arrival.Done
	case state == ledger.Canceled:
		return arrival.Canceled
	case state.Final():
		return arrival.Failed
	case row.RunState != "":
		return arrival.Active
	case row.State == ledger.ItemReady, row.State == ledger.ItemTaken:
		return arrival.Queued
	}
	return arrival.Unborn
}

// ItemSize returns the size of an item in bytes, or nil if it is not known: the item was
// not listed completely, so it has no fingerprint.
func ItemSize(size int64, fingerprint string) *int64 {
	if size == 0 && fingerprint == "" {
		return nil
	}
	return &size
}

// ItemState returns the state of an item now, and why, for people.
func ItemState(row *ledger.Item, now time.Time) (state, why string) {
	state, why = row.State, row.Why
	if stage := stageOf(row); stage != arrival.Unborn {
		state = string(stage)
	}
	switch {
	case row.RunState == ledger.Skipped || row.RunState == ledger.TimedOut:
		state = string(row.RunState)
	case !row.Gone.IsZero() && state != string(arrival.Done) && state != string(arrival.Canceled):
		state = string(arrival.IsGone)
	}
	if row.RunState != "" {
		why = fmt.Sprintf("run %d %s", row.Run, row.RunState.Ending())
		switch {
		case row.RunState == ledger.Succeeded || row.RunState == ledger.Canceled || row.RunState.Final() && !row.Gone.IsZero():
		case row.RunState.Final():
			why += fmt.Sprintf("; runner runs retry %[1]d does it again, and runner runs cancel %[1]d gives it up", row.Run)
		case now.Before(row.RunLease):
			why = fmt.Sprintf("run %d is at work", row.Run)
		default:
			state = string(arrival.Queued)
			why = fmt.Sprintf("nobody works on run %d; runner serve, or runner run %s, does", row.Run, row.Job)
		}
	}
	return state, why
}

// lookNotes are the findings of a look that are still to be recorded.
type lookNotes struct {
	rec   Recording
	job   string
	begun time.Time
	known map[string]*ledger.Item // rows that the look has read but not judged yet
	ready func()                  // may be nil

	items      []ledger.Item
	gone, back []string
	anyReady   bool
	kept       time.Time // when the last findings were recorded
}

// remember keeps the ledger's row of an item until the look has judged it.
func (n *lookNotes) remember(row *ledger.Item) { n.known[row.Name] = row }

// add adds a finding.
func (n *lookNotes) add(ctx context.Context, f *arrival.Finding) error {
	was := n.known[f.Item.Name]
	delete(n.known, f.Item.Name)
	if !f.Changed {
		return nil
	}
	now := time.Now()
	row := ledger.Item{Name: f.Item.Name, Seen: now, Since: now}
	if was != nil {
		row.Seen = was.Seen
		if was.State == string(f.State) && was.Generation == f.Generation {
			row.Since = was.Since
		}
		switch gone := f.State == arrival.IsGone; {
		case gone:
			n.gone = append(n.gone, was.Name)
			return nil
		case !was.Gone.IsZero():
			n.back = append(n.back, was.Name)
		}
		if f.State == arrival.State(stageOf(was)) { // the row has the state of its occurrence
			return nil
		}
	}
	row.Key, row.Generation = string(f.Key), f.Generation
	row.State, row.Why = string(f.State), f.Why
	row.Size, row.Modified = f.Item.Size, f.Item.Time
	row.Fingerprint, row.Unchanged = f.Fingerprint, f.Unchanged
	row.Looked, row.Clock = f.Looked.Time, f.Looked.Clock
	n.items = append(n.items, row)
	n.anyReady = n.anyReady || f.State == arrival.IsReady
	if len(n.items) >= keepEvery || n.anyReady && now.Sub(n.kept) > keepAfter {
		return n.keep(ctx)
	}
	return nil
}

// keep records the findings.
func (n *lookNotes) keep(ctx context.Context) error {
	err := errors.Join(
		n.rec.Ledger.KeepItems(ctx, n.job, n.items), n.rec.Ledger.SetGone(ctx, n.job, n.gone), n.rec.Ledger.SetBack(ctx, n.job, n.back, n.begun))
	if err != nil {
		return unusable(err)
	}
	if n.anyReady && n.ready != nil {
		n.ready()
	}
	n.items, n.gone, n.back, n.anyReady, n.kept = nil, nil, nil, false, time.Now()
	return nil
}

// A watching is the loop's state of a job with a schedule and a for_each.
type watching struct {
	looking bool // a look is in progress
	issue   bool // there may be ready items without a ticket
}

// looked says that a look has found ready items, or has ended.
type looked struct {
	plan *plan
	over bool
}

// startLook begins a look at the folder of a job, unless one is in progress.
// wanted is when somebody asked for it, or zero.
func (s *Scheduler) startLook(ctx context.Context, p *plan, wanted time.Time) {
	if p.items.looking {
		return
	}
	p.items.looking = true
	tell := func(over bool) {
		select {
		case s.looked <- looked{p, over}:
		case <-ctx.Done():
		}
	}
	s.working.Go(func() {
		looked := s.look(ctx, p.job, func() { tell(false) })
		if looked && !wanted.IsZero() {
			if err := s.rec.Ledger.MetLook(ctx, p.job.Name, wanted); err != nil && ctx.Err() == nil {
				s.log.Warn("a look that somebody wanted could not be noted, and is repeated", "job", p.job.Name, "err", err)
			}
		}
		tell(true)
	})
}

// startWanted begins the looks that somebody asked for.
func (s *Scheduler) startWanted(ctx context.Context) error {
	if !s.plans.haveItems() {
		return nil
	}
	wanted, err := s.rec.Ledger.WantedLooks(ctx)
	for job, since := range wanted {
		if p := s.plans.byJob[job]; p != nil && p.job.ForEach != nil {
			s.startLook(ctx, p, since)
		}
	}
	return err
}

// look looks at the folder of a job, unless another replica does. It reports whether
// the look has ended, with or without success.
func (s *Scheduler) look(ctx context.Context, job *jobs.Job, ready func()) (ended bool) {
	log := s.log.With("job", job.Name)
	switch found, err := s.engine.Look(ctx, s.rec, job, ready); {
	case errors.Is(err, ErrWatched):
		log.Debug("another replica looks at the folder")
		s.engine.observe(LooksFail{Job: job.Name})
		return false
	case err != nil && ctx.Err() == nil:
		if before, loud := s.streaks.failed(lookStreak(job.Name), err, time.Now()); loud {
			log.Error("the folder of the items could not be looked at; the next look comes as scheduled", append(before, "path", job.ForEach.Folder, "err", err)...)
		}
	case err == nil:
		log.Info("looked for items", append(s.streaks.over(lookStreak(job.Name)),
			"ready", found.States[arrival.IsReady], "waiting", found.States[arrival.IsWaiting], "elapsed", found.Elapsed.Round(time.Millisecond))...)
		s.engine.observe(ItemsLooked{Job: job.Name, States: found.States})
	}
	return ctx.Err() == nil
}

// lookStreak returns the key of a job's looks among the streaks. It is not the name
// of any job.
func lookStreak(job string) string { return job + " look" }

// issueItems puts as many ready items into the queue as may be at work.
func (s *Scheduler) issueItems(ctx context.Context) {
	for name, p := range s.plans.byJob {
		if !p.items.issue || time.Now().Before(s.pause) {
			continue
		}
		each := p.job.ForEach
		ready, err := s.rec.Ledger.ReadyItems(ctx, name, itemOrder(each.Order), each.MaxActive)
		if err != nil {
			s.pauseClaims(ctx, err)
			return
		}
		p.items.issue = false
		now := time.Now()
		for i := range ready {
			s.issue(&ticket{occurrence: occurrence{name, jobs.Key(ready[i].Key)}, job: p.job, at: now, ready: true})
		}
	}
}

// itemOver records that a run of an item is over, so that others may begin.
func (s *Scheduler) itemOver(p *plan) {
	p.items.issue = true
	now := time.Now()
	for _, t := range s.tickets {
		if t.job.Name == p.job.Name && !t.retryAt.IsZero() && isWaiting(t.err) { // a ticket that is at work has no retryAt
			t.retryAt = now
			s.wakeAt(now)
		}
	}
}

// itemOrder returns the ledger's word for the order of for_each.
func itemOrder(o jobs.ItemOrder) ledger.ItemOrder {
	switch o {
	case jobs.NewestFirst:
		return ledger.ItemsNewest
	case jobs.ByName:
		return ledger.ItemsByName
	}
	return ledger.ItemsOldest
}

// Findings looks once at the folder of a job, and yields what it finds, given the
// items in the ledger. It records nothing.
func (e *Engine) Findings(ctx context.Context, l *ledger.Ledger, job *jobs.Job) iter.Seq2[arrival.Finding, error] {
	return arrival.Look(ctx, e.globus, job.ForEach, knownItems(l.Items(ctx, job.Name), nil), e.clock)
}

// Queue returns the keys of the ready items that were not begun, in the order
// in which they start.
func Queue(ctx context.Context, l *ledger.Ledger, job *jobs.Job) (keys []jobs.Key, err error) {
	ready, err := l.ReadyItems(ctx, job.Name, itemOrder(job.ForEach.Order), maxOrders)
	for i := range ready {
		keys = append(keys, jobs.Key(ready[i].Key))
	}
	return keys, err
}
