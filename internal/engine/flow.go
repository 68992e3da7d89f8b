package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/internal/automate"
	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/flows"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/plain"
	"github.com/globus-runner/globus-runner/jobs"
)

const (
	// listLag is how long the list of runs may lack a run after its start.
	// Until then, a list without the run proves nothing.
	listLag = 30 * time.Second
	// flowStarts is how often one attempt tries to start a flow before it leaves
	// that to a later start.
	flowStarts = 6
	// longestPause is the longest wait between these tries, unless the service
	// asks for a longer one, up to mostAsked.
	longestPause = time.Minute
	mostAsked    = 15 * time.Minute
)

// A flowing does a flow step. It has attempts: runs of the flow, of which all but
// the last have failed. The service cannot recognize a repeated start, so the label
// of a run shows that the run was started.
type flowing struct {
	run      *run
	flow     *jobs.Flow
	position jobs.Position
	tries    int // counted attempts that failed before the present one

	// Of the present attempt:
	attempt int       // its number, from 1
	id      string    // of its submission; empty until it has one
	form    []byte    // the request; nil until it has an id
	sent    time.Time // when the last request that may have made a run was sent; zero if none was
}

// newFlowing returns the flowing for the flow step work.
func (r *run) newFlowing(work Work) *flowing {
	return &flowing{run: r, flow: work.Flow, position: work.Position, attempt: 1}
}

// label returns the label of the present attempt's run.
func (f *flowing) label() string {
	o := &f.run.order
	return jobs.RunLabel(o.Job.Name, o.Key, f.position, f.attempt)
}

// complete adopts a run of the flow or starts one, waits for its end, and makes as
// many more attempts as the job allows. Without a ledger, attempts of earlier starts
// do not count.
func (f *flowing) complete(ctx context.Context) error {
	r := f.run
	found, err := f.lookUp(ctx)
	for ; err == nil; f.tries++ {
		if !found {
			if err := f.start(ctx); err != nil {
				return err
			}
		}
		if r.order.NoWait {
			return errDetached
		}
		err := f.watch(ctx)
		failed, ok := errors.AsType[*Failure](err)
		if !ok || !failed.again || f.tries >= r.job.BackoffLimit {
			return err
		}
		if err := r.backOff(ctx, failed, f.attempt, f.tries); err != nil {
			return err
		}
		f.nextAttempt()
		if found, err = f.adoptOwn(ctx); err != nil {
			return err
		}
	}
	return err
}

func (f *flowing) nextAttempt() {
	f.attempt++
	f.id, f.form, f.sent = "", nil, time.Time{}
}

// lookUp adopts the run of an earlier start of this occurrence, if there is one that
// has not failed. It counts the failed ones as attempts.
func (f *flowing) lookUp(ctx context.Context) (found bool, err error) {
	if s, ok := f.run.journal.newest(f.position); ok {
		return f.resume(ctx, s)
	}
	for ; ; f.attempt++ {
		last, err := f.find(ctx)
		switch {
		case err != nil || last == nil:
			return false, err
		case last.Status != flows.Failed:
			return true, f.adopt(ctx, last)
		}
	}
}

// resume continues with the newest submission in the ledger at this position.
// It reports whether the present attempt has a run.
func (f *flowing) resume(ctx context.Context, s ledger.Submission) (found bool, err error) {
	r := f.run
	f.attempt, f.id, f.form = s.Attempt, s.ID, s.Document
	again := r.journal.run.Again && r.journal.run.Step == s.Step
	if !again {
		f.tries = s.Tries
	}
	switch spent, err := f.spent(ctx, s, again); {
	case err != nil:
		return false, err
	case spent:
		f.nextAttempt()
		return false, nil
	case s.TaskID != "":
		r.log.Info("run of a flow adopted", "flow", s.Flow, "flow_run", s.TaskID, "attempt", f.attempt)
		f.setRun(ctx, s.TaskID, nil, true)
		return true, nil
	case s.Status == statusRefused:
		return false, nil // it is sent as if for the first time
	}
	if again {
		f.tries = -1 // the attempt that is wanted comes after this one
	}
	f.sent = s.Created
	return f.settle(ctx)
}

// spent reports whether an operator who wants another attempt needs a new run: the
// submission was refused, its run has failed, or Globus does not know the run any
// more.
func (f *flowing) spent(ctx context.Context, s ledger.Submission, again bool) (bool, error) {
	switch {
	case !again || s.TaskID == "" && s.Status == "":
		return false, nil
	case s.Status != "":
		return s.Status != string(flows.Succeeded), nil
	}
	last, err := f.run.engine.flows.Run(ctx, s.TaskID) // its end was not recorded
	if gone(err) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("look at the run of the attempt before: %w", err)
	}
	return last.Status.Final() && last.Status != flows.Succeeded, nil
}

// find asks Globus for the run with the label of the present attempt. If there are
// several, it returns one that has not failed; if there is none, nil.
func (f *flowing) find(ctx context.Context) (found *flows.Run, err error) {
	for last, err := range f.run.engine.flows.Runs(ctx, f.flow.ID, f.label()) {
		if err != nil {
			return nil, fmt.Errorf("look for a run of flow %s of this occurrence: %w", f.flow.ID, err)
		}
		if found = last; last.Status != flows.Failed {
			break
		}
	}
	return found, nil
}

// adoptOwn adopts the run of the present attempt, even one that has failed, if
// Globus has one.
func (f *flowing) adoptOwn(ctx context.Context) (found bool, err error) {
	last, err := f.find(ctx)
	if err != nil || last == nil {
		return false, err
	}
	return true, f.adopt(ctx, last)
}

// adopt takes over a run that an earlier request started.
func (f *flowing) adopt(ctx context.Context, last *flows.Run) error {
	f.run.log.Info("run of a flow adopted", "flow", f.flow.ID, "flow_run", last.ID, "attempt", f.attempt, "status", string(last.Status))
	if err := f.record(ctx); err != nil {
		return err
	}
	f.setRun(ctx, last.ID, last, true)
	return nil
}

// setRun makes a run of the flow the run of the present attempt; last is nil if it
// was not looked at.
func (f *flowing) setRun(ctx context.Context, id string, last *flows.Run, adopted bool) {
	res := f.run.result
	res.State, res.Attempt, res.Adopted = ledger.Submitted, f.attempt, adopted
	res.Tasks = append(res.Tasks, Task{TaskID: id, SubmissionID: f.id, Label: f.label(), Flow: f.flow.ID, FlowRun: last})
	f.run.journal.addTask(ctx, f.id, id)
}

// settle adopts the run of a request that may have made one. It waits until the list
// of runs must have the run, because only then is it known that there is none.
func (f *flowing) settle(ctx context.Context) (found bool, err error) {
	confirming, cancel := confirmation(ctx)
	defer cancel()
	for wait := firstPoll; ; wait *= 2 {
		known := time.Since(f.sent) >= listLag
		if found, err = f.adoptOwn(confirming); found || err == nil && known {
			return found, err
		}
		if err == nil {
			err = sleep(confirming, min(wait, listLag-time.Since(f.sent)))
		}
		switch {
		case err != nil && confirming.Err() != nil:
			return false, unconfirmed(err)
		case err != nil:
			return false, err
		}
	}
}

// record records the present attempt. Nothing may be sent before that, and the
// attempt counts from then on.
func (f *flowing) record(ctx context.Context) (err error) {
	if f.id == "" {
		f.id = uuid.NewString()
		f.form, err = json.Marshal(flows.Form{Body: f.flow.Body, Label: f.label(), Tags: []string{f.id}})
		if err != nil {
			return fmt.Errorf("encode the input of flow %s: %w", f.flow.ID, err)
		}
	}
	return f.run.journal.add(ctx, ledger.Submission{
		ID: f.id, Step: f.position.Step, Part: f.position.Part, Attempt: f.attempt, Tries: f.tries,
		Label: f.label(), Flow: f.flow.ID, Document: f.form,
	})
}

// start starts the flow, and waits if the service asks for that. It tries again
// only after it has found no run of its earlier request.
func (f *flowing) start(ctx context.Context) error {
	r := f.run
	if err := f.allowed(ctx); err != nil {
		return err
	}
	if err := f.record(ctx); err != nil {
		return err
	}
	for n := 1; ctx.Err() == nil; n++ {
		if n > 1 {
			if found, err := f.adoptOwn(ctx); found || err != nil {
				return err
			}
		}
		last, err := f.post(ctx)
		if err == nil {
			r.log.Info("flow started", "flow", f.flow.ID, "flow_run", last.ID, "attempt", f.attempt)
			f.setRun(ctx, last.ID, last, false)
			return nil
		}
		if done, err := f.overcome(ctx, err, n); done || err != nil {
			return err
		}
	}
	return context.Cause(ctx)
}

// allowed returns why the flow must not be started.
func (f *flowing) allowed(ctx context.Context) error {
	r := f.run
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case f.id == "":
		return r.recheck(ctx)
	case !f.sent.IsZero() && !r.journal.hasOthers(f.position) && r.overdue():
		return r.expired() // an earlier start should have started it
	}
	return nil
}

// post sends the request for a run. It may go on for some time after the end of ctx.
func (f *flowing) post(ctx context.Context) (*flows.Run, error) {
	if err := f.run.journal.reopen(ctx, f.position); err != nil {
		return nil, err
	}
	whole, cancel := beyond(ctx, grace)
	defer cancel()
	last, err := f.run.engine.flows.Start(whole, f.flow.ID, f.form, f.flow.DataAccess)
	f.sent = time.Now()
	return last, err
}

// overcome handles the error of try n. It waits until the flow can be started
// again, or reports that the start is done: there is a run, or never will be.
func (f *flowing) overcome(ctx context.Context, cause error, n int) (done bool, err error) {
	if errors.Is(cause, flows.ErrUnclear) {
		if found, err := f.settle(ctx); err != nil {
			return true, f.unclear(cause)
		} else if found {
			return true, nil
		}
	}
	f.run.journal.addRefusal(ctx, f.position)
	if e, ok := errors.AsType[*auth.Error](cause); ok && e.BadScope() {
		return true, &Failure{
			Kind: fault.Refused, Code: e.Code, state: ledger.Failed,
			Message: fmt.Sprintf("flow %s could not be started, because Globus Auth does not know its scope (%s); "+
				"check the id of the flow, and that the collections in data_access, if there are any, are mapped collections", f.flow.ID, plain.Short(e.Description, 200)),
		}
	}
	if n == flowStarts || !fault.Transient(cause) {
		return true, fmt.Errorf("start flow %s: %w", f.flow.ID, cause)
	}
	pause := min(firstPoll<<n, longestPause)
	if e, ok := errors.AsType[*automate.Error](cause); ok {
		pause = max(pause, min(e.RetryAfter, mostAsked))
	}
	f.run.log.Debug("flow is started again", "flow", f.flow.ID, "delay", pause, "err", cause)
	return false, sleep(ctx, pause)
}

// unclear returns the failure that leaves it to the next start to find out whether
// there is a run.
func (f *flowing) unclear(cause error) *Failure {
	r := f.run
	r.result.State, r.result.Attempt = ledger.Submitted, f.attempt
	return &Failure{
		Kind: fault.Unknown, Err: cause,
		Message: fmt.Sprintf("flow %s may have been started, but that was not confirmed; repeat it with %s, it will not be started twice", f.flow.ID, r.repeat(f.id)),
	}
}
