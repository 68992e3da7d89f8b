package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/jobs"
)

func (a *app) taskWaitCommand() *cobra.Command {
	var w taskWait
	c := a.onTask("wait", "Wait until a task has ended; exit 0 only if it succeeded", func(ctx context.Context, globus *session, id string) error {
		return w.do(ctx, a, globus, id)
	})
	c.Flags().Var(&w.timeout, "timeout", "wait no longer than this, such as 30m or a number of seconds")
	c.Flags().IntVar(&w.timeoutStatus, "timeout-exit-code", exitTimedOut, "exit status when --timeout is over")
	c.Flags().Var(&w.every, "polling-interval", "look at the task this often, such as 5 or 1m (default: every second at first, later every 15)")
	c.Flags().BoolVarP(&w.heartbeat, "heartbeat", "H", false, "print a dot on standard error for each look")
	return c
}

// A taskWait is the flags of "runner task wait".
type taskWait struct {
	timeout, every span
	timeoutStatus  int
	heartbeat      bool
}

func (w *taskWait) do(ctx context.Context, a *app, globus *session, id string) error {
	o := engine.Order{
		Job: &jobs.Job{
			Name: "task",
			On:   jobs.Reactions{Stalled: jobs.Warn, NeedsHuman: jobs.Warn, Hopeless: jobs.Warn},
		},
		Key:    jobs.Key(id),
		Follow: "runner task wait " + id,
	}
	if err := o.Job.Check(); err != nil {
		return err
	}
	every := time.Duration(w.every)
	if every != 0 && every < time.Second {
		return usageError{fmt.Errorf("--polling-interval %v is less than a second", every)}
	}
	seen := a.showProgress()
	if w.heartbeat && !a.stderr.terminal { // a terminal has its live line
		beats := &heartbeat{w: a.stderr}
		defer beats.end()
		seen = engine.WithObserver(beats)
	}
	_, err := a.await(ctx, o, following{timeout: w.timeout}, func(ctx context.Context, o engine.Order) (*engine.Result, error) {
		return engine.New(globus.transfer, a.log, seen, engine.WithPollInterval(every)).Wait(ctx, id, o), nil
	})
	if f, ok := errors.AsType[*engine.Failure](err); ok && f.Kind == fault.TimedOut && f.Code == "" {
		return statusError{err, w.timeoutStatus}
	}
	return err
}

// A heartbeat prints a dot for each look at a task.
type heartbeat struct {
	w    io.Writer
	beat bool
}

// Observe prints a dot. The looks at one task come one after the other.
func (h *heartbeat) Observe(e engine.Event) {
	if _, ok := e.(engine.Looked); ok {
		h.beat = true
		fmt.Fprint(h.w, ".")
	}
}

// end ends the line.
func (h *heartbeat) end() {
	if h.beat {
		fmt.Fprintln(h.w)
	}
}
