package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/globus-runner/globus-runner/engine"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

const aboutRun = `Run the job that the RUNNER_JOB_* variables describe: submit, wait, report.

A start with the same job and occurrence continues what an earlier one began:
a task that is there is adopted, one that failed gets a new attempt. The
occurrence is --scheduled-for, else RUNNER_OCCURRENCE, else the Kubernetes
Job's name in RUNNER_KUBERNETES_JOB, else the run of the CI system, else a new
one.`

func (a *app) runCommand() *cobra.Command {
	var f following
	var scheduledFor string
	c := &cobra.Command{
		Use:   "run",
		Short: "Run one occurrence of a job now: submit, wait, report",
		Long:  aboutRun,
		Example: `  RUNNER_JOB_SOURCE=$LAB:/data/ RUNNER_JOB_DESTINATION=$VAULT:/raw/ runner run
  runner run --scheduled-for 2026-11-21T02:00:00Z --timeout 2h`,
		Args: arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			job, err := a.env.Job.job()
			if err != nil {
				return err
			}
			key, fresh, err := a.env.Occurrence.key(scheduledFor)
			if err != nil {
				return err
			}
			return a.follow(c.Context(), engine.Order{Job: job, Key: key, Fresh: fresh}, f)
		},
	}
	f.flags(c.Flags())
	c.Flags().StringVar(&scheduledFor, "scheduled-for", "", "the scheduled instant of the occurrence, such as 2026-11-21T02:00:00Z")
	return c
}

// job makes the job that the environment describes.
func (e *jobEnvironment) job() (*jobs.Job, error) {
	if e.Source == "" || e.Destination == "" {
		return nil, usageError{errors.New("no job is described: RUNNER_JOB_SOURCE and RUNNER_JOB_DESTINATION must both be set, as <collection id>:<path>")}
	}
	src, err := parsePlace(e.Source)
	if err != nil {
		return nil, fmt.Errorf("RUNNER_JOB_SOURCE: %w", err)
	}
	dst, err := parsePlace(e.Destination)
	if err != nil {
		return nil, fmt.Errorf("RUNNER_JOB_DESTINATION: %w", err)
	}
	doc := &transfer.Transfer{
		SourceEndpoint:         src.collection,
		DestinationEndpoint:    dst.collection,
		VerifyChecksum:         e.VerifyChecksum,
		PreserveTimestamp:      e.Preserve,
		EncryptData:            e.Encrypt,
		DeleteDestinationExtra: e.DeleteExtra,
		SkipSourceErrors:       e.SkipSourceErrors,
		FailOnQuotaErrors:      e.FailOnQuota,
		FilterRules:            e.filterRules(),
		Items:                  []transfer.Item{{SourcePath: src.path, DestinationPath: dst.path, Recursive: e.Recursive.value}},
	}
	if e.SyncLevel != "" {
		level, err := transfer.ParseSyncLevel(e.SyncLevel)
		if err != nil {
			return nil, usageError{fmt.Errorf("RUNNER_JOB_SYNC_LEVEL: %w", err)}
		}
		doc.SyncLevel = &level
	}
	job := &jobs.Job{
		Name:             e.Name,
		Document:         doc,
		ActiveDeadline:   e.ActiveDeadline,
		Concurrency:      e.Concurrency,
		BackoffLimit:     e.BackoffLimit,
		Backoff:          e.Backoff,
		StalledAfter:     e.StalledAfter,
		On:               jobs.Reactions{Stalled: e.OnStalled, NeedsHuman: e.OnNeedsHuman, Hopeless: e.OnHopeless},
		AllowSkipped:     e.AllowSkipped,
		AllowEmptySource: e.AllowEmptySource,
	}
	if job.Name == "" {
		job.Name = nameFor(src, dst)
	}
	if err := job.Check(); err != nil {
		return nil, usageError{fmt.Errorf("RUNNER_JOB_*: %w", err)}
	}
	return job, nil
}

// nameFor names a job after what it does: the same in each start, and another
// for other paths, so that no start adopts the task of a different job.
func nameFor(src, dst location) string {
	sum := sha256.Sum256([]byte(src.collection + ":" + src.path + "\n" + dst.collection + ":" + dst.path))
	return "transfer-" + hex.EncodeToString(sum[:4])
}

// filterRules keeps what is included and drops what is excluded, in that order.
func (e *jobEnvironment) filterRules() []transfer.FilterRule {
	var rules []transfer.FilterRule
	for _, name := range e.Include {
		rules = append(rules, transfer.FilterRule{Method: "include", Type: "file", Name: name})
	}
	for _, name := range e.Exclude {
		rules = append(rules, transfer.FilterRule{Method: "exclude", Type: "file", Name: name})
	}
	return rules
}
