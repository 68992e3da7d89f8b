package engine

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/globus-runner/globus-runner/transfer"
)

// batchSize is how many tasks one request asks for: their ids fill its URL.
const batchSize = 200

// A poller looks at tasks for those who wait for them. It asks for all that
// are due, or will be soon, with one request.
type poller struct {
	globus *transfer.Client
	wake   chan struct{} // has room for one

	mu      sync.Mutex // guards the rest; never held across a wait
	waiting map[*ask]struct{}
	running bool // there is a loop; it ends when nobody waits
}

// An ask is a wish to see a task.
type ask struct {
	id    string
	due   time.Time
	slack time.Duration // how much earlier it may be looked at
	reply chan sight    // has room for one
}

// A sight is what was seen of a task.
type sight struct {
	task *transfer.Task
	err  error
}

func newPoller(globus *transfer.Client) *poller {
	return &poller{globus: globus, wake: make(chan struct{}, 1), waiting: map[*ask]struct{}{}}
}

// look returns the task as it is after about wait.
func (p *poller) look(ctx context.Context, id string, wait time.Duration) (*transfer.Task, error) {
	a := &ask{id: id, due: time.Now().Add(jitter(wait)), slack: wait / 2, reply: make(chan sight, 1)}
	p.mu.Lock()
	p.waiting[a] = struct{}{}
	if !p.running {
		p.running = true
		go p.loop()
	}
	p.mu.Unlock()
	p.stir()
	select {
	case s := <-a.reply:
		return s.task, s.err
	case <-ctx.Done():
		p.mu.Lock()
		delete(p.waiting, a)
		p.mu.Unlock()
		p.stir()
		return nil, context.Cause(ctx)
	}
}

// stir lets the loop see who waits now.
func (p *poller) stir() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// loop looks at tasks as they fall due.
func (p *poller) loop() {
	for {
		first, ok := p.first()
		if !ok {
			return
		}
		timer := time.NewTimer(time.Until(first))
		select {
		case <-p.wake:
			timer.Stop()
		case <-timer.C:
			p.serve(p.take(time.Now()))
		}
	}
}

// first says when the next look is due. If nobody waits, the loop is over.
func (p *poller) first() (due time.Time, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for a := range p.waiting {
		if !ok || a.due.Before(due) {
			due, ok = a.due, true
		}
	}
	p.running = ok
	return due, ok
}

// take takes out those who may be served now, as many as one request holds.
func (p *poller) take(now time.Time) (batch []*ask) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, slack := range []bool{false, true} { // first those who are due
		for a := range p.waiting {
			due := a.due
			if slack {
				due = due.Add(-a.slack)
			}
			if len(batch) < batchSize && !due.After(now) {
				batch = append(batch, a)
				delete(p.waiting, a)
			}
		}
	}
	return batch
}

// serve looks at tasks and tells those who asked. A task that a list does not
// show is asked for by itself, so that its own error is told.
func (p *poller) serve(batch []*ask) {
	ctx := context.Background() // bounded by the retries of each request
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
