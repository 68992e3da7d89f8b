package notify

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/plain"
	"github.com/globus-runner/globus-runner/jobs"
)

const (
	// watchEvery is how often one of the schedulers that share a ledger looks.
	watchEvery = 5 * time.Minute
	// outage is how long no scheduler must have looked to count as an outage.
	outage = 30 * time.Minute
)

// A Watch notices what does not happen: a run that does not begin, a success that does not
// come. It keeps what it has seen in the ledger, so that a restart or another replica
// does not tell people again.
type Watch struct {
	Ledger *ledger.Ledger
	Log    *slog.Logger
	// Jobs returns what is in force.
	Jobs func() *jobs.File
	// Told is called when there may be new notices; it may be nil.
	Told func()
}

// Run watches until ctx ends.
func (w *Watch) Run(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		now := time.Now().UTC()
		if err := w.look(ctx, now); err != nil && ctx.Err() == nil {
			w.Log.Error("what is late or overdue could not be seen", "err", err)
		}
		next, err := w.digests(ctx, w.Jobs(), now)
		if err != nil && ctx.Err() == nil {
			w.Log.Error("a digest could not be written", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-time.After(next.Sub(now)):
		}
	}
}

// look looks at every job, unless another scheduler did a moment ago.
func (w *Watch) look(ctx context.Context, now time.Time) error {
	mine, last := false, time.Time{}
	err := w.Ledger.Tell(ctx, "", func(s ledger.Standing) (ledger.Standing, []ledger.Notice) {
		last = s.Since
		mine = now.Sub(last) >= watchEvery-watchEvery/10 || ahead(last, now)
		if mine {
			s.Since = now
		}
		return s, nil
	})
	if err != nil || !mine {
		return err
	}
	file := w.Jobs()
	facts, err := w.facts(ctx, file)
	if err != nil {
		return err
	}
	quiet := !last.IsZero() && now.Sub(last) > outage
	var late []*jobs.Job
	for _, job := range file.Jobs {
		seen, err := w.lookAt(ctx, job, facts, now, quiet)
		if err != nil {
			return err
		}
		if seen && quiet {
			late = append(late, job)
		}
	}
	if len(late) == 0 {
		return nil
	}
	return w.tell(ctx, "", summary(late, last, now))
}

// facts are what the ledger knows of all jobs.
type facts struct {
	schedules map[string]ledger.Schedule
	pauses    map[string]ledger.Pause
	standings map[string]ledger.Standing
	ends      map[string]ledger.Ends // of the runs that are remembered
}

func (w *Watch) facts(ctx context.Context, file *jobs.File) (f facts, err error) {
	if f.schedules, err = w.Ledger.Schedules(ctx); err != nil {
		return f, err
	}
	if f.pauses, err = w.Ledger.Pauses(ctx); err != nil {
		return f, err
	}
	if f.standings, err = w.Ledger.Standings(ctx); err != nil {
		return f, err
	}
	if slices.ContainsFunc(file.Jobs, func(j *jobs.Job) bool { return j.Expect.SuccessEvery > 0 }) {
		f.ends, err = w.Ledger.Ends(ctx)
	}
	return f, err
}

// lookAt looks at a job, and reports whether people are to be told now that it is late or
// overdue. A quiet alarm is recorded, and nobody is told.
func (w *Watch) lookAt(ctx context.Context, job *jobs.Job, f facts, now time.Time, quiet bool) (seen bool, err error) {
	telling := func(s ledger.Standing) (ledger.Standing, []ledger.Notice) {
		after, notices := watched(s, job, f, now, quiet)
		seen = slices.ContainsFunc(after.Alarms, func(a ledger.Alarm) bool { return isAbsence(a) && a.Told.Equal(now) })
		return after, notices
	}
	// A transition that changes nothing needs no transaction.
	is := f.standings[job.Name]
	if after, _ := telling(is); reflect.DeepEqual(after, is) {
		return seen, nil
	}
	return seen, w.tell(ctx, job.Name, telling)
}

func (w *Watch) tell(ctx context.Context, job string, t ledger.Transition) error {
	err := w.Ledger.Tell(ctx, job, t)
	if w.Told != nil {
		w.Told()
	}
	return err
}

// watched is the transition of a look at a job.
func watched(s ledger.Standing, job *jobs.Job, f facts, now time.Time, quiet bool) (ledger.Standing, []ledger.Notice) {
	book := open(s, job, now)
	book.endGivenUp(job)
	if _, paused := f.pauses[job.Name]; paused || job.Suspend {
		book.standing.Since = time.Time{} // it begins anew when it is resumed
		return book.standing, book.notices
	}
	if book.standing.Since.IsZero() && job.Expect.SuccessEvery > 0 {
		book.standing.Since = now
	}
	if len(channels(job, string(Access))) == 0 { // the AccessWatch will not end it
		book.close(Access)
	}
	if job.ForEach == nil { // no look will end it
		book.close(LooksFail)
	}
	if at, is := lateSince(job, f.schedules[job.Name], now); is {
		book.absent(job, Late, quiet, job.Name+" is late",
			fmt.Sprintf("The occurrence of %s was due at %s and has not begun", at.Format(time.RFC3339), clock(job, at)),
			"Next step: runner why "+job.Name)
	}
	if every := job.Expect.SuccessEvery; every > 0 && now.Sub(book.standing.Since) > every {
		book.absent(job, Overdue, quiet, job.Name+" is overdue",
			fmt.Sprintf("%s, and one is expected every %s", noSuccess(job, book.standing.Since, f.ends[job.Name].Success), jobs.FormatDuration(every)),
			"Next step: runner why "+job.Name)
	}
	return book.standing, book.notices
}

// noSuccess says since when no run of a job has succeeded; the last success is zero if
// none is remembered.
func noSuccess(job *jobs.Job, watched, last time.Time) string {
	if last.IsZero() {
		return fmt.Sprintf("No run has succeeded yet (the job has been watched since %s)", clock(job, watched))
	}
	return "No run has succeeded since " + clock(job, watched)
}

// lateSince returns the instant of the occurrence that should have begun by now and
// has not, if there is one.
func lateSince(job *jobs.Job, is ledger.Schedule, now time.Time) (at time.Time, late bool) {
	if job.Schedule == nil || is.Expr != job.Schedule.String() || is.Suspended {
		return at, false
	}
	at = job.Schedule.Next(is.Cursor)
	return at, !at.IsZero() && now.Sub(job.Due(jobs.ScheduledKey(at), at)) > job.Expect.StartWithin
}

// absent raises an alarm about something that does not happen, and tells people at first
// and from time to time.
func (b *book) absent(job *jobs.Job, event Event, quiet bool, title string, lines ...string) {
	to := channels(job, string(event))
	if a := b.alarm(event); a != nil && !b.isDue(a) && len(unaware(a, to)) == 0 {
		return // it is counted only when people are told again
	}
	alarm, tell := b.raise(event, lines[0], to)
	if quiet {
		alarm.Quiet = true
		return
	}
	if alarm.Count > 1 {
		title += " since " + clock(job, alarm.Since)
	}
	n := &Notice{
		ID:    digest(job.Name, string(event), fmt.Sprint(b.now.UnixMicro())),
		Event: event, Job: job.Name, Time: b.now, Title: title, Lines: lines,
	}
	b.send(alarm, n, tell)
}

// isAbsence reports whether an alarm is about something that does not happen.
func isAbsence(a ledger.Alarm) bool { return Event(a.Kind) == Late || Event(a.Kind) == Overdue }

// mostNames is how many jobs a summary names.
const mostNames = 20

// summary tells in one notice for each channel what did not happen while no scheduler
// was at work.
func summary(late []*jobs.Job, from, to time.Time) ledger.Transition {
	return func(s ledger.Standing) (ledger.Standing, []ledger.Notice) {
		names := map[string][]string{} // of jobs, by channel
		for _, job := range late {
			both := slices.Concat(channels(job, string(Late)), channels(job, string(Overdue)))
			slices.Sort(both)
			for _, channel := range slices.Compact(both) {
				names[channel] = append(names[channel], job.Name)
			}
		}
		var all []ledger.Notice
		for _, channel := range slices.Sorted(maps.Keys(names)) {
			n := &Notice{
				ID: digest("", string(Late), fmt.Sprint(to.UnixMicro()), channel), Event: Late, Time: to,
				Title: fmt.Sprintf("The scheduler did not work from %s to %s", instant(from), instant(to)),
				Lines: []string{
					"Late or overdue by then: " + plain.Some(names[channel], mostNames),
					"It works again, and starts of the missed runs what each job's catch_up says. Nothing more is said of those that succeed now",
				},
			}
			all = append(all, n.to([]string{channel})...)
		}
		return s, all
	}
}

func instant(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }
