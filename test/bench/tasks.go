package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/globus-runner/globus-runner/globussim"
)

// runningTasks is how many tasks one account may have at Globus.
const runningTasks = 100

const (
	// settleTime is how long a scheduler may take to submit the tasks, at its
	// 20 requests a second, and to look at them as seldom as it will.
	settleTime = 50 * time.Second
	// countTime is how long its requests are then counted.
	countTime = 30 * time.Second
)

// tasks measures what "runner serve" asks Globus while many tasks are at work,
// and how soon it ends on SIGTERM then.
func (b *bench) tasks(ctx context.Context) (table, error) {
	sim, serve, err := b.busy(ctx, settleTime+countTime+time.Second)
	if err != nil {
		return nil, err
	}
	defer sim.stop()
	var s sample
	counted := 0
	both, ctx := errgroup.WithContext(ctx)
	both.Go(func() (err error) {
		s, err = b.time(ctx, serve, 0)
		return err
	})
	both.Go(func() error {
		begin, err := stateAfter(ctx, sim, settleTime)
		if err != nil {
			return err
		}
		end, err := stateAfter(ctx, sim, countTime)
		counted = total(end.Routes) - total(begin.Routes)
		return err
	})
	if err := both.Wait(); err != nil {
		return nil, err
	}
	return table{
		plain("serve, 100 tasks at work, requests", perMinute(float64(counted)/countTime.Minutes())),
		plain("serve, 100 tasks at work, most memory", s.memory),
		atMost("serve, 100 tasks at work, SIGTERM to exit", s.stop, stopBudget),
	}, nil
}

// stateAfter waits, and returns the state of a Globus where all tasks are at work.
func stateAfter(ctx context.Context, sim *simulation, wait time.Duration) (globussim.State, error) {
	select {
	case <-time.After(wait):
	case <-ctx.Done():
		return globussim.State{}, ctx.Err()
	}
	state := sim.State()
	if n := len(state.Tasks); n != runningTasks {
		return state, fmt.Errorf("there are %d tasks, not %d", n, runningTasks)
	}
	return state, nil
}

// busy prepares a scheduler that has as much to do as an account may have, and
// a Globus where nothing ever gets done.
func (b *bench) busy(ctx context.Context, stopAfter time.Duration) (*simulation, process, error) {
	dir, err := os.MkdirTemp(b.dir, "busy-")
	if err != nil {
		return nil, process{}, err
	}
	sim, err := b.simulate(ctx)
	if err != nil {
		return nil, process{}, err
	}
	err = sim.Disturb(globussim.Disturbance{Action: globussim.StallTask, Times: -1})
	if err == nil {
		err = dueNow(ctx, filepath.Join(dir, "jobs.yaml"), "sqlite:"+filepath.Join(dir, "runner.db"), runningTasks)
	}
	if err != nil {
		sim.stop()
		return nil, process{}, err
	}
	return sim, b.serve(sim, dir, stopAfter), nil
}
