package engine_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/test/long"
)

// A look asks for the folder, and for what is below the items that are new.
func TestALookAtManyItemsAsksForWhatIsNew(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		many, fresh := long.Or(10_000, 2_000), 10
		var known []ledger.Item
		for i := range many {
			name := fmt.Sprintf("run_%05d", i)
			if i < fresh {
				b.plant("runs/"+name+"/sub/frame", "x")
				continue
			}
			b.plant("runs/"+name+"/frame", "x")
			known = append(known, ledger.Item{
				Name: name, Key: string(jobs.ItemKey(name, 1)), Generation: 1, State: string(ledger.Succeeded), Fingerprint: "x", Seen: time.Now(),
			})
		}
		l := b.ledger()
		defer l.Close() //nolint:errcheck // it is of the bench
		if err := l.KeepItems(t.Context(), "runs", known); err != nil {
			t.Fatal(err)
		}
		before := b.requests("GET /v0.10/operation/endpoint/{id}/ls")
		found, err := b.engine().Look(t.Context(), engine.Recording{Ledger: l, Holder: "one", Lease: time.Minute}, b.itemJob(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if found.States["done"] != many-fresh || found.States["waiting"] != fresh {
			t.Errorf("got %v", found.States)
		}
		if n := b.requests("GET /v0.10/operation/endpoint/{id}/ls") - before; n != 1+2*fresh {
			t.Errorf("%d requests, want one for the folder, and two for each of the %d that are new", n, fresh)
		}
	})
}
