// Package page shows people and programs what the scheduler does, and lets them
// act on it: pages in HTML, and the same as JSON below /api/v1. It reads the ledger
// and the jobs that are in force. What somebody asks for goes through the ledger as
// well, so every replica can serve it.
//
// Read route.go first: a [route] answers one kind of request, and [Page.routes] lists
// them all. access.go decides who may read and who may act. A [board] keeps in memory
// what all requests share, and reads the ledger at most once a second.
package page

import (
	"context"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
)

// A Config says what a [Page] shows, and to whom.
type Config struct {
	Ledger *ledger.Ledger
	Jobs   func() *jobs.File // those in force
	// Pending returns the newest jobs file if another one is in force, or else nil. It
	// may be nil.
	Pending func() *Pending
	// TaskPage returns the address of the page of a task, or of a run of a flow unless
	// flow is empty; "" if that is not known.
	TaskPage func(id, flow string) string
	// Name is in the head of each page; it may say whose jobs they are.
	Name   string
	Access Access
	Log    *slog.Logger
}

// A Pending is a jobs file that is not in force.
type Pending struct {
	Since time.Time // since when the one in force is not the newest
	Why   error     // of [jobs.Parse], or any other
}

// A Page serves pages and their API. Its methods may be called concurrently.
type Page struct {
	Config
	door     *door
	board    *board
	progress *progress
	views    *views
	viewers  atomic.Int64 // of the events
}

// New returns a Page. It does not read the ledger until there is a request, or [Page.Warm]
// is called.
func New(c Config) *Page {
	p := &Page{Config: c, door: newDoor(c.Access), views: newViews()}
	p.progress = newProgress()
	p.board = newBoard(c, p.progress)
	return p
}

// Warm reads what was done on the days before today, which takes a fifth of the first look
// at a ledger of many jobs, so that nobody waits for it. Without it that look reads it.
func (p *Page) Warm(ctx context.Context) error { return p.board.warm(ctx) }

// Handler serves the pages and the API. Answers below /api/v1 are JSON, all others are for
// people.
func (p *Page) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, r := range p.routes() {
		mux.Handle(r.method+" "+r.path, p.answer(r))
	}
	mux.Handle("GET /static/", staticFiles())
	mux.HandleFunc("GET /sign-in", p.showSignIn)
	mux.HandleFunc("POST /sign-in", p.signIn)
	mux.HandleFunc("POST /sign-out", p.signOut)
	return secured(http.NewCrossOriginProtection(), p.known(mux), p.fail)
}

// known answers requests that match no route: unknown paths, and known paths with another
// method.
func (p *Page) known(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		why, pattern := mux.Handler(r)
		if pattern != "" {
			mux.ServeHTTP(w, r)
			return
		}
		said := httpReply{header: http.Header{}}
		why.ServeHTTP(&said, r)
		if said.status != http.StatusMethodNotAllowed {
			p.fail(w, r, notFound("there is no such page"))
			return
		}
		allowed := said.header.Get("Allow")
		w.Header().Set("Allow", allowed)
		p.fail(w, r, &refusal{http.StatusMethodNotAllowed, r.Method + " is not possible here: use " + allowed})
	})
}

// An httpReply keeps the status and header of an answer, and drops its body.
type httpReply struct {
	header http.Header
	status int
}

func (a *httpReply) Header() http.Header         { return a.header }
func (a *httpReply) WriteHeader(status int)      { a.status = status }
func (a *httpReply) Write(b []byte) (int, error) { return len(b), nil }

// policy allows a page to load only files of this server, and no inline scripts: a name
// that is taken for HTML by mistake can do nothing.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// maxBody bounds what a request may send, in bytes.
const maxBody = 16 << 10

// secured refuses requests that another site makes in somebody's browser, and sets
// the headers that all answers have.
func secured(guard *http.CrossOriginProtection, next http.Handler, fail func(http.ResponseWriter, *http.Request, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if err := guard.Check(r); err != nil {
			fail(w, r, &refusal{http.StatusForbidden, "this request comes from another site: act on the page of the scheduler itself"})
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		next.ServeHTTP(w, r)
	})
}

// now is the present instant as it is shown.
func now() time.Time { return time.Now().UTC() }
