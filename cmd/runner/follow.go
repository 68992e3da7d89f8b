package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/pflag"

	"github.com/globus-runner/globus-runner/engine"
	"github.com/globus-runner/globus-runner/transfer"
)

// following is how the commands that submit go on: the flags they share.
type following struct {
	noWait      bool
	dryRun      bool
	timeout     span
	onInterrupt interruption
}

func (f *following) flags(flags *pflag.FlagSet) {
	flags.BoolVar(&f.noWait, "no-wait", false, "end when Globus has accepted the task")
	flags.BoolVar(&f.dryRun, "dry-run", false, "print what would be submitted, and touch nothing")
	flags.Var(&f.timeout, "timeout", "wait no longer than this, such as 30m, 2h or a number of seconds")
	flags.Var(&f.onInterrupt, "on-interrupt", "what becomes of the task when a signal or --timeout ends the wait: detach or cancel")
}

// An interruption is one of the policies below.
type interruption string

const (
	detach     interruption = "detach"
	cancelTask interruption = "cancel"
)

func (i *interruption) String() string { return string(cmp.Or(*i, detach)) }
func (i *interruption) Type() string   { return "POLICY" }

// Set takes one of the policies.
func (i *interruption) Set(s string) error {
	switch v := interruption(s); v {
	case detach, cancelTask:
		*i = v
		return nil
	}
	return fmt.Errorf("%q is neither detach nor cancel", s)
}

// A span is a time such as 90s, 30m or 2h; a plain number means seconds, as
// globus-cli has it.
type span time.Duration

func (s *span) String() string {
	if *s == 0 {
		return ""
	}
	return time.Duration(*s).String()
}
func (s *span) Type() string { return "DURATION" }

// Set takes a time above zero.
func (s *span) Set(text string) error {
	d, err := time.ParseDuration(text)
	if n, e := strconv.ParseInt(text, 10, 32); e == nil {
		d, err = time.Duration(n)*time.Second, nil
	}
	if err != nil || d <= 0 {
		return fmt.Errorf("%q is not a time such as 90s, 30m or 2h", text)
	}
	*s = span(d)
	return nil
}

// follow does an order and prints what came of it.
func (a *app) follow(ctx context.Context, o engine.Order, f following) error {
	o.NoWait, o.CancelOnInterrupt = f.noWait, f.onInterrupt == cancelTask
	if f.dryRun {
		return a.dryRun(o)
	}
	globus, err := a.connect()
	if err != nil {
		return err
	}
	return a.await(ctx, o, f.timeout, globus, func(ctx context.Context, e *engine.Engine, o engine.Order) *engine.Result {
		return e.Run(ctx, o)
	})
}

// await lets the engine do its work, shows it, and prints the result.
func (a *app) await(ctx context.Context, o engine.Order, timeout span, globus *clients,
	do func(context.Context, *engine.Engine, engine.Order) *engine.Result,
) error {
	begin := time.Now()
	o.Observe = func(t *transfer.Task, class engine.Class) { a.stderr.show(liveLine(t, class, time.Since(begin))) }
	bounded := ctx
	if timeout > 0 {
		var cancel context.CancelFunc
		bounded, cancel = context.WithTimeout(ctx, time.Duration(timeout))
		defer cancel()
	}
	res := do(bounded, engine.New(globus.transfer, a.log), o)
	doc := a.document(ctx, res)
	printed := a.print(doc, doc.text)
	if res.Err != nil {
		return res.Err
	}
	return printed
}

// dryRun prints the document that would be submitted.
func (a *app) dryRun(o engine.Order) error {
	head := o.Job.Document.Head()
	head.Label = o.TaskLabel(1)
	if head.Deadline.IsZero() {
		head.Deadline = transfer.Time{Time: time.Now().Add(o.Job.ActiveDeadline).Truncate(time.Second)}
	}
	return a.print(o.Job.Document, func(w io.Writer) {
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		_ = enc.Encode(o.Job.Document) // documents are plain data, w is a buffer
	})
}

// liveLine says in one line how a task gets on.
func liveLine(t *transfer.Task, class engine.Class, elapsed time.Duration) string {
	state := string(class)
	switch {
	case t.Status.Final():
		state = string(t.Status)
	case t.NiceStatus == "Queued":
		state = "queued"
	case class != engine.Progressing && t.NiceStatus != "" && t.NiceStatus != "OK":
		state += " (" + t.NiceStatus + ")"
	}
	return fmt.Sprintf("%s  %d files  %s  %s/s  %d faults  %s",
		state, t.FilesTransferred, size(t.BytesTransferred), size(t.EffectiveBytesPerSecond), t.Faults, seconds(elapsed))
}
