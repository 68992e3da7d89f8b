package transfer

import (
	"context"
	"iter"
	"math/rand/v2"
	"time"
)

// The pauses between two looks at a task grow from the first to the last.
const (
	firstPause = time.Second
	lastPause  = 15 * time.Second
)

// Watch looks at the task id until it is final: at once, after a second, and
// then ever more rarely, down to every 15 seconds. The final task is the last
// pair. A caller that leaves the loop leaves the task alone; one that wants it
// to end calls [Client.CancelTask]. Many tasks are better watched together, by
// [Client.Tasks]. API: GET /task/<id>.
func (c *Client) Watch(ctx context.Context, id string) iter.Seq2[*Task, error] {
	return func(yield func(*Task, error) bool) {
		for pause := firstPause; ; pause = min(pause*5/4, lastPause) {
			task, err := c.Task(ctx, id)
			if !yield(task, err) || err != nil || task.Status.Final() {
				return
			}
			timer := time.NewTimer(pause - rand.N(pause/4)) // many programs must not look at the same instants
			select {
			case <-timer.C:
			case <-ctx.Done():
				timer.Stop()
				yield(nil, context.Cause(ctx))
				return
			}
		}
	}
}

// Wait waits until the task id is final and returns it. Whether it succeeded is
// in its Status. A task that cannot go on, because its source is missing or a
// person must act, is not final before its deadline: bound ctx, or look at
// each state with [Client.Watch]. When ctx ends, the error is its cause, and
// the task goes on at Globus. API: GET /task/<id>.
func (c *Client) Wait(ctx context.Context, id string) (*Task, error) {
	var last *Task
	for task, err := range c.Watch(ctx, id) {
		if err != nil {
			return nil, err
		}
		last = task
	}
	return last, nil
}
