package notify

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/plain"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/schedule"
)

// everyMorning is when a channel gets its digest by default.
const everyMorning = "0 7 * * *"

// digests sends a digest to each channel that is due one. It returns when it has to be
// called again at the latest.
func (w *Watch) digests(ctx context.Context, file *jobs.File, now time.Time) (next time.Time, err error) {
	next = now.Add(watchEvery)
	readers := map[string][]*jobs.Job{} // jobs by channel
	for _, job := range file.Jobs {
		for _, name := range channels(job, string(Digest)) {
			readers[name] = append(readers[name], job)
		}
	}
	if len(readers) == 0 {
		return next, nil
	}
	standings, err := w.Ledger.Standings(ctx)
	if err != nil {
		return next, err
	}
	for _, name := range slices.Sorted(maps.Keys(readers)) {
		c := file.Channels[name]
		hours := c.Digest
		if hours == nil {
			hours, _ = schedule.Parse(everyMorning, cmp.Or(readers[name][0].Zone, time.UTC)) // it is a constant
		}
		last := told(standings[""], digestOf(c))
		if ahead(last, now) {
			last = time.Time{}
		}
		at := hours.Next(last)
		if !at.IsZero() && !at.After(now) { // also if there was none yet
			if err := w.digest(ctx, c, readers[name], standings, last, now); err != nil {
				return next, err
			}
			at = hours.Next(now)
		}
		if !at.IsZero() && at.Before(next) {
			next = at
		}
	}
	return next, nil
}

// digestOf is the kind of an alarm of the scheduler itself that records when a channel got
// its last digest.
func digestOf(c *jobs.Channel) string { return string(Digest) + ":" + c.Name }

// digest tells one channel what happened since its last digest. The first time, it only
// records the time.
func (w *Watch) digest(ctx context.Context, c *jobs.Channel, its []*jobs.Job, standings map[string]ledger.Standing, last, now time.Time) (err error) {
	var n *Notice
	if !last.IsZero() {
		if n, err = w.compose(ctx, its, standings, last, now); err != nil {
			return err
		}
		n.ID = digest(c.Name, string(Digest), fmt.Sprint(last.UnixMicro(), now.UnixMicro()))
	}
	return w.tell(ctx, "", func(s ledger.Standing) (ledger.Standing, []ledger.Notice) {
		kind := digestOf(c)
		if at := told(s, kind); !at.Equal(last) && !ahead(at, now) { // another replica was faster
			return s, nil
		}
		s.Alarms = slices.DeleteFunc(slices.Clone(s.Alarms), func(a ledger.Alarm) bool { return a.Kind == kind })
		s.Alarms = append(s.Alarms, ledger.Alarm{Kind: kind, Since: now, Told: now})
		if n == nil {
			return s, nil
		}
		return s, n.to([]string{c.Name})
	})
}

// told returns when people were last told of an alarm of a kind; the zero time if there is
// none.
func told(s ledger.Standing, kind string) (at time.Time) {
	for _, a := range s.Alarms {
		if a.Kind == kind {
			at = a.Told
		}
	}
	return at
}

// mostInTitle is how many jobs the title of a digest names.
const mostInTitle = 3

// A tally counts how the runs of a job ended, and what they moved and deleted.
type tally struct {
	ends                  map[string]int // runs, by how they ended
	files, bytes, deleted int64
}

// compose makes the digest of some jobs, about their runs that ended from an instant on, up
// to another one. Runs that had not ended by then are told too, and again when they have.
func (w *Watch) compose(ctx context.Context, its []*jobs.Job, standings map[string]ledger.Standing, from, to time.Time) (*Notice, error) {
	n := &Notice{Event: Digest, Time: to, Files: new(int64), Bytes: new(int64)}
	good, runs := 0, 0
	var absent []string // jobs
	for _, job := range its {
		t := tally{ends: map[string]int{}}
		for r, err := range w.Ledger.Runs(ctx, ledger.Query{Job: job.Name, Open: from}) {
			switch {
			case err != nil:
				return nil, err
			case !r.Claimed.Before(to):
			case r.Finished.IsZero() || !r.Finished.Before(to):
				t.ends["not over"]++
			default:
				t.ends[endOf(r.State)]++
				t.files += r.Files
				t.bytes += r.Bytes
				t.deleted += r.FilesDeleted
				runs++
			}
		}
		good += t.ends[endOf(ledger.Succeeded)]
		*n.Files += t.files
		*n.Bytes += t.bytes
		line := job.Name + ": " + t.String()
		if amiss := absences(job, standings[job.Name]); amiss != "" {
			line += amiss
			absent = append(absent, job.Name)
		}
		n.Lines = append(n.Lines, line)
	}
	n.Title = fmt.Sprintf("%d of %s succeeded since %s", good, plain.Count(runs, "run"), clock(its[0], from))
	if len(absent) > 0 {
		n.Title += "; late or overdue: " + plain.Some(absent, mostInTitle)
	}
	return n, nil
}

// absences says since when a job is late or overdue; nothing if it is neither.
func absences(job *jobs.Job, s ledger.Standing) (text string) {
	for _, a := range s.Alarms {
		if isAbsence(a) {
			text += fmt.Sprintf("; %s since %s", a.Kind, clock(job, a.Since))
		}
	}
	return text
}

// endOf is how a run in a final state ended.
func endOf(s ledger.State) string {
	if s == ledger.TimedOut {
		return "timed out"
	}
	return string(s)
}

func (t tally) String() string {
	var ends []string
	for _, end := range slices.Sorted(maps.Keys(t.ends)) {
		ends = append(ends, fmt.Sprintf("%d %s", t.ends[end], end))
	}
	if len(ends) == 0 {
		return "no run"
	}
	text := strings.Join(ends, ", ")
	if t.files > 0 || t.deleted == 0 {
		text += fmt.Sprintf("; %s, %s", plain.Count(t.files, "file"), plain.Size(t.bytes, " "))
	}
	if t.deleted > 0 {
		text += fmt.Sprintf("; %s deleted", plain.Count(t.deleted, "file"))
	}
	return text
}
