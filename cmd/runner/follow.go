package main

import (
	"cmp"
	"context"

	"github.com/spf13/pflag"

	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/ledger"
)

// following is the flags of the commands that submit: how they wait for the end.
type following struct {
	noWait      bool
	dryRun      bool
	skipOK      bool
	timeout     span
	onInterrupt interruption
}

func (f *following) flags(flags *pflag.FlagSet) {
	flags.BoolVar(&f.noWait, "no-wait", false, "end when Globus has accepted the task")
	flags.BoolVar(&f.dryRun, "dry-run", false, "print what would be submitted, and change nothing")
	flags.BoolVar(&f.skipOK, "skip-ok", false, "exit 0 instead of 12 if the run is skipped because another task is at work")
	flags.Var(&f.timeout, "timeout", "wait no longer than this, such as 30m, 2h or a number of seconds")
	f.onInterrupt = detach
	flags.Var(oneOf(&f.onInterrupt, "POLICY", detach, cancelTask), "on-interrupt", "what happens to the task when a signal or --timeout ends the wait: detach (it goes on) or cancel")
}

// An interruption is one of the policies below.
type interruption string

const (
	detach     interruption = "detach"
	cancelTask interruption = "cancel"
)

// follow does an order and prints the result. With --dry-run, it prints what would be
// submitted, and returns no result.
func (a *app) follow(ctx context.Context, o engine.Order, f following, r recording) (*resultDocument, error) {
	if f.dryRun {
		return nil, a.dryRun(o)
	}
	do, done, err := a.recorder(ctx, r, a.showProgress())
	if err != nil {
		return nil, err
	}
	defer done()
	return a.await(ctx, o, f, do)
}

// do does an order as the flags say.
func (f *following) do(ctx context.Context, o engine.Order, do doer) (*engine.Result, error) {
	o.NoWait, o.CancelOnInterrupt = f.noWait, f.onInterrupt == cancelTask
	ctx, cancel := f.timeout.bound(ctx)
	defer cancel()
	res, err := do(ctx, o)
	switch {
	case err != nil || res.State != ledger.Skipped:
	case f.skipOK:
		res.Err = nil
	default:
		res.Err = &engine.Failure{Kind: fault.Skipped, Message: res.Note}
	}
	return res, err
}

// await does an order and prints the result.
func (a *app) await(ctx context.Context, o engine.Order, f following, do doer) (*resultDocument, error) {
	res, err := f.do(ctx, o, do)
	if err != nil {
		return nil, err
	}
	doc := a.document(ctx, res)
	printed := a.printRun(doc, doc.text)
	return doc, cmp.Or(res.Err, printed)
}
