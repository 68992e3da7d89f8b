package transfer

import (
	"context"
	"iter"
	"math/rand/v2"
	"time"
)

// The pauses between looks at a task grow from firstPause to lastPause.
const (
	firstPause = time.Second
	lastPause  = 15 * time.Second
)

// Watch yields the task id at once, after a second, and then at growing
// intervals of up to 15 seconds, until it is final. The final task is the last
// pair. Leaving the loop does not affect the task; to end it, call
// [Client.CancelTask]. To watch many tasks, ask for them together with
// [Client.Tasks]. API: GET /task/<id>.
func (c *Client) Watch(ctx context.Context, id string) iter.Seq2[*Task, error] {
	return func(yield func(*Task, error) bool) {
		for pause := firstPause; ; pause = min(pause*5/4, lastPause) {
			task, err := c.Task(ctx, id)
			if !yield(task, err) || err != nil || task.Status.Final() {
				return
			}
			timer := time.NewTimer(pause - rand.N(pause/4)) // so that programs started together do not stay in step
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
// in its Status. A task that makes no progress, because its source is missing
// or a person must act, is not final before its deadline: set a deadline on
// ctx, or inspect each state with [Client.Watch]. When ctx ends, the error is
// its cause, and the task continues at Globus. The first request that fails ends
// Wait, even if the error is temporary: package retry repeats it, and Wait may be
// called again. API: GET /task/<id>.
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
