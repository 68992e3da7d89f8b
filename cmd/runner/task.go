package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/plain"
	"github.com/globus-runner/globus-runner/internal/spelling"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

func (a *app) taskCommand() *cobra.Command {
	c := &cobra.Command{Use: "task", Short: "Look at tasks, wait for them, cancel them", Args: cobra.ArbitraryArgs, RunE: group}
	c.AddCommand(
		a.taskListCommand(), a.taskShowCommand(), a.taskWaitCommand(), a.taskCancelCommand(),
		a.taskEventsCommand(), a.taskSuccessfulCommand(), a.taskSkippedCommand(), a.taskPauseInfoCommand(),
	)
	return c
}

// onTask makes a command with the id of a task as its argument.
func (a *app) onTask(use, short string, do func(ctx context.Context, globus *session, id string) error) *cobra.Command {
	return &cobra.Command{
		Use:   use + " TASK_ID",
		Short: short,
		Args:  arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			id, err := parseUUID("task id", args[0])
			if err != nil {
				return err
			}
			globus, err := a.connect(wiring{})
			if err != nil {
				return err
			}
			return do(c.Context(), globus, id)
		},
	}
}

func (a *app) taskListCommand() *cobra.Command {
	var q transfer.TaskQuery
	var label, notLabel string
	var exact bool
	var kind string
	var from, to, doneFrom, doneTo instant
	c := &cobra.Command{
		Use:     "list",
		Short:   "List the newest tasks of the account",
		Example: `  runner task list --filter-status ACTIVE --filter-label 'nightly*'`,
		Args:    arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			q.Label, q.ExcludeLabel = label, notLabel
			if !exact {
				q.Label, q.ExcludeLabel, q.LabelPattern, q.ExcludeLabelPattern = "", "", label, notLabel
			}
			if kind != "" {
				known, err := spelling.OneOf(kind, "TRANSFER", "DELETE")
				if err != nil {
					return usageError{fmt.Errorf("--filter-type: %w", err)}
				}
				q.Types = []string{known}
			}
			for i, s := range q.Statuses {
				status, err := spelling.OneOf(s, transfer.Active, transfer.Inactive, transfer.Succeeded, transfer.Failed)
				if err != nil {
					return usageError{fmt.Errorf("--filter-status: %w", err)}
				}
				q.Statuses[i] = string(status)
			}
			q.Requested = transfer.Span{From: from.Time.Time, To: to.Time.Time}
			q.Completed = transfer.Span{From: doneFrom.Time.Time, To: doneTo.Time.Time}
			globus, err := a.connect(wiring{})
			if err != nil {
				return err
			}
			data := []json.RawMessage{}
			var rows [][]string
			for t, err := range globus.transfer.Tasks(c.Context(), q) {
				if err != nil {
					return err
				}
				data = append(data, t.Raw)
				rows = append(rows, []string{t.TaskID, string(t.Status), t.Type, t.SourceEndpointDisplayName, t.DestinationEndpointDisplayName, t.Label})
			}
			return a.print(globusList("task_list", data), func(w io.Writer) {
				tableOr(w, "no tasks", []string{"TASK ID", "STATUS", "TYPE", "SOURCE", "DESTINATION", "LABEL"}, rows)
			})
		},
	}
	flags := c.Flags()
	flags.IntVar(&q.Limit, "limit", 10, "how many to list; 0: all that Globus lists")
	flags.StringSliceVar(&q.IDs, "filter-task-id", nil, "only these tasks")
	flags.StringVar(&kind, "filter-type", "", "TRANSFER or DELETE")
	flags.StringSliceVar(&q.Statuses, "filter-status", nil, "ACTIVE, INACTIVE, SUCCEEDED or FAILED; several are possible")
	flags.StringVar(&label, "filter-label", "", "labels like this; * stands for any text")
	flags.StringVar(&notLabel, "filter-not-label", "", "labels not like this")
	flags.BoolVar(&exact, "exact", false, "take the labels literally")
	flags.Var(&from, "filter-requested-after", "submitted after this time (UTC), such as 2026-11-21 or 2026-11-21T02:00:00Z")
	flags.Var(&to, "filter-requested-before", "submitted before this time")
	flags.Var(&doneFrom, "filter-completed-after", "ended after this time")
	flags.Var(&doneTo, "filter-completed-before", "ended before this time")
	return c
}

// An instant is a flag that takes a time in any of Globus's forms.
type instant struct{ transfer.Time }

func (i *instant) String() string        { return "" }
func (i *instant) Type() string          { return "TIME" }
func (i *instant) Set(text string) error { return i.UnmarshalText([]byte(text)) }

func (a *app) taskShowCommand() *cobra.Command {
	return a.onTask("show", "Show a task", func(ctx context.Context, globus *session, id string) error {
		t, err := globus.transfer.Task(ctx, id)
		if err != nil {
			return err
		}
		return a.print(t.Raw, func(w io.Writer) { showTask(w, t) })
	})
}

func showTask(w io.Writer, t *transfer.Task) {
	fatal := ""
	if t.FatalError != nil {
		fatal = t.FatalError.Code + ": " + t.FatalError.Description
	}
	paused := ""
	if t.IsPaused {
		paused = "yes; runner task pause-info " + t.TaskID + " says why"
	}
	record(w,
		"task", t.TaskID, "label", t.Label, "type", t.Type, "status", string(t.Status), "paused", paused,
		"nice status", t.NiceStatus, "fatal error", fatal,
		"source", t.SourceEndpointDisplayName+" "+t.SourceEndpointID,
		"destination", strings.TrimSpace(t.DestinationEndpointDisplayName+" "+t.DestinationEndpointID),
		"files", fmt.Sprintf("%d transferred, %d skipped because they were there, %d found", t.FilesTransferred, t.FilesSkipped, t.Files),
		"bytes", fmt.Sprintf("%s (%s/s)", size(t.BytesTransferred), size(t.EffectiveBytesPerSecond)),
		"skipped errors", fmt.Sprint(t.SubtasksSkippedErrors), "faults", fmt.Sprint(t.Faults),
		"requested", when(t.RequestTime), "completed", when(t.CompletionTime), "deadline", when(t.Deadline),
	)
}

func when(t transfer.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func (a *app) taskWaitCommand() *cobra.Command {
	var timeout span
	timeoutStatus := exitTimedOut
	c := a.onTask("wait", "Wait until a task has ended; exit 0 only if it succeeded", func(ctx context.Context, globus *session, id string) error {
		o := engine.Order{
			Job: &jobs.Job{
				Name: "task",
				On:   jobs.Reactions{Stalled: jobs.Warn, NeedsHuman: jobs.Warn, Hopeless: jobs.Warn},
			},
			Key:    jobs.Key(id),
			Repeat: "runner task wait " + id,
		}
		if err := o.Job.Check(); err != nil {
			return err
		}
		_, err := a.await(ctx, o, following{timeout: timeout}, func(ctx context.Context, o engine.Order) (*engine.Result, error) {
			return engine.New(globus.transfer, a.log, a.showProgress()).Wait(ctx, id, o), nil
		})
		if f, ok := errors.AsType[*engine.Failure](err); ok && f.Kind == fault.TimedOut && f.Code == "" {
			return statusError{err, timeoutStatus}
		}
		return err
	})
	c.Flags().Var(&timeout, "timeout", "wait no longer than this, such as 30m or a number of seconds")
	c.Flags().IntVar(&timeoutStatus, "timeout-exit-code", exitTimedOut, "exit status when --timeout is over")
	return c
}

func (a *app) taskCancelCommand() *cobra.Command {
	return a.onTask("cancel", "Cancel a task", func(ctx context.Context, globus *session, id string) error {
		res, err := globus.transfer.CancelTask(ctx, id)
		if err != nil {
			return err
		}
		return a.print(res.Raw, func(w io.Writer) { fmt.Fprintln(w, plain.Line(res.Message)) })
	})
}

func (a *app) taskEventsCommand() *cobra.Command {
	var limit int
	var onlyErrors, noErrors bool
	c := a.onTask("events", "List what happened to a task, newest first", func(ctx context.Context, globus *session, id string) error {
		q := transfer.EventQuery{Limit: limit}
		switch {
		case onlyErrors && noErrors:
			return usageError{errors.New("--filter-errors and --filter-non-errors exclude each other")}
		case onlyErrors || noErrors:
			q.Errors = &onlyErrors
		}
		data := []json.RawMessage{}
		var rows [][]string
		for e, err := range globus.transfer.Events(ctx, id, q) {
			if err != nil {
				return err
			}
			data = append(data, e.Raw)
			rows = append(rows, []string{when(e.Time), e.Code, fmt.Sprint(e.IsError), strings.Join(strings.Fields(unescaped(e.Details)), " ")})
		}
		return a.print(globusList("event_list", data), func(w io.Writer) {
			tableOr(w, "no events", []string{"TIME", "CODE", "ERROR", "DETAILS"}, rows)
		})
	})
	c.Aliases = []string{"event-list"}
	c.Flags().IntVar(&limit, "limit", 10, "how many to list; 0: all that Globus lists")
	c.Flags().BoolVar(&onlyErrors, "filter-errors", false, "only errors")
	c.Flags().BoolVar(&noErrors, "filter-non-errors", false, "no errors")
	return c
}

func (a *app) taskSuccessfulCommand() *cobra.Command {
	return a.onTask("successful", "List the files that a task has copied", func(ctx context.Context, globus *session, id string) error {
		data := []json.RawMessage{}
		var rows [][]string
		for s, err := range globus.transfer.SuccessfulTransfers(ctx, id) {
			if err != nil {
				return err
			}
			data = append(data, s.Raw)
			rows = append(rows, []string{s.SourcePath, s.DestinationPath})
		}
		return a.print(globusList("successful_transfers", data), func(w io.Writer) {
			tableOr(w, "no files", []string{"SOURCE", "DESTINATION"}, rows)
		})
	})
}

func (a *app) taskSkippedCommand() *cobra.Command {
	return a.onTask("skipped", "List the paths that a task skipped because of errors", func(ctx context.Context, globus *session, id string) error {
		data := []json.RawMessage{}
		var rows [][]string
		for s, err := range globus.transfer.SkippedErrors(ctx, id) {
			if err != nil {
				return err
			}
			data = append(data, s.Raw)
			rows = append(rows, []string{s.ErrorCode, s.SourcePath, s.DestinationPath})
		}
		return a.print(globusList("skipped_errors", data), func(w io.Writer) {
			tableOr(w, "nothing was skipped", []string{"ERROR", "SOURCE", "DESTINATION"}, rows)
		})
	})
}

func (a *app) taskPauseInfoCommand() *cobra.Command {
	return a.onTask("pause-info", "Say why a task is paused", func(ctx context.Context, globus *session, id string) error {
		info, err := globus.transfer.PauseInfo(ctx, id)
		if err != nil {
			return err
		}
		return a.print(info.Raw, func(w io.Writer) {
			if len(info.PauseRules) == 0 && info.SourcePauseMessage == "" && info.DestinationPauseMessage == "" {
				fmt.Fprintln(w, "the task is not paused")
				return
			}
			record(w, "source", info.SourcePauseMessage, "destination", info.DestinationPauseMessage)
			for _, rule := range info.PauseRules {
				record(w, "collection", rule.EndpointDisplayName+" "+rule.EndpointID, "since", when(rule.StartTime), "message", rule.Message)
			}
		})
	})
}
