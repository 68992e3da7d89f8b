package engine_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/clientcreds"
	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

// Each request takes 50 ms. A hundred items that are ready at once take three hundred
// requests until they are submitted, some to find their tasks, and one more each when
// they are copied. The account may send 20 at once, and 18 a second.
func TestItemsThatAreReadyTogetherAreSubmittedWithTheLook(t *testing.T) {
	for name, tt := range map[string]struct {
		client func(b *bench) *transfer.Client
		most   time.Duration // from the begin of the look to the submission of the last but one
	}{
		"with the account's limit": {(*bench).client, 20 * time.Second},
		"without a limit":          {(*bench).unlimited, 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				const items = 100
				plant := func(name string) {
					b.plant("runs/run_"+name+"/a", "x")
					b.plant("runs/run_"+name+"/done", "")
				}
				b.Fail(globussim.Fault{Path: "/v0.10/...", Times: -1, Delay: 50 * time.Millisecond})
				begin := time.Now()
				var looks []time.Duration // their ends
				b.observe = func(e engine.Event) {
					if _, ok := e.(engine.ItemsLooked); ok {
						looks = append(looks, time.Since(begin))
					}
				}
				p := b.process("one", func(c *engine.SchedulerConfig) {
					c.Engine = engine.New(tt.client(b), b.logger(), engine.WithObserver(b))
				}).serve(b.itemJob(marked, func(j *jobs.Job) { j.ForEach.MaxActive = items }))
				until(30 * time.Second)
				plant("first")
				plant("second")
				until(100 * time.Second)
				for i := range items {
					plant(fmt.Sprintf("%03d", i))
				}
				until(270 * time.Second)
				p.stop()

				posts := b.posts()
				if len(posts) != items+2 || len(looks) < 2 {
					t.Fatalf("%d submissions and %d looks, want %d and some", len(posts), len(looks), items+2)
				}
				look, first, last := looks[1]-2*time.Minute, posts[2]-2*time.Minute, posts[items]-2*time.Minute
				t.Logf("the look took %v; since its begin, the items were submitted after %v (the first), %v (p50) and %v (p99)",
					look, first, posts[items/2+1]-2*time.Minute, last)
				if first > look || last > look+time.Second || last > tt.most {
					t.Errorf("the items were submitted %v to %v after the begin of a look of %v, want until a second after it, and %v in all", first, last, look, tt.most)
				}
				for route, most := range map[string]int{
					"GET /v0.10/operation/endpoint/{id}/ls": 2*(items+2) + len(looks), // an item is listed by the look, and when it is copied
					"GET /v0.10/submission_id":              items + 2,
					"GET " + listPath:                       items, // a few for the labels of many, and a few for all tasks together
				} {
					if n := b.requests(route); n > most {
						t.Errorf("%d requests %s for %d items, want at most %d", n, route, items, most)
					}
				}
			})
		})
	}
}

// unlimited is a client that may send as many requests as it wants.
func (b *bench) unlimited() *transfer.Client {
	account := clientcreds.New(clientID, secret, clientcreds.WithClient(auth.New(b.Client())))
	return transfer.New(&http.Client{Transport: account.Transport(auth.TransferServer, b.wire)})
}
