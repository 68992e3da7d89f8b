package engine_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/test/long"
)

// followItems has a job copy all that has become of the items, after each of them. Five
// items become ready while the first copy of all is at work.
func (b *bench) followItems() []*jobs.Job {
	b.desk = newDesk()
	items := b.itemJob(marked)
	publish := b.job("publish", "", follows("runs"), func(j *jobs.Job) {
		j.Items, j.ItemsOf = items.ForEach, items.Name
		j.Notify.To = map[string][]string{"skipped": {"ops"}, "late": {"ops"}, "failed": {"ops"}}
		doc := copyOf("/raw/", "/public/")
		doc.SourceEndpoint = doc.DestinationEndpoint
		j.Steps = jobs.Single(doc)
	})
	for i := range 6 {
		at := time.Duration(min(i, 1)) * 130 * time.Second
		b.begin(written(at, fmt.Sprintf("/runs/run_%d/a", i), int64(1000/(1+9*min(i, 1))), 0), written(at, fmt.Sprintf("/runs/run_%d/done", i), 0, 0))
	}
	return []*jobs.Job{items, publish}
}

// published wants all items to have been copied by the following job, and returns how
// many of its runs have succeeded.
func (b *bench) published() (copied int) {
	b.t.Helper()
	if diff := cmp.Diff(b.content(filepath.Join(b.lab, "runs")), b.content(filepath.Join(b.vault, "public"))); diff != "" {
		b.t.Errorf("(-lab +public):\n%s", diff)
	}
	followed := 0
	for _, run := range b.runs() {
		switch {
		case run.Job != "publish":
			continue
		case run.State == ledger.Succeeded:
			copied++
		case run.State != ledger.Skipped:
			b.t.Errorf("run %d %s: %s", run.ID, run.State.Ending(), run.Message)
		default:
			contains(b.t, run.Message, "which begins later, does the same for occurrence item:run_")
		}
		followed++
	}
	if followed != 6 {
		b.t.Errorf("%d runs follow the items, want 6", followed)
	}
	return copied
}

// What does the same for each item is done once for those that are over when it begins.
func TestOneRunFollowsTheItemsThatAreOver(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		begin, all := time.Now(), b.followItems()
		p := b.process("one").serve(all...)
		until(2 * time.Hour)
		p.stop()
		if n := b.published(); n != 2 {
			t.Errorf("%d runs have copied all, want that of the first item, and one for the others", n)
		}
		if got := b.notified(begin); len(got) > 0 {
			t.Errorf("got the notices %q, want none", got)
		}
	}, func(cfg *globussim.Config) { cfg.Rate = 10 })
}

func TestTheLastItemIsFollowedWhateverDies(t *testing.T) {
	cuts := map[string]cut{
		"before an id":               {method: "GET", path: idPath},
		"answer to a post is lost":   {method: "POST", path: transferPath, after: true},
		"when a look has an answer":  {method: "GET", path: "/v0.10/task/*", unrecorded: true},
		"when a list has an answer":  {method: "GET", path: listPath, unrecorded: true},
		"before an item is compared": {method: "GET", path: "/v0.10/operation/*"},
	}
	for name, c := range cuts {
		for skip := 0; skip < 8; skip += long.Or(1, 3) {
			t.Run(fmt.Sprintf("%s, after %d", name, skip), func(t *testing.T) {
				onBench(t, func(t *testing.T, b *bench) {
					all := b.followItems()
					c.skip = skip
					p := b.process("one")
					p.at(c)
					p.serve(all...)
					until(time.Hour)
					if !p.dead.Load() {
						t.Fatal("the process lives")
					}
					p.kill()
					p = b.process("two").serve(all...)
					until(3 * time.Hour)
					p.stop()
					b.published()
				}, func(cfg *globussim.Config) { cfg.Rate = 10 })
			})
		}
	}
}
