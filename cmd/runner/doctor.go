package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/internal/doctor"
	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/plain"
	"github.com/globus-runner/globus-runner/internal/settings"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/login"
	"github.com/globus-runner/globus-runner/retry"
	"github.com/globus-runner/globus-runner/transfer"
)

const aboutDoctor = `Look for anything that would keep jobs from running, and say what to do about it.
doctor checks the environment, the network, the credentials, the collections that
the jobs use in their next occurrence, the ledger, and the receivers of notices. If
the owner of a collection has to do something, it prints a sentence to send to the
owner.

Without names, it checks all jobs that serve would run: those of the jobs file, or
the one that RUNNER_JOB_* describe. Without any jobs, it checks the rest.

It changes nothing, unless you ask for it:

  --fix          gives missing consents to use the data of collections
  --write-probe  makes a folder with a new name, .runner-doctor-..., in each
                 folder that jobs write to (or in the nearest existing folder
                 above it) and deletes it again with a task, even if it is
                 interrupted. Only this shows that the identity may write and
                 delete.

The exit status is that of the worst finding: 0 if there are only warnings, 2
for the environment or the jobs file, 4 for credentials and consents, 5 for
problems that may pass by themselves, 7 for everything else.`

// A diagnosis is the result of "runner doctor".
type diagnosis struct {
	Findings []doctor.Finding `json:"findings"`
	OK       bool             `json:"ok"` // there is no error
}

// An examination is what "runner doctor" was asked to do.
type examination struct {
	jobs       jobsSource
	fix, write bool
	timeout    time.Duration
}

func (a *app) doctorCommand() *cobra.Command {
	x := examination{jobs: jobsSource{env: a.env}}
	c := &cobra.Command{
		Use:   "doctor [JOB...]",
		Short: "Find out what would keep jobs from running",
		Long:  aboutDoctor,
		Example: `  runner doctor
  runner doctor nightly --write-probe
  runner doctor -F json --jmespath "findings[?level!='ok']"`,
		Args: arguments(0, 1000),
		// What is wrong with the environment is a finding.
		PersistentPreRunE: func(*cobra.Command, []string) error { return nil },
		RunE: func(c *cobra.Command, names []string) error {
			if x.timeout < 100*time.Millisecond {
				return usageError{fmt.Errorf("--timeout %v: want 100ms or more", x.timeout)}
			}
			return a.diagnose(c.Context(), names, x)
		},
	}
	flags := c.Flags()
	x.jobs.flags(flags)
	flags.BoolVar(&x.fix, "fix", false, "give consents that are missing")
	flags.BoolVar(&x.write, "write-probe", false, "make and delete a folder in each folder that jobs write to")
	flags.DurationVar(&x.timeout, "timeout", 15*time.Second, "how long one check may take")
	return c
}

// diagnose makes all checks and prints what they found.
func (a *app) diagnose(ctx context.Context, names []string, x examination) error {
	a.warnOfMisspellings()
	if a.level.Level() >= slog.LevelInfo {
		a.level.Set(slog.LevelError) // what is a warning elsewhere is a finding here
	}
	work, err := findWorkload(x.jobs, names)
	if err != nil {
		return err
	}
	checks := a.checks(work, x)
	var done atomic.Int32
	a.stderr.show(plain.Count(len(checks), "check"))
	found := doctor.Run(ctx, checks, x.timeout, func() {
		a.stderr.show(fmt.Sprintf("%d of %s done", done.Add(1), plain.Count(len(checks), "check")))
	})
	level, problems, _ := doctor.Worst(found)
	d := diagnosis{found, level != doctor.Error}
	if err := a.print(d, d.text); err != nil {
		return err
	}
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("stopped before all checks were done: %w", context.Cause(ctx))
	case d.OK:
		return nil
	}
	return statusError{errors.New("doctor has found " + plain.Count(problems, "problem")), d.status(ctx)}
}

// status is the exit status of the worst finding.
func (d *diagnosis) status(ctx context.Context) int {
	var errs []error
	for _, f := range d.Findings {
		if f.Level == doctor.Error {
			errs = append(errs, statusError{errors.New(f.Seen), statusOf(f.Kind)})
		}
	}
	return exitStatus(ctx, worst(ctx, errs))
}

// A workload is the jobs to check, and what is wrong with the jobs file.
type workload struct {
	jobs     []*jobs.Job
	names    map[string]string // of collections by id
	channels map[string]*jobs.Channel
	findings []doctor.Finding // about the jobs file
}

// findWorkload finds the jobs of these names; none means all. Only a name that
// does not exist is an error.
func findWorkload(from jobsSource, names []string) (*workload, error) {
	w := &workload{names: map[string]string{}}
	file, err := from.load(names...)
	switch {
	case err == nil:
	case !from.described() && from.missing() && len(names) == 0:
		w.findings = append(w.findings, doctor.Doubt(fmt.Sprintf("there is none, so no collection is checked: neither %s nor %s", systemJobs, localJobs),
			"name one with --jobs or RUNNER_JOBS"))
		return w, nil
	default:
		w.findings = jobsProblems(from, err)
		return w, nil
	}
	for _, warning := range file.Warnings {
		w.findings = append(w.findings, doctor.Doubt(warning.Error(), ""))
	}
	good := fmt.Sprintf("%s: %s", file.from, plain.Count(len(file.Jobs), "good job"))
	if file.from.described() {
		good = "job " + file.Jobs[0].Name + ", described by RUNNER_JOB_*"
	}
	w.findings = append(w.findings, doctor.Good(good))
	w.names = collectionNames(file.File)
	w.channels = file.Channels
	w.jobs, err = file.named(names)
	return w, err
}

// collectionNames are the short names of the collections of a jobs file, by id.
func collectionNames(file *jobs.File) map[string]string {
	names := make(map[string]string, len(file.Collections))
	for _, name := range slices.Backward(slices.Sorted(maps.Keys(file.Collections))) {
		names[file.Collections[name].ID] = name
	}
	return names
}

// jobsProblems are the findings of jobs that cannot be used.
func jobsProblems(from jobsSource, err error) []doctor.Finding {
	var found []doctor.Finding
	for line := range strings.SplitSeq(err.Error(), "\n") {
		found = append(found, doctor.Bad(fault.Usage, line, ""))
	}
	switch {
	case from.described():
		found[0].Advice = "see runner env"
	case len(jobs.Problems(err)) > 0:
		found[0].Advice = "correct the jobs file; runner validate shows each mistake"
	}
	return found
}

// checks lists all checks, including those of the environment.
func (a *app) checks(w *workload, x examination) []*doctor.Check {
	g := &doctor.Globus{AuthURL: a.env.AuthURL(), Who: (*settings.Identity)(nil).Fault(), Fix: x.fix, Write: x.write}
	local := a.localChecks(w)
	gate := local[len(local)-1] // the credentials
	if a.env.Check() == nil {
		globus, err := a.introduce(g)
		gate.Look = func(context.Context) []doctor.Finding { return a.credentialsFindings(globus.who) }
		if err != nil {
			gate.Look = static(doctor.Bad(fault.Usage, err.Error(), "").Stopping())
		}
	}
	now := time.Now()
	return slices.Concat(local, g.Checks(w.jobs, w.names, now, gate), a.manifests(w.jobs, now),
		[]*doctor.Check{a.ledgerCheck(w.jobs, len(w.jobs) > 0 && x.jobs.described())}, a.channelChecks(w.channels, local[:1]))
}

// introduce connects g to Globus as the identity in use.
func (a *app) introduce(g *doctor.Globus) (*session, error) {
	policy := a.retries()
	policy.Retries = min(policy.Retries, 1)
	globus, err := a.connect(wiring{scopes: login.DefaultScopes(), retry: policy})
	if err != nil {
		return nil, err
	}
	policy.MaxRetryAfter = 2 * time.Second
	g.Who, g.Account = globus.who.Fault(), globus.account
	g.Person, g.Flows = globus.who.Person(), globus.flows
	g.Web = client(retry.New(globus.network, policy, a.log))
	limited := retry.Limit(globus.network, budgetRequests, budgetWindow)
	g.Client = transfer.New(client(retry.New(globus.account.Transport(auth.TransferServer, limited), policy, a.log)),
		transfer.WithBaseURL(a.env.TransferURL()))
	return globus, nil
}

// static returns the Look of a check whose findings are known.
func static(found ...doctor.Finding) func(context.Context) []doctor.Finding {
	return func(context.Context) []doctor.Finding { return found }
}
