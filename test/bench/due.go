package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/clientcreds"
	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/retry"
	"github.com/globus-runner/globus-runner/transfer"
)

// latenessBudget is the time, of all but one in a hundred occurrences, from the
// claim to the first submission.
const latenessBudget = span(50 * time.Millisecond)

// lateness measures a scheduler with many jobs that are due together: the time
// from the claim of an occurrence to its submission, as the ledger has it, and
// the time until all are done. The scheduler is that of "runner serve" in this
// process, and only the account's limit of requests is left out: it would
// measure the limit.
func (b *bench) lateness(ctx context.Context) (table, error) {
	dir, err := os.MkdirTemp(b.dir, "due-")
	if err != nil {
		return nil, err
	}
	sim, err := b.simulate(ctx)
	if err != nil {
		return nil, err
	}
	defer sim.stop()
	file, state := filepath.Join(dir, "jobs.yaml"), "sqlite:"+filepath.Join(dir, "runner.db")
	if err := dueNow(ctx, file, state, b.due); err != nil {
		return nil, err
	}
	l, err := ledger.Open(ctx, state, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	defer l.Close() //nolint:errcheck // it is thrown away
	begin := time.Now()
	if err := b.schedule(ctx, sim, l, file); err != nil {
		return nil, err
	}
	took := span(time.Since(begin))
	late, err := waits(ctx, l)
	if err != nil {
		return nil, err
	}
	if len(late) != b.due || len(sim.State().Tasks) != b.due {
		return nil, fmt.Errorf("%d jobs were due, there were %d submissions and %d tasks", b.due, len(late), len(sim.State().Tasks))
	}
	what := fmt.Sprintf("%d jobs due together, ", b.due)
	return table{
		plain(what+"claim to submission, p50", percentile(late, 50)),
		atMost(what+"claim to submission, p99", percentile(late, 99), latenessBudget),
		plain(what+"claim to submission, longest", percentile(late, 100)),
		plain(what+"all done", took),
	}, nil
}

// schedule runs the jobs of a file until each has run once.
func (b *bench) schedule(ctx context.Context, sim *simulation, l *ledger.Ledger, file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	parsed, err := jobs.Parse(nil, jobs.Source{Name: file, Data: data})
	if err != nil {
		return err
	}
	globus := unlimited(sim.url)
	quiet := slog.New(slog.DiscardHandler)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	watch := &countdown{stop: stop}
	watch.left.Store(int64(len(parsed.Jobs)))
	scheduler := engine.NewScheduler(engine.SchedulerConfig{
		Engine: engine.New(globus, quiet, engine.WithObserver(watch)), Ledger: l, Holder: "bench", Log: quiet,
	})
	err = scheduler.Run(ctx, parsed.Jobs)
	if res := watch.failed.Load(); res != nil {
		err = errors.Join(err, fmt.Errorf("run of %s: %w", res.Job, res.Err))
	}
	return err
}

// A countdown stops the scheduler when so many runs have ended.
type countdown struct {
	stop   func()
	left   atomic.Int64
	failed atomic.Pointer[engine.Result]
}

// Observe counts the runs that have ended.
func (c *countdown) Observe(e engine.Event) {
	ended, ok := e.(engine.Ended)
	if !ok {
		return
	}
	if ended.Result.Err != nil {
		c.failed.Store(ended.Result)
	}
	if c.left.Add(-1) == 0 {
		c.stop()
	}
}

// unlimited is a client as "runner serve" has one, without a limit of requests.
func unlimited(base *url.URL) *transfer.Client {
	quiet := slog.New(slog.DiscardHandler)
	wire := &http.Transport{MaxIdleConnsPerHost: 8, IdleConnTimeout: 90 * time.Second}
	login := auth.New(&http.Client{Transport: retry.New(wire, retry.Policy{}, quiet)}, auth.WithBaseURL(base))
	account := clientcreds.New(account().ID, account().Secret, clientcreds.WithClient(login))
	stack := retry.New(account.Transport(auth.TransferServer, wire), retry.Policy{}, quiet)
	return transfer.New(&http.Client{Transport: stack}, transfer.WithBaseURL(base))
}

// waits returns the times from claim to submission, in order, of the runs that
// have a submission.
func waits(ctx context.Context, l *ledger.Ledger) (late []span, err error) {
	for run, err := range l.Runs(ctx, ledger.Query{}) {
		if err != nil {
			return nil, err
		}
		sent, err := l.Submissions(ctx, run.ID)
		if err != nil {
			return nil, err
		}
		for _, s := range sent {
			late = append(late, span(s.Created.Sub(run.Claimed)))
		}
	}
	slices.Sort(late)
	return late, nil
}

// percentile returns the smallest value that p percent of them do not exceed.
// They are in order, and there must be one.
func percentile(values []span, p int) span {
	return values[max(0, (len(values)*p+99)/100-1)]
}
