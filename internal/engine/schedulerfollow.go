package engine

import (
	"context"
	"time"

	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
)

// followOverlap is for how long a run that has ended is looked at again: its end may get
// into the ledger later than that of another one.
const followOverlap = time.Minute

// Follows are the jobs that come after another one and are not suspended, with the instant
// up to which the runs of the other job are followed. A scheduler follows its own runs when
// they end. The others in its ledger, such as those of "runner run", it looks for.
//
// The ledger keeps the instant in the place of a schedule's cursor, and the same rules hold
// for it: what succeeded before the job followed it, or while it was suspended, is not
// followed.
type follows map[string]*follow

type follow struct {
	job          *jobs.Job
	cursor, kept time.Time
}

// newFollows returns the follows of a set of jobs, which begin at these instants.
func newFollows(all []*jobs.Job, begin map[string]time.Time) follows {
	fs := follows{}
	for _, job := range all {
		if job.After != "" && !job.Suspend {
			fs[job.Name] = &follow{job, begin[job.Name], begin[job.Name]}
		}
	}
	return fs
}

// moveOn moves the cursors after a look that left nothing, at an instant.
func (fs follows) moveOn(now time.Time) {
	for _, f := range fs {
		if until := now.Add(-followOverlap); until.After(f.cursor) || now.Before(f.cursor) { // the clock was set back
			f.cursor = until
		}
	}
}

// followOthers starts the occurrences that follow runs that others have done, those of one
// job in turn, because its policy would skip them if they were started all at once. What
// ended longer ago than missed occurrences are started is not followed.
func (s *Scheduler) followOthers(ctx context.Context) error {
	if len(s.follows) == 0 {
		return nil
	}
	oldest := time.Now().Add(-catchUpWindow)
	var by []ledger.Follower
	for name, f := range s.follows {
		since := f.cursor
		if since.Before(oldest) {
			since = oldest
		}
		by = append(by, ledger.Follower{Job: name, After: f.job.After, Since: since})
	}
	found, now, err := s.rec.Ledger.Unfollowed(ctx, by, s.places)
	if err != nil {
		return err
	}
	whole := len(found) < s.places
	for _, u := range found {
		job, key := s.follows[u.By].job, jobs.Key(u.Run.Key)
		if takesTurns(job) && !key.IsItem() && s.worksOn(job.Name) {
			whole = false
			continue
		}
		run, mine, err := s.rec.claim(ctx, occurrence{job.Name, key})
		if err != nil {
			return err
		}
		if mine {
			s.log.Info("a job follows a run of another process", "job", job.Name, "occurrence", string(key), "other_run", u.Run.ID)
			s.issue(&ticket{occurrence: occurrence{job.Name, key}, job: job, at: instantOf(u.Run), run: run})
		}
	}
	if whole {
		s.follows.moveOn(now)
	}
	return nil
}

// worksOn reports whether this process works on an occurrence of a job.
func (s *Scheduler) worksOn(job string) bool {
	for o := range s.tickets {
		if o.job == job {
			return true
		}
	}
	return false
}

// instantOf returns the instant of the occurrence of a run; if it has none, when it was claimed.
func instantOf(run *ledger.Run) time.Time {
	if run.Due.IsZero() {
		return run.Claimed
	}
	return run.Due
}
