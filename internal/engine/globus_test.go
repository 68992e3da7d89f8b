package engine_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/clientcreds"
	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/notify"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/retry"
	"github.com/globus-runner/globus-runner/transfer"
)

const (
	clientID = "0c5b4a7e-2f0d-4c1e-9d6b-1a2b3c4d5e6f"
	secret   = "canary+of/the=secret"
	key      = jobs.Key("2026-11-21T02:00:00Z")
)

var errSignal = errors.New("SIGTERM")

// Paths of the services, for faults.
const (
	tokenPath    = "/v2/oauth2/token"
	listPath     = "/v0.10/task_list"
	idPath       = "/v0.10/submission_id"
	transferPath = "/v0.10/transfer"
	taskPath     = "/v0.10/task/*"
)

// A bench is a Globus with the collections lab, vault and store, and the layers
// that a command stacks between the engine and the network. The lab has one
// file, /data/a.txt, with ten bytes in it.
//
// When the test ends, neither the log nor any error may have a secret in it.
type bench struct {
	*globussim.Server
	t         *testing.T
	lab       string // folders
	vault     string
	store     string
	state     string // folder of the ledger
	manifests map[string]string
	log       *journal
	wire      *wire
	errors    []error // that runs have ended with

	observe func(engine.Event) // nil if nobody wants to know
	desk    *notify.Desk       // of processes; nil if nobody is told
}

// Observe passes on what the engines of the bench do.
func (b *bench) Observe(e engine.Event) {
	if b.observe != nil {
		b.observe(e)
	}
}

// emptyLedger is the file of a new ledger. To write it takes a tenth of the time
// of making another one.
var emptyLedger = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "ledger")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // nothing goes on from there
	file := filepath.Join(dir, "runner.db")
	l, err := ledger.Open(context.Background(), "sqlite:"+file, slog.New(slog.DiscardHandler))
	if err == nil {
		err = l.Close()
	}
	if err != nil {
		return nil, err
	}
	return os.ReadFile(file)
})

// stateFolder returns a new folder with an empty ledger.
func stateFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	file, err := emptyLedger()
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "runner.db"), file, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// newDesk returns a desk that knows neither links to tasks nor next steps.
func newDesk() *notify.Desk {
	return &notify.Desk{TaskLink: func(_, _ string) string { return "" }, Next: func(error) string { return "" }}
}

// onBench runs a test in a bubble of its own, where waiting costs no time.
func onBench(t *testing.T, test func(t *testing.T, b *bench), edit ...func(*globussim.Config)) {
	t.Helper()
	state := stateFolder(t)
	synctest.Test(t, func(t *testing.T) {
		b := &bench{t: t, lab: t.TempDir(), vault: t.TempDir(), store: t.TempDir(), state: state, log: new(journal)}
		cfg := globussim.Config{
			Collections: []globussim.Collection{
				{Name: "lab", Dir: b.lab}, {Name: "vault", Dir: b.vault}, {Name: "store", Dir: b.store},
			},
			Accounts:      []globussim.Account{{ID: clientID, Secret: secret}},
			Flows:         []globussim.Flow{{Title: "Transfer"}},
			FaultInterval: time.Minute,
			Answers:       globussim.Answers{RefuseOtherDocument: true}, // what is sent again is what was sent
		}
		for _, change := range edit {
			change(&cfg)
		}
		var err error
		if b.Server, err = globussim.New(cfg); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := b.Close(); err != nil {
				t.Error(err)
			}
		}()
		b.wire = &wire{base: b.Client().Transport}
		b.plant("data/a.txt", "0123456789")
		test(t, b)
		b.checkSecrets()
	})
}

// plant writes a file of the lab, dated by the bubble's clock.
func (b *bench) plant(name, content string) {
	b.t.Helper()
	full := filepath.Join(b.lab, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(full), 0o755), os.WriteFile(full, []byte(content), 0o644)); err != nil {
		b.t.Fatal(err)
	}
	dated(b.t, full)
}

// open opens a manifest.
func (b *bench) open(name string) (io.ReadCloser, error) {
	text, ok := b.manifests[name]
	if !ok {
		return nil, os.ErrNotExist
	}
	return io.NopCloser(strings.NewReader(text)), nil
}

// remove removes a file of the lab.
func (b *bench) remove(name string) {
	b.t.Helper()
	if err := os.Remove(filepath.Join(b.lab, name)); err != nil {
		b.t.Fatal(err)
	}
}

// taskOf returns the only task of a run, as it is now.
func (b *bench) taskOf(r *engine.Result) *transfer.Task {
	b.t.Helper()
	if len(r.Tasks) != 1 {
		b.t.Fatalf("got %+v, want a run with one task", r)
	}
	task, err := b.client().Task(b.t.Context(), r.Tasks[0].TaskID)
	if err != nil {
		b.t.Fatal(err)
	}
	return task
}

// client returns a client with tokens of its own, as a new process has.
func (b *bench) client() *transfer.Client {
	b.t.Helper()
	return b.clientOver(b.wire)
}

// clientOver is client over another way to the services.
func (b *bench) clientOver(wire http.RoundTripper) *transfer.Client {
	b.t.Helper()
	log := slog.New(slog.NewJSONHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	account := clientcreds.New(clientID, secret, clientcreds.WithClient(
		auth.New(&http.Client{Transport: retry.New(wire, retry.Policy{}, log)}, auth.WithLogger(log))))
	limited := retry.Limit(wire, 200, 10*time.Second, retry.WithRank(engine.Rank))
	return transfer.New(
		&http.Client{Transport: retry.New(account.Transport(auth.TransferServer, limited), retry.Policy{}, log)},
		transfer.WithConsent(account.Consent))
}

// logger is the log of a process.
func (b *bench) logger() *slog.Logger {
	return slog.New(slog.NewJSONHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// engine returns the engine of a new process.
func (b *bench) engine() *engine.Engine {
	return engine.New(b.client(), b.logger(), engine.WithObserver(b), engine.WithUsers("robot", b.user(b.wire)), engine.WithFlows(b.flowsOver(b.wire)))
}

// run does an order in a new process.
func (b *bench) run(ctx context.Context, o engine.Order) *engine.Result {
	r := b.engine().Run(ctx, o)
	b.errors = append(b.errors, r.Err)
	return r
}

// start does an order without waiting for its task, whose id it returns when
// the task can do no more for the moment.
func (b *bench) start(o engine.Order) string {
	b.t.Helper()
	o.NoWait = true
	r := b.run(b.t.Context(), o)
	if r.Err != nil || len(r.Tasks) != 1 {
		b.t.Fatalf("start: %+v", r)
	}
	synctest.Wait()
	return r.Tasks[0].TaskID
}

// order is the occurrence key of a job that copies /data/ to the vault.
func (b *bench) order(edits ...func(*jobs.Job)) engine.Order {
	b.t.Helper()
	job := &jobs.Job{Name: "nightly", Steps: jobs.Single(copyOf("/data/", "/copy/"))}
	for _, edit := range edits {
		edit(job)
	}
	if err := job.Check(); err != nil {
		b.t.Fatal(err)
	}
	return engine.Order{Job: job, Key: key}
}

// copyOf is a document that copies from the lab to the vault.
func copyOf(src, dst string) *transfer.Transfer {
	return &transfer.Transfer{
		SourceEndpoint:      globussim.CollectionID("lab"),
		DestinationEndpoint: globussim.CollectionID("vault"),
		Items:               []transfer.Item{{SourcePath: src, DestinationPath: dst}},
	}
}

// named gives a job another name.
func named(name string) func(*jobs.Job) { return func(j *jobs.Job) { j.Name = name } }

// paths gives a job other paths.
func paths(src, dst string) func(*jobs.Job) {
	return func(j *jobs.Job) { j.Steps = jobs.Single(copyOf(src, dst)) }
}

// disturb orders disturbances of tasks.
func (b *bench) disturb(orders ...globussim.Disturbance) {
	b.t.Helper()
	if err := b.Disturb(orders...); err != nil {
		b.t.Fatal(err)
	}
}

// stall holds the next task until it is released.
func (b *bench) stall() {
	b.t.Helper()
	b.disturb(globussim.Disturbance{Action: globussim.StallTask})
}

// after calls f when the time d has passed.
func (b *bench) after(d time.Duration, f func()) {
	timer := time.AfterFunc(d, f)
	b.t.Cleanup(func() { timer.Stop() })
}

// signaled returns a context that a signal ends when the time d has passed.
func (b *bench) signaled(d time.Duration) context.Context {
	ctx, cancel := context.WithCancelCause(b.t.Context())
	b.after(d, func() { cancel(errSignal) })
	return ctx
}

// releaseAfter lets all held tasks go on when the time d has passed.
func (b *bench) releaseAfter(d time.Duration) {
	b.after(d, func() { b.disturb(globussim.Disturbance{Action: globussim.ReleaseTask}) })
}

// requests counts the requests of a route, such as "GET /v0.10/task/{id}".
func (b *bench) requests(route string) int { return b.State().Routes[route] }

// wantTasks checks the tasks that exist, each as its status and label.
func (b *bench) wantTasks(want ...string) {
	b.t.Helper()
	var got []string
	for _, task := range b.State().Tasks {
		got = append(got, task.Status+" "+task.Label)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		b.t.Errorf("tasks (-want +got):\n%s", diff)
	}
}

// failure returns the result's error, which must be a failure of that kind.
func failure(t *testing.T, r *engine.Result, kind fault.Kind) *engine.Failure {
	t.Helper()
	f, ok := errors.AsType[*engine.Failure](r.Err)
	if !ok || f.Kind != kind {
		t.Fatalf("got %+v, want an *engine.Failure of kind %s", r, kind)
	}
	return f
}

// contains checks that a text has all parts.
func contains(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q does not say %q", text, part)
		}
	}
}
