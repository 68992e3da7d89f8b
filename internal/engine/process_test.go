package engine_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/internal/arrival"
	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/schedule"
	"github.com/globus-runner/globus-runner/transfer"
)

var errKilled = errors.New("SIGKILL")

// A process is a start of the program with a ledger: it has its own tokens and
// its own connection to the ledger file that all processes of a bench share.
type process struct {
	*engine.Scheduler
	b      *bench
	engine *engine.Engine
	globus *transfer.Client
	ledger *ledger.Ledger
	config engine.SchedulerConfig
	dead   atomic.Bool
	cancel context.CancelCauseFunc
	group  sync.WaitGroup
	err    error // of Run

	stopTelling func() // see tellers; nil unless that was called

	// answer, unless nil, may answer a request in place of the services; with
	// nil and no error they answer. It is asked about one request at a time.
	answer func(r *http.Request, send http.RoundTripper) (*http.Response, error)
	asked  chan struct{} // holds a value while answer is asked
}

// process starts a process whose scheduler does not run yet.
func (b *bench) process(holder string, edits ...func(*engine.SchedulerConfig)) *process {
	b.t.Helper()
	log := slog.New(slog.NewJSONHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	l, err := ledger.Open(b.t.Context(), "sqlite:"+filepath.Join(b.state, "runner.db"), log)
	if err != nil {
		b.t.Fatal(err)
	}
	p := &process{b: b, ledger: l, asked: make(chan struct{}, 1)}
	clock := arrival.NewClock()
	p.globus = b.clientOver(engine.Hearing(clock, p))
	p.engine = engine.New(p.globus, log, engine.WithManifests(b.open), engine.WithObserver(b), engine.WithClock(clock),
		engine.WithDesk(b.desk, nil), engine.WithUsers("robot", b.user(p)), engine.WithFlows(b.flowsOver(p)))
	p.config = engine.SchedulerConfig{
		Engine: p.engine, Ledger: l, Holder: holder, Log: log.With("holder", holder),
		Lease: 5 * time.Minute,
	}
	for _, edit := range edits {
		edit(&p.config)
	}
	b.t.Cleanup(func() { p.kill() })
	return p
}

// RoundTrip is the process's way to the services. A dead process has none.
func (p *process) RoundTrip(r *http.Request) (*http.Response, error) {
	if p.dead.Load() {
		return nil, errKilled
	}
	if p.answer != nil {
		if resp, err := p.ask(r); resp != nil || err != nil {
			return resp, err
		}
	}
	return p.b.wire.RoundTrip(r)
}

// ask returns what the test answers to a request.
func (p *process) ask(r *http.Request) (*http.Response, error) {
	p.asked <- struct{}{}
	defer func() { <-p.asked }()
	if p.dead.Load() { // since it waited
		return nil, errKilled
	}
	return p.answer(r, p.b.wire)
}

// serve lets the scheduler run.
func (p *process) serve(all ...*jobs.Job) *process {
	ctx, cancel := context.WithCancelCause(p.b.t.Context())
	p.cancel = cancel
	p.Scheduler = engine.NewScheduler(p.config)
	p.group.Go(func() { p.err = p.Run(ctx, all) })
	return p
}

// reload puts other jobs in force.
func (p *process) reload(all ...*jobs.Job) {
	p.b.t.Helper()
	if err := p.Reload(p.b.t.Context(), all); err != nil {
		p.b.t.Error(err)
	}
}

// stop ends the process as SIGTERM does, and returns how long that took.
func (p *process) stop() time.Duration {
	p.b.t.Helper()
	begin := time.Now()
	p.cancel(errSignal)
	if p.stopTelling != nil {
		p.stopTelling()
	}
	p.group.Wait()
	if p.err != nil {
		p.b.t.Errorf("the scheduler ended with %v, want no error", p.err)
	}
	took := time.Since(begin)
	p.kill()
	return took
}

// die ends the process as SIGKILL does: from now on it sends nothing and
// writes nothing. A part of the process itself may call it.
func (p *process) die() {
	if p.dead.Swap(true) {
		return
	}
	if err := p.ledger.Close(); err != nil {
		p.b.t.Error(err)
	}
	if p.cancel != nil {
		p.cancel(errKilled)
	}
	if p.stopTelling != nil {
		p.stopTelling()
	}
}

// kill is die, and returns when all goroutines have ended.
func (p *process) kill() {
	p.die()
	p.group.Wait()
}

// cutOff cuts a process off in an occurrence of a job that is due then, and lets
// another one go on with it.
func (b *bench) cutOff(job *jobs.Job, c cut, due time.Duration) {
	b.t.Helper()
	one := b.process("one")
	one.at(c)
	one.serve(job)
	until(due + time.Minute)
	if !one.dead.Load() {
		b.t.Fatal("the process lives")
	}
	one.kill()
	two := b.process("two").serve(job)
	until(due + time.Hour)
	two.stop()
}

// record does an order with the ledger, without a scheduler.
func (p *process) record(ctx context.Context, o engine.Order) (*engine.Result, error) {
	return p.engine.Record(ctx, engine.Recording{
		Ledger: p.ledger, Holder: p.config.Holder, Lease: 30 * time.Second,
	}, o)
}

// job is a job of that name and schedule, which copies /data/ to a folder of
// its own.
func (b *bench) job(name, schedule string, edits ...func(*jobs.Job)) *jobs.Job {
	b.t.Helper()
	job := &jobs.Job{Name: name, Steps: jobs.Single(copyOf("/data/", "/"+name+"/"))}
	if schedule != "" {
		job.Schedule = b.schedule(schedule, nil)
	}
	for _, edit := range edits {
		edit(job)
	}
	if err := job.Check(); err != nil {
		b.t.Fatal(err)
	}
	return job
}

func (b *bench) schedule(expr string, zone *time.Location) *schedule.Schedule {
	b.t.Helper()
	s, err := schedule.Parse(expr, zone)
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

// ledger opens the ledger as another process would.
func (b *bench) ledger() *ledger.Ledger {
	b.t.Helper()
	l, err := ledger.Open(b.t.Context(), "sqlite:"+filepath.Join(b.state, "runner.db"), slog.New(slog.DiscardHandler))
	if err != nil {
		b.t.Fatal(err)
	}
	return l
}

// sql changes the ledger behind the back of all processes.
func (b *bench) sql(statements ...string) {
	b.t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(b.state, "runner.db"))
	if err != nil {
		b.t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // every statement was checked
	for _, statement := range statements {
		if _, err := db.ExecContext(b.t.Context(), statement); err != nil {
			b.t.Fatal(err)
		}
	}
}

// count asks the ledger for a number.
func (b *bench) count(query string) (n int) {
	b.t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(b.state, "runner.db"))
	if err != nil {
		b.t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // it was only read
	if err := db.QueryRowContext(b.t.Context(), query).Scan(&n); err != nil {
		b.t.Fatal(err)
	}
	return n
}

// runs returns the runs in the ledger in the order of their claims.
func (b *bench) runs() []*ledger.Run {
	b.t.Helper()
	l := b.ledger()
	defer l.Close() //nolint:errcheck // it was only read
	var all []*ledger.Run
	for r, err := range l.Runs(b.t.Context(), ledger.Query{}) {
		if err != nil {
			b.t.Fatal(err)
		}
		all = append(all, r)
	}
	slices.Reverse(all)
	return all
}

// wantRuns checks the runs in the ledger, each as its job, key and state. The
// order does not count.
func (b *bench) wantRuns(want ...string) {
	b.t.Helper()
	var got []string
	for _, r := range b.runs() {
		got = append(got, fmt.Sprintf("%s %s %s", r.Job, r.Key, r.State))
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		b.t.Errorf("runs (-want +got):\n%s", diff)
	}
}

// submissions returns what the ledger has of a run.
func (b *bench) submissions(run int64) []ledger.Submission {
	b.t.Helper()
	l := b.ledger()
	defer l.Close() //nolint:errcheck // it was only read
	all, err := l.Submissions(b.t.Context(), run)
	if err != nil {
		b.t.Fatal(err)
	}
	return all
}

// labels returns the labels of all tasks, in the order of their submission.
func (b *bench) labels() []string {
	var all []string
	for _, task := range b.State().Tasks {
		all = append(all, task.Label)
	}
	return all
}

// is reports whether r is of that method and path.
func is(r *http.Request, method, path string) bool {
	if prefix, ok := strings.CutSuffix(path, "*"); ok {
		return r.Method == method && strings.HasPrefix(r.URL.Path, prefix)
	}
	return r.Method == method && r.URL.Path == path
}

// until sleeps until the bubble's clock shows that time since its beginning.
func until(since time.Duration) {
	time.Sleep(time.Until(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Add(since)))
	synctest.Wait()
}
