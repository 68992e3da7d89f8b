package page

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/notify"
	"github.com/globus-runner/globus-runner/internal/runlog"
	"github.com/globus-runner/globus-runner/jobs"
)

const (
	stripLength = 30
	// boardAge is how old a board may be when it is shown. However many requests there
	// are, the ledger is read once in that time.
	boardAge = time.Second
	// wholeAge is after what time everything is read again, because runs may have been
	// forgotten.
	wholeAge = 10 * time.Minute
	// overlap is how long before the newest end that was seen the next look begins: runs
	// that end at the same time may become visible later.
	overlap = 10 * time.Second
)

// A board keeps in memory what is known of all jobs: their newest runs, and which are
// paused. It follows the ledger while there are requests.
type board struct {
	ledger   *ledger.Ledger
	inForce  func() *jobs.File
	pending  func() *Pending // may be nil
	progress *progress
	busy     chan struct{} // a lock of the fields below

	read     time.Time // when the ledger was last read; zero before the first time
	whole    time.Time // when everything was last read
	versions map[int64]ledger.RunVersion
	newest   time.Time // the newest end that was seen
	days     []ledger.Day
	counted  time.Time // when the days were last read; zero before the first time
	scene    *scene    // what was read last; nil before the first time
}

func newBoard(c Config, progress *progress) *board {
	return &board{ledger: c.Ledger, inForce: c.Jobs, pending: c.Pending, progress: progress, busy: make(chan struct{}, 1)}
}

// A scene is a board at an instant. It does not change.
type scene struct {
	at       time.Time
	file     *jobs.File
	pending  *pendingDocument // nil if file is the newest
	byName   map[string]*jobs.Job
	strips   map[string]ledger.Strip
	pauses   map[string]ledger.Pause
	progress map[string]Progress
	days     []ledger.Day
	alarms   map[string]ledger.Standing
	held     map[string]string // why the newest run of a job makes no progress, if it has not ended

	failedItems map[string]int // of jobs with an alarm of them

	described sync.Once
	docs      map[string]jobDocument // by job, once they were described

	// kept is what pages have read from the ledger for this scene; see once.
	kept map[string]any
	slot chan struct{} // a lock of kept

	// turn counts the scenes in which something has changed, and turns says in which one
	// each job has last changed.
	turn  int64
	turns map[string]int64
}

// lock waits for the board, until the context ends.
func (b *board) lock(ctx context.Context) error {
	select {
	case b.busy <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// warm reads the days of the chart.
func (b *board) warm(ctx context.Context) error {
	if err := b.lock(ctx); err != nil {
		return err
	}
	defer func() { <-b.busy }()
	return b.count(ctx, time.Now().UTC())
}

// look returns the present scene.
func (b *board) look(ctx context.Context) (*scene, error) {
	if err := b.lock(ctx); err != nil {
		return nil, err
	}
	defer func() { <-b.busy }()
	begin := time.Now()
	file := b.inForce()
	if age := begin.Sub(b.read); b.scene != nil && file == b.scene.file && age >= 0 && age < boardAge {
		return b.scene, nil
	}
	next, err := b.next(ctx, begin, file)
	if err != nil {
		return nil, err
	}
	b.compare(next)
	b.scene, b.read = next, begin
	return next, nil
}

// mostKept is how many pages a scene keeps the records of.
const mostKept = 32

// once returns what read returns, and calls it once for all requests of the same page and
// scene: however many there are, the ledger is read once a second for each page.
func once[T any](ctx context.Context, s *scene, what string, read func() (T, error)) (T, error) {
	select {
	case s.slot <- struct{}{}:
		defer func() { <-s.slot }()
	case <-ctx.Done():
		return *new(T), context.Cause(ctx)
	}
	if known, is := s.kept[what].(T); is {
		return known, nil
	}
	fresh, err := read()
	if err == nil && len(s.kept) < mostKept {
		s.kept[what] = fresh
	}
	return fresh, err
}

// forget makes the next look read the ledger, however soon that is: who has acted wants to
// see the result.
func (b *board) forget(ctx context.Context) {
	if b.lock(ctx) == nil {
		b.read = time.Time{}
		<-b.busy
	}
}

// next reads the next scene.
func (b *board) next(ctx context.Context, begin time.Time, file *jobs.File) (*scene, error) {
	next := &scene{at: begin.UTC(), file: file, progress: b.progress.all(), kept: map[string]any{}, slot: make(chan struct{}, 1)}
	if b.pending != nil {
		next.pending = describePending(b.pending())
	}
	age := begin.Sub(b.whole)
	whole := b.scene == nil || file != b.scene.file || age < 0 || age >= wholeAge
	var names []string // of the jobs that are read
	if whole {
		next.byName = make(map[string]*jobs.Job, len(file.Jobs))
		for _, job := range file.Jobs {
			names, next.byName[job.Name] = append(names, job.Name), job
		}
		b.versions, b.newest = nil, time.Time{}
	} else {
		next.byName = b.scene.byName
	}
	// The versions come first: what changes meanwhile is seen by the next look.
	versions, newest, dirty, err := b.changed(ctx, next.byName)
	if err != nil {
		return nil, err
	}
	if !whole {
		names = slices.Collect(maps.Keys(dirty))
		next.strips = maps.Clone(b.scene.strips)
	} else {
		next.strips = map[string]ledger.Strip{}
	}
	strips, err := b.ledger.Strips(ctx, names, stripLength)
	if err != nil {
		return nil, err
	}
	maps.Copy(next.strips, strips)
	if next.pauses, err = b.ledger.Pauses(ctx); err != nil {
		return nil, err
	}
	if next.alarms, err = b.ledger.Standings(ctx); err != nil {
		return nil, err
	}
	if next.held, err = b.held(ctx, next.strips); err != nil {
		return nil, err
	}
	if next.failedItems, err = b.failedItems(ctx, next); err != nil {
		return nil, err
	}
	if len(names) > 0 {
		if err := b.count(ctx, next.at); err != nil {
			return nil, err
		}
	}
	next.days = b.days
	b.versions, b.newest = versions, newest
	if whole {
		b.whole = begin
	}
	return next, nil
}

// count reads what was done on each day of the chart. A day that was long over when they
// were read before does not change any more, and is not read again.
func (b *board) count(ctx context.Context, at time.Time) error {
	since := at.AddDate(0, 0, 1-chartDays).Truncate(day)
	known := slices.DeleteFunc(slices.Clone(b.days), func(d ledger.Day) bool { return d.Day.Before(since) })
	if again := b.counted.AddDate(0, 0, -1).Truncate(day); again.After(since) {
		since = again
	}
	newest, err := b.ledger.Days(ctx, "", since)
	if err != nil {
		return err
	}
	known = slices.DeleteFunc(known, func(d ledger.Day) bool { return !d.Day.Before(since) })
	b.days, b.counted = slices.Concat(known, newest), at
	return nil
}

// held says why the newest runs that have not ended make no progress, by job.
func (b *board) held(ctx context.Context, strips map[string]ledger.Strip) (map[string]string, error) {
	states := map[int64]ledger.State{}
	for _, strip := range strips {
		if strip.Last != nil {
			states[strip.Last.ID] = strip.Last.State
		}
	}
	runs, err := runlog.HeldRuns(ctx, b.ledger, states)
	held := map[string]string{}
	for job, strip := range strips {
		if strip.Last != nil && runs[strip.Last.ID] != "" {
			held[job] = runs[strip.Last.ID]
		}
	}
	return held, err
}

// failedItems counts the failed items of each job that has for_each and an open alarm
// about a failure.
func (b *board) failedItems(ctx context.Context, s *scene) (map[string]int, error) {
	all := map[string]int{}
	for name, job := range s.byName {
		since := notify.Failing(s.alarms[name])
		if job.ForEach == nil || since.IsZero() {
			continue
		}
		n, err := b.ledger.Failed(ctx, name, since)
		if err != nil {
			return nil, err
		}
		all[name] = n
	}
	return all, nil
}

// changed returns the versions of the runs that may have changed, the newest end of a run,
// and the jobs whose runs have changed since the last scene.
func (b *board) changed(ctx context.Context, byName map[string]*jobs.Job) (versions map[int64]ledger.RunVersion, newest time.Time, dirty map[string]bool, err error) {
	newest = b.newest
	if newest.IsZero() { // nothing was read yet that could be missed
		newest = time.Now().Add(-time.Minute)
	}
	all, err := b.ledger.ChangedRuns(ctx, newest.Add(-overlap))
	if err != nil {
		return nil, b.newest, nil, err
	}
	versions, dirty = make(map[int64]ledger.RunVersion, len(all)), map[string]bool{}
	for _, is := range all {
		versions[is.ID] = is
		if is.Finished.After(newest) {
			newest = is.Finished
		}
		if byName[is.Job] != nil && b.versions[is.ID] != is {
			dirty[is.Job] = true
		}
	}
	for id, was := range b.versions {
		if _, still := versions[id]; !still && was.Finished.IsZero() { // it ended before the time that was looked at
			dirty[was.Job] = true
		}
	}
	return versions, newest, dirty, nil
}

// compare finds out which jobs have changed in the next scene.
func (b *board) compare(next *scene) {
	before := b.scene
	if before == nil {
		before = &scene{}
	}
	next.turn, next.turns = before.turn, before.turns
	var news []string
	for name, job := range next.byName {
		if before.byName[name] != job || !sameStrip(before.strips[name], next.strips[name]) ||
			before.pauses[name] != next.pauses[name] || before.progress[name] != next.progress[name] || before.held[name] != next.held[name] ||
			before.failedItems[name] != next.failedItems[name] || !sameAlarms(before.alarms[name].Alarms, next.alarms[name].Alarms) {
			news = append(news, name)
		}
	}
	if len(news) == 0 && len(before.byName) == len(next.byName) && before.pending.same(next.pending) {
		return
	}
	next.turn++
	next.turns = maps.Clone(before.turns)
	if next.turns == nil {
		next.turns = map[string]int64{}
	}
	for _, name := range news {
		next.turns[name] = next.turn
	}
}

func sameAlarms(a, b []ledger.Alarm) bool {
	return slices.EqualFunc(a, b, func(a, b ledger.Alarm) bool { return reflect.DeepEqual(a, b) })
}

// sameStrip reports whether two strips show the same.
func sameStrip(a, b ledger.Strip) bool {
	if !slices.Equal(a.Bars, b.Bars) || (a.Last == nil) != (b.Last == nil) {
		return false
	}
	return a.Last == b.Last || *a.Last == *b.Last
}
