package engine_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

// data is a folder of the lab whose files are copied.
func (h *history) data() string {
	if h.kind == ofFolder {
		return "data"
	}
	return fmt.Sprint("data/", 1+h.rand.IntN(h.nights))
}

// copies is a folder of copies.
func (h *history) copies() string {
	switch h.kind {
	case ofNights:
		return "all"
	case ofItems:
		return fmt.Sprint("copy/", 1+h.rand.IntN(h.nights))
	}
	return "copy"
}

// liveFlat is a history of nights. Each has a folder of its own with files of the same
// names, and all are copied to one folder: a later night may replace the only copy of
// what a prune has deleted.
func (h *history) liveFlat() {
	h.meets(true, "nights that are copied to one folder")
	for i := range 3 + h.rand.IntN(4) {
		night := 1 + h.rand.IntN(max(1, h.nights))
		if i == 0 || h.rand.IntN(3) > 0 {
			h.nights++
			night = h.nights
			for _, name := range historyNames {
				if h.rand.IntN(3) > 0 {
					h.write("lab", fmt.Sprint("data/", night), name)
				}
			}
			time.Sleep(time.Minute)
		}
		job := h.flatJob(night, i == 0)
		if err := job.Check(); err != nil {
			h.t.Fatal(err)
		}
		h.trouble()
		r := h.do(engine.Order{Job: job, Key: jobs.Key(fmt.Sprint("manual:", i))})
		if f, ok := errors.AsType[*engine.Failure](r.Err); ok && f.Kind == fault.Guard {
			h.meets(strings.Contains(f.Message, "only copies"), "an only copy that would be replaced")
		}
		h.nothingGone(job.Guard.OverwritePruned)
		if h.t.Failed() {
			return
		}
		time.Sleep(time.Duration(h.rand.IntN(20)) * time.Minute)
		for range h.rand.IntN(2) {
			h.outside()
		}
		if job.Name != "expire" && h.rand.IntN(3) == 0 {
			h.audit(job)
		}
	}
}

// flatJob is a job about a night, or about the receipts of all.
func (h *history) flatJob(night int, first bool) *jobs.Job {
	job := &jobs.Job{Name: "flat", Receipts: true, BackoffLimit: 1, ActiveDeadline: time.Hour, Guard: jobs.Guard{OverwritePruned: h.rand.IntN(4) == 0}}
	job.On.Hopeless = jobs.Cancel
	n := h.rand.IntN(6)
	if n < 2 && !first {
		job.Name = "expire"
		p := &jobs.Prune{Of: []string{"flat"}}
		of := &jobs.Job{Name: "flat"}
		for n := range h.nights {
			of.Steps = append(of.Steps, jobs.Step{Transfer: h.flatTransfer(n + 1)})
		}
		p.Jobs = []*jobs.Job{of}
		job.Steps = []jobs.Step{{Prune: p}}
		return job
	}
	doc := h.flatTransfer(night)
	doc.PreserveTimestamp = h.rand.IntN(4) > 0
	if h.rand.IntN(3) == 0 {
		doc.SyncLevel = new(transfer.SyncLevel(h.rand.IntN(4)))
	}
	if job.Steps = jobs.Single(doc); n == 2 || n == 0 {
		job.Steps = append(job.Steps, jobs.Step{Prune: &jobs.Prune{}})
	}
	return job
}

func (h *history) flatTransfer(night int) *transfer.Transfer {
	doc := provable("/all/", "vault")
	doc.Items[0].SourcePath = fmt.Sprintf("/data/%d/", night)
	return doc
}

// spoils takes note that somebody destroys what a file holds.
func (h *history) spoils(file string) {
	if content, err := os.ReadFile(file); err == nil {
		h.spoiled[string(content)] = true
	}
}

// nothingGone checks that all that prunes have deleted is still somewhere, unless
// people have destroyed it, or wrote a file of its name while it was copied, or a job
// may replace it.
func (h *history) nothingGone(allowed bool) {
	there := map[string]bool{}
	for _, disk := range []string{h.lab, h.vault, h.store} {
		err := filepath.WalkDir(disk, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			content, err := os.ReadFile(path)
			there[string(content)] = true
			return err
		})
		if err != nil {
			h.t.Fatal(err)
		}
	}
	for content, path := range h.kept {
		if there[content] {
			continue
		}
		delete(h.kept, content)
		name := strings.SplitN(path, "/", 4)[3] // after /data/1/
		switch {
		case h.spoiled[content] || h.touched[name]:
		case allowed:
			h.meets(true, "an only copy that is replaced, as its job may")
		default:
			h.fail("the content %q of %s, which a prune has deleted, is nowhere any more", content, path)
		}
	}
}
