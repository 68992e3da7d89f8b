package notify

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/plain"
	"github.com/globus-runner/globus-runner/jobs"
)

// A Desk turns the events of runs into notices. It has no state: what was told before is
// in the ledger, so any replica may tell what comes next.
type Desk struct {
	// TaskLink returns the address of the page of a task, or of a run of a flow
	// unless flow is empty.
	TaskLink func(taskID, flow string) string
	// Next says in one sentence what to do about an error; empty if the error itself
	// says so.
	Next func(err error) string
}

// A Run is a run that has begun or ended.
type Run struct {
	Job     *jobs.Job
	Key     string
	ID      int64     // in the ledger; 0 without one
	Since   time.Time // when it was claimed, or began
	Again   bool      // somebody wants another attempt after this one:
	Attempt int
	Tasks   []Task // without links
	Outcome ledger.Outcome
	Err     error     // nil if it succeeded or was skipped by policy
	Next    string    // the next step, if the message of Outcome ends in it
	Left    int       // items of the job that have failed; -1 if nobody has counted them
	Ended   time.Time // zero if it has only begun
	Anew    bool      // it was skipped because its item changed, and is done as another occurrence
}

// Began returns what follows from the start of a run.
func (d *Desk) Began(r Run) ledger.Transition {
	return func(now ledger.Standing) (ledger.Standing, []ledger.Notice) {
		which := "false"
		if r.Again {
			which = fmt.Sprintf("true, after attempt %d", r.Attempt)
		}
		n := d.about(r, Started, r.Since, which)
		n.Title = title(r, "began")
		n.Lines = d.whereabouts(r)
		return now, n.to(channels(r.Job, jobs.RunsEvent))
	}
}

// Ended returns what follows from the end of a run.
func (d *Desk) Ended(r Run) ledger.Transition {
	return func(now ledger.Standing) (ledger.Standing, []ledger.Notice) {
		book := open(now, r.Job, r.Ended)
		book.repeat -= book.repeat / 8 // a nightly run may end a little earlier than that of the night before
		event := verdict(r)
		d.toMachines(book, r, event)
		switch event {
		case Succeeded:
			book.standing.Since = r.Ended
			d.recover(book, r, troubles())
		case Nothing:
			book.standing.Since = r.Ended
			d.recover(book, r, without(troubles(), Nothing))
			d.raise(book, r, event)
		case Skipped:
			d.raise(book, r, event)
		default:
			book.close(Late, NeedsHuman, Stalled)
			d.raise(book, r, event)
		}
		return book.standing, book.notices
	}
}

// Left returns what follows if a one-shot command leaves its run unfinished because of
// something temporary: no scheduler is there to try again.
func (d *Desk) Left(r Run) ledger.Transition {
	return func(now ledger.Standing) (ledger.Standing, []ledger.Notice) {
		book := open(now, r.Job, r.Ended)
		d.raise(book, r, Failed)
		return book.standing, book.notices
	}
}

// Waits returns what follows if a run was due some time ago and cannot go on because of
// something temporary: the job is [Late].
func (d *Desk) Waits(r Run, at time.Time, why string) ledger.Transition {
	return d.unfinished(r, Late, at, "", why, func(n *Notice, since string) {
		n.Title = r.Job.Name + " is late" + since
		n.Lines = []string{"It cannot go on yet, and is tried again: " + plain.Line(why)}
	})
}

// Held returns what follows from a task that makes no progress: event is [NeedsHuman] or
// [Stalled].
func (d *Desk) Held(r Run, event Event, at time.Time, task Task, why string) ledger.Transition {
	what := "waits: its task makes no progress"
	if event == NeedsHuman {
		what = "waits: a person has to act"
	}
	return d.unfinished(r, event, at, task.TaskID, why, func(n *Notice, since string) {
		n.Title = title(r, what+since)
		n.Lines = []string{plain.Line(why)}
		n.Tasks = d.linked([]Task{task})
	})
}

// unfinished returns what follows if a run goes on and something is wrong with it. Its
// notice is told from others of the run by which; write sets its texts, of which since
// says how often the alarm was raised.
func (d *Desk) unfinished(r Run, event Event, at time.Time, which, why string, write func(n *Notice, since string)) ledger.Transition {
	return func(now ledger.Standing) (ledger.Standing, []ledger.Notice) {
		book := open(now, r.Job, at)
		alarm, tell := book.raise(event, why, channels(r.Job, string(event)))
		if len(tell) == 0 {
			return book.standing, nil
		}
		n := d.about(r, event, at, which)
		write(n, timesSince(r.Job, alarm))
		n.Lines = append(n.Lines, d.whereabouts(r)...)
		book.send(alarm, n, tell)
		return book.standing, book.notices
	}
}

// verdict returns which event the end of a run is.
func verdict(r Run) Event {
	o := r.Outcome
	switch {
	case o.State == ledger.Skipped:
		return Skipped
	case o.State == ledger.Succeeded && o.Class == "" && tooLittle(r) != "":
		return Nothing
	case o.State == ledger.Succeeded && o.Class == "":
		return Succeeded
	case o.Class == "guard":
		return Refused
	case o.Class == "missing":
		return Missing
	}
	return Failed
}

// tooLittle says what a run has copied too little of, for what its job expects, or "".
func tooLittle(r Run) string {
	want := r.Job.Expect
	switch {
	case r.Outcome.Files < want.Files:
		return fmt.Sprintf("%s copied, and at least %d expected", plain.Count(r.Outcome.Files, "file"), want.Files)
	case r.Outcome.Bytes < want.Bytes:
		return fmt.Sprintf("%s copied, and at least %d expected", plain.Count(r.Outcome.Bytes, "byte"), want.Bytes)
	}
	return ""
}

// toMachines tells the channels that hear of each run how it ended. A run that was
// skipped has not begun.
func (d *Desk) toMachines(book *book, r Run, event Event) {
	if event == Skipped {
		return
	}
	n := d.ended(r, event) // with the texts for people
	if event != Succeeded {
		n.Event = Failed
	}
	n.ID = identity(r, "runs", r.Ended, "")
	book.notices = append(book.notices, n.to(channels(r.Job, jobs.RunsEvent))...)
}

// raise makes notices of a run that did not end well, for the channels that were not told
// lately.
func (d *Desk) raise(book *book, r Run, event Event) {
	kind := event
	if event == Failed && r.Outcome.State == ledger.Canceled {
		kind = Canceled
	}
	alarm, tell := book.raise(kind, r.Outcome.Message, channels(r.Job, string(event)))
	if kind != event {
		alarm.Event = string(event)
	}
	if len(tell) == 0 {
		return
	}
	n := d.ended(r, event)
	n.Title = title(r, ending(event, r)+timesSince(r.Job, alarm))
	book.send(alarm, n, tell)
}

// timesSince says how often an alarm was raised, and since when; nothing at the first time.
func timesSince(job *jobs.Job, a *ledger.Alarm) string {
	if a.Count < 2 {
		return ""
	}
	return fmt.Sprintf(", %d times since %s", a.Count, clock(job, a.Since))
}

// ended returns a notice of the end of a run.
func (d *Desk) ended(r Run, event Event) *Notice {
	n := d.about(r, event, r.Ended, "")
	n.Files, n.Bytes = &r.Outcome.Files, &r.Outcome.Bytes
	n.Tasks = d.linked(r.Tasks)
	n.Title = title(r, ending(event, r))
	if o := r.Outcome; r.Err != nil {
		message, next := d.inTwo(r)
		n.Error = &Cause{Class: o.Class, Code: plain.Line(o.Code), Message: plain.Line(message), RequestID: plain.Line(o.RequestID), Next: plain.Line(next)}
		n.Lines = append(n.Lines, n.Error.Message)
		if next != "" {
			n.Lines = append(n.Lines, "Next step: "+n.Error.Next)
		}
	} else if o.Message != "" {
		n.Lines = append(n.Lines, plain.Line(o.Message))
	}
	if event == Nothing {
		n.Lines = append(n.Lines, tooLittle(r), "Next step: see whether the source has what it should have")
	}
	n.Lines = append(n.Lines, d.whereabouts(r)...)
	return n
}

// title says what happened to which job, and to which item of it.
func title(r Run, what string) string {
	text := r.Job.Name + " " + what
	switch name, whole := jobs.Key(r.Key).ItemName(); {
	case whole:
		text += ": " + plain.Short(name, mostName)
	case jobs.Key(r.Key).IsItem(): // whose name is too long for a key
		text += ": " + strings.TrimPrefix(r.Key, "item:")
	}
	return text
}

// mostName is how much of the name of an item a title has, in characters.
const mostName = 100

// inTwo says why a run did not succeed, and what to do next.
func (d *Desk) inTwo(r Run) (message, next string) {
	if r.Outcome.Class == string(Missing) { // to repeat an audit copies nothing
		message, next, _ = strings.Cut(r.Outcome.Message, "; ")
		return message, next
	}
	next = cmp.Or(r.Next, d.Next(r.Err))
	message = strings.TrimSuffix(r.Outcome.Message, "; "+next)
	again := fmt.Sprintf("runner runs retry %d", r.ID)
	switch {
	case r.ID == 0 || !r.Outcome.State.Final() || r.Outcome.State == ledger.Succeeded || strings.Contains(message+next, "runner runs retry"):
	case next != "":
		next += ", then " + again
	default:
		next = again
	}
	return message, next
}

// ending says how a run ended.
func ending(event Event, r Run) string {
	switch o := r.Outcome; {
	case event == Succeeded:
		return "succeeded"
	case event == Nothing:
		return "succeeded, but copied less than expected"
	case event == Refused:
		return "was refused by a guard"
	case event == Missing:
		return "found files without a copy"
	case event == Skipped && r.Anew:
		return "begins again because the item changed"
	case event == Skipped:
		return "was skipped"
	case o.State == ledger.Succeeded:
		return "succeeded without some of its files"
	case o.State == ledger.Canceled, o.Class == "canceled": // the run, or its task alone
		return "was canceled"
	case o.State == ledger.TimedOut:
		return "timed out"
	case !o.State.Final():
		return "could not be brought to its end, and is left to the next start"
	}
	return "failed"
}

// inWords says what was wrong with a job.
func inWords(e Event) string {
	switch e {
	case Failed:
		return "runs failed"
	case Refused:
		return "a guard refused"
	case Missing:
		return "files had no copy"
	case Nothing:
		return "less was copied than expected"
	case NeedsHuman:
		return "a task waited for a person"
	case Stalled:
		return "a task made no progress"
	case Late:
		return "it was late"
	case Overdue:
		return "it was overdue"
	case LooksFail:
		return "its folder could not be looked at"
	}
	return string(e)
}

// whereabouts says which run it is, and how to see more of it.
func (d *Desk) whereabouts(r Run) []string {
	if r.ID == 0 {
		return []string{"Occurrence " + plain.Line(r.Key)}
	}
	return []string{fmt.Sprintf("Occurrence %s, run %d: runner runs show %d", plain.Line(r.Key), r.ID, r.ID)}
}

// about returns a notice of a run, without its texts.
func (d *Desk) about(r Run, event Event, at time.Time, which string) *Notice {
	return &Notice{
		ID: identity(r, string(event), at, which), Event: event, Job: r.Job.Name, Key: plain.Line(r.Key), Run: r.ID, Time: at.UTC(),
	}
}

// identity returns the unique id of a notice.
func identity(r Run, event string, at time.Time, which string) string {
	return digest(r.Job.Name, r.Key, fmt.Sprint(r.ID, r.Since.UnixMicro()), event, fmt.Sprint(at.UnixMicro()), which)
}

// digest returns a hash of some words, as 32 hexadecimal digits.
func digest(words ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(words, "\x00")))
	return hex.EncodeToString(sum[:16])
}

func (d *Desk) linked(tasks []Task) []Task {
	var all []Task
	for _, t := range tasks {
		all = append(all, Task{TaskID: plain.Line(t.TaskID), Flow: t.Flow, Label: plain.Line(t.Label), Link: d.TaskLink(t.TaskID, t.Flow)})
	}
	return all
}

// to returns the notice for the outbox, once for each channel.
func (n *Notice) to(names []string) []ledger.Notice {
	if len(names) == 0 {
		return nil
	}
	body, err := json.Marshal(n)
	if err != nil {
		panic(err) // texts, numbers and instants can be encoded
	}
	var all []ledger.Notice
	for _, name := range names {
		all = append(all, ledger.Notice{ID: n.ID, Channel: name, Job: n.Job, Event: string(n.Event), Run: n.Run, Body: string(body)})
	}
	return all
}

// channels are the channels that a job names for an event.
func channels(job *jobs.Job, event string) []string { return job.Notify.To[event] }

// clock writes an instant for people, in the zone of a job.
func clock(job *jobs.Job, t time.Time) string {
	if job.Zone != nil {
		t = t.In(job.Zone)
	} else {
		t = t.UTC()
	}
	return t.Format("2006-01-02 15:04 MST")
}
