package notify

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/plain"
	"github.com/globus-runner/globus-runner/jobs"
)

const (
	// accessEvery is how often to look for access that ends soon.
	accessEvery = 24 * time.Hour
	// accessRetry is how soon to look again if not everything could be seen.
	accessRetry = time.Hour
	// accessSoon is how long before the end people are told.
	accessSoon = 14 * 24 * time.Hour
	// accessUrgent is how long before the end they are told again and again.
	accessUrgent = 3 * 24 * time.Hour
)

// An Ending is something that jobs need and that ends: an access rule, a certificate.
type Ending struct {
	Job  string // that needs it; empty if all do
	What string // one sentence, with the day of the end
	Next string // what to do about it
	At   time.Time
}

// An AccessWatch looks for access that ends soon. Like a [Watch], it keeps what it has
// seen in the ledger.
type AccessWatch struct {
	Ledger *ledger.Ledger
	Log    *slog.Logger
	// Jobs returns what is in force.
	Jobs func() *jobs.File
	// Find returns the endings of what some jobs of a file, and its channels, need. If
	// something could not be seen, it returns the others, and an error that says so.
	Find func(ctx context.Context, file *jobs.File, list []*jobs.Job) ([]Ending, error)
	// Told is called when there may be new notices; it may be nil.
	Told func()
}

// Run watches until ctx ends.
func (w *AccessWatch) Run(ctx context.Context) {
	tick := time.NewTicker(accessRetry)
	defer tick.Stop()
	for {
		if err := w.look(ctx, time.Now().UTC()); err != nil && ctx.Err() == nil {
			w.Log.Warn("what ends soon could not be seen in full, it is tried again in an hour", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// look looks once a day at what jobs need, for the jobs that name a channel for it. If
// there are none, it asks nobody.
func (w *AccessWatch) look(ctx context.Context, now time.Time) error {
	file := w.Jobs()
	of, err := w.readers(ctx, file)
	if err != nil || len(of) == 0 {
		return err
	}
	mine, err := w.note(ctx, now, func(last time.Time) bool {
		return now.Sub(last) >= accessEvery-watchEvery || ahead(last, now)
	})
	if err != nil || !mine {
		return err
	}
	found, unseen := w.Find(ctx, file, of)
	if unseen == nil {
		unseen = context.Cause(ctx)
	}
	if unseen != nil {
		again := now.Add(accessRetry - accessEvery)
		if _, err := w.note(context.WithoutCancel(ctx), again, now.Equal); err != nil {
			return err
		}
	}
	if err := w.tell(ctx, of, found, unseen == nil, now); err != nil {
		return err
	}
	return unseen
}

// tell records for each job what ends soon. Unless everything could be seen, an alarm
// stays even if its cause was not found again.
func (w *AccessWatch) tell(ctx context.Context, of []*jobs.Job, found []Ending, all bool, now time.Time) error {
	byJob := map[string][]Ending{}
	for _, e := range found {
		if e.At.Sub(now) <= accessSoon {
			byJob[e.Job] = append(byJob[e.Job], e)
		}
	}
	for _, job := range slices.Concat(of, []*jobs.Job{everyJob(of)}) {
		if len(byJob[job.Name]) == 0 && !all {
			continue
		}
		err := w.Ledger.Tell(ctx, job.Name, func(s ledger.Standing) (ledger.Standing, []ledger.Notice) {
			book := open(s, job, now)
			book.ending(job, byJob[job.Name])
			return book.standing, book.notices
		})
		if err != nil {
			return err
		}
	}
	if w.Told != nil {
		w.Told()
	}
	return nil
}

// readers are the jobs that name a channel for this, and that are neither suspended nor
// paused.
func (w *AccessWatch) readers(ctx context.Context, file *jobs.File) (of []*jobs.Job, err error) {
	for _, job := range file.Jobs {
		if len(channels(job, string(Access))) > 0 && !job.Suspend {
			of = append(of, job)
		}
	}
	if len(of) == 0 {
		return nil, nil
	}
	pauses, err := w.Ledger.Pauses(ctx)
	return slices.DeleteFunc(of, func(j *jobs.Job) bool { _, paused := pauses[j.Name]; return paused }), err
}

// everyJob stands for what all jobs need: the channels of each of them hear of it.
func everyJob(of []*jobs.Job) *jobs.Job {
	all := &jobs.Job{Notify: jobs.Notify{Repeat: of[0].Notify.Repeat}}
	var names []string
	for _, job := range of {
		names = append(names, channels(job, string(Access))...)
	}
	all.Notify.To = map[string][]string{string(Access): names} // a ledger takes each once
	return all
}

// lookedAt is the kind of an alarm of the scheduler itself that records when the last look
// was made.
const lookedAt = string(Access) + ":looked"

// note records when a look was made, if the time of the last one is as it should be.
func (w *AccessWatch) note(ctx context.Context, at time.Time, should func(last time.Time) bool) (noted bool, err error) {
	err = w.Ledger.Tell(ctx, "", func(s ledger.Standing) (ledger.Standing, []ledger.Notice) {
		last := told(s, lookedAt)
		if noted = should(last); noted {
			s.Alarms = slices.DeleteFunc(slices.Clone(s.Alarms), func(a ledger.Alarm) bool { return a.Kind == lookedAt })
			s.Alarms = append(s.Alarms, ledger.Alarm{Kind: lookedAt, Since: at, Told: at})
		}
		return s, nil
	})
	return noted, err
}

// ending tells which access of a job ends soon: once, and in the last days from time to
// time. If there is none, it ends the alarm.
func (b *book) ending(job *jobs.Job, all []Ending) {
	if len(all) == 0 {
		b.close(Access)
		return
	}
	slices.SortFunc(all, func(a, b Ending) int { return a.At.Compare(b.At) })
	var lines []string
	for _, e := range all {
		lines = append(lines, plain.Line(e.What), "Next step: "+plain.Line(e.Next))
	}
	why := plain.Short(strings.Join(lines, "; "), maxWhy)
	urgent := all[0].At.Sub(b.now) <= accessUrgent
	to := channels(job, string(Access))
	tell := to
	if a := b.alarm(Access); a != nil && a.Why == why && !a.Unheard && (!urgent || b.now.Sub(a.Told) < b.repeat-watchEvery) {
		if tell = unaware(a, to); len(tell) == 0 {
			return
		}
	}
	alarm, _ := b.raise(Access, why, to)
	alarm.Told, alarm.Heard, alarm.Unheard = b.now, to, false
	title := fmt.Sprintf("%s: an access ends on %s", job.Name, day(job, all[0].At))
	if job.Name == "" {
		title = plain.Line(all[0].What)
	}
	n := &Notice{
		ID:    digest(job.Name, string(Access), fmt.Sprint(b.now.UnixMicro())),
		Event: Access, Job: job.Name, Time: b.now, Title: title, Lines: lines,
	}
	b.send(alarm, n, tell)
}

// day is the date of an instant in the zone of a job.
func day(job *jobs.Job, t time.Time) string { return clock(job, t)[:len(time.DateOnly)] }
