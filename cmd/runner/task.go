package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/globus-runner/globus-runner/internal/runlog"
	"github.com/globus-runner/globus-runner/internal/spelling"
	"github.com/globus-runner/globus-runner/transfer"
)

func (a *app) taskCommand() *cobra.Command {
	c := &cobra.Command{Use: "task", Short: "Look at tasks, wait for them, cancel them", Args: cobra.ArbitraryArgs, RunE: group}
	c.AddCommand(
		a.taskListCommand(), a.taskShowCommand(), a.taskWaitCommand(), a.taskUpdateCommand(), a.taskCancelCommand(),
		a.taskEventsCommand(), a.taskSuccessfulCommand(), a.taskSkippedCommand(), a.taskPauseInfoCommand(), a.submissionIDCommand(),
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
	var f taskFilter
	c := &cobra.Command{
		Use:     "list",
		Short:   "List the newest tasks of the account",
		Example: `  runner task list --filter-status ACTIVE --filter-label 'nightly*'`,
		Args:    arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			q, err := f.query()
			if err != nil {
				return err
			}
			globus, err := a.connect(wiring{})
			if err != nil {
				return err
			}
			return globusList[*transfer.Task]{
				"task_list", "no tasks",
				[]string{"TASK ID", "STATUS", "TYPE", "SOURCE", "DESTINATION", "LABEL"},
				func(t *transfer.Task) (json.RawMessage, []string) {
					return t.Raw, []string{t.TaskID, string(t.Status), t.Type, t.SourceEndpointDisplayName, t.DestinationEndpointDisplayName, t.Label}
				},
			}.show(a, globus.transfer.Tasks(c.Context(), q))
		},
	}
	f.flags(c.Flags())
	return c
}

// A taskFilter is the flags of "runner task list".
type taskFilter struct {
	ids, statuses              []string
	kind                       string
	labels, notLabels          []string
	exact, inexact             bool
	from, to, doneFrom, doneTo instant
	limit                      int
}

func (f *taskFilter) flags(flags *pflag.FlagSet) {
	flags.IntVar(&f.limit, "limit", 10, "how many to list; 0: all that Globus lists")
	flags.StringSliceVar(&f.ids, "filter-task-id", nil, "only these tasks")
	flags.Var(oneOf(&f.kind, "TYPE", "TRANSFER", "DELETE"), "filter-type", "TRANSFER or DELETE")
	flags.StringSliceVar(&f.statuses, "filter-status", nil, "ACTIVE, INACTIVE, SUCCEEDED or FAILED; several are possible")
	flags.StringArrayVar(&f.labels, "filter-label", nil, "labels that match this; * stands for any text; several are possible")
	flags.StringArrayVar(&f.notLabels, "filter-not-label", nil, "labels that do not match this; several are possible")
	flags.BoolVar(&f.exact, "exact", false, "match labels exactly, without wildcards")
	flags.BoolVar(&f.inexact, "inexact", false, "match labels as patterns (the default)")
	flags.Var(&f.from, "filter-requested-after", "submitted after this time (UTC), such as 2026-11-21 or 2026-11-21T02:00:00Z")
	flags.Var(&f.to, "filter-requested-before", "submitted before this time")
	flags.Var(&f.doneFrom, "filter-completed-after", "ended after this time")
	flags.Var(&f.doneTo, "filter-completed-before", "ended before this time")
}

// query is what Globus is asked for.
func (f *taskFilter) query() (transfer.TaskQuery, error) {
	q := transfer.TaskQuery{
		IDs: f.ids, Limit: f.limit,
		Requested: transfer.Span{From: f.from.Time.Time, To: f.to.Time.Time},
		Completed: transfer.Span{From: f.doneFrom.Time.Time, To: f.doneTo.Time.Time},
	}
	if f.kind != "" {
		q.Types = []string{f.kind}
	}
	for _, s := range f.statuses {
		status, err := spelling.OneOf(s, transfer.Active, transfer.Inactive, transfer.Succeeded, transfer.Failed)
		if err != nil {
			return q, usageError{fmt.Errorf("--filter-status: %w", err)}
		}
		q.Statuses = append(q.Statuses, string(status))
	}
	switch {
	case f.exact && f.inexact:
		return q, usageError{errors.New("--exact and --inexact exclude each other")}
	case f.exact:
		q.Labels, q.ExcludeLabels = f.labels, f.notLabels
	default:
		q.LabelPatterns, q.ExcludeLabelPatterns = f.labels, f.notLabels
	}
	return q, nil
}

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
	files := fmt.Sprintf("%d transferred, %d skipped because they were there, %d found", t.FilesTransferred, t.FilesSkipped, t.Files)
	if t.Type == "DELETE" {
		files = fmt.Sprintf("%d found", t.Files)
	}
	paused := ""
	if t.IsPaused {
		paused = "yes; runner task pause-info " + t.TaskID + " says why"
	}
	properties(w,
		"task", t.TaskID, "label", t.Label, "type", t.Type, "status", string(t.Status), "paused", paused,
		"nice status", t.NiceStatus, "fatal error", fatal,
		"source", t.SourceEndpointDisplayName+" "+t.SourceEndpointID,
		"destination", strings.TrimSpace(t.DestinationEndpointDisplayName+" "+t.DestinationEndpointID),
		"files", files,
		"bytes", fmt.Sprintf("%s (%s/s)", size(t.BytesTransferred), size(t.EffectiveBytesPerSecond)),
		"skipped errors", fmt.Sprint(t.SubtasksSkippedErrors), "faults", fmt.Sprint(t.Faults),
		"requested", when(t.RequestTime.Time), "completed", when(t.CompletionTime.Time), "deadline", when(t.Deadline.Time),
	)
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
		return globusList[*transfer.Event]{
			"event_list", "no events",
			[]string{"TIME", "CODE", "ERROR", "DETAILS"},
			func(e *transfer.Event) (json.RawMessage, []string) {
				return e.Raw, []string{when(e.Time.Time), e.Code, fmt.Sprint(e.IsError), strings.Join(strings.Fields(runlog.Unescaped(e.Details)), " ")}
			},
		}.show(a, globus.transfer.Events(ctx, id, q))
	})
	c.Aliases = []string{"event-list"}
	c.Flags().IntVar(&limit, "limit", 10, "how many to list; 0: all that Globus lists")
	c.Flags().BoolVar(&onlyErrors, "filter-errors", false, "only errors")
	c.Flags().BoolVar(&noErrors, "filter-non-errors", false, "no errors")
	return c
}

func (a *app) taskSuccessfulCommand() *cobra.Command {
	return a.onTask("successful", "List the files that a task has copied", func(ctx context.Context, globus *session, id string) error {
		return globusList[*transfer.SuccessfulTransfer]{
			"successful_transfers", "no files",
			[]string{"SOURCE", "DESTINATION", "SIZE", "CHECKSUM"},
			func(s *transfer.SuccessfulTransfer) (json.RawMessage, []string) {
				return s.Raw, []string{s.SourcePath, s.DestinationPath, size(s.Size), strings.TrimSpace(s.ChecksumAlgorithm + " " + s.Checksum)}
			},
		}.show(a, globus.transfer.SuccessfulTransfers(ctx, id))
	})
}

func (a *app) taskSkippedCommand() *cobra.Command {
	return a.onTask("skipped", "List the paths that a task skipped because of errors", func(ctx context.Context, globus *session, id string) error {
		return globusList[*transfer.SkippedError]{
			"skipped_errors", "nothing was skipped",
			[]string{"ERROR", "SOURCE", "DESTINATION"},
			func(s *transfer.SkippedError) (json.RawMessage, []string) {
				return s.Raw, []string{s.ErrorCode, s.SourcePath, s.DestinationPath}
			},
		}.show(a, globus.transfer.SkippedErrors(ctx, id))
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
			properties(w, "source", info.SourcePauseMessage, "destination", info.DestinationPauseMessage)
			for _, rule := range info.PauseRules {
				properties(w, "collection", rule.EndpointDisplayName+" "+rule.EndpointID, "since", when(rule.StartTime.Time), "message", rule.Message)
			}
		})
	})
}
