package crash_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/ledger"
)

const (
	clientID = "5b0e5a8e-0000-4000-8000-000000000001"
	canary   = "canary+/=Xq7Zt0" // the secret

	colleague = "ada@example.edu" // somebody to share with

	doors = 3 // as many processes at once

	// roundTime bounds a round.
	roundTime = 4 * time.Minute
)

// A world is what one round is played in: a simulated Globus with two
// collections, and the processes that use it.
type world struct {
	t         *testing.T
	ctx       context.Context
	rng       *rand.Rand // of the test's goroutine alone
	begin     time.Time
	dir       string   // where processes run; has the folders lab and vault
	env       []string // of all processes
	hasLedger bool
	likely    []call // that are sent besides those that always are
	crowd     int    // how many requests of a kind one process may send
	expired   bool   // tokens were made to expire already

	globus globus
	gate   *gate
	urls   [doors]string
	close  []func()
	wg     sync.WaitGroup // what goes on beside the test's goroutine

	children                      []*child
	starts, troubles, occurrences int

	mu    sync.Mutex // guards blows and the blow of each child
	blows map[blow]int
}

func newWorld(t *testing.T, rng *rand.Rand) *world {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), roundTime)
	t.Cleanup(cancel)
	w := &world{t: t, ctx: ctx, rng: rng, begin: time.Now(), dir: t.TempDir(), crowd: 2, blows: map[blow]int{}}
	for _, name := range []string{"lab", "vault"} {
		w.write(name, "", nil)
	}
	var err error
	if w.globus, err = globussim.New(simulated(w.dir)); err != nil {
		t.Fatal(err)
	}
	w.gate = &gate{globus: w.globus, snares: map[*snare]struct{}{}, deletes: map[string]bool{}, secrets: map[string]bool{
		canary: true, databasePassword: true, base64.StdEncoding.EncodeToString([]byte(clientID + ":" + canary)): true,
	}}
	for n := range doors {
		server := httptest.NewServer(w.gate.door(n))
		w.urls[n] = server.URL
		w.close = append(w.close, server.Close)
	}
	w.env = []string{
		"CLIENT_ID=" + clientID, "CLIENT_SECRET=" + canary, "HOME=" + w.dir,
		"RUNNER_LOG_LEVEL=debug", "RUNNER_LOG_FORMAT=text",
	}
	return w
}

// becomeMortal puts a simulator that can be killed in the place of the one in this
// process, before anything has used that.
func (w *world) becomeMortal() *mortal {
	w.t.Helper()
	if err := w.globus.Close(); err != nil {
		w.t.Fatal(err)
	}
	m := newMortal(w.t, w.dir)
	w.globus, w.gate.globus = m, m
	return m
}

// end waits until nothing goes on any more, and looks for secrets.
func (w *world) end() {
	for _, c := range w.children {
		c.signal(signals[kill])
		<-c.done
	}
	w.wg.Wait()
	for _, f := range w.close {
		f()
	}
	if err := w.globus.Close(); err != nil {
		w.t.Error(err)
	}
	for _, c := range w.children {
		for secret := range w.gate.secrets {
			if strings.Contains(c.stdout.String()+c.stderr.String(), secret) {
				w.t.Errorf("a process has printed the secret %q", secret)
			}
		}
	}
	if w.t.Failed() {
		w.keepLogs()
	}
}

// keepLogs writes what the processes have printed to the test's artifacts,
// which go test -artifacts keeps.
func (w *world) keepLogs() {
	for i, c := range w.children {
		file := filepath.Join(w.t.ArtifactDir(), fmt.Sprintf("process-%02d.log", i+1))
		w.t.Logf("%s: door %d, %v, exit status %d, %s", file, c.door, c.cmd.Args[1:], c.status, c.struck())
		if err := os.WriteFile(file, []byte(c.stdout.String()+c.stderr.String()), 0o644); err != nil {
			w.t.Error(err)
		}
	}
}

// chance is true once in n times.
func (w *world) chance(n int) bool { return w.rng.IntN(n) == 0 }

// upTo draws a duration below d.
func (w *world) upTo(d time.Duration) time.Duration { return time.Duration(w.rng.Int64N(int64(d))) }

// pick draws one of the names.
func (w *world) pick(from map[string]func()) string {
	names := slices.Sorted(maps.Keys(from))
	return names[w.rng.IntN(len(names))]
}

// write makes a folder of a collection with files in it, named after their
// content.
func (w *world) write(collection, folder string, files []string) {
	w.t.Helper()
	dir := filepath.Join(w.dir, collection, folder)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		w.t.Fatal(err)
	}
	for _, name := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o644); err != nil {
			w.t.Fatal(err)
		}
	}
}

// An occurrence is one thing that must happen once.
type occurrence struct {
	job, key string
	labels   []string            // of its tasks, in their order
	failed   bool                // it ends failed, and not succeeded
	skipable bool                // policy may have skipped it
	there    map[string][]string // files in folders of the vault
	gone     string              // a folder of the lab
}

// check compares what Globus has done with what was to be done. What policy
// has skipped is only known to the ledger: skipped names these labels.
func (w *world) check(all []occurrence, skipped map[string]bool) {
	w.t.Helper()
	w.occurrences += len(all)
	count := map[string]int{}
	for _, task := range w.globus.State().Tasks {
		count[task.Label]++
	}
	for _, o := range all {
		for i, label := range o.labels {
			want, status := 1, "SUCCEEDED"
			if skipped[label] {
				want = 0
			}
			if o.failed || i < len(o.labels)-1 && strings.HasPrefix(o.labels[i+1], label+" #") {
				status = "FAILED"
			}
			if count[label] != want {
				w.t.Errorf("got %d tasks %q, want %d", count[label], label, want)
			}
			delete(count, label)
			for _, task := range w.globus.State().Tasks {
				if task.Label == label && task.Status != status {
					w.t.Errorf("got task %q %s, want %s", label, task.Status, status)
				}
			}
		}
		if len(o.labels) == 0 || !skipped[o.labels[0]] {
			w.checkFiles(o)
		}
	}
	for label, n := range count {
		w.t.Errorf("got %d tasks %q, want none", n, label)
	}
}

func (w *world) checkFiles(o occurrence) {
	w.t.Helper()
	for folder, files := range o.there {
		for _, name := range files {
			file := filepath.Join(w.dir, "vault", folder, name)
			if got, err := os.ReadFile(file); err != nil || string(got) != name {
				w.t.Errorf("%s %s: got %q, %v in the file %s", o.job, o.key, got, err, name)
			}
		}
	}
	if o.gone != "" {
		if _, err := os.Stat(filepath.Join(w.dir, "lab", o.gone)); !os.IsNotExist(err) {
			w.t.Errorf("%s %s: the folder %s is still there", o.job, o.key, o.gone)
		}
	}
}

// lapse lets the leases of a process run out: of the dead nobody knows that
// they are, until then. Those of a process that was frozen in the middle of a
// transaction stay as they are, for PostgreSQL keeps their rows for it.
func (w *world) lapse(l *ledger.Ledger, c *child) {
	w.t.Helper()
	held := fmt.Sprintf(":%d:", c.cmd.Process.Pid)
	for run, err := range l.Runs(w.ctx, ledger.Query{}) {
		if err != nil {
			w.t.Fatal(err)
		}
		if !run.State.Final() && strings.Contains(run.Holder, held) {
			if err := l.Release(w.ctx, run.Holder); err != nil {
				select {
				case <-c.done:
					w.t.Fatal(err)
				default:
					w.t.Log("frozen in a transaction: ", err)
				}
			}
			return // all of them are over
		}
	}
}

// openLedger opens the ledger of a round.
func (w *world) openLedger(url string) *ledger.Ledger {
	w.t.Helper()
	l, err := ledger.Open(w.ctx, url, slog.New(slog.DiscardHandler))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = l.Close() }) // the round is over
	return l
}
