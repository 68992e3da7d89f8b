package retry_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/globus-runner/globus-runner/retry"
)

// A meter records when requests pass; it may be used concurrently.
type meter struct {
	mu    sync.Mutex
	begin time.Time
	times []time.Duration
}

func (m *meter) RoundTrip(req *http.Request) (*http.Response, error) {
	m.mu.Lock()
	m.times = append(m.times, time.Since(m.begin))
	m.mu.Unlock()
	return good(req)
}

// busiest returns the most requests in any window of that length.
func (m *meter) busiest(window time.Duration) (most int) {
	slices.Sort(m.times)
	for i, from := range m.times {
		end, _ := slices.BinarySearch(m.times, from+window)
		most = max(most, end-i)
	}
	return most
}

func TestNoWindowSeesMoreThanTheLimit(t *testing.T) {
	tests := map[string]struct {
		requests int
		window   time.Duration
	}{
		"the account's":   {200, 10 * time.Second},
		"one a second":    {1, time.Second},
		"two a minute":    {2, time.Minute},
		"an odd interval": {7, time.Second},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &meter{begin: time.Now()}
				rt := retry.Limit(m, tt.requests, tt.window)
				var wg sync.WaitGroup
				crowd := func(n int) {
					for i := range n {
						wg.Go(func() {
							ctx := t.Context()
							if i%10 == 9 { // some give up in the queue
								var cancel context.CancelFunc
								ctx, cancel = context.WithCancel(ctx)
								time.AfterFunc(tt.window/3, cancel)
							}
							_, _, _ = send(ctx, rt, "GET") // only the passing counts here
						})
					}
					wg.Wait()
				}
				crowd(5 * tt.requests)
				time.Sleep(100 * tt.window) // the bucket must not save up for longer than a window
				crowd(5 * tt.requests)

				if most := m.busiest(tt.window); most > tt.requests {
					t.Errorf("%d requests in a window, want at most %d", most, tt.requests)
				}
			})
		})
	}
}

func TestLimitLeavesNineTenthsOfTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &meter{begin: time.Now()}
		rt := retry.Limit(m, 200, 10*time.Second)
		for range 2000 {
			if _, _, err := send(t.Context(), rt, "GET"); err != nil {
				t.Fatal(err)
			}
		}
		if d := time.Since(m.begin); d > 112*time.Second {
			t.Errorf("2000 requests took %v, want about 110s", d)
		}
		if m.times[19] != 0 {
			t.Errorf("20 requests took %v, want them at once", m.times[19])
		}
	})
}

func TestLimitHeedsTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		m := &meter{begin: begin}
		rt := retry.Limit(m, 1, time.Minute)
		if _, _, err := send(t.Context(), rt, "GET"); err != nil {
			t.Fatal(err)
		}

		short, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		if _, _, err := send(short, rt, "GET"); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != 0 {
			t.Errorf("got %v after %v, want a deadline at once", err, time.Since(begin))
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(2*time.Second, cancel)
		spy := &closeSpy{Reader: strings.NewReader("doc")}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://globus.test/", spy)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := rt.RoundTrip(req)
		if err == nil {
			_ = resp.Body.Close() // the test has failed already
		}
		if !errors.Is(err, context.Canceled) || time.Since(begin) != 2*time.Second {
			t.Errorf("got %v after %v, want the cancel after 2s", err, time.Since(begin))
		}
		if !spy.closed {
			t.Error("the body of the request that did not pass is open")
		}
		if len(m.times) != 1 {
			t.Errorf("%d requests passed, want 1", len(m.times))
		}
	})
}

// A line lets requests wait for a limit of one in a bit more than a second. Each is
// named after its rank and a number.
type line struct {
	t      *testing.T
	rt     http.RoundTripper
	group  sync.WaitGroup
	mu     sync.Mutex // guards passed
	passed []string   // the names, in the order of their turns
}

func newLine(t *testing.T) *line {
	l := &line{t: t}
	base := roundTripper(func(r *http.Request) (*http.Response, error) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.passed = append(l.passed, r.Header.Get("Name"))
		return good(r)
	})
	l.rt = retry.Limit(base, 10, 10*time.Second, retry.WithRank(func(r *http.Request) int {
		return strings.Index("abc", r.Header.Get("Name")[:1])
	}))
	l.enter(t.Context(), "a0") // the others have to wait
	l.group.Wait()
	return l
}

// enter puts requests at the end of the line, in this order.
func (l *line) enter(ctx context.Context, names ...string) {
	for _, name := range names {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://globus.test/", nil)
		if err != nil {
			l.t.Fatal(err)
		}
		req.Header.Set("Name", name)
		l.group.Go(func() {
			if resp, err := l.rt.RoundTrip(req); err == nil {
				_ = resp.Body.Close() // nobody reads it
			}
		})
		synctest.Wait()
	}
}

func TestRequestsOfASmallerRankGoFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t)
		l.enter(t.Context(), "c1", "b1", "a1", "c2", "b2", "a2")
		l.group.Wait()
		if want := "a0 a1 a2 b1 b2 c1 c2"; strings.Join(l.passed, " ") != want {
			t.Errorf("got %q, want %q", l.passed, want)
		}
	})
}

func TestTheRequestThatHasWaitedLongestGetsEveryTenthTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t)
		l.enter(t.Context(), "c1", "b1", "c2")
		for n := range 30 {
			l.enter(t.Context(), fmt.Sprint("a", n+1))
		}
		l.group.Wait()
		for turn, want := range map[int]string{10: "c1", 20: "b1", 30: "c2", 31: "a27"} {
			if got := l.passed[turn-1]; got != want {
				t.Errorf("turn %d is that of %s, want %s", turn, got, want)
			}
		}
	})
}

// The one who waits for all gives up, and so does one whose turn would be next.
func TestALineGoesOnWithoutThoseWhoGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t)
		begin := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		l.enter(ctx, "c1")
		l.enter(t.Context(), "b1", "b2")
		l.enter(ctx, "a1", "a2")
		l.group.Wait()
		if want := "a0 a1 b1 b2"; strings.Join(l.passed, " ") != want {
			t.Errorf("got %q, want %q", l.passed, want)
		}
		if d := time.Since(begin).Round(100 * time.Millisecond); d != 3300*time.Millisecond {
			t.Errorf("took %v, want three turns", d)
		}
	})
}

func TestNoLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &meter{begin: time.Now()}
		for _, rt := range []http.RoundTripper{retry.Limit(m, 0, time.Second), retry.Limit(m, 5, 0)} {
			for range 100 {
				if _, _, err := send(t.Context(), rt, "GET"); err != nil {
					t.Fatal(err)
				}
			}
		}
		if d := time.Since(m.begin); d != 0 {
			t.Errorf("waited %v, want no wait", d)
		}
	})
}

func TestQueueingIsNoTimeoutOfATry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &meter{begin: time.Now()}
		rt := quiet(retry.Limit(m, 1, 10*time.Minute), retry.Policy{Retries: -1})
		for range 3 {
			if _, _, err := send(t.Context(), rt, "GET"); err != nil {
				t.Fatal(err)
			}
		}
		if d := time.Since(m.begin).Round(time.Second); d != 20*time.Minute {
			t.Errorf("took %v, want 20m", d)
		}
	})
}

func TestTryIsTimedAfterItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(good, hang)
		rt := quiet(retry.Limit(s, 1, 10*time.Minute), retry.Policy{Retries: -1})
		if _, _, err := send(t.Context(), rt, "GET"); err != nil {
			t.Fatal(err)
		}
		if _, _, err := send(t.Context(), rt, "GET"); err == nil {
			t.Error("the try that hangs does not end")
		}
		if d := time.Since(s.begin).Round(time.Second); d != 11*time.Minute {
			t.Errorf("took %v, want 10m in the queue and 1m for the try", d)
		}
	})
}
