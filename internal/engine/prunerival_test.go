package engine_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

// Two prunes of the same files are not at work together: what the first one has
// deleted, somebody may have written anew before Globus comes to the second list.
func TestPrunesOfTheSameFilesAreAtWorkOneAfterTheOther(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.sow("data/a.txt", "data/b")
		p := b.process("one")
		p.wantRun(b.order(accounted, func(j *jobs.Job) { j.Steps = jobs.Single(provable("/copy/", "vault")) }, ownTimes), ledger.Succeeded)
		time.Sleep(time.Hour)

		b.stall()
		ended := make(chan *engine.Result, 3)
		for holder, name := range map[string]string{"two": "expire", "three": "tidy", "four": "sweep"} {
			replica := b.process(holder)
			go func() {
				r, err := replica.record(t.Context(), b.order(expires(), named(name)))
				if err != nil {
					t.Error(err)
				}
				ended <- r
			}()
		}
		time.Sleep(20 * time.Minute)
		if n := b.requests("POST /v0.10/delete"); n != 1 {
			t.Errorf("%d lists are at work, want one", n)
		}
		b.disturb(globussim.Disturbance{Action: globussim.ReleaseTask})
		released, files := time.Now(), int64(0)
		for range cap(ended) {
			r := <-ended
			if r.State != ledger.Succeeded {
				t.Errorf("got %+v", r)
			}
			files += r.Pruned.Files
		}
		if files != 2 {
			t.Errorf("the runs say that they deleted %d files, want each file once", files)
		}
		if took := time.Since(released); took > 5*time.Minute {
			t.Errorf("those that waited ended after %v: they have waited for each other", took)
		}
		b.wantLeft()
	})
}

// A list that another run has recorded, and of which no end is known, holds up a
// prune that has to do with its files.
func TestAPruneGivesWayToAListThatMeetsIts(t *testing.T) {
	lab, vault, store := globussim.CollectionID("lab"), globussim.CollectionID("vault"), globussim.CollectionID("store")
	type shelf struct {
		Collection string   `json:"collection"`
		Paths      []string `json:"paths"`
	}
	tests := map[string]struct {
		collection, path string
		shelves          []shelf
		old              time.Duration
		waits            bool
	}{
		"it deletes the same file":             {lab, "/data/a.txt", nil, 0, true},
		"it deletes the copy":                  {vault, "/copy/a.txt", nil, 0, true},
		"the file is its copy":                 {store, "/x", []shelf{{lab, []string{"/data/a.txt"}}}, 0, true},
		"it deletes the copy in another case":  {strings.ToUpper(vault), "/COPY/A.txt", nil, 0, true}, // the disk may not tell
		"the file is its copy in another case": {store, "/x", []shelf{{lab, []string{"/Data/a.TXT"}}}, 0, true},
		"it deletes another file":              {lab, "/data/b", []shelf{{vault, []string{"/copy/a.txt"}}}, 0, false},
		"it deletes that path elsewhere":       {store, "/data/a.txt", []shelf{{store, []string{"/data/a.txt"}}}, 0, false},
		"it was left, and nobody has ended it": {lab, "/data/a.txt", nil, 48 * time.Hour, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				b.sow("data/a.txt")
				p := b.process("one")
				p.wantRun(b.order(accounted, func(j *jobs.Job) { j.Steps = jobs.Single(provable("/copy/", "vault")) }, ownTimes), ledger.Succeeded)
				document, err := json.Marshal(&transfer.Delete{Endpoint: tt.collection, Items: []transfer.DeleteItem{{Path: tt.path}}})
				if err != nil {
					t.Fatal(err)
				}
				copies, err := json.Marshal(tt.shelves)
				if err != nil {
					t.Fatal(err)
				}
				other, _, err := p.ledger.Claim(t.Context(), ledger.Claim{Job: "other", Key: "manual:x", Holder: "other", Lease: time.Hour})
				if err == nil {
					err = p.ledger.Submit(t.Context(), "other", ledger.Submission{ID: "list", Run: other.ID, Step: 1, Part: 1, Attempt: 1, Once: true, Document: document, Copies: copies})
				}
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Hour + tt.old)
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					p.wantRun(b.order(expires()), ledger.Succeeded)
				}()
				time.Sleep(10 * time.Minute)
				if waits := b.requests("POST /v0.10/delete") == 0; waits != tt.waits {
					t.Errorf("the prune waits: %t, want %t", waits, tt.waits)
				}
				if err := p.ledger.Ended(t.Context(), "list", "SUCCEEDED", ledger.Totals{}); err != nil {
					t.Fatal(err)
				}
				<-ended
				b.wantLeft()
			})
		})
	}
}

// Each item that is copied has the job run that prunes all of them. These runs are at
// work one after the other, also where several replicas begin them.
func TestPrunesThatFollowItemsTakeTurns(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		file, err := jobs.Parse(os.Getenv, jobs.Source{Name: "jobs.yaml", Data: []byte(`
version: 1
collections: {lab: ` + globussim.CollectionID("lab") + `, vault: ` + globussim.CollectionID("vault") + `}
jobs:
  images:
    schedule: "* * * * *"
    for_each: {folder: "lab:/data/", type: file, ready: {older_than: 1m}}
    transfer: {source: "lab:/data/{{ .Item.Name }}", destination: "vault:/copy/{{ .Item.Name }}"}
  expire:
    after: images
    prune: {of: [images]}
`)})
		if err != nil {
			t.Fatal(err)
		}
		b.sow("data/b", "data/c", "data/d")
		b.desk = newDesk()
		for _, job := range file.Jobs {
			job.Notify.To = map[string][]string{"late": {"ops"}}
		}
		begin, p, q := time.Now(), b.process("one"), b.process("two")
		_, _, err = p.ledger.Claim(t.Context(), ledger.Claim{Job: "expire", Key: "item:a.txt", Holder: "three", Lease: 40 * time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		p.serve(file.Jobs...)
		q.serve(file.Jobs...)
		most := 0
		for end := time.Now().Add(2 * time.Hour); time.Now().Before(end); time.Sleep(time.Second) {
			open := 0
			for _, err := range p.ledger.OpenLists(t.Context()) {
				if err != nil {
					t.Fatal(err)
				}
				open++
			}
			most = max(most, open)
		}
		b.wantLeft()
		deleted := 0
		var first, last time.Time
		for _, run := range b.runs() {
			if run.Job != "expire" || run.State == ledger.Skipped { // another one does the same
				continue
			}
			if first.IsZero() || run.Finished.Before(first) {
				first = run.Finished
			}
			if run.Finished.After(last) {
				last = run.Finished
			}
			var n int
			if _, err := fmt.Sscanf(p.pruned(run.ID), "%d", &n); err != nil || run.State != ledger.Succeeded {
				t.Errorf("run %d has %s, and pruned %q", run.ID, run.State, p.pruned(run.ID))
			}
			deleted += n
		}
		if deleted != 4 || most > 1 {
			t.Errorf("the runs say that they deleted %d files, with up to %d lists at once, want 4 and 1", deleted, most)
		}
		if took := last.Sub(first); took > 2*time.Minute {
			t.Errorf("the last of the runs ended %v after the first: they do not follow each other", took)
		}
		if got := b.notified(begin); len(got) > 0 {
			t.Errorf("got the notices %q, although those that waited for their turn were not late", got)
		}
		if got := b.log.values(t, "another run is deleting some of the same files, or their copies: waiting for its end", "other_run"); len(got) > 0 {
			t.Errorf("runs have looked at files that others were deleting: %v", got)
		}
	})
}
