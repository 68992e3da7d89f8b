package globussim

import (
	"bytes"
	_ "embed"
	"html/template"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// codePage shows a code to a person who carries it to the program by hand.
const codePage = "/v2/web/auth-code"

//go:embed authorize.html
var pageText string

// pages are the templates of what a person sees: "ask", "code" and "problem".
var pages = sync.OnceValue(func() *template.Template { return template.Must(template.New("").Parse(pageText)) })

// An authorization is a client's request that a person log in.
type authorization struct {
	client    Account
	redirect  *url.URL
	challenge string
	scopes    []*scope
	offline   bool
	state     string
	persons   []Person // who may log in
	policies  []string
	mfa       bool
}

// readAuthorization reads the parameters of a request. What is wrong with one
// is told to the person and to nobody else: the client may be anybody.
func (a *authority) readAuthorization(r *http.Request, form url.Values) (*authorization, string) {
	account, ok := a.account(form.Get("client_id"))
	switch {
	case !ok:
		return nil, "There is no client with this client_id."
	case !account.asksPersons():
		return nil, "This client is a service account, which logs in with its secret, not with a browser."
	}
	redirect, err := url.Parse(form.Get("redirect_uri"))
	if err != nil || !registered(redirect, r.Host) {
		return nil, "The redirect_uri is not registered for this client."
	}
	challenge := form.Get("code_challenge")
	switch {
	case form.Get("response_type") != "code":
		return nil, "The response_type is not code."
	case challenge == "" && !account.NativeApp: // it has a secret instead
	case form.Get("code_challenge_method") != "S256" || len(challenge) != 43:
		return nil, "A native app must send a code_challenge with the code_challenge_method S256 (PKCE)."
	}
	scopes, e := a.knownScopes(form.Get("scope"))
	if e != nil {
		return nil, e.description + "."
	}
	asked := len(scopes)
	scopes = slices.DeleteFunc(scopes, func(sc *scope) bool { return sc.name == offlineAccess })
	if len(scopes) == 0 {
		return nil, "The scope asks for nothing."
	}
	q := &authorization{
		client: account, redirect: redirect, challenge: challenge, scopes: scopes,
		offline: form.Get("access_type") == "offline" || len(scopes) < asked, state: form.Get("state"),
		policies: split(form.Get("session_required_policies")), mfa: form.Get("session_required_mfa") == "true",
	}
	for _, id := range q.policies {
		if !a.knowsPolicy(id) {
			return nil, "There is no authentication policy " + id + "."
		}
	}
	q.persons = a.personsFor(split(form.Get("session_required_identities")), split(form.Get("session_required_single_domain")))
	return q, ""
}

// registered reports whether a native app may have its codes sent there: to
// the page that shows them, or to a program on the person's own machine.
func registered(u *url.URL, host string) bool {
	switch {
	case u.User != nil || u.Fragment != "":
		return false
	case u.Path == codePage && (u.Host == host || u.Host == authServer):
		return true
	}
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "http" && (u.Hostname() == "localhost" || ip != nil && ip.IsLoopback())
}

func (a *authority) knowsPolicy(id string) bool {
	for _, c := range a.collections {
		if c.SessionPolicy == id {
			return true
		}
	}
	return false
}

// personsFor returns the persons of the domains who are among the identities,
// given by id or username; an empty list leaves nobody out.
func (a *authority) personsFor(identities, domains []string) []Person {
	named := func(list []string, names ...string) bool {
		return len(list) == 0 || slices.ContainsFunc(list, func(s string) bool { return slices.Contains(names, strings.ToLower(s)) })
	}
	var found []Person
	for _, p := range a.persons {
		if named(identities, p.ID, p.Username) && named(domains, p.domain()) {
			found = append(found, p)
		}
	}
	return found
}

// serveAuthorize answers GET /v2/oauth2/authorize with the page on which a
// person decides.
func (a *authority) serveAuthorize(w http.ResponseWriter, r *http.Request) {
	form := r.URL.Query()
	q, problem := a.readAuthorization(r, form)
	if problem != "" {
		showProblem(w, problem)
		return
	}
	show(w, http.StatusOK, "ask", map[string]any{
		"Client": q.client.Name, "Persons": q.persons, "Scopes": a.inWords(q.scopes), "Offline": q.offline,
		"Message": form.Get("session_message"), "MFA": q.mfa,
		"Policies": q.policies, "Form": form,
	})
}

// serveDecision answers POST /v2/oauth2/authorize, which carries what the
// person decided beside the parameters of the request.
func (a *authority) serveDecision(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		showProblem(w, "The form cannot be read.")
		return
	}
	q, problem := a.readAuthorization(r, r.PostForm)
	if problem != "" {
		showProblem(w, problem)
		return
	}
	answer := url.Values{}
	if q.state != "" {
		answer.Set("state", q.state)
	}
	i := slices.IndexFunc(q.persons, func(p Person) bool { return p.ID == r.PostForm.Get("identity") })
	switch {
	case r.PostForm.Get("decision") != "allow":
		answer.Set("error", "access_denied")
		answer.Set("error_description", "The person refused")
	case i < 0:
		showProblem(w, "No identity was chosen: go back and choose one.")
		return
	default:
		now := time.Now().UTC()
		h := holder{party{q.client.ID, q.persons[i].ID}, q.policies, q.mfa}
		a.consent(h.party, q.scopes, now)
		answer.Set("code", a.issueCode(&code{h, q.redirect.String(), q.state, q.challenge, q.scopes, q.offline, now}))
	}
	to := *q.redirect
	to.RawQuery = strings.TrimPrefix(to.RawQuery+"&"+answer.Encode(), "&")
	w.Header().Set("Referrer-Policy", "no-referrer")
	http.Redirect(w, r, to.String(), http.StatusSeeOther)
}

// serveCode answers GET /v2/web/auth-code.
func (a *authority) serveCode(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	switch {
	case query.Get("error") != "":
		showProblem(w, "You did not allow it. You can close this window.")
	case query.Get("code") == "":
		showProblem(w, "There is no code to show.")
	default:
		show(w, http.StatusOK, "code", query.Get("code"))
	}
}

func showProblem(w http.ResponseWriter, text string) { show(w, http.StatusBadRequest, "problem", text) }

// show answers with a page that loads nothing and runs nothing.
func show(w http.ResponseWriter, status int, name string, data any) {
	var buf bytes.Buffer
	if err := pages().ExecuteTemplate(&buf, name, data); err != nil {
		writeAuthError(w, newAuthError(http.StatusInternalServerError, "", "The page could not be made"))
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "same-origin") // with none at all, browsers send the form without its Origin
	w.WriteHeader(status)
	_, _ = w.Write(buf.Bytes()) // the browser has gone; there is nobody to tell
}

// A permission is a scope in words.
type permission struct {
	Words, Scope string
	Below        []permission // what the service may do in turn
}

func (a *authority) inWords(scopes []*scope) (list []permission) {
	for _, sc := range scopes {
		list = append(list, permission{a.words(sc.name), sc.name, a.inWords(sc.dependencies)})
	}
	return list
}

// words says what a scope allows.
func (a *authority) words(name string) string {
	switch name {
	case transferAll:
		return "Manage data using Globus Transfer"
	case "openid":
		return "Know who you are in Globus"
	case "profile":
		return "Know your name and username"
	case "email":
		return "Know your e-mail address"
	case "urn:globus:auth:scope:auth.globus.org:view_identity_set":
		return "Know all your linked identities"
	}
	id, kind, _ := strings.Cut(strings.TrimPrefix(name, scopeBase), "/")
	switch c, ok := a.collections[id]; {
	case ok && kind == "data_access":
		return "Reach your data on the collection " + c.Name
	case ok && kind == "https":
		return "Read and write files on the collection " + c.Name + " over HTTPS"
	}
	server, _ := a.resourceServer(name)
	return "Use " + server
}
