package main

import (
	"context"
	"fmt"
	"time"
)

// stopBudget is the time from SIGTERM to the end of a scheduler.
const stopBudget = span(2 * time.Second)

// stops is how often a scheduler is stopped.
const stops = 3

// stop measures how soon "runner serve" ends on SIGTERM in the middle of its
// submissions: some tasks are at work, and further requests wait for their turn.
func (b *bench) stop(ctx context.Context) (table, error) {
	var longest span
	for range stops {
		sim, serve, err := b.busy(ctx, 4*time.Second)
		if err != nil {
			return nil, err
		}
		s, err := b.time(ctx, serve, 0)
		begun := len(sim.State().Tasks)
		sim.stop()
		if err != nil {
			return nil, err
		}
		if begun == 0 || begun == runningTasks {
			return nil, fmt.Errorf("the scheduler was not stopped midway: it had submitted %d of %d tasks", begun, runningTasks)
		}
		longest = max(longest, s.stop)
	}
	return table{atMost("serve, submitting, SIGTERM to exit, longest", longest, stopBudget)}, nil
}
