package engine_test

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

// liveItems is a history of items. Each is a folder of the lab that is copied once it
// is ready, to a folder of its own, and pruned by its run or by a later job. People go
// on writing into items that are done, and into those that a prune has emptied.
func (h *history) liveItems() {
	h.meets(true, "items")
	copies := 1 + h.rand.IntN(2)
	move := h.itemsJob(copies)
	expire := &jobs.Job{Name: "expire", Steps: []jobs.Step{{Prune: &jobs.Prune{
		Of: []string{move.Name}, Jobs: []*jobs.Job{move}, EmptyFolders: h.rand.IntN(2) == 0,
		Copies: 1 + h.rand.IntN(copies), OlderThan: time.Duration(h.rand.IntN(2)*h.rand.IntN(60)) * time.Minute,
	}}}}
	for _, job := range []*jobs.Job{move, expire} {
		job.BackoffLimit, job.ActiveDeadline, job.On.Hopeless = 1, time.Hour, jobs.Cancel // else it waits for a day
		if err := job.Check(); err != nil {
			h.t.Fatal(err)
		}
	}
	for i := range 3 + h.rand.IntN(4) {
		if i == 0 || h.rand.IntN(3) > 0 {
			h.newItem()
		}
		if h.rand.IntN(4) == 0 {
			h.meets(true, "a prune of items")
			h.meetsPrune(expire.Steps[0].Prune)
			h.trouble()
			h.do(engine.Order{Job: expire, Key: jobs.Key(fmt.Sprint("manual:", i))})
		}
		h.doItems(move)
		if h.t.Failed() {
			return
		}
		for range h.rand.IntN(3) {
			h.outside()
		}
		if copies == 1 && h.rand.IntN(3) == 0 {
			h.audit(move)
		}
	}
}

// itemsJob copies items to so many collections, and may prune each of them then.
func (h *history) itemsJob(copies int) *jobs.Job {
	job := &jobs.Job{
		Name: "items", Receipts: true, Guard: jobs.Guard{OverwritePruned: h.rand.IntN(4) == 0},
		ForEach: &jobs.ForEach{
			Collection: globussim.CollectionID("lab"), Folder: "/data/",
			Again: []jobs.Again{jobs.AgainNever, jobs.AgainChanged, jobs.AgainChanged}[h.rand.IntN(3)],
			Ready: []jobs.Readiness{{UnchangedFor: 2 * time.Minute}, {OlderThan: 2 * time.Minute}, {Marker: "a"}}[h.rand.IntN(3)],
		},
	}
	for _, collection := range []string{"vault", "store"}[:copies] {
		doc := h.copier("", collection).Steps[0].Transfer
		doc.Items = []transfer.Item{{SourcePath: "/data/{{ .Item.Name }}/", DestinationPath: "/copy/{{ .Item.Name }}/", Recursive: new(true)}}
		job.Steps = append(job.Steps, jobs.Step{Transfer: doc})
	}
	if h.rand.IntN(2) == 0 {
		job.Steps = append(job.Steps, jobs.Step{Prune: &jobs.Prune{EmptyFolders: h.rand.IntN(2) == 0}})
	}
	return job
}

// newItem makes a folder with some files.
func (h *history) newItem() {
	h.nights++
	h.write("lab", fmt.Sprint("data/", h.nights), "a")
	for _, name := range historyNames[1:] {
		if h.rand.IntN(3) > 0 {
			h.write("lab", fmt.Sprint("data/", h.nights), name)
		}
	}
}

// doItems looks for items until some are ready, or for a while, and does them.
func (h *history) doItems(job *jobs.Job) {
	for range 4 {
		time.Sleep(time.Duration(30+h.rand.IntN(150)) * time.Second)
		if h.p == nil {
			h.p = h.process("look")
		}
		rec := engine.Recording{Ledger: h.p.ledger, Holder: h.p.config.Holder, Lease: 30 * time.Second}
		if _, err := h.p.engine.Look(h.t.Context(), rec, job, nil); err != nil && !errors.Is(err, engine.ErrWatched) {
			h.t.Fatal(err)
		}
		orders, err := h.p.engine.ReadyOrders(h.t.Context(), rec, job, 3)
		if err != nil {
			h.t.Fatal(err)
		}
		for _, o := range orders {
			h.meets(strings.Contains(string(o.Key), "@"), "an item that is done again")
			h.trouble()
			r := h.do(o)
			h.nothingGone(job.Guard.OverwritePruned)
			if h.t.Failed() {
				return
			}
			if r == nil {
				return // the ledger was lost, and with it what is ready
			}
			if f, ok := errors.AsType[*engine.Failure](r.Err); ok && f.Kind == fault.Guard {
				h.meets(strings.Contains(f.Message, "only copies"), "an item that would replace an only copy")
			}
		}
	}
}
