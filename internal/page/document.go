package page

import (
	"slices"
	"time"

	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/plain"
	"github.com/globus-runner/globus-runner/internal/runlog"
	"github.com/globus-runner/globus-runner/jobs"
)

// A list is some of the things of a kind. Next is the cursor of the following
// ones, if there are more.
type list[T any] struct {
	Data []T    `json:"data"`
	Next string `json:"next,omitempty"`
}

// A jobsDocument has all jobs.
type jobsDocument struct {
	list[jobDocument]
	Pending *pendingDocument `json:"pending,omitempty"` // the newest jobs file, if another one is in force
}

// A pendingDocument is a jobs file that is not in force, and why.
type pendingDocument struct {
	Since    time.Time         `json:"since"`
	Problems []problemDocument `json:"problems"`
	More     int               `json:"more,omitempty"` // problems beside these
}

// A problemDocument is a mistake in a jobs file, or why it is not in force.
type problemDocument struct {
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`
	Field   string `json:"field,omitempty"`
	Message string `json:"message"`
}

// same reports whether two documents are equal.
func (d *pendingDocument) same(other *pendingDocument) bool {
	if d == nil || other == nil {
		return d == other
	}
	return d.Since.Equal(other.Since) && d.More == other.More && slices.Equal(d.Problems, other.Problems)
}

// A jobDocument is a job with its newest runs.
type jobDocument struct {
	Name        string            `json:"name"`
	Description string            `json:"description,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	State       string            `json:"state"` // of the newest run, or paused, suspended or new
	Schedule    string            `json:"schedule,omitempty"`
	InWords     string            `json:"in_words,omitempty"` // the schedule, where its form is common
	TimeZone    string            `json:"time_zone,omitempty"`
	After       string            `json:"after,omitempty"`
	ForEach     string            `json:"for_each,omitempty"` // the folder of the items
	Suspend     bool              `json:"suspend"`
	Paused      *runlog.Pause     `json:"paused,omitempty"`
	Next        *time.Time        `json:"next,omitempty"`         // the next start, with its jitter
	LastSuccess *time.Time        `json:"last_success,omitempty"` // among the runs below
	FailingFor  int               `json:"failing_for,omitempty"`  // how many of the newest runs failed, one after the other
	LastRun     *runDocument      `json:"last_run,omitempty"`
	Runs        []barDocument     `json:"runs"` // the newest last; see [scene.document]
	Progress    *Progress         `json:"progress,omitempty"`
	Held        string            `json:"held,omitempty"`         // what holds the newest run, if it makes no progress
	FailedItems int               `json:"failed_items,omitempty"` // of a job that has not recovered from them
	Alarms      []alarmDocument   `json:"alarms,omitempty"`       // for what the job expects and notifies of
}

// An alarmDocument is an open alarm of a job.
type alarmDocument struct {
	Kind  string    `json:"kind"`
	Since time.Time `json:"since"`
	Why   string    `json:"why,omitempty"`
}

// A barDocument is a run among many.
type barDocument struct {
	Run      int64   `json:"run"`
	State    string  `json:"state"`
	Began    instant `json:"began"` // or when it was asked for, if nobody has begun it
	Finished instant `json:"finished,omitzero"`
}

// An instant is a time of which an answer has very many. Its JSON is that of the
// [time.Time], and is made in a fifth of the time: encoding/json reads again, character by
// character, what a [json.Marshaler] returns.
type instant time.Time

func (i instant) MarshalText() ([]byte, error) {
	return time.Time(i).AppendFormat(make([]byte, 0, len(time.RFC3339Nano)), time.RFC3339Nano), nil
}

func (i instant) IsZero() bool { return time.Time(i).IsZero() }

// A runDocument is a run.
type runDocument struct {
	runlog.Document

	cause string // why it ended so, in short
}

// A wholeRun is a run with its tasks and events.
type wholeRun struct {
	runDocument
	Next   string         `json:"next,omitempty"` // what to type next
	Tasks  []taskDocument `json:"tasks,omitempty"`
	Events []runlog.Event `json:"events,omitempty"`
}

// A taskDocument is a submission with the task that it became.
type taskDocument struct {
	TaskID       string    `json:"task_id,omitempty"`
	Flow         string    `json:"flow_id,omitempty"` // then task_id is that of a run of this flow
	SubmissionID string    `json:"submission_id"`
	URL          string    `json:"url,omitempty"` // the task's page
	Status       string    `json:"status,omitempty"`
	Label        string    `json:"label"`
	Attempt      int       `json:"attempt"`
	Created      time.Time `json:"created"`
}

// An itemDocument is an item of a job.
type itemDocument struct {
	Name       string     `json:"name"`
	Key        string     `json:"key"`
	Generation int        `json:"generation"`
	State      string     `json:"state"`
	Why        string     `json:"why,omitempty"`
	Position   int        `json:"position,omitempty"` // among those that are queued, from 1
	Since      *time.Time `json:"since,omitempty"`
	Size       *int64     `json:"size,omitempty"` // bytes; of a folder only if all of it was listed
	Modified   *time.Time `json:"modified,omitempty"`
	Run        int64      `json:"run,omitempty"`
}

// An itemsDocument has the items of a job, and says how the looks at their folder go.
type itemsDocument struct {
	list[itemDocument]
	Look *lookDocument `json:"look,omitempty"` // nil before the first
}

// A lookDocument is how the last looks at the folder of a job have ended.
type lookDocument struct {
	Looked *time.Time `json:"looked,omitempty"` // when the last one that saw the folder ended
	Failed *time.Time `json:"failed,omitempty"` // when the last one ended early; nil if it did not
	Why    string     `json:"why,omitempty"`    // it ended early
}

// A failure is the answer to a request that was refused.
type failure struct {
	Error string `json:"error"`
}

// job describes a job of the scene, without what only [scene.document] adds. All jobs are described
// together, once for each scene.
func (s *scene) job(job *jobs.Job) jobDocument {
	s.described.Do(func() {
		s.docs = make(map[string]jobDocument, len(s.byName))
		for name, job := range s.byName {
			s.docs[name] = s.describe(job)
		}
	})
	return s.docs[job.Name]
}

// document describes a job of the scene in full: with its newest runs, and its schedule in
// words.
func (s *scene) document(job *jobs.Job) jobDocument {
	d, bars := s.job(job), s.strips[job.Name].Bars
	if job.Schedule != nil {
		d.InWords = job.Schedule.Words()
	}
	d.Runs = make([]barDocument, len(bars))
	for i, b := range bars {
		d.Runs[i] = barDocument{b.ID, string(b.State), instant(b.Began), instant(b.Finished)}
	}
	return d
}

func (s *scene) describe(job *jobs.Job) jobDocument {
	strip := s.strips[job.Name]
	d := jobDocument{
		Name: job.Name, Description: job.Description, Labels: job.Labels, After: job.After, Suspend: job.Suspend,
		State: "new",
	}
	if job.ForEach != nil {
		d.ForEach = job.ForEach.Folder
	}
	for _, b := range strip.Bars {
		switch {
		case b.State == ledger.Succeeded:
			d.LastSuccess, d.FailingFor = runlog.Known(b.Finished), 0
		case failed(b.State):
			d.FailingFor++
		}
	}
	if strip.Last != nil {
		d.LastRun = new(describeRun(strip.Last))
		d.State = string(strip.Last.State)
		d.Held = s.held[job.Name]
		if p, is := s.progress[job.Name]; is && !strip.Last.State.Final() {
			d.Progress = &p
		}
	}
	d.FailedItems = s.failedItems[job.Name]
	for _, a := range s.alarms[job.Name].Alarms {
		if a.Quiet && a.Told.IsZero() || a.GivenUp != "" { // it may pass by itself, or is over
			continue
		}
		d.Alarms = append(d.Alarms, alarmDocument{a.Kind, a.Since, a.Why})
	}
	s.planned(job, &d)
	return d
}

// describePending describes a jobs file that is not in force, if there is one, without the
// text of its lines.
func describePending(p *Pending) *pendingDocument {
	if p == nil {
		return nil
	}
	d := &pendingDocument{Since: p.Since.UTC()}
	for _, is := range jobs.Problems(p.Why) {
		d.Problems = append(d.Problems, problemDocument{plain.Line(is.File), is.Line, plain.Line(is.Field), plain.Line(is.Msg)})
	}
	if d.Problems == nil {
		d.Problems = []problemDocument{{Message: plain.Line(p.Why.Error())}}
	}
	if d.More = len(d.Problems) - mostProblems; d.More > 0 {
		d.Problems = d.Problems[:mostProblems]
	}
	d.More = max(d.More, 0)
	return d
}

// planned says when a job starts next, or why it does not.
func (s *scene) planned(job *jobs.Job, d *jobDocument) {
	working := d.LastRun != nil && d.LastRun.Finished == nil
	if job.Schedule != nil {
		d.Schedule, d.TimeZone = job.Schedule.String(), job.Schedule.Location().String()
	}
	p, paused := s.pauses[job.Name]
	switch {
	case paused:
		d.Paused = runlog.DescribePause(p)
		if !working {
			d.State = "paused"
		}
		if !p.Until.IsZero() && !job.Suspend {
			d.Next = s.nextStart(job, p.Until)
		}
	case job.Suspend:
		if !working {
			d.State = "suspended"
		}
	default:
		d.Next = s.nextStart(job, s.at)
	}
}

// nextStart returns the first start of a job after an instant, or nil if it has no
// schedule.
func (s *scene) nextStart(job *jobs.Job, after time.Time) *time.Time {
	if job.Schedule == nil {
		return nil
	}
	at := job.Schedule.Next(after)
	return runlog.Known(job.Due(jobs.ScheduledKey(at), at).UTC())
}

func describeRun(r *ledger.Run) runDocument {
	return runDocument{runlog.Describe(r), runlog.Cause(r, longestWhy)}
}

// failed reports whether a run in this state has failed. A run that was canceled or
// skipped is not a failure, and does not end a row of failures either.
func failed(s ledger.State) bool { return s == ledger.Failed || s == ledger.TimedOut }

// took is how long a run that has ended was at work.
func (d *runDocument) took() time.Duration { return d.Finished.Sub(*d.Began) }

// describeItem says what the ledger has of an item.
func describeItem(row *ledger.Item) itemDocument {
	d := itemDocument{
		Name: row.Name, Key: row.Key, Generation: row.Generation, Since: runlog.Known(row.Since),
		Size: engine.ItemSize(row.Size, row.Fingerprint), Modified: runlog.Known(row.Modified), Run: row.Run,
	}
	d.State, d.Why = engine.ItemState(row, time.Now())
	return d
}
