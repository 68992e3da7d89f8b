package crash_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/globussim"
)

// shareAndFlow shares a folder and starts a flow, which copies a file.
func shareAndFlow() string {
	return fmt.Sprintf(`
  hand-over:
    steps:
      - share: {collection: vault, path: /out/, with: {user: %[1]s}, expires: 90d, notify: %[1]s, message: look}
      - flow:
          id: %[2]s
          body:
            source: {id: %[3]s, path: /in/a}
            destination: {id: %[4]s, path: /out/a}
`, colleague, globussim.FlowID("Transfer"), globussim.CollectionID("lab"), globussim.CollectionID("vault"))
}

// A handing is a world in which a folder is handed over.
type handing struct{ *world }

func newHanding(w *world) handing {
	w.t.Helper()
	w.hasLedger = true
	w.likely = []call{rules, rule, rule, begin, begin, runs}
	w.write("lab", "in", []string{"a"})
	w.write("vault", "out", nil)
	w.env = append(w.env, "RUNNER_STATE=sqlite:"+filepath.Join(w.dir, "runner.db"), "RUNNER_JOBS="+w.jobsFile(shareAndFlow()), "RUNNER_OCCURRENCE=github:1")
	order, err := json.Marshal(map[string]any{
		"access": []globussim.AccessRule{{Principal: clientID, Permissions: "rw"}},
		"roles":  []globussim.Role{{Principal: clientID, Role: globussim.AccessManager}},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	h := handing{w}
	h.collection(http.MethodPost, string(order), &struct{}{})
	return h
}

// collection asks the simulator about the vault, or changes it.
func (h handing) collection(method, order string, into any) {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.ctx, method, h.urls[0]+"/_sim/collections/"+globussim.CollectionID("vault"), strings.NewReader(order))
	if err != nil {
		h.t.Fatal(err)
	}
	resp, err := h.globus.Client().Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // it was only read
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil || resp.StatusCode != http.StatusOK {
		h.t.Fatalf("the simulator answers %s, %v", resp.Status, err)
	}
}

// run starts the job until it is done. Each start but the last ones is disturbed as
// hurt says, which is told its number.
func (h handing) run(hurt func(n int, c *child)) {
	h.t.Helper()
	l := h.openLedger("sqlite:" + filepath.Join(h.dir, "runner.db"))
	for n := range mostStarts {
		c := h.start(0, "run", "hand-over", "-F", "json")
		hurt(n, c)
		c.wait()
		if h.finished(c, false) {
			return
		}
		h.lapse(l, c)
	}
	h.t.Errorf("%d starts have not brought it to its end", mostStarts)
}

// unhurt lets a start go on.
func unhurt(int, *child) {}

// killedAt kills the first start at a request.
func (h handing) killedAt(s *snare) func(n int, c *child) {
	born := make(chan *child, 1)
	s.spring = func() { (<-born).strike(kill) }
	h.gate.set(s) // before the start
	return func(n int, c *child) {
		if n == 0 {
			born <- c
		}
	}
}

// check checks that there is one access rule, and one run of the flow.
func (h handing) check() {
	h.t.Helper()
	var vault globussim.Condition
	h.collection(http.MethodGet, "", &vault)
	var shared []string
	for _, rule := range vault.Access {
		if rule.Principal != clientID {
			shared = append(shared, strings.Replace(rule.Principal, globussim.PersonID(colleague), colleague, 1)+" "+rule.Path+" "+rule.Permissions)
		}
	}
	if want := colleague + " /out/ r"; len(shared) != 1 || shared[0] != want {
		h.t.Errorf("got the access rules %q, want %q alone", shared, want)
	}
	made := 0 // each of them sends an e-mail
	for _, r := range h.globus.State().Requests {
		if strings.HasSuffix(r.Path, "/access") && r.Status == http.StatusCreated {
			made++
		}
	}
	if made != 1 {
		h.t.Errorf("%d access rules were made, want 1", made)
	}
	if tasks := h.globus.State().Tasks; len(tasks) != 1 || tasks[0].Status != "SUCCEEDED" {
		h.t.Errorf("got the tasks %+v, want one of one run of the flow", tasks)
	}
	h.occurrences++
	h.checkFiles(occurrence{job: "hand-over", there: map[string][]string{"out": {"a"}}})
}

// TestAShareAndAFlowAreDoneOnce kills the program at every request, with its effect
// and without it. The short form leaves out where the next start has to wait until
// the list of runs must have a run.
func TestAShareAndAFlowAreDoneOnce(t *testing.T) {
	t.Parallel()
	world := func(t *testing.T) *world { return newWorld(t, rand.New(rand.NewPCG(*seed, 0))) }
	calm := newHanding(world(t))
	calm.run(unhurt)
	calm.check()
	requests := calm.globus.State().Requests
	calm.end()
	isStart := func(i int) bool { return i < len(requests) && strings.HasSuffix(requests[i].Path, "/run") }
	moments := map[moment]func(i int) bool{
		after:  func(i int) bool { return isStart(i + 1) },
		before: func(int) bool { return true },
	}
	for moment, slow := range moments {
		for i, r := range requests {
			if slow(i) && !inLength() {
				continue
			}
			t.Run(fmt.Sprintf("%s, %d, %s %s", moment, i+1, r.Method, strings.ReplaceAll(r.Path, "/", " ")), func(t *testing.T) {
				t.Parallel()
				h := newHanding(world(t))
				defer h.end()
				h.run(h.killedAt(&snare{call: every, skip: i, moment: moment}))
				h.check()
			})
		}
	}
}

// TestAShareAndAFlowAreDoneOnceInRounds kills up to four starts of each round, at
// requests and between them. In the short form there are few, because one that loses
// the start of a flow has to wait.
func TestAShareAndAFlowAreDoneOnceInRounds(t *testing.T) {
	some := 2
	if inLength() {
		some = mostShort
	}
	inRounds(t, some, func(w *world) {
		h := newHanding(w)
		h.run(func(n int, c *child) {
			if n < 4 && (n == 0 || !w.chance(3)) {
				w.ambush(c, kill, time.Second)
			}
		})
		w.calm()
		h.check()
	})
}
