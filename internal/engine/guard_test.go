package engine_test

import (
	"testing"

	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
)

func TestMirrorOfAnEmptySourceIsRefused(t *testing.T) {
	mirror := func(item string, recursive *bool, allow bool) func(*jobs.Job) {
		return func(j *jobs.Job) {
			doc := copyOf(item, "/copy/")
			doc.DeleteDestinationExtra = true
			doc.Items[0].Recursive = recursive
			j.Steps, j.AllowEmptySource = jobs.Single(doc), allow
		}
	}
	tests := map[string]struct {
		edit    func(*jobs.Job)
		refused bool
	}{
		"empty folder":               {mirror("/empty/", nil, false), true},
		"empty folder without slash": {mirror("/empty", nil, false), true},
		"empty folder by flag":       {mirror("/empty", new(true), false), true},
		"empty folder is allowed":    {mirror("/empty/", nil, true), false},
		"folder with a hidden file":  {mirror("/hidden/", nil, false), false},
		"folder with a file":         {mirror("/data/", nil, false), false},
		"nothing is deleted":         {paths("/empty/", "/copy/"), false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				b.plant("empty/gone", "")
				b.remove("empty/gone")
				b.plant("hidden/.keep", "")
				r := b.run(t.Context(), b.order(tt.edit))
				if !tt.refused {
					if r.State != ledger.Succeeded || r.Err != nil {
						t.Errorf("got %+v, want success", r)
					}
					return
				}
				f := failure(t, r, fault.Guard)
				contains(t, f.Message, "/empty", "/copy/", "allow an empty source")
				if r.State != ledger.Failed || r.Attempt != 0 || b.requests("GET /v0.10/submission_id") != 0 {
					t.Errorf("got %+v, want state failed and nothing submitted", r)
				}
				b.wantTasks()
			})
		})
	}
}

func TestMirrorOfAFileHasNoFolderToGuard(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.plant("none.txt", "")
		r := b.run(t.Context(), b.order(func(j *jobs.Job) {
			doc := copyOf("/none.txt", "/none.txt")
			doc.DeleteDestinationExtra = true
			j.Steps = jobs.Single(doc)
		}))
		if r.State != ledger.Succeeded || r.Err != nil {
			t.Errorf("got %+v, want success", r)
		}
	})
}
