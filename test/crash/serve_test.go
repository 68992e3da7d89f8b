package crash_test

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
)

// A fleet is a jobs file with many occurrences that are due at once: those of
// the last hours, in which nothing ran.
type fleet struct {
	*world
	ledger *ledger.Ledger
	url    string
	file   string
	all    []occurrence
}

// ancient is the key of the runs with which the ledger is prepared, so that
// the scheduler knows since when it has missed something.
const ancient = "seed"

// hours is how many occurrences of each job are due.
const hours = 6

// fleetJobs are the jobs; all are due once an hour.
const fleetJobs = `
  copy:
    schedule: "%[1]d * * * *"
    catch_up: all
    concurrency_policy: allow
    transfer: {source: "lab:/in/", destination: 'vault:/copy/%[2]s/'}
  share:
    after: copy
    concurrency_policy: allow
    transfer: {source: 'vault:/copy/%[2]s/', destination: 'vault:/share/%[2]s/'}
  move:
    schedule: "%[1]d * * * *"
    catch_up: all
    concurrency_policy: allow
    steps:
      - mkdir: {collection: vault, path: '/move/%[2]s/'}
      - transfer: {source: 'lab:/out/%[2]s/', destination: 'vault:/move/%[2]s/', recursive: true}
      - delete: {collection: lab, paths: ['/out/%[2]s/'], recursive: true, ignore_missing: true, unproven: true}
  flaky:
    schedule: "%[1]d * * * *"
    catch_up: all
    concurrency_policy: allow
    backoff_limit: 1
    backoff: 1s
    transfer: {source: "lab:/in/", destination: 'vault:/flaky/%[2]s/'}
  doomed:
    schedule: "%[1]d * * * *"
    catch_up: all
    concurrency_policy: allow
    backoff_limit: 1
    backoff: 1s
    transfer: {source: "lab:/in/", destination: 'vault:/doomed/%[2]s/'}
  shy:
    schedule: "%[1]d * * * *"
    catch_up: all
    concurrency_policy: forbid
    transfer: {source: "lab:/in/", destination: 'vault:/shy/%[2]s/'}
`

// newFleet prepares a jobs file and a ledger.
func newFleet(w *world, url string) *fleet {
	w.t.Helper()
	f := &fleet{world: w, url: url, ledger: w.openLedger(url)}
	w.hasLedger, w.crowd, w.likely = true, 15, []call{mkdir, lookUp}
	w.env = append(w.env, "RUNNER_STATE="+url)
	w.write("lab", "in", frames)
	// Half an hour from now nothing falls due while the test runs.
	last := time.Now().UTC().Truncate(time.Minute).Add(-30 * time.Minute)
	f.file = w.jobsFile(fmt.Sprintf(fleetJobs, last.Minute(), `{{ .Time | strftime "%d-%H" }}`))
	f.seed(last.Add(-hours * time.Hour))
	for n := range hours {
		f.due(last.Add(-time.Duration(n) * time.Hour))
	}
	return f
}

// seed lets the ledger know a run of each job that was due at an instant.
func (f *fleet) seed(due time.Time) {
	f.t.Helper()
	for _, job := range []string{"copy", "move", "flaky", "doomed", "shy"} {
		run, _, err := f.ledger.Claim(f.ctx, ledger.Claim{Job: job, Key: ancient, Due: due, Holder: "seed", Lease: time.Minute})
		if err == nil {
			err = f.ledger.Finish(f.ctx, run.ID, "seed", ledger.Outcome{State: ledger.Succeeded})
		}
		if err != nil {
			f.t.Fatal(err)
		}
	}
}

// due adds what has to happen because of an instant.
func (f *fleet) due(at time.Time) {
	f.t.Helper()
	key, folder := string(jobs.ScheduledKey(at)), at.Format("02-15")
	add := func(o occurrence, suffixes ...string) {
		o.key = key
		for _, s := range suffixes {
			o.labels = append(o.labels, o.job+" "+key+s)
		}
		f.all = append(f.all, o)
	}
	in := func(collection string) map[string][]string {
		return map[string][]string{collection + "/" + folder: frames}
	}
	f.write("lab", "out/"+folder, frames)
	add(occurrence{job: "copy", there: in("copy")}, "")
	add(occurrence{job: "share", there: in("share")}, "")
	add(occurrence{job: "move", there: in("move"), gone: "out/" + folder}, " s2", " s3")
	add(occurrence{job: "flaky", there: in("flaky")}, "", " #2")
	add(occurrence{job: "doomed", failed: true}, "", " #2")
	add(occurrence{job: "shy", skipable: true, there: in("shy")}, "")
	for _, label := range []string{"flaky " + key, "doomed " + key, "doomed " + key + " #2"} {
		f.failOnce(label)
	}
}

// serve starts the scheduler.
func (f *fleet) serve(door int) *child { return f.start(door, "serve", "--jobs", f.file) }

// serveUp starts the scheduler and waits until it is at work.
func (f *fleet) serveUp(door int) *child {
	f.t.Helper()
	c := f.serve(door)
	for !strings.Contains(c.stderr.String(), "jobs planned") {
		if !c.alive() {
			f.t.Fatalf("a scheduler has not begun, exit status %d\n%s", c.status, c.log())
		}
		pause(f.ctx, 10*time.Millisecond)
	}
	return c
}

// settled waits until every occurrence has a run that is over. It reports
// false when no run has begun or ended for d, or c has ended.
func (f *fleet) settled(c *child, d time.Duration) bool {
	f.t.Helper()
	var before map[string]bool
	for moved := time.Now(); time.Since(moved) < d && c.alive() && f.ctx.Err() == nil; pause(f.ctx, 200*time.Millisecond) {
		over := map[string]bool{}
		for run, err := range f.ledger.Runs(f.ctx, ledger.Query{}) {
			if err != nil {
				f.t.Fatal(err)
			}
			over[run.Job+" "+run.Key] = run.State.Final()
		}
		if !maps.Equal(over, before) {
			before, moved = over, time.Now()
		}
		if !slices.ContainsFunc(f.all, func(o occurrence) bool { return !over[o.job+" "+o.key] }) {
			return true
		}
	}
	return false
}

// dismiss stops a scheduler as an operator does.
func (f *fleet) dismiss(c *child) {
	f.t.Helper()
	f.gate.clear(c.door)
	c.strike(term)
	f.checkEnd(c)
}

// checkEnd checks the exit status of a scheduler: that of a signal, unless it
// was stopped at its work.
func (f *fleet) checkEnd(c *child) {
	f.t.Helper()
	c.wait()
	atWork := strings.Contains(c.stderr.String(), "run started")
	switch b := c.struck(); {
	case b == kill && c.status == -1, b == term && c.status == 0:
	case b == kill && c.status == 0 && c.ending: // the end that SIGTERM had begun was faster
	case b == term && !atWork && (c.status == 143 || c.status == -1):
	default:
		f.t.Errorf("exit status %d of a scheduler after %s\n%s", c.status, b, c.log())
	}
}

// verify checks that everything was done once.
func (f *fleet) verify() {
	f.t.Helper()
	skipped := f.checkRuns(f.url, f.all)
	f.check(f.all, skipped)
	f.checkSubmissions(f.ledger, f.all, false)
}

func TestServeDoesEachOccurrenceOnce(t *testing.T) {
	inRounds(t, 3, func(w *world) {
		f := newFleet(w, "sqlite:"+filepath.Join(w.dir, "runner.db"))
		for range 1 + w.rng.IntN(5) {
			c := f.serve(0)
			if w.chance(2) {
				w.trouble()
			}
			w.ambush(c, w.killOrTerm(), 2*time.Second)
			f.settled(c, 3*time.Second)
			c.strike(kill) // if it was not met by the other one
			f.checkEnd(c)  // its leases end with its lock
		}
		c := f.serveUp(0)
		if !f.settled(c, 60*time.Second) {
			w.t.Error("not everything was brought to its end")
		}
		f.dismiss(c)
		f.verify()
	})
}
