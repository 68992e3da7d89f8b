package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/globus-runner/globus-runner/internal/plain"
	"github.com/globus-runner/globus-runner/internal/timers"
)

func (a *app) timerCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "timer", Short: "List, pause, resume and delete the account's Globus Timers",
		Long: "List, pause, resume and delete the account's Globus Timers.\n\n\"runner import timers\" turns them into jobs. Afterwards, pause or delete the timers;\notherwise both will run.",
		Args: cobra.ArbitraryArgs, RunE: group,
	}
	c.AddCommand(
		&cobra.Command{
			Use: "list", Short: "List the timers", Args: arguments(0, 0),
			RunE: func(c *cobra.Command, _ []string) error { return a.listTimers(c.Context()) },
		},
		a.onTimer("show", "Show a timer", wiring{}, showTimer),
		a.onTimer("delete", "Delete a timer", wiring{acts: true}, deleteTimer),
		a.onTimer("pause", "Keep a timer from starting transfers, until it is resumed", wiring{acts: true}, changeTimer((*timers.Client).Pause)),
		a.onTimer("resume", "Let a paused timer start transfers again", wiring{acts: true}, changeTimer((*timers.Client).Resume)),
	)
	return c
}

func (a *app) listTimers(ctx context.Context) error {
	_, client, err := a.connectTimers(wiring{})
	if err != nil {
		return err
	}
	list, err := client.List(ctx)
	if err != nil {
		return err
	}
	return a.print(list.Raw, func(w io.Writer) {
		var rows [][]string
		for _, t := range list.Timers {
			rows = append(rows, []string{t.ID, t.Status, when(t.NextRun.Time), when(t.LastRun.Time), t.Name})
		}
		tableOr(w, "no timers", []string{"TIMER ID", "STATUS", "NEXT RUN", "LAST RUN", "NAME"}, rows)
	})
}

// A timerAction does something with a timer. It returns the document that is
// printed, and how that is told to a person.
type timerAction func(ctx context.Context, client *timers.Client, id string) (json.RawMessage, func(io.Writer), error)

// onTimer makes a command with the id of a timer as its argument.
func (a *app) onTimer(name, short string, w wiring, do timerAction) *cobra.Command {
	return &cobra.Command{
		Use: name + " TIMER_ID", Short: short, Args: arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			id, err := parseUUID("timer id", args[0])
			if err != nil {
				return err
			}
			_, client, err := a.connectTimers(w)
			if err != nil {
				return err
			}
			doc, tell, err := do(c.Context(), client, id)
			if err != nil {
				return err
			}
			return a.print(doc, tell)
		},
	}
}

func showTimer(ctx context.Context, client *timers.Client, id string) (json.RawMessage, func(io.Writer), error) {
	t, err := client.Timer(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	return t.Raw, func(w io.Writer) {
		properties(w, "timer", t.ID, "name", t.Name, "status", t.Status, "next run", when(t.NextRun.Time), "last run", when(t.LastRun.Time))
	}, nil
}

func deleteTimer(ctx context.Context, client *timers.Client, id string) (json.RawMessage, func(io.Writer), error) {
	t, err := client.Delete(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	return t.Raw, func(w io.Writer) { fmt.Fprintf(w, "timer %s is deleted\n", id) }, nil
}

// changeTimer pauses or resumes a timer.
func changeTimer(change func(*timers.Client, context.Context, string) (*timers.Change, error)) timerAction {
	return func(ctx context.Context, client *timers.Client, id string) (json.RawMessage, func(io.Writer), error) {
		done, err := change(client, ctx, id)
		if err != nil {
			return nil, nil, err
		}
		return done.Raw, func(w io.Writer) { fmt.Fprintln(w, plain.Line(string(done.Message))) }, nil
	}
}

// connectTimers connects to Transfer and to Timers. It sends nothing.
func (a *app) connectTimers(w wiring) (*session, *timers.Client, error) {
	globus, err := a.connect(w)
	if err != nil {
		return nil, nil, err
	}
	a.warnOfPlainText(a.env.TimersURL())
	return globus, globus.timers, nil
}
