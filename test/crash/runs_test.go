package crash_test

import (
	"encoding/json"
	"fmt"

	"github.com/globus-runner/globus-runner/internal/ledger"
)

// A row is a run as "runner runs" prints it.
type row struct {
	Run         int64  `json:"run"`
	Job         string `json:"job"`
	Key         string `json:"key"`
	State       string `json:"state"`
	ExitCode    int    `json:"exit_code"`
	Submissions []struct {
		TaskID string `json:"task_id"`
		Status string `json:"status"`
		Label  string `json:"label"`
	} `json:"submissions"`
}

// print runs a command that prints JSON, and decodes it.
func (w *world) print(to any, args ...string) {
	w.t.Helper()
	c := w.start(0, append(args, "-F", "json")...)
	c.wait()
	if c.status != 0 {
		w.t.Fatalf("%v: exit status %d\n%s", args, c.status, c.log())
	}
	if err := json.Unmarshal([]byte(c.stdout.String()), to); err != nil {
		w.t.Fatal(err)
	}
}

// checkRuns asks whether "runner runs" has one run for each occurrence, and
// each is over. It returns the labels of what policy has skipped.
func (w *world) checkRuns(url string, all []occurrence) (skipped map[string]bool) {
	w.t.Helper()
	var list struct {
		Runs []row `json:"data"`
	}
	w.env = append(w.env, "RUNNER_STATE="+url)
	w.print(&list, "runs", "--limit", "0")
	runs := map[string]row{}
	for _, r := range list.Runs {
		runs[r.Job+" "+r.Key] = r
	}
	skipped = map[string]bool{}
	for _, o := range all {
		r, ok := runs[o.job+" "+o.key]
		delete(runs, o.job+" "+o.key)
		want, exit := ledger.Succeeded, 0
		switch {
		case o.failed:
			want, exit = ledger.Failed, 1
		case o.skipable && r.State == string(ledger.Skipped):
			want = ledger.Skipped
			for _, label := range o.labels {
				skipped[label] = true
			}
		}
		if !ok || r.State != string(want) || r.ExitCode != exit {
			w.t.Errorf("%s %s: got run %d in state %q, exit_code %d; want %s, %d", o.job, o.key, r.Run, r.State, r.ExitCode, want, exit)
		}
	}
	for name, r := range runs {
		if r.Key != ancient {
			w.t.Errorf("the ledger has run %d of %s, which was not due", r.Run, name)
		}
	}
	var shown row
	r := list.Runs[w.rng.IntN(len(list.Runs))]
	w.print(&shown, "runs", "show", fmt.Sprint(r.Run))
	if shown.Job != r.Job || shown.Key != r.Key || shown.State != r.State {
		w.t.Errorf("runs show: got %+v, want %+v", shown, r)
	}
	return skipped
}

// checkSubmissions asks whether the tasks that Globus has are those of the
// ledger. A ledger that was lost meanwhile does not know the submissions of the
// tasks that were adopted, nor tasks that had failed.
func (w *world) checkSubmissions(l *ledger.Ledger, all []occurrence, lost bool) {
	w.t.Helper()
	runs := map[string]*ledger.Run{}
	for run, err := range l.Runs(w.ctx, ledger.Query{}) {
		if err != nil {
			w.t.Fatal(err)
		}
		runs[run.Job+" "+run.Key] = run
	}
	known := map[string]ledger.Submission{}
	for _, o := range all {
		run := runs[o.job+" "+o.key]
		if run == nil {
			continue // which was told
		}
		sent, err := l.Submissions(w.ctx, run.ID)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, s := range sent {
			known[s.Label] = s
		}
	}
	for _, task := range w.globus.State().Tasks {
		s, ok := known[task.Label]
		if lost && !ok && task.Status == "FAILED" {
			continue
		}
		if lost {
			s.ID = task.SubmissionID
		}
		if s.TaskID != task.TaskID || s.ID != task.SubmissionID || s.Status != task.Status {
			w.t.Errorf("%q: the ledger has task %q, submission %q, status %q; Globus has %s, %s, %s",
				task.Label, s.TaskID, s.ID, s.Status, task.TaskID, task.SubmissionID, task.Status)
		}
		delete(known, task.Label)
	}
	for label, s := range known {
		w.t.Errorf("%q: the ledger has submission %s with task %q, Globus has none", label, s.ID, s.TaskID)
	}
}
