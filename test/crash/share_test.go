package crash_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/globus-runner/globus-runner/globussim"
)

// shareAndFlow shares a folder and starts a flow, which copies a file.
func shareAndFlow() string {
	return fmt.Sprintf(`
  hand-over:
    steps:
      - share: {collection: vault, path: /out/, with: {user: %s}, expires: 90d}
      - flow:
          id: %s
          body:
            source: {id: %s, path: /in/a}
            destination: {id: %s, path: /out/a}
`, colleague, globussim.FlowID("Transfer"), globussim.CollectionID("lab"), globussim.CollectionID("vault"))
}

// A handing is a world in which a folder is handed over.
type handing struct{ *world }

func newHanding(t *testing.T) handing {
	t.Helper()
	w := newWorld(t, rand.New(rand.NewPCG(*seed, 0)))
	w.hasLedger = true
	w.write("lab", "in", []string{"a"})
	w.write("vault", "out", nil)
	w.env = append(w.env, "RUNNER_STATE=sqlite:"+filepath.Join(w.dir, "runner.db"), "RUNNER_JOBS="+w.jobsFile(shareAndFlow()), "RUNNER_OCCURRENCE=github:1")
	rules, err := json.Marshal(map[string]any{
		"access": []globussim.AccessRule{{Principal: clientID, Permissions: "rw"}},
		"roles":  []globussim.Role{{Principal: clientID, Role: globussim.AccessManager}},
	})
	if err != nil {
		t.Fatal(err)
	}
	h := handing{w}
	h.collection(http.MethodPost, string(rules), &struct{}{})
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

// run starts the job until it is done, and kills the first start at a request if one
// is given.
func (h handing) run(snares ...*snare) {
	h.t.Helper()
	l := h.openLedger("sqlite:" + filepath.Join(h.dir, "runner.db"))
	for range mostStarts {
		born := make(chan *child, 1)
		for _, s := range snares {
			s.spring = func() { (<-born).strike(kill) }
			h.gate.set(s)
		}
		snares = nil
		c := h.start(0, "run", "hand-over", "-F", "json")
		born <- c
		c.wait()
		if h.finished(c, false) {
			return
		}
		h.lapse(l, c)
	}
	h.t.Errorf("%d starts have not brought it to its end", mostStarts)
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
	calm := newHanding(t)
	calm.run()
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
				h := newHanding(t)
				defer h.end()
				h.run(&snare{call: every, skip: i, moment: moment})
				h.check()
			})
		}
	}
}
