package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/globus-runner/globus-runner/internal/flows"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

const (
	// recordTime bounds what is written to the ledger after the run's own
	// context has ended.
	recordTime = 2 * time.Second
	// newerRuns is how many of the newest runs of a job are searched for an
	// earlier one. If there are more, Globus is asked needlessly.
	newerRuns = 10
	// statusRefused is the status of a submission that Globus did not take.
	statusRefused = "REFUSED"
)

// A journal records in the ledger what a run does, and knows what earlier starts of the run
// have recorded. A nil journal is that of a run without a ledger: it records nothing.
type journal struct {
	ledger *ledger.Ledger
	holder string
	run    *ledger.Run
	log    *slog.Logger
	first  bool                                // the ledger knows no earlier run of the job
	sent   map[jobs.Position]ledger.Submission // the newest of each position
	ended  []Task                              // tasks whose ends earlier starts have recorded
	owed   []func(context.Context) error       // writes about tasks that are still to be done, in order
}

// openJournal reads what earlier starts of the run have submitted.
func openJournal(ctx context.Context, rec Recording, run *ledger.Run, log *slog.Logger) (*journal, error) {
	j := &journal{ledger: rec.Ledger, holder: rec.Holder, run: run, log: log, first: true}
	var all []ledger.Submission
	if run.Claims > 1 {
		var err error
		if all, err = rec.Ledger.Submissions(ctx, run.ID); err != nil {
			return nil, fmt.Errorf("read the submissions of run %d: %w", run.ID, err)
		}
	}
	for _, s := range all {
		if t, ok := endedTask(s); ok {
			j.ended = append(j.ended, t)
		}
	}
	j.sent = newestOf(all)
	if run.Alone { // the claim has already shown that there is none
		j.first = run.First
		return j, nil
	}
	for other, err := range rec.Ledger.Runs(ctx, ledger.Query{Job: run.Job, Limit: newerRuns}) {
		if err != nil {
			return nil, fmt.Errorf("read the runs of job %s: %w", run.Job, err)
		}
		j.first = j.first && other.ID >= run.ID
	}
	return j, nil
}

// endedTask returns the task of a submission as it was when it ended.
func endedTask(s ledger.Submission) (t Task, ok bool) {
	if s.TaskID == "" || s.Status == "" {
		return t, false
	}
	t = Task{TaskID: s.TaskID, SubmissionID: s.ID, Label: s.Label, Flow: s.Flow, Last: &transfer.Task{
		TaskID: s.TaskID, Label: s.Label, Status: transfer.Status(s.Status),
		FilesTransferred: s.Files, FilesSkipped: s.FilesSkipped, BytesTransferred: s.Bytes,
		SubtasksSkippedErrors: s.SkippedErrors, Faults: s.Faults,
	}}
	if s.Deletes != nil {
		t.Deletes = &Deletes{Files: *s.Deletes, AtLeast: s.DeletesAtLeast}
	}
	return t, true
}

func positionOf(s ledger.Submission) jobs.Position { return jobs.Position{Step: s.Step, Part: s.Part} }

// newestOf returns the submissions with the highest attempt at each position.
func newestOf(all []ledger.Submission) map[jobs.Position]ledger.Submission {
	newest := map[jobs.Position]ledger.Submission{}
	for _, s := range all {
		if at := positionOf(s); s.Attempt >= newest[at].Attempt {
			newest[at] = s
		}
	}
	return newest
}

// newest returns the newest submission at a position.
func (j *journal) newest(at jobs.Position) (s ledger.Submission, ok bool) {
	if j != nil {
		s, ok = j.sent[at]
	}
	return s, ok
}

// past reports whether an earlier start has finished the step of a position.
func (j *journal) past(at jobs.Position) bool { return j != nil && at.Step < j.run.Step }

// unsent reports whether no submission of the run can be at Globus.
func (j *journal) unsent() bool {
	for _, s := range j.sent {
		if isSent(s) {
			return false
		}
	}
	return true
}

// lists returns the newest submissions of a step that are not to be sent again, by
// their parts.
func (j *journal) lists(step int) (all []ledger.Submission) {
	for at, s := range j.sent {
		if at.Step == step && s.Once {
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(a, b ledger.Submission) int { return a.Part - b.Part })
	return all
}

// lastPart returns the highest part of a step that has a submission.
func (j *journal) lastPart(step int) (last int) {
	for at := range j.sent {
		if at.Step == step {
			last = max(last, at.Part)
		}
	}
	return last
}

// hasOthers reports whether the run has submissions at other positions, or an earlier
// attempt at this one: then it began in time.
func (j *journal) hasOthers(at jobs.Position) bool { return len(j.sent) > 1 || j.sent[at].Attempt > 1 }

// recordedWorks returns what a run has submitted, for a job that is no longer in the jobs
// file or has changed there, and then the error last, unless that is nil.
func (j *journal) recordedWorks(counts func(ledger.Submission) bool, last *Failure) iter.Seq2[Work, error] {
	return func(yield func(Work, error) bool) {
		positions := slices.SortedFunc(maps.Keys(j.sent), func(a, b jobs.Position) int {
			return cmp.Or(a.Step-b.Step, a.Part-b.Part)
		})
		for _, at := range positions {
			if !j.sent[at].Once && !counts(j.sent[at]) {
				continue
			}
			work, err := recordedWork(j.sent[at])
			if !yield(work, err) || err != nil {
				return
			}
		}
		if last != nil {
			yield(Work{}, last)
		}
	}
}

// recordedWork returns the work of a submission.
func recordedWork(s ledger.Submission) (Work, error) {
	work, err := Work{Position: positionOf(s)}, error(nil)
	switch {
	case s.Once:
		work.list = &s
	case s.Flow != "":
		var form flows.Form
		err = json.Unmarshal(s.Document, &form)
		work.Flow = &jobs.Flow{ID: s.Flow, Body: form.Body}
		if err != nil {
			err = fmt.Errorf("read the recorded submission %s: %w", s.ID, err)
		}
	default:
		work.Document, err = decode(s)
	}
	return work, err
}

// asRecorded returns work, unless the jobs file has changed and the run has submitted a flow
// at this position where work is not that flow, or something else where work is a flow. Then
// it returns what was submitted, because that may be at Globus and has to be followed.
func (j *journal) asRecorded(work Work) (Work, error) {
	s, ok := j.newest(work.Position)
	flow := ""
	if work.Flow != nil {
		flow = work.Flow.ID
	}
	if !ok || s.Flow == flow || s.Once || s.Status == statusRefused || work.list != nil {
		return work, nil
	}
	return recordedWork(s)
}

// decode returns the document of a submission.
func decode(s ledger.Submission) (transfer.Document, error) {
	doc, err := transfer.ParseDocument(s.Document)
	if err != nil {
		return nil, fmt.Errorf("read the recorded submission %s: %w", s.ID, err)
	}
	return doc, nil
}

// documents returns what a run has submitted, and for each the document. That is nil for a
// run of a flow, of which it is not known what it copies.
func documents(ctx context.Context, l *ledger.Ledger, run int64) (sent []ledger.Submission, docs []transfer.Document, err error) {
	sent, err = l.Submissions(ctx, run)
	docs = make([]transfer.Document, len(sent))
	for i, s := range sent {
		if s.Flow == "" && err == nil {
			docs[i], err = decode(s)
		}
	}
	return sent, docs, err
}

// addSubmission records a submission of the run. Nothing may be sent before that, and the
// attempt counts from then on. A submission that is repeated is recorded already.
func (j *journal) addSubmission(ctx context.Context, s ledger.Submission, doc transfer.Document) (err error) {
	if j == nil || j.sent[positionOf(s)].ID == s.ID {
		return nil
	}
	s.Label = doc.Head().Label
	if s.Document, err = json.Marshal(doc); err != nil {
		return fmt.Errorf("encode the submission: %w", err)
	}
	return j.add(ctx, s)
}

// add is addSubmission for a submission that has its label and its document.
func (j *journal) add(ctx context.Context, s ledger.Submission) error {
	at := positionOf(s)
	if j == nil || j.sent[at].ID == s.ID {
		return nil
	}
	s.Run, s.Created = j.run.ID, time.Now()
	err := j.pay(ctx)
	if err == nil {
		err = j.ledger.Submit(ctx, j.holder, s)
	}
	if err != nil {
		return unusable(fmt.Errorf("record the submission before it is sent: %w", err))
	}
	s.Document, s.Copies = nil, nil // they may be large
	j.sent[at] = s
	j.run.Step, j.run.Attempt, j.run.Again = s.Step, s.Attempt, false
	return nil
}

// addTask records the task of a submission. An error loses nothing: the submission is sent
// again, and Globus returns the same task.
func (j *journal) addTask(ctx context.Context, submissionID, taskID string) {
	j.owe(ctx, submissionID, func(ctx context.Context) error { return j.ledger.Accepted(ctx, submissionID, taskID) })
}

// addEnd records how the task of a submission ended, and what it did.
func (j *journal) addEnd(ctx context.Context, submissionID, status string, did ledger.Totals) {
	j.owe(ctx, submissionID, func(ctx context.Context) error { return j.ledger.Ended(ctx, submissionID, status, did) })
}

// owe records something about a submission. If that fails now, it is done before the run
// goes on to another submission, or ends.
func (j *journal) owe(ctx context.Context, submissionID string, to func(context.Context) error) {
	if j == nil || submissionID == "" {
		return
	}
	j.owed = append(j.owed, to)
	j.write(ctx, j.pay)
}

// pay does the writes that are owed. It drops those that the ledger does not accept: it has
// another task of the submission, or was replaced by one that does not know the submission.
func (j *journal) pay(ctx context.Context) error {
	for ; len(j.owed) > 0; j.owed = j.owed[1:] {
		switch err := j.owed[0](ctx); {
		case errors.Is(err, ledger.ErrExists), errors.Is(err, ledger.ErrNone):
			j.log.Error("the ledger contradicts what became of a submission", "err", err)
		case err != nil:
			return err
		}
	}
	return nil
}

// addRefusal records that Globus did not take a submission, so that another start need not
// confirm it.
func (j *journal) addRefusal(ctx context.Context, at jobs.Position) {
	j.addStatus(ctx, at, statusRefused)
}

// addStatus records what became of a submission that has no task.
func (j *journal) addStatus(ctx context.Context, at jobs.Position, status string) {
	if s, ok := j.newest(at); ok && s.Status != status {
		j.owe(ctx, s.ID, func(ctx context.Context) error { return j.ledger.Mark(ctx, s.ID, status) })
		s.Status = status
		j.sent[at] = s
	}
}

// reopen takes an addRefusal back. This is needed before the submission is sent again,
// because another start would not confirm one that is refused.
func (j *journal) reopen(ctx context.Context, at jobs.Position) error {
	s, ok := j.newest(at)
	if !ok || s.Status != statusRefused {
		return nil
	}
	err := j.pay(ctx)
	if err == nil {
		err = j.ledger.Mark(ctx, s.ID, "")
	}
	if err != nil {
		return unusable(fmt.Errorf("record that the submission is sent again: %w", err))
	}
	s.Status = ""
	j.sent[at] = s
	return nil
}

// note records an event of the run.
func (j *journal) note(ctx context.Context, kind, text string) {
	j.write(ctx, func(ctx context.Context) error { return j.ledger.Note(ctx, j.run.ID, time.Now(), kind, text) })
}

// write records something that the run can do without.
func (j *journal) write(ctx context.Context, to func(context.Context) error) {
	if j == nil {
		return
	}
	ctx, cancel := beyond(ctx, recordTime)
	defer cancel()
	if err := to(ctx); err != nil {
		j.log.Error("the ledger could not be written", "err", err)
	}
}

// addOutcome records the outcome of a run that is over, with its notices.
func (j *journal) addOutcome(ctx context.Context, o ledger.Outcome, t ledger.Transition) error {
	ctx, cancel := beyond(ctx, recordTime)
	defer cancel()
	if err := j.pay(ctx); err != nil {
		return err
	}
	if t == nil {
		return j.ledger.Finish(ctx, j.run.ID, j.holder, o)
	}
	return j.ledger.FinishAndTell(ctx, j.run.ID, j.holder, o, j.run.Job, t)
}
