// Package globussim simulates Globus Auth and Globus Transfer over local
// folders: it issues tokens, keeps consents, accepts submissions and really
// copies and deletes files, with the delays, limits and errors of the service.
// Globus Timers and Flows are there as well, and start transfers.
//
// A [Server] is an [http.Handler], so it can be served on a socket for any
// Globus client, or called in memory through [Server.Client], also inside a
// testing/synctest bubble. Faults are ordered with [Server.Fail] and
// [Server.Disturb], or by a process outside over the control path /_sim/, which
// no Globus service uses.
//
// Start reading at [Server.ServeHTTP]. Each service has a type with its routes: authority
// is Auth, service is Transfer, timers and flows are the others. In Transfer, submit.go
// makes a task of a document, and worker.go and move.go do what the task says. keeper.go
// writes what has to survive the process. Everything below /_sim/ starts in control.go.
//
// It shares no code with this module's clients, so that the two cannot agree on
// a mistake.
package globussim

import (
	"log/slog"
	"net/http"
	"path"
	"sync"
	"sync/atomic"
	"time"
)

// What one request body may hold, in bytes.
const (
	maxTransferBody = 64 << 20
	maxAuthBody     = 1 << 20
)

// A Server is a simulated Globus. Create one with [New]. Its methods may be
// called concurrently.
type Server struct {
	cfg Config // complete: ids, kinds and limits are filled in
	log *slog.Logger

	guard guard

	auth     *authority
	transfer *service
	timers   timers
	flows    flows
	answers  atomic.Pointer[Answers]
	faults   faultList
	journal  journal
	keeper   *keeper // nil: nothing outlives the process
	meter    meter

	authRoutes, transferRoutes, timerRoutes, flowRoutes, controlRoutes router

	closing sync.Once
}

// New returns a simulated Globus with the collections and accounts of cfg. The error names
// every fault of cfg: names or ids that occur twice or are not UUIDs, folders that do not
// exist, no account at all, a state that cannot be read.
//
// The caller closes the Server when it is done. A Server that is used inside a
// testing/synctest bubble must be created there too.
func New(cfg Config) (*Server, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	s := &Server{
		cfg:   cfg,
		log:   cfg.Log,
		guard: guard{hosts: cfg.Hosts},
		auth:  newAuthority(cfg),
		meter: meter{rate: cfg.RequestRate},
	}
	s.answers.Store(&cfg.Answers)
	s.auth.errorForm = func() AuthForm { return s.answers.Load().AuthErrors }
	if s.transfer, err = newService(s, cfg); err != nil {
		return nil, err
	}
	s.auth.routes(&s.authRoutes)
	s.transfer.routes(&s.transferRoutes)
	s.timers.server = s
	s.timers.routes(&s.timerRoutes)
	s.flows.server = s
	s.flows.routes(&s.flowRoutes)
	s.absentRoutes()
	s.control(&s.controlRoutes)
	s.transfer.controlRoutes(&s.controlRoutes)
	s.fileRoutes(&s.controlRoutes)
	s.answerRoutes(&s.controlRoutes)
	if cfg.State != "" {
		if err := s.resume(cfg.State); err != nil {
			s.transfer.close()
			return nil, err
		}
	}
	return s, nil
}

// Close stops all tasks and file plans where they are, and returns when their goroutines have
// ended. The error says what could not be written to Config.State.
func (s *Server) Close() (err error) {
	s.closing.Do(func() {
		s.timers.close()
		s.flows.close()
		s.transfer.close()
		err = s.keeper.close()
	})
	return err
}

// ServeHTTP answers a request to any of the services, whatever its host, or to the control
// path. It refuses requests of web pages of other machines, and requests for a host that is
// neither this machine nor in Config.Hosts.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Date", s.now().Format(http.TimeFormat))
	if e := s.guard.admit(w, r); e != nil {
		refuse(w, r, isAuth(r), e)
		return
	}
	if isControl(r) {
		var answer reply
		s.dispatch(&s.controlRoutes, &answer, r)
		if s.keep(r) != nil {
			drop(w)
			return
		}
		answer.send(w)
		return
	}
	if r.Method == http.MethodOptions {
		preflight(w, r)
		return
	}

	begin := time.Now()
	mux := s.routesOf(r)
	fault := s.faults.take(r)
	entry := s.journal.begin(r, route(mux, r))
	var lost error
	answer := fault.apply(r, func(w http.ResponseWriter) {
		s.dispatch(mux, w, r)
		lost = s.keep(r)
	})
	if answer == nil || lost != nil {
		s.log.DebugContext(r.Context(), "connection dropped", "method", r.Method, "path", r.URL.Path, "elapsed", time.Since(begin))
		drop(w)
		return
	}
	s.journal.end(entry, answer.status)
	s.log.DebugContext(r.Context(), "request", "method", r.Method, "path", r.URL.Path, "status", answer.status, "elapsed", time.Since(begin))
	answer.send(w)
}

// keep writes what the answer to a request may acknowledge. After an error there must not be
// an answer.
func (s *Server) keep(r *http.Request) error {
	err := s.keeper.flush()
	if err != nil {
		s.log.ErrorContext(r.Context(), "the state cannot be written, so requests stay without an answer; make room, or fix the file", "file", s.cfg.State, "err", err)
	}
	return err
}

// routesOf returns the routes of the service that owns the request's path.
func (s *Server) routesOf(r *http.Request) *router {
	switch {
	case isAuth(r):
		return &s.authRoutes
	case isTimers(r):
		return &s.timerRoutes
	case isFlows(r):
		return &s.flowRoutes
	}
	return &s.transferRoutes
}

// dispatch passes the request to its route. It answers requests without a route itself,
// because a ServeMux would answer in plain text, or redirect: clients repeat a redirected
// POST as a GET.
func (s *Server) dispatch(mux *router, w http.ResponseWriter, r *http.Request) {
	auth := isAuth(r)
	limit := int64(maxAuthBody)
	if mux == &s.transferRoutes {
		limit = maxTransferBody
		w.Header().Set("X-Transfer-API-Version", transferVersion)
		if e := s.metered(w, r); e != nil {
			writeError(w, r, e)
			return
		}
	}
	if e := readBody(w, r, limit); e != nil {
		refuse(w, r, auth, e)
		return
	}
	handler, pattern := mux.Handler(r)
	switch {
	case !canonical(r):
		refuse(w, r, auth, errNoRoute())
	case pattern != "":
		mux.ServeHTTP(w, r)
	default:
		var refusal reply
		handler.ServeHTTP(&refusal, r)
		e := errNoRoute()
		if refusal.status == http.StatusMethodNotAllowed {
			w.Header().Set("Allow", refusal.Header().Get("Allow"))
			e = &apiError{
				Status: http.StatusMethodNotAllowed, Code: "ClientError.BadMethod",
				Message: "Method " + r.Method + " is not allowed for this resource",
			}
		}
		refuse(w, r, auth, e)
	}
}

// route returns the pattern that the request matches, such as
// "GET /v0.10/task_list", or "unknown".
func route(mux *router, r *http.Request) string {
	if canonical(r) {
		if _, pattern := mux.Handler(r); pattern != "" {
			return pattern
		}
	}
	return "unknown"
}

// canonical reports whether the request's path has the form that the services use: without
// dots and, except for the list of timers, without a slash at its end.
func canonical(r *http.Request) bool {
	asked := r.URL.EscapedPath()
	return asked == "/jobs/" || path.Clean(asked) == asked
}

func (s *Server) now() time.Time { return time.Now().UTC() }
