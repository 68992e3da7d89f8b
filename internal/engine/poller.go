package engine

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/globus-runner/globus-runner/transfer"
)

// batchSize is how many tasks one request asks for. All of their ids are in its URL.
const batchSize = 200

// A poller looks at tasks for the runs that wait for them. One request asks for all tasks
// that are due for a look, or will be soon. Its goroutine runs while at least one run has
// joined.
type poller struct {
	globus *transfer.Client

	mu      sync.Mutex // guards the rest; never held across a wait
	joined  int        // runs
	asks    map[*ask]struct{}
	wake    chan struct{} // wakes the goroutine after a change; has room for one
	stop    context.CancelFunc
	stopped chan struct{} // closed when the goroutine has ended
}

// An ask asks for a look at a task.
type ask struct {
	id    string
	due   time.Time
	slack time.Duration // how much earlier it may be answered
	reply chan sight    // has room for one
}

// A sight is what was seen of a task.
type sight struct {
	task *transfer.Task
	err  error
}

func newPoller(globus *transfer.Client) *poller {
	return &poller{globus: globus, asks: map[*ask]struct{}{}}
}

// join lets a run look at tasks until it calls leave, which waits for the end
// of the goroutine if no other run needs it.
func (p *poller) join(ctx context.Context) (leave func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.joined++; p.joined == 1 {
		ctx, p.stop = context.WithCancel(ranked(context.WithoutCancel(ctx), later)) // it works for runs that join later, too
		wake, stopped := make(chan struct{}, 1), make(chan struct{})
		p.wake, p.stopped = wake, stopped
		go func() {
			defer close(stopped)
			p.poll(ctx, wake)
		}()
	}
	return p.leave
}

func (p *poller) leave() {
	p.mu.Lock()
	p.joined--
	last, stopped := p.joined == 0, p.stopped
	if last {
		p.stop()
	}
	p.mu.Unlock()
	if last {
		<-stopped
	}
}

// look returns the task as it is after about wait. The caller must have joined.
func (p *poller) look(ctx context.Context, id string, wait time.Duration) (*transfer.Task, error) {
	a := &ask{id: id, due: time.Now().Add(jitter(wait)), slack: wait / 2, reply: make(chan sight, 1)}
	p.change(func() { p.asks[a] = struct{}{} })
	select {
	case s := <-a.reply:
		return s.task, s.err
	case <-ctx.Done():
		p.change(func() { delete(p.asks, a) })
		return nil, context.Cause(ctx)
	}
}

// change changes the asks and tells the goroutine.
func (p *poller) change(asks func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	asks()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// poll looks at tasks when their looks are due, until ctx ends.
func (p *poller) poll(ctx context.Context, wake <-chan struct{}) {
	for {
		timer := time.NewTimer(p.idle(time.Now()))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-wake:
			timer.Stop()
		case <-timer.C:
			p.answer(ctx, p.take(ctx, time.Now()))
		}
	}
}

// idle returns how long it is until the next look is due.
func (p *poller) idle(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	wait := time.Hour
	for a := range p.asks {
		wait = min(wait, a.due.Sub(now))
	}
	return wait
}

// take removes the asks that may be answered now, as many as fit into one request.
func (p *poller) take(ctx context.Context, now time.Time) (batch []*ask) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if ctx.Err() != nil {
		return nil // the asks are for the goroutine of the runs that have joined since
	}
	for _, early := range []bool{false, true} { // first those that are due
		for a := range p.asks {
			due := a.due
			if early {
				due = due.Add(-a.slack)
			}
			if len(batch) < batchSize && !due.After(now) {
				batch = append(batch, a)
				delete(p.asks, a)
			}
		}
	}
	return batch
}

// answer looks at tasks, and answers the asks for them. A task that is missing in the list
// is asked for by itself, to get its own error.
func (p *poller) answer(ctx context.Context, batch []*ask) {
	seen := map[string]*transfer.Task{}
	if len(batch) > 1 {
		ids := make([]string, 0, len(batch))
		for _, a := range batch {
			ids = append(ids, a.id)
		}
		for task, err := range p.globus.Tasks(ctx, transfer.TaskQuery{IDs: ids}) {
			if err != nil {
				for _, a := range batch {
					a.reply <- sight{err: err}
				}
				return
			}
			seen[strings.ToLower(task.TaskID)] = task
		}
	}
	for _, a := range batch {
		task, err := seen[strings.ToLower(a.id)], error(nil)
		if task == nil {
			task, err = p.globus.Task(ctx, a.id)
		}
		a.reply <- sight{task, err}
	}
}
