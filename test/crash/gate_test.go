package crash_test

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A call is a kind of request that the program sends.
type call string

const (
	token        call = "token"
	lookUp       call = "look-up of a label"
	submissionID call = "submission id"
	mkdir        call = "mkdir"
	post         call = "submission"
	poll         call = "poll"
	rules        call = "look at access rules"
	rule         call = "access rule"
	begin        call = "start of a flow"
	runs         call = "look-up of runs of flows"
	other        call = "other"

	// every is what a snare waits for that takes whatever comes.
	every call = "every request"
)

// kind returns what kind of request it is.
func kind(r *http.Request) call {
	path := r.URL.Path
	switch {
	case path == "/v2/oauth2/token":
		return token
	case path == "/v0.10/task_list" && strings.Contains(r.URL.RawQuery, "label"):
		return lookUp
	case path == "/v0.10/task_list", strings.HasPrefix(path, "/v0.10/task/") && r.Method == http.MethodGet && strings.Count(path, "/") == 3:
		return poll
	case path == "/v0.10/submission_id":
		return submissionID
	case path == "/v0.10/transfer", path == "/v0.10/delete":
		return post
	case strings.HasSuffix(path, "/mkdir"):
		return mkdir
	case strings.HasSuffix(path, "/access_list"):
		return rules
	case strings.HasSuffix(path, "/access"):
		return rule
	case strings.HasSuffix(path, "/run"):
		return begin
	case path == "/runs":
		return runs
	}
	return other
}

// A moment is a boundary of a request.
type moment string

const (
	before   moment = "before the effect"      // the request is lost
	after    moment = "after the effect"       // the answer is lost
	late     moment = "long before effect"     // the request comes to effect a while later
	answered moment = "after the answer"       // it has arrived
	passing  moment = "while it is on its way" // nothing is lost
)

// anyDoor is in place of a door if a snare waits for a request of whichever process.
const anyDoor = -1

// A snare waits for a request.
type snare struct {
	door   int // through which it must come, or anyDoor
	call   call
	skip   int // how many of them go through first
	moment moment
	delay  time.Duration // of a late effect, or after the answer
	spring func()        // called at that moment
}

// A gate stands before the simulator. It knows which process sends a request,
// because each has a door of its own.
type gate struct {
	globus http.Handler
	down   atomic.Bool // all connections are dropped

	mu      sync.Mutex
	snares  map[*snare]struct{}
	secrets map[string]bool // credentials that came by
	posts   int
	deletes map[string]bool // paths that a delete has named
}

// door returns a way in.
func (g *gate) door(n int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g.down.Load() {
			panic(http.ErrAbortHandler)
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler) // the sender has died
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if r.URL.Path == "/v0.10/delete" {
			g.notice(body)
		}
		s := g.enter(n, r)
		if s == nil {
			g.globus.ServeHTTP(w, r)
			return
		}
		s.meet(g.globus, w, r)
	})
}

// enter takes note of a request and finds the snare that waits for it.
func (g *gate) enter(door int, r *http.Request) *snare {
	what := kind(r)
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, secret, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok {
		g.secrets[secret] = true
	}
	if what == post {
		g.posts++
	}
	for s := range g.snares {
		if s.door != door && s.door != anyDoor || s.call != what && s.call != every {
			continue
		}
		if s.skip--; s.skip < 0 {
			delete(g.snares, s)
			return s
		}
	}
	return nil
}

// meet springs the snare at its moment.
func (s *snare) meet(globus http.Handler, w http.ResponseWriter, r *http.Request) {
	if s.moment == passing {
		s.spring()
		globus.ServeHTTP(w, r)
		return
	}
	// The service does not care whether the sender still lives.
	r = r.WithContext(context.WithoutCancel(r.Context()))
	switch s.moment {
	case before:
		s.spring()
	case after:
		effect(globus, r)
		s.spring()
	case late:
		s.spring()
		pause(context.Background(), s.delay)
		effect(globus, r)
	case answered:
		if answer := effect(globus, r); answer != nil {
			maps.Copy(w.Header(), answer.Header())
			w.WriteHeader(answer.Code)
			_, _ = w.Write(answer.Body.Bytes())       // the reader may be gone
			_ = http.NewResponseController(w).Flush() // likewise
			pause(context.Background(), s.delay)
		}
		s.spring()
		return
	}
	panic(http.ErrAbortHandler)
}

// effect lets a request take effect and returns the answer; nil if a fault
// keeps it back.
func effect(globus http.Handler, r *http.Request) (answer *httptest.ResponseRecorder) {
	defer func() {
		if recover() != nil { // it is http.ErrAbortHandler
			answer = nil
		}
	}()
	answer = httptest.NewRecorder()
	globus.ServeHTTP(answer, r)
	return answer
}

// set sets a snare.
func (g *gate) set(s *snare) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.snares[s] = struct{}{}
}

// clear takes away all snares of a door.
func (g *gate) clear(door int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for s := range g.snares {
		if s.door == door {
			delete(g.snares, s)
		}
	}
}

// shut drops all connections for a while.
func (g *gate) shut(d time.Duration) {
	g.down.Store(true)
	time.AfterFunc(d, func() { g.down.Store(false) })
}

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
