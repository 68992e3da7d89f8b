package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"os/user"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/plain"
	"github.com/globus-runner/globus-runner/internal/runlog"
	"github.com/globus-runner/globus-runner/jobs"
)

const aboutPause = `Pause a job: within a second, a running "runner serve" stops starting it, whether by
its schedule, after another job, or for its items. Runs that have begun go on.
Occurrences that fall due during the pause are not caught up with later.

"runner trigger", "runner run" and "runner runs retry" start even a paused job.`

const aboutTrigger = `Let a running "runner serve" do a job once, now. It starts the run within 10 seconds.
If the run succeeds, the jobs that come after it follow. For a job with for_each, it
looks at the folder, and the items that are ready start; a job that is paused is
looked at when it is resumed.

"runner run JOB" does the same without "runner serve", and waits for the end.`

func (a *app) pauseCommand() *cobra.Command {
	var end ending
	c := a.onJob("pause", "Keep a job from starting, until it is resumed", aboutPause,
		func(job *jobs.Job) (ledger.Action, error) {
			return ledger.Action{Kind: ledger.ActionPause, Job: job.Name, Until: end.time}, nil
		},
		func(_ *jobs.Job, done ledger.Action, _ bool) string {
			if done.Until.IsZero() {
				return fmt.Sprintf("job %[1]s is paused until runner resume %[1]s", done.Job)
			}
			return fmt.Sprintf("job %s is paused until %s", done.Job, done.Until.Format(time.RFC3339))
		})
	c.Example = `  runner pause nightly --until 8h --reason "the disk is replaced"`
	c.Flags().Var(&end, "until", "when it ends by itself, such as 8h or 2026-11-21T08:00:00Z (default: when it is resumed)")
	return c
}

func (a *app) resumeCommand() *cobra.Command {
	return a.onJob("resume", "Let a paused job start again", "",
		func(job *jobs.Job) (ledger.Action, error) {
			return ledger.Action{Kind: ledger.ActionResume, Job: job.Name}, nil
		},
		func(_ *jobs.Job, done ledger.Action, _ bool) string {
			return fmt.Sprintf("job %s starts on its schedule again", done.Job)
		})
}

func (a *app) triggerCommand() *cobra.Command {
	return a.onJob("trigger", "Start a job now, in the running scheduler", aboutTrigger,
		func(job *jobs.Job) (ledger.Action, error) {
			if job.ForEach != nil && job.Schedule == nil {
				return ledger.Action{}, usageError{fmt.Errorf("job %[1]s has no schedule, so no runner serve looks for its items; runner run %[1]s looks at the folder now, and does the items that are ready", job.Name)}
			}
			return ledger.Action{Kind: ledger.ActionTrigger, Job: job.Name, Key: string(job.TriggerKey())}, nil
		},
		func(job *jobs.Job, done ledger.Action, paused bool) string {
			switch {
			case done.Run == 0 && job.Suspend:
				return fmt.Sprintf("job %s is suspended in the jobs file; runner serve looks at its folder when it is not any more", done.Job)
			case done.Run == 0 && paused:
				return fmt.Sprintf("job %[1]s is paused; runner serve looks at its folder after runner resume %[1]s", done.Job)
			case done.Run == 0:
				return fmt.Sprintf("runner serve looks at the folder of job %s within 10 seconds, if one is running", done.Job)
			}
			return fmt.Sprintf("run %d of job %s starts when runner serve takes it up, within 10 seconds if one is running", done.Run, done.Job)
		})
}

// onJob makes a command that asks for something about a job of the jobs file.
func (a *app) onJob(name, short, long string, ask func(*jobs.Job) (ledger.Action, error), say func(job *jobs.Job, done ledger.Action, paused bool) string) *cobra.Command {
	source := jobsSource{env: a.env}
	var reason string
	c := &cobra.Command{
		Use:   name + " JOB",
		Short: short,
		Long:  long,
		Args:  arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			job, err := source.job(args[0])
			if err != nil {
				return err
			}
			action, err := ask(job)
			if err != nil {
				return err
			}
			ctx := c.Context()
			l, err := a.schedulersLedger(ctx, job)
			if err != nil {
				return err
			}
			defer l.Close() //nolint:errcheck // every write was checked
			action.Who, action.Why = a.user(), reason
			done, err := l.Act(ctx, action)
			if err != nil {
				return notPossible(err)
			}
			pauses, err := l.Pauses(ctx)
			if err != nil {
				return err
			}
			_, paused := pauses[job.Name]
			return a.print(runlog.DescribeAction(done), func(w io.Writer) { fmt.Fprintln(w, plain.Line(say(job, done, paused))) })
		},
	}
	source.flags(c.Flags())
	c.Flags().StringVar(&reason, "reason", "", "the reason, which is recorded together with who asked")
	return c
}

// user returns who started the program, for the record of an action.
func (a *app) user() string {
	name := cmp.Or(a.env.Lookup("USER"), a.env.Lookup("LOGNAME"), userName())
	host, err := os.Hostname()
	if err != nil {
		return name
	}
	return name + "@" + host
}

// userName returns the name of the user of this process. In many containers the user has
// only a number.
func userName() string {
	id := strconv.Itoa(os.Getuid())
	u, err := user.LookupId(id)
	if err != nil {
		return "uid " + id
	}
	return u.Username
}
