// Package jobs says what should happen: the definition of a job, its policies,
// and the keys by which its occurrences are known. It touches neither the
// network nor the disk.
//
// [Parse] makes a [File] of the text of jobs files, or returns every problem at once. A
// [Job] has steps with templates; [Job.Render] resolves them for one occurrence, which a
// [Key] identifies. Read jobs.go for the types, file.go and walk.go for how a jobs file is
// read, and check.go for the checks that need all jobs. Each key of the jobs file is read
// in the file that has its type.
package jobs

import (
	"fmt"
	"time"

	"github.com/globus-runner/globus-runner/internal/pattern"
	"github.com/globus-runner/globus-runner/schedule"
	"github.com/globus-runner/globus-runner/transfer"
)

// MaxName is the length of the longest job name, in bytes, so that a job can
// be a Kubernetes CronJob of the same name.
const MaxName = 52

var namePattern = pattern.Lazy(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)

// A Job is a named definition of work for Globus with the policies under which
// it is done. [Job.Check] must pass before a Job is run.
type Job struct {
	Name        string
	Description string
	Labels      map[string]string // for people and for notifications

	// Steps are what the job does, in this order; at least one.
	Steps []Step
	// Literal says that paths are taken as they are, and not as templates.
	Literal bool

	// Schedule says when occurrences are due. Nil means that the job is
	// started by hand, or by the success of the job After.
	Schedule *schedule.Schedule
	After    string
	// ForEach makes an occurrence for each item of a folder, instead of one for
	// each instant of the schedule. Nil means the latter.
	ForEach *ForEach
	// Items is the ForEach whose items templates may name: that of this job, or of
	// the one that it comes after, directly or not. Nil means that there is none.
	Items *ForEach
	// ItemsOf is the name of the job whose ForEach that is.
	ItemsOf string
	// Zone is the zone in which templates see the scheduled instant. Nil
	// means UTC.
	Zone *time.Location
	// Env are the environment variables that templates may read. A variable
	// without a value is not set.
	Env map[string]string
	// Suspend lets no scheduled occurrence start.
	Suspend bool
	// Jitter delays each occurrence by a time in [0, Jitter) that depends on
	// the job's name and the key alone.
	Jitter time.Duration
	// StartingDeadline is how late an occurrence may start. 0 means at any
	// time, and 24 hours for those that CatchUp starts.
	StartingDeadline time.Duration
	// CatchUp says which occurrences that fell due while nothing ran are
	// started. Empty means [CatchUpLatest].
	CatchUp CatchUp

	// ActiveDeadline is how long a task may take before Globus ends it; it
	// is sent with every submission. 0 means 24 hours.
	ActiveDeadline time.Duration
	// Concurrency says what to do when Globus is still at work on the same
	// paths. Empty means [Forbid].
	Concurrency Concurrency
	// BackoffLimit is how many new attempts are made after a task FAILED, and
	// Backoff the wait before the first, doubled for each further one; 0
	// means one minute.
	BackoffLimit int
	Backoff      time.Duration
	// StalledAfter is how long a task may make no progress before it counts
	// as stalled. 0 means 30 minutes.
	StalledAfter time.Duration
	// On says what to do about a task that makes no progress.
	On Reactions
	// AllowSkipped makes a task that skipped source errors a success.
	AllowSkipped bool
	// Receipts keeps account of each file that is copied: what the source had
	// before, and what Globus says it copied.
	Receipts bool
	// Guard says what must be true before a transfer is submitted.
	Guard Guard

	// Notify says who hears of the job, and Expect of what they hear if it does not
	// happen.
	Notify Notify
	Expect Expect
}

// A Step is one thing that a job does. Exactly one of Transfer, Delete, Prune,
// Audit, Mkdir, Share and Flow is set. Paths are templates; see [Job.Render].
type Step struct {
	// The documents have neither submission id nor label nor deadline: each
	// occurrence gets its own.
	Transfer *transfer.Transfer
	Delete   *transfer.Delete
	Prune    *Prune
	Audit    *Audit
	Mkdir    *Mkdir
	Share    *Share
	Flow     *Flow

	// Unproven says that Delete may delete what nobody has proven to be
	// elsewhere.
	Unproven bool

	// Manifest is a file with the items of Transfer, one a line, in
	// globus-cli's batch format; empty means that Transfer has its items. The
	// paths of the first item, if there is one, are put before relative paths
	// of the lines. Every ItemsPerTask lines are a task of their own.
	Manifest     string
	ItemsPerTask int
}

// A Mkdir makes a folder. If the folder exists already, that is a success.
type Mkdir struct {
	Collection string // id
	Path       string
	LocalUser  string // chooses among several local accounts; may be empty
}

// Single returns the steps of a job that submits doc and does nothing else.
func Single(doc transfer.Document) []Step {
	if d, ok := doc.(*transfer.Delete); ok {
		return []Step{{Delete: d}}
	}
	return []Step{{Transfer: doc.(*transfer.Transfer)}}
}

// Document returns the document of a step that submits, or nil.
func (s *Step) Document() transfer.Document {
	switch {
	case s.Transfer != nil:
		return s.Transfer
	case s.Delete != nil:
		return s.Delete
	}
	return nil
}

// CatchUp is a policy for occurrences that were due while nothing ran.
type CatchUp string

// The policies.
const (
	CatchUpNone   CatchUp = "none"
	CatchUpLatest CatchUp = "latest" // only the newest of them
	CatchUpAll    CatchUp = "all"
)

// Concurrency is a policy for a task that is already at work on the same paths.
type Concurrency string

// The policies, named as Kubernetes names them.
const (
	Forbid  Concurrency = "forbid"  // skip this occurrence
	Allow   Concurrency = "allow"   // wait for the other task, then submit
	Replace Concurrency = "replace" // cancel the other task if it is of the same job, then submit
)

// A Reaction is what to do about a task that makes no progress.
type Reaction string

// The reactions.
const (
	Wait   Reaction = "wait"   // go on waiting and say nothing
	Warn   Reaction = "warn"   // say so and go on waiting
	Cancel Reaction = "cancel" // cancel the task
)

// Reactions are the reactions by class of task. Empty fields mean the
// defaults: Warn, Warn and Cancel.
type Reactions struct {
	Stalled    Reaction // no progress for StalledAfter
	NeedsHuman Reaction // suspended or paused
	Hopeless   Reaction // it would sit until its deadline
}

// Check returns the first thing wrong with j, or fills in the defaults.
func (j *Job) Check() error {
	switch {
	case !namePattern().MatchString(j.Name):
		return fmt.Errorf("job name %q: want lower-case letters, digits and inner dashes", j.Name)
	case len(j.Name) > MaxName:
		return fmt.Errorf("job name %q has %d characters, at most %d are possible", j.Name, len(j.Name), MaxName)
	case j.ActiveDeadline < 0 || j.Backoff < 0 || j.StalledAfter < 0:
		return fmt.Errorf("job %s: a duration is negative", j.Name)
	case j.BackoffLimit < 0:
		return fmt.Errorf("job %s: the backoff limit is negative", j.Name)
	}
	setDefault(&j.ActiveDeadline, 24*time.Hour)
	setDefault(&j.Backoff, time.Minute)
	setDefault(&j.StalledAfter, 30*time.Minute)
	setDefault(&j.Concurrency, Forbid)
	setDefault(&j.Guard.MaxDelete, DefaultMaxDelete)
	setDefault(&j.Guard.Look, defaultLook)
	if j.ForEach != nil {
		j.ForEach.setDefaults()
		setDefault(&j.Items, j.ForEach)
		setDefault(&j.ItemsOf, j.Name)
	}
	setDefault(&j.Notify.Repeat, 24*time.Hour)
	setDefault(&j.Expect.StartWithin, StartWithin)
	setDefault(&j.On.Stalled, Warn)
	setDefault(&j.On.NeedsHuman, Warn)
	setDefault(&j.On.Hopeless, Cancel)
	return nil
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
