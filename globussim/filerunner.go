package globussim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"
)

// maxFileFailures is how many failures of file plans are kept.
const maxFileFailures = 100

// A fileRunner carries out file plans.
type fileRunner struct {
	log  *slog.Logger
	work sync.WaitGroup // the goroutines of the plans

	// mu guards the rest, and makes one change after the other. It is never held
	// across a sleep.
	mu      sync.Mutex
	closed  bool
	stops   map[*context.CancelFunc]bool // of the plans that are not done
	state   FilePlanState
	growing []*fileMove // writes that take time: their paths follow renames
}

// begin begins a plan whose steps are in the order of their times.
func (r *fileRunner) begin(moves []*fileMove) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return errors.New("the simulator is closed")
	}
	if pending := r.state.Pending; pending+len(moves) > maxFileSteps {
		return fmt.Errorf("%d steps are still to be done, and %d more are more than %d", pending, len(moves), maxFileSteps)
	}
	r.state.Pending += len(moves)
	ctx, stop := context.WithCancel(context.Background())
	r.stops[&stop] = true
	start := time.Now()
	r.work.Go(func() {
		r.run(ctx, start, moves)
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.stops, &stop)
		stop()
	})
	return nil
}

// run does the steps of a plan when their time has come, and returns when all are
// done or ctx has ended. A write that is late on a busy machine ends before the
// steps that come after its end in the plan, such as a marker.
func (r *fileRunner) run(ctx context.Context, start time.Time, moves []*fileMove) {
	var writes sync.WaitGroup
	defer writes.Wait()
	ended := map[*fileMove]chan struct{}{}
	for _, m := range moves {
		if !wait(ctx, max(0, time.Until(start.Add(m.At)))) {
			return
		}
		for w, end := range ended {
			if w.ends() <= m.At {
				<-end
				delete(ended, w)
			}
		}
		if m.Write != nil && m.Write.Rate > 0 {
			end := make(chan struct{})
			ended[m] = end
			writes.Go(func() {
				defer close(end)
				r.note(ctx, m, r.grow(ctx, m))
			})
			continue
		}
		r.note(ctx, m, r.change(m))
	}
}

// change makes a change that takes no time.
func (r *fileRunner) change(m *fileMove) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := m.do(); err != nil || m.Rename == nil {
		return err
	}
	for _, g := range r.growing {
		if g.collection == m.collection {
			g.path = follow(g.path, m.path, m.to)
		}
	}
	return nil
}

// grow writes a file at its rate, some pieces a second.
func (r *fileRunner) grow(ctx context.Context, m *fileMove) error {
	f, err := r.startGrowing(m)
	if err != nil {
		return err
	}
	begin, data := time.Now(), m.content()
	for at := 0; at < len(data) && err == nil; {
		next := min(len(data), at+int(max(m.Write.Rate/4, 1)))
		due := begin.Add(time.Duration(float64(next) / float64(m.Write.Rate) * float64(time.Second))) // whatever the writes before took
		if !wait(ctx, max(0, time.Until(due))) {
			break
		}
		err = r.growBy(m, f, data[at:next])
		at = next
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.growing = slices.DeleteFunc(r.growing, func(g *fileMove) bool { return g == m })
	return errors.Join(err, f.Close())
}

func (r *fileRunner) startGrowing(m *fileMove) (*os.File, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f, err := m.open()
	if err == nil {
		r.growing = append(r.growing, m)
	}
	return f, err
}

func (r *fileRunner) growBy(m *fileMove, f *os.File, piece []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, err := f.Write(piece)
	m.stamp(m.path, time.Now())
	return err
}

// note takes note of what became of a step, unless its plan was stopped.
func (r *fileRunner) note(ctx context.Context, m *fileMove, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if ctx.Err() != nil {
		return
	}
	r.state.Pending--
	if err == nil {
		r.state.Done++
		return
	}
	r.log.Warn("a step of a file plan could not be done", "collection", m.collection.Name, "at", m.At, "err", err)
	r.state.Failed = append(r.state.Failed, fmt.Sprintf("%s at %v: %v", m.collection.Name, m.At, err))
	if n := len(r.state.Failed); n > maxFileFailures {
		r.state.Failed = slices.Clone(r.state.Failed[n-maxFileFailures:])
	}
}

func (r *fileRunner) snapshot() FilePlanState {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.state
	s.Failed = slices.Clone(s.Failed)
	return s
}

// stop ends all plans.
func (r *fileRunner) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for stop := range r.stops {
		(*stop)()
	}
	r.state = FilePlanState{}
}

// close ends all plans for good, and returns when none changes files any more.
func (r *fileRunner) close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.stop()
	r.work.Wait()
}

// fileRoutes adds the file plans to the control path.
func (s *Server) fileRoutes(mux *router) {
	mux.HandleFunc("GET /_sim/files", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, s.FileState())
	})
	mux.HandleFunc("POST /_sim/files", func(w http.ResponseWriter, r *http.Request) {
		data, err := io.ReadAll(r.Body)
		if err != nil {
			writeError(w, r, badOrder(err))
			return
		}
		plan, err := parseFilePlan(data)
		if err == nil {
			err = s.Files(plan) //nolint:contextcheck // the plan outlives the request
		}
		if err != nil {
			writeError(w, r, badOrder(err))
			return
		}
		writeJSON(w, http.StatusOK, s.FileState())
	})
	mux.HandleFunc("DELETE /_sim/files", func(w http.ResponseWriter, _ *http.Request) {
		s.StopFiles()
		w.WriteHeader(http.StatusNoContent)
	})
}
