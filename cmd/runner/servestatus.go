package main

import (
	"context"
	"runtime"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/notify"
	"github.com/globus-runner/globus-runner/internal/settings"
	"github.com/globus-runner/globus-runner/internal/status"
	"github.com/globus-runner/globus-runner/jobs"
)

// newStatus returns the health and the metrics of serve.
func newStatus(l *ledger.Ledger, jobsCheck func() error) *status.Status {
	b := build()
	return status.New(status.Config{
		Version: b.Version, Commit: b.Commit, GoVersion: runtime.Version(),
		Checks: map[string]func(context.Context) error{
			"ledger": l.Check,
			"jobs":   func(context.Context) error { return jobsCheck() },
		},
		Vital: []string{"ledger"},
	})
}

// tokenCheck returns the check that there is a token for Transfer.
func (s *server) tokenCheck(account settings.Account) func(context.Context) error {
	return func(ctx context.Context) error {
		token, err := account.Token(ctx, auth.TransferServer)
		if err == nil && !token.Expires().IsZero() {
			s.status.Token(auth.TransferServer, token.Expires())
		}
		return err
	}
}

// Observe tells the metrics and the page what the engine does.
func (s *server) Observe(e engine.Event) {
	switch e := e.(type) {
	case engine.Turned:
		s.status.Beat()
	case engine.Queued:
		s.status.Queue(e.Waiting, e.Oldest, e.Active)
	case engine.Planned:
		s.status.Plan(e.Job, e.Next)
	case engine.ItemsLooked:
		states := make(map[string]int, len(e.States))
		for state, n := range e.States {
			states[string(state)] = n
		}
		s.status.Items(e.Job, states)
	case engine.LooksFail:
		s.status.LooksFail(e.Job, e.Since)
	case engine.Told:
		s.notices.sender.Wake()
	case engine.Removed:
		s.status.Forget(e.Job)
	case engine.Looked:
		s.showProgress(e)
	case engine.Ended:
		if s.page != nil {
			s.page.Ended(e.Job.Name)
		}
		if !e.Result.Resumable() { // else it counts when it ends
			s.ended(e)
		}
	}
}

// remember sets the metrics about runs that ended before this start.
func (s *server) remember(ctx context.Context, all []*jobs.Job) {
	ends, err := s.ledger.Ends(ctx)
	if err != nil {
		s.app.log.Warn("metrics begin without the last runs, the ledger could not be read", "err", err)
		return
	}
	standings, err := s.ledger.Standings(ctx)
	if err != nil {
		s.app.log.Warn("metrics begin without the looks that fail, the ledger could not be read", "err", err)
	}
	for _, job := range all {
		s.status.Remember(job.Name, ends[job.Name].Last, ends[job.Name].Success)
		if job.ForEach != nil {
			s.status.LooksFail(job.Name, notify.LooksFailSince(standings[job.Name]))
		}
	}
}

// ended counts a run that has ended.
func (s *server) ended(e engine.Ended) {
	res, sum := e.Result, e.Result.Added()
	s.status.Finished(status.Run{
		Job: e.Job.Name, Outcome: string(res.State), Started: res.Started, Finished: res.Finished, Lateness: e.Lateness,
		Files: sum.Files, FilesSkipped: sum.FilesSkipped, Bytes: sum.Bytes, SkippedErrors: sum.SkippedErrors, Faults: sum.Faults,
	})
}
