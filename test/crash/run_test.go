package crash_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/ledger"
)

// mostStarts is how many starts of "run" a round may need.
const mostStarts = 40

// A oneShot is an occurrence that "runner run" does, and how it is started.
type oneShot struct {
	occurrence
	args []string
	env  []string
	call call // one that it sends besides the usual ones; may be empty
}

const key = "github:4711"

var frames = []string{"a.h5", "b.h5", "c.h5"}

// oneShots are the kinds of one-shot starts.
func (w *world) oneShots() map[string]oneShot {
	lab, vault := globussim.CollectionID("lab"), globussim.CollectionID("vault")
	w.write("lab", "in", frames)
	plain := []string{
		"RUNNER_JOB_NAME=nightly", "RUNNER_JOB_SOURCE=" + lab + ":/in/", "RUNNER_JOB_DESTINATION=" + vault + ":/raw/",
		"RUNNER_JOB_BACKOFF=300ms", "RUNNER_JOB_BACKOFF_LIMIT=1",
	}
	there := map[string][]string{"raw": frames}
	return map[string]oneShot{
		"one task": {
			occurrence: occurrence{job: "nightly", labels: []string{"nightly " + key}, there: there},
			env:        plain,
		},
		"a task that fails once": {
			occurrence: occurrence{job: "nightly", labels: []string{"nightly " + key, "nightly " + key + " #2"}, there: there},
			env:        plain,
		},
		"three steps": {
			occurrence: occurrence{job: "hand-over", labels: []string{"hand-over " + key + " s2", "hand-over " + key + " s3"}, there: there, gone: "in"},
			args:       []string{"hand-over"},
			env:        []string{"RUNNER_JOBS=" + w.jobsFile(handOver)},
			call:       mkdir,
		},
	}
}

const handOver = `
  hand-over:
    steps:
      - mkdir: {collection: vault, path: /raw/}
      - transfer: {source: "lab:/in/", destination: "vault:/raw/", recursive: true}
      - delete: {collection: lab, paths: [/in/], recursive: true, ignore_missing: true, unproven: true}
`

// jobsFile writes a jobs file and returns its name.
func (w *world) jobsFile(jobs string) string {
	w.t.Helper()
	text := "version: 1\ncollections:\n  lab: " + globussim.CollectionID("lab") + "\n  vault: " + globussim.CollectionID("vault") + "\njobs:" + jobs
	file := filepath.Join(w.dir, "jobs.yaml")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		w.t.Fatal(err)
	}
	return file
}

func TestRunWithoutALedgerIsDoneOnce(t *testing.T) {
	inRounds(t, mostShort, func(w *world) {
		w.env = append(w.env, "RUNNER_STATE=none")
		w.likely = []call{lookUp, lookUp}
		o := w.anyOneShot()
		w.runToItsEnd(o, func(*child) {})
		w.check([]occurrence{o.occurrence}, nil)
	})
}

func TestRunWithALedgerIsDoneOnce(t *testing.T) {
	inRounds(t, mostShort, func(w *world) {
		w.hasLedger = true
		url := "sqlite:" + filepath.Join(w.dir, "runner.db")
		w.env = append(w.env, "RUNNER_STATE="+url)
		l := w.openLedger(url)
		o := w.anyOneShot()
		slow := inLength() && w.chance(10) // the lease runs out by itself
		w.runToItsEnd(o, func(c *child) {
			if !slow {
				w.lapse(l, c)
			}
		})
		w.check([]occurrence{o.occurrence}, nil)
		w.checkRuns(url, []occurrence{o.occurrence})
		w.checkSubmissions(l, []occurrence{o.occurrence}, false)
	})
}

func TestRunWithALedgerThatWasLostIsDoneOnce(t *testing.T) {
	inRounds(t, mostShort/2, func(w *world) {
		url := "sqlite:" + filepath.Join(w.dir, "runner.db")
		w.env = append(w.env, "RUNNER_STATE="+url)
		w.likely = []call{lookUp, lookUp}
		o := w.anyOneShot()
		w.runToItsEnd(o, func(*child) {
			for _, name := range []string{"runner.db", "runner.db-journal"} {
				if err := os.Remove(filepath.Join(w.dir, name)); err != nil && !os.IsNotExist(err) {
					w.t.Fatal(err)
				}
			}
		})
		w.check([]occurrence{o.occurrence}, nil)
		w.checkRuns(url, []occurrence{o.occurrence})
		w.checkSubmissions(w.openLedger(url), []occurrence{o.occurrence}, true)
	})
}

// anyOneShot draws a kind of one-shot start.
func (w *world) anyOneShot() oneShot {
	all := w.oneShots()
	names := slices.Sorted(maps.Keys(all))
	name := names[w.rng.IntN(len(names))]
	w.t.Log(name)
	o := all[name]
	o.key = key
	if name == "a task that fails once" {
		w.failOnce(o.labels[0])
	}
	return o
}

// failOnce lets the next task with the label fail.
func (w *world) failOnce(label string) {
	w.t.Helper()
	if err := w.globus.Disturb(globussim.Disturbance{Action: globussim.FailTask, Label: label}); err != nil {
		w.t.Fatal(err)
	}
}

// runToItsEnd starts "run" again and again, strikes it a few times, and lets
// it be in the end. Died is called when a start has not done its work.
func (w *world) runToItsEnd(o oneShot, died func(*child)) {
	w.t.Helper()
	w.env = append(append(w.env, o.env...), "RUNNER_OCCURRENCE="+key)
	if w.chance(4) {
		w.env = append(w.env, "RUNNER_HTTP_RETRIES=0")
	}
	if o.call != "" {
		w.likely = append(w.likely, o.call)
	}
	strikes := 1 + w.rng.IntN(4)
	for n := range mostStarts {
		if n > strikes {
			w.calm()
		}
		c := w.start(0, append([]string{"run", "-F", "json"}, o.args...)...)
		if n < strikes {
			w.ambush(c, w.killOrTerm(), 1500*time.Millisecond)
		}
		if n < strikes && w.chance(3) || n == strikes && w.chance(2) {
			w.trouble()
		}
		c.wait()
		if w.finished(c, n > strikes) {
			w.checkResult(c, o.occurrence)
			return
		}
		died(c)
		if !w.hasLedger || w.ctx.Err() != nil {
			continue
		}
		if c.struck() == "" && c.status == 5 {
			pause(w.ctx, time.Second) // another start has it until its lease is over
		}
	}
	w.t.Errorf("%d starts have not brought it to its end", mostStarts)
}

func (w *world) killOrTerm() blow {
	if w.chance(4) {
		return term
	}
	return kill
}

// finished reports whether a start has done its work. It checks the exit
// status of those that have not: calm is one to which nothing happened.
func (w *world) finished(c *child, calm bool) bool {
	w.t.Helper()
	r := c.result()
	if r.State != "" && r.ExitCode != c.status && c.status != -1 { // a blow may come after the result
		w.t.Errorf("the result says exit_code %d, and the exit status is %d\n%s", r.ExitCode, c.status, c.log())
	}
	switch b := c.struck(); {
	case c.status == 0:
		return true
	case c.status == -1 && b == kill, c.status == 143 && b == term, c.status == 6 && b == term:
		return false
	case c.status == -1 && b == term: // before it had begun to listen to signals
		return false
	case !calm && (c.status == 5 || c.status == 6):
		return false
	case c.status == 5 && w.hasLedger: // another start has it
		return false
	}
	w.t.Fatalf("exit status %d of an undisturbed start\n%s", c.status, c.log())
	return false
}

// checkResult checks what the last start has printed.
func (w *world) checkResult(c *child, o occurrence) {
	w.t.Helper()
	r := c.result()
	if r.State != string(ledger.Succeeded) {
		w.t.Errorf("got state %q, want succeeded", r.State)
	}
	ids := map[string]string{}
	for _, task := range w.globus.State().Tasks {
		ids[task.TaskID] = task.Label
	}
	for _, task := range r.Tasks {
		if ids[task.TaskID] != task.Label {
			w.t.Errorf("the result names task %s %q, which is %q at Globus", task.TaskID, task.Label, ids[task.TaskID])
		}
	}
	if last := o.labels[len(o.labels)-1]; len(r.Tasks) > 0 && r.Tasks[len(r.Tasks)-1].Label != last {
		w.t.Errorf("the last task of the result is %q, want %q", r.Tasks[len(r.Tasks)-1].Label, last)
	}
}
