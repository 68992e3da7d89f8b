package page

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/globus-runner/globus-runner/internal/plain"
)

// A refusal is an error with the status and the text of the answer.
type refusal struct {
	status int
	text   string
}

func (r *refusal) Error() string { return r.text }

func notFound(text string) error { return &refusal{http.StatusNotFound, text} }

// explain returns the status and the text of the answer to a request that ended in an
// error. Errors of the ledger are for its operator: they are logged, not answered.
func (p *Page) explain(err error) (int, string) {
	if r, ok := errors.AsType[*refusal](err); ok {
		return r.status, r.text
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return http.StatusRequestEntityTooLarge, "the request is too large"
	}
	if !errors.Is(err, context.Canceled) {
		p.Log.Warn("a request could not be answered", "err", err)
	}
	return http.StatusServiceUnavailable, "the ledger or a token could not be read: the scheduler's log says why; try again"
}

// A request is an allowed request, and who makes it.
type request struct {
	*http.Request
	who caller
}

// A route answers the requests of a method and a path.
type route struct {
	method, path string
	about        string
	act          bool // needs the admin token
	query        []parameter
	body         []parameter // keys of the request's JSON object, each a text; nil: none
	reply        any         // of the answer; nil: not JSON
	status       int         // of the answer; 0 means 200
	do           func(w http.ResponseWriter, r request) (any, error)
}

// A parameter is one of a query or a body.
type parameter struct{ name, about string }

// runsQuery are the parameters that choose runs.
func runsQuery() []parameter {
	return []parameter{
		{"job", "only of this job"},
		{"state", "only in this state"},
		{"since", "claimed then or later, as in RFC 3339"},
		{"cursor", "next of the answer before"},
		{"limit", fmt.Sprintf("how many: %d, at most %d", fewRuns, mostRuns)},
	}
}

// unknown refuses a query with an unknown key: with a misspelled key, the answer would not
// be what was asked for.
func (r *route) unknown(query url.Values) error {
	known := names(r.query)
	for _, key := range slices.Sorted(maps.Keys(query)) {
		switch {
		case slices.Contains(known, key):
		case len(known) == 0:
			return &refusal{http.StatusBadRequest, fmt.Sprintf("unknown key %q in the query: there are none here", plain.Short(key, longestName))}
		default:
			return &refusal{http.StatusBadRequest, fmt.Sprintf("unknown key %q in the query; it can have %s", plain.Short(key, longestName), strings.Join(known, ", "))}
		}
	}
	return nil
}

func names(all []parameter) (names []string) {
	for _, p := range all {
		names = append(names, p.name)
	}
	return names
}

// answer serves a route to those who may use it.
func (p *Page) answer(route route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, err := p.door.caller(r)
		if err == nil {
			err = cmp.Or(p.allow(who, route), route.unknown(r.URL.Query()))
		}
		var doc any
		if err == nil {
			doc, err = route.do(w, request{r, who})
		}
		switch {
		case err != nil:
			p.fail(w, r, err)
		case doc != nil:
			status := route.status
			if status == 0 {
				status = http.StatusOK
			}
			reply(w, status, doc)
		}
	})
}

// allow returns why somebody may not use a route.
func (p *Page) allow(who caller, route route) error {
	switch {
	case who.role == admin || who.role == reader && !route.act:
		return nil
	case who.role == nobody && !route.act:
		return &refusal{http.StatusUnauthorized, "sign in: reading from another machine needs the view token"}
	}
	token, err := p.door.token(admin)
	switch {
	case err != nil:
		return err
	case token == "":
		return &refusal{http.StatusForbidden, "nobody can act here: RUNNER_ADMIN_TOKEN is not set for the scheduler"}
	case who.role == nobody || !who.signed && who.name == "":
		return &refusal{http.StatusUnauthorized, "sign in with the admin token: acting always needs it"}
	}
	return &refusal{http.StatusForbidden, "you may read, and not act: that needs the admin token"}
}

// fail answers a request that was refused, in JSON or for people.
func (p *Page) fail(w http.ResponseWriter, r *http.Request, err error) {
	status, text := p.explain(err)
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="globus-runner"`)
	}
	if status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "60")
	}
	if strings.HasPrefix(r.URL.Path, apiPath) {
		reply(w, status, failure{text})
		return
	}
	if status == http.StatusUnauthorized {
		to := r.URL.RequestURI()
		if r.Method != http.MethodGet {
			to = r.Header.Get("Referer")
			if u, err := r.URL.Parse(to); err == nil {
				to = u.RequestURI()
			}
		}
		p.views.write(w, status, "sign-in", signInView{frame: p.frame("Sign in", caller{}), To: within(to), Wrong: text})
		return
	}
	p.views.write(w, status, "refused", refusedView{p.frame("Not possible", caller{}), text})
}

func reply(w http.ResponseWriter, status int, doc any) {
	text, err := json.Marshal(doc)
	if err != nil {
		status, text = http.StatusInternalServerError, []byte(`{"error":"the answer could not be written"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(plain.JSON(append(text, '\n'))) // who asked has gone
}
