package status

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	checkTime = 2 * time.Second // for one check
	keepTime  = 1 * time.Second // for the results of a round
)

// A readiness makes the checks in rounds. All requests that come during a round share
// its results.
type readiness struct {
	checks []*check // by name
	censor *censor

	mu   sync.Mutex
	last *round // nil before the first one
}

func newReadiness(checks map[string]func(context.Context) error, loop func(context.Context) error) *readiness {
	all := map[string]func(context.Context) error{}
	maps.Copy(all, checks)
	all[loopCheck] = loop

	r := &readiness{censor: newCensor()}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		r.add(name, all[name])
	}
	return r
}

// add adds a check.
func (r *readiness) add(name string, f func(context.Context) error) {
	i, _ := slices.BinarySearchFunc(r.checks, name, func(c *check, name string) int { return strings.Compare(c.name, name) })
	r.checks = slices.Insert(r.checks, i, &check{name: name, f: f, slot: make(chan struct{}, 1)})
}

func (r *readiness) serve(w http.ResponseWriter, req *http.Request) {
	now := r.round(req.Context())
	select {
	case <-now.done:
	case <-req.Context().Done():
		reply(w, http.StatusServiceUnavailable, answer{Error: "the request was given up"})
		return
	}
	var failed []string
	for _, result := range now.results {
		if !result.OK {
			failed = append(failed, result.Name)
		}
	}
	if failed != nil {
		reply(w, http.StatusServiceUnavailable, answer{Error: "not ready: " + strings.Join(failed, ", "), Checks: now.results})
		return
	}
	reply(w, http.StatusOK, answer{OK: true, Checks: now.results})
}

// round returns the current round, which may still be running, or begins the
// next one. A round does not end with the request that began it, because others
// may wait for it.
func (r *readiness) round(ctx context.Context) *round {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last == nil || r.last.old() {
		r.last = &round{done: make(chan struct{})}
		go r.last.run(context.WithoutCancel(ctx), r.checks, r.censor)
	}
	return r.last
}

// A round is one call of every check.
type round struct {
	done chan struct{} // closed when the fields below are set

	results []result
	ended   time.Time
}

// A result is the result of a check as it is shown.
type result struct {
	Name  string `json:"name"`
	OK    bool   `json:"ok"`
	Error string `json:"error,omitempty"`
}

func (r *round) run(ctx context.Context, checks []*check, censor *censor) {
	defer close(r.done)
	r.results = make([]result, len(checks))
	var wg sync.WaitGroup
	for i, c := range checks {
		wg.Go(func() {
			r.results[i] = result{Name: c.name, OK: true}
			if err := c.run(ctx); err != nil {
				r.results[i] = result{Name: c.name, Error: censor.text(err)}
			}
		})
	}
	wg.Wait()
	r.ended = time.Now()
}

func (r *round) old() bool {
	select {
	case <-r.done:
		return time.Since(r.ended) >= keepTime
	default:
		return false
	}
}

// A check is one condition of readiness.
type check struct {
	name string
	f    func(context.Context) error
	slot chan struct{} // held while f runs, so that a hanging f does not pile up
}

func (c *check) run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	select {
	case c.slot <- struct{}{}:
	default:
		return errors.New("an earlier check has not returned")
	}
	done := make(chan error, 1)
	go func() {
		err := c.f(ctx)
		<-c.slot
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("no answer within %v", checkTime)
	}
}
