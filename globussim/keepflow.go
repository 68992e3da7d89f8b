package globussim

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// A keptRun is what the file of a [keeper] says of a run of a flow.
type keptRun struct {
	Holder    keptHolder     `json:"holder"`
	Flow      string         `json:"flow"` // id
	Input     map[string]any `json:"input"`
	Started   time.Time      `json:"started"`
	Label     string         `json:"label,omitempty"`
	Tags      []string       `json:"tags,omitempty"`
	Managers  []string       `json:"managers,omitempty"`
	Monitors  []string       `json:"monitors,omitempty"`
	Status    string         `json:"status"`
	Details   map[string]any `json:"details,omitempty"`
	Completed time.Time      `json:"completed,omitzero"`
	At        string         `json:"at"` // the state that it is in
	Output    map[string]any `json:"output,omitempty"`
	Entries   []logEntry     `json:"entries,omitempty"`
	Released  bool           `json:"released,omitempty"`
}

// changed has the keeper write down a run.
func (fs *flows) changed(r *run) {
	fs.server.keeper.changed("run/"+r.id, func() any {
		fs.mu.Lock()
		defer fs.mu.Unlock()
		// What is in a run is replaced there and never changed, but for its output.
		return keptRun{
			Holder: r.kept(), Flow: r.flow.ID, Input: r.input, Started: r.started, Label: r.label,
			Tags: r.tags, Managers: r.managers, Monitors: r.monitors, Status: r.status, Details: r.details,
			Completed: r.completed, At: r.at, Output: deepCopy(r.output), Entries: slices.Clone(r.entries), Released: r.released,
		}
	})
}

func (fs *flows) restore(was *kept) error {
	return was.each("run/", func(id string, values []json.RawMessage) error {
		var k keptRun
		if err := json.Unmarshal(values[len(values)-1], &k); err != nil {
			return err
		}
		f, e := fs.flow(k.Flow)
		if e != nil {
			return fmt.Errorf("its flow %s is not one of those that are served", k.Flow)
		}
		if _, ok := f.machine.States[k.At]; !ok && k.Status != succeeded {
			return fmt.Errorf("its flow %s has no state %q any more", k.Flow, k.At)
		}
		fs.runs = append(fs.runs, &run{
			holder: k.Holder.holder(), id: id, flow: f, input: k.Input, started: k.Started, label: k.Label,
			tags: k.Tags, managers: k.Managers, monitors: k.Monitors, status: k.Status, details: k.Details,
			completed: k.Completed, at: k.At, output: k.Output, entries: k.Entries, released: k.Released, stop: func() {},
		})
		return nil
	})
}

// begin lets the unfinished runs of a file go on from the states that they are in.
func (fs *flows) begin() {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for _, r := range fs.runs {
		if r.status == active {
			fs.launch(r)
		}
	}
}

// A keptTimer is what the file of a [keeper] says of a timer.
type keptTimer struct {
	Holder    keptHolder     `json:"holder"`
	Name      string         `json:"name"`
	Kind      string         `json:"kind"`
	Flow      string         `json:"flow,omitempty"`
	Schedule  recurrence     `json:"schedule"`
	Body      map[string]any `json:"body"`
	Submitted time.Time      `json:"submitted"`
	Next      time.Time      `json:"next"`
	Paused    bool           `json:"paused,omitempty"`
	Inactive  any            `json:"inactive,omitempty"`
	Removed   bool           `json:"removed,omitempty"`
	Runs      int            `json:"runs"`
	Errors    int            `json:"errors"`
	Ran       time.Time      `json:"ran,omitzero"`
	Results   []keptTimerRun `json:"results,omitempty"`
}

type keptTimerRun struct {
	At     time.Time `json:"at"`
	Status int       `json:"status"`
	Task   string    `json:"task,omitempty"`
	Flow   string    `json:"flow,omitempty"` // id of the run
	Doc    any       `json:"doc,omitempty"`
}

// changed has the keeper write down a timer.
func (ts *timers) changed(t *timer) {
	ts.server.keeper.changed("timer/"+t.id, func() any {
		ts.mu.Lock()
		defer ts.mu.Unlock()
		k := keptTimer{
			Holder: t.kept(), Name: t.name, Kind: t.kind, Flow: t.flow, Schedule: t.schedule, Body: t.body, Submitted: t.submitted,
			Next: t.next, Paused: t.paused, Inactive: t.inactive, Removed: !slices.Contains(ts.kept, t), Runs: t.runs, Errors: t.errors, Ran: t.ran,
		}
		for _, r := range t.results {
			kept := keptTimerRun{At: r.at, Status: r.status, Task: r.task, Doc: r.doc}
			if r.flow != nil {
				kept.Flow = r.flow.id
			}
			k.Results = append(k.Results, kept)
		}
		return k
	})
}

func (ts *timers) restore(was *kept) error {
	return was.each("timer/", func(id string, values []json.RawMessage) error {
		var k keptTimer
		if err := json.Unmarshal(values[len(values)-1], &k); err != nil || k.Removed {
			return err
		}
		t := &timer{
			holder: k.Holder.holder(), id: id, name: k.Name, kind: k.Kind, flow: k.Flow, schedule: k.Schedule, body: k.Body,
			submitted: k.Submitted, next: k.Next, paused: k.Paused, inactive: k.Inactive, runs: k.Runs, errors: k.Errors, ran: k.Ran,
		}
		for _, r := range k.Results {
			result := timerRun{at: r.At, status: r.Status, task: r.Task, doc: r.Doc}
			if r.Flow != "" {
				i := slices.IndexFunc(ts.server.flows.runs, func(of *run) bool { return of.id == r.Flow })
				if i < 0 {
					return fmt.Errorf("there is no run %s", r.Flow)
				}
				result.flow = ts.server.flows.runs[i]
			}
			t.results = append(t.results, result)
		}
		ts.kept = append(ts.kept, t)
		return nil
	})
}

// begin waits for the next instants of the timers of a file. One that has passed
// meanwhile is made up for at once.
func (ts *timers) begin() {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	for _, t := range ts.kept {
		ts.arm(t)
	}
}
