package engine_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/internal/fault"
)

// A meter counts the requests that are on their way.
type meter struct {
	base     http.RoundTripper
	requests atomic.Int32
}

func (m *meter) RoundTrip(r *http.Request) (*http.Response, error) {
	m.requests.Add(1)
	defer m.requests.Add(-1)
	return m.base.RoundTrip(r)
}

func TestNoLookAtATaskOutlivesItsRun(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.stall()
		b.after(time.Second/2, func() {
			b.Fail(globussim.Fault{Method: "GET", Path: taskPath, Delay: time.Hour, Times: -1})
		})
		m := &meter{base: b.wire}
		begin := time.Now()
		r := engine.New(b.clientOver(m), slog.New(slog.DiscardHandler)).Run(b.signaled(3*time.Second), b.order())
		if n := m.requests.Load(); n != 0 {
			t.Errorf("%d requests go on after the run, want none", n)
		}
		contains(t, failure(t, r, fault.Interrupted).Message, "goes on at Globus")
		if took := time.Since(begin); took > 4*time.Second {
			t.Errorf("the run took %v, want it to end with the signal after 3s", took)
		}
	})
}

func TestRunsThatBeginWhileOthersEndAreFollowed(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		e := b.engine()
		ended := make(chan *engine.Result)
		const runs = 30
		for i := range runs {
			o := b.order(named(fmt.Sprint("job-", i)), paths("/data/", fmt.Sprintf("/copy-%d/", i)))
			b.after(time.Duration(i)*700*time.Millisecond, func() { ended <- e.Run(b.t.Context(), o) })
		}
		for range runs {
			if r := <-ended; r.Err != nil {
				t.Error(r.Err)
			}
		}
	})
}
