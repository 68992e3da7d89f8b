package globussim

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// A worker carries out one task.
type worker struct {
	*service
	task  *task
	items []item

	pace   pacer
	buf    []byte
	failed []unit // what is tried again after a while
	extras []unit // what is at the destination only
	made   string // the destination folder that was made last

	used     int64 // what the destination holds, in bytes
	measured bool  // used is known
}

// run works on the task to its end, or until ctx ends because the task did.
func (w *worker) run(ctx context.Context) {
	sv, t := w.service, w.task
	err := w.all(ctx)
	if ctx.Err() != nil {
		return
	}
	sv.mu.Lock()
	defer sv.mu.Unlock()
	if t.final() { // just now
		return
	}
	if f, ok := errors.AsType[*failure](err); ok {
		t.doc.Faults++
		sv.finish(t, f.code, f.details())
		return
	}
	t.reportProgress(sv.server.now())
	if t.doc.SubtasksSkippedErrors > 0 {
		t.note("SKIPPED_ERRORS", fmt.Sprintf("%d source errors were skipped", t.doc.SubtasksSkippedErrors), false)
	}
	sv.finish(t, "", "")
}

// all handles every item once, then repeats what failed until it succeeds, and at last removes
// what the destination has too much.
func (w *worker) all(ctx context.Context) error {
	visit := w.visit
	if w.task.doc.Type == kindDelete {
		visit = w.erase
	}
	for i := range w.items {
		it := &w.items[i]
		if err := w.walk(ctx, unit{item: it, src: it.src, dst: it.dst}, visit); err != nil {
			return err
		}
	}
	if err := w.tryAgain(ctx, visit); err != nil {
		return err
	}
	for _, u := range w.removable() {
		if err := w.walk(ctx, u, w.removeExtra); err != nil {
			return err
		}
	}
	if err := w.tryAgain(ctx, w.removeExtra); err != nil {
		return err
	}
	_, err := w.gate(ctx)
	return err
}

// tryAgain repeats what failed until nothing fails any more.
func (w *worker) tryAgain(ctx context.Context, visit visitor) error {
	for len(w.failed) > 0 {
		if !wait(ctx, w.cfg.FaultInterval) {
			return ctx.Err()
		}
		units := w.failed
		w.failed, w.made, w.measured = nil, "", false // the world may be another by now
		for _, u := range units {
			if err := w.walk(ctx, u, visit); err != nil {
				return err
			}
		}
		if len(w.failed) == 0 {
			w.recovered()
		}
	}
	return nil
}

// A visitor handles one path and returns what to visit next. The error is a *failure if the
// path has to be tried again.
type visitor func(ctx context.Context, u *unit) ([]unit, error)

// walk visits a unit and all that is found below it. It records failures; an error of another
// kind ends the task, and is returned.
func (w *worker) walk(ctx context.Context, first unit, visit visitor) error {
	stack := []unit{first}
	for len(stack) > 0 {
		if _, err := w.gate(ctx); err != nil {
			return err
		}
		u := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		below, err := visit(ctx, &u)
		f, failed := errors.AsType[*failure](err)
		switch {
		case failed && f.fatal:
			return f
		case failed && w.skips(u, f):
		case failed:
			w.failed = append(w.failed, u)
			w.fault(f)
		case err != nil:
			return err
		default:
			w.advance(func(d *taskDoc) {
				d.SubtasksPending--
				d.SubtasksSucceeded++
				d.discover(len(below))
			})
			slices.Reverse(below)
			stack = append(stack, below...)
		}
	}
	return nil
}

// gate carries out orders, and waits while the task is held. It returns how many bytes per
// second the task may move; 0 means any number.
func (w *worker) gate(ctx context.Context) (rate int64, err error) {
	for {
		w.mu.Lock()
		w.trigger(w.task)
		held := w.task.held
		rate = cmp.Or(w.task.rate, w.cfg.Rate)
		w.mu.Unlock()
		if held == nil {
			return rate, ctx.Err()
		}
		select {
		case <-held:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// update changes the task document, unless the task has ended meanwhile: its
// counters stay as they were then.
func (w *worker) update(change func(d *taskDoc)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.task
	if t.final() {
		return
	}
	change(&t.doc)
	if now := w.server.now(); now.Sub(t.reported) >= progressInterval {
		t.reportProgress(now)
	}
}

// advance is update for a change that is progress: it puts off the deadline of
// a transfer that named none.
func (w *worker) advance(change func(d *taskDoc)) {
	w.update(func(d *taskDoc) {
		change(d)
		later := w.server.now().Add(extendedDeadline)
		if w.task.ownDeadline && d.Type == kindTransfer && later.After(d.Deadline.Time) {
			d.Deadline = stamp{later}
		}
	})
}

// fault records an error that will be tried again.
func (w *worker) fault(f *failure) {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.task
	if t.final() {
		return
	}
	t.doc.Faults++
	t.doc.SubtasksRetrying = len(w.failed)
	if t.doc.Status == active {
		t.setNice(false, f.code, describe(f.code))
	}
	t.note(f.code, f.details(), true)
}

// recovered records that nothing is left to be tried again.
func (w *worker) recovered() {
	w.update(func(d *taskDoc) {
		d.SubtasksRetrying = 0
		if d.Status == active {
			w.task.setNice(true, "OK", "OK")
		}
	})
}

// A pacer keeps a flow of bytes below a rate.
type pacer struct{ next time.Time }

// wait waits until n more bytes are due.
func (p *pacer) wait(ctx context.Context, n int, rate int64) error {
	if rate <= 0 {
		return nil
	}
	if now := time.Now(); p.next.Before(now) {
		p.next = now
	}
	p.next = p.next.Add(time.Duration(float64(n) / float64(rate) * float64(time.Second)))
	if !wait(ctx, time.Until(p.next)) {
		return ctx.Err()
	}
	return nil
}
