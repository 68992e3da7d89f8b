package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/globus-runner/globus-runner/internal/plain"
	"github.com/globus-runner/globus-runner/transfer"
)

func (a *app) taskUpdateCommand() *cobra.Command {
	var update transfer.TaskUpdate
	var deadline instant
	c := a.onTask("update", "Change the label or the deadline of a task that has not ended", func(ctx context.Context, globus *session, id string) error {
		update.Deadline = deadline.Time
		if update == (transfer.TaskUpdate{}) {
			return usageError{errors.New("there is nothing to change: give --label or --deadline")}
		}
		if err := transfer.CheckLabel(update.Label); err != nil {
			return usageError{fmt.Errorf("--label: %w", err)}
		}
		res, err := globus.transfer.UpdateTask(ctx, id, update)
		return a.printResult(res, err)
	})
	c.Flags().StringVar(&update.Label, "label", "", "new label")
	c.Flags().Var(&deadline, "deadline", "when Globus ends the task, such as 2026-11-22 or 2026-11-22T06:00:00Z (UTC)")
	return c
}

// printResult prints what Globus says about a change.
func (a *app) printResult(res *transfer.Result, err error) error {
	if err != nil {
		return err
	}
	return a.print(res.Raw, func(w io.Writer) { fmt.Fprintln(w, plain.Line(res.Message)) })
}

func (a *app) submissionIDCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "generate-submission-id",
		Short:   "Get an id for --submission-id, with which a submission can be repeated safely",
		Example: `  id=$(runner task generate-submission-id)`,
		Args:    arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			globus, err := a.connect(wiring{})
			if err != nil {
				return err
			}
			id, err := globus.transfer.SubmissionID(c.Context())
			if err != nil {
				return err
			}
			return a.print(map[string]string{"DATA_TYPE": "submission_id", "value": id}, func(w io.Writer) { fmt.Fprintln(w, plain.Line(id)) })
		},
	}
}

func (a *app) taskCancelCommand() *cobra.Command {
	c := a.onTask("cancel", "Cancel a task, or all that have not ended", func(ctx context.Context, globus *session, id string) error {
		res, err := globus.transfer.CancelTask(ctx, id)
		return a.printResult(res, err)
	})
	one := c.RunE
	var all bool
	c.Use, c.Args = "cancel TASK_ID | cancel --all", arguments(0, 1)
	c.Flags().BoolVarP(&all, "all", "a", false, "all tasks of the account that have not ended, whoever submitted them")
	c.RunE = func(c *cobra.Command, args []string) error {
		switch {
		case all == (len(args) == 1):
			return usageError{errors.New("give a task id, or --all, and not both")}
		case all:
			return a.cancelAll(c.Context())
		}
		return one(c, args)
	}
	return c
}

// A cancelDocument is what "runner task cancel --all" did, as globus-cli prints it.
type cancelDocument struct {
	Results []json.RawMessage `json:"results"`
	TaskIDs []string          `json:"task_ids"`
}

// cancelAll cancels the unfinished tasks of the account. It goes on after an error.
func (a *app) cancelAll(ctx context.Context) error {
	globus, err := a.connect(wiring{})
	if err != nil {
		return err
	}
	doc := cancelDocument{Results: []json.RawMessage{}, TaskIDs: []string{}}
	unfinished := transfer.TaskQuery{Statuses: []string{string(transfer.Active), string(transfer.Inactive)}, Fields: []string{"task_id", "status"}}
	for t, err := range globus.transfer.Tasks(ctx, unfinished) {
		if err != nil {
			return err
		}
		doc.TaskIDs = append(doc.TaskIDs, t.TaskID)
	}
	var text strings.Builder
	var failed []error
	for i, id := range doc.TaskIDs {
		res, err := globus.transfer.CancelTask(ctx, id)
		if err != nil {
			failed = append(failed, fmt.Errorf("cancel task %s: %w", id, err))
			continue
		}
		doc.Results = append(doc.Results, res.Raw)
		fmt.Fprintf(&text, "%s (%d of %d): %s\n", id, i+1, len(doc.TaskIDs), plain.Line(res.Message))
	}
	if len(doc.TaskIDs) == 0 {
		text.WriteString("no task is unfinished\n")
	}
	printed := a.print(doc, func(w io.Writer) { fmt.Fprint(w, text.String()) })
	return errors.Join(append(failed, printed)...)
}
