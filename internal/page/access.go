package page

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/internal/plain"
)

// An Access says who may read, and who may act.
//
// Requests from the same machine may read, unless a proxy has passed them on. Others need
// one of the tokens, or a proxy that says who they are. Acting always needs the admin
// token.
type Access struct {
	// View and Admin return the tokens, or "" if there is none. They are called for each
	// request with a token, so that a file can be replaced.
	View, Admin func() (string, error)
	// UserHeader is a header in which a proxy names the person; "" for none.
	UserHeader string
}

const (
	sessionCookie = "runner_session"
	sessionLife   = 12 * time.Hour
	// longestName bounds the name of a person, in characters.
	longestName = 64
)

// A role is what somebody may do. Each may do what the one before may.
type role int

const (
	nobody role = iota
	reader
	admin
)

// A caller is who makes a request.
type caller struct {
	role   role
	name   string // who asked, for the record of an action
	signed bool   // by a session, which can be ended
}

// A door finds out who makes a request.
type door struct {
	Access
	guesses *guesses
}

func newDoor(a Access) *door { return &door{a, newGuesses()} }

// caller finds out who makes a request. The error of a wrong token is a [*refusal].
func (d *door) caller(r *http.Request) (caller, error) {
	who := d.session(r)
	if token, shown := bearer(r); shown {
		is, err := d.check(r, token)
		if err != nil {
			return caller{}, err
		}
		who = caller{role: is, name: "token at " + address(r)}
	}
	if d.UserHeader != "" {
		if name := r.Header.Get(d.UserHeader); name != "" {
			who.name, who.role = person(name), max(who.role, reader)
		}
	}
	if who.role == nobody && local(r) {
		who.role = reader
	}
	return who, nil
}

// check returns the role that a token gives. Wrong tokens are counted by their address; if
// there are too many, the answer is delayed. The right token is accepted even then,
// because many people may share the address of a proxy or a gateway.
func (d *door) check(r *http.Request, token string) (role, error) {
	for _, is := range []role{admin, reader} {
		want, err := d.token(is)
		if err != nil {
			return nobody, err
		}
		if want != "" && same(token, want) {
			return is, nil
		}
	}
	if d.guesses.wrong(address(r), time.Now()) {
		return nobody, &refusal{http.StatusUnauthorized, "the token is wrong"}
	}
	d.guesses.delay(r.Context())
	return nobody, &refusal{http.StatusTooManyRequests, "the token is wrong, and too many wrong ones came from your address: wait a minute before you try another one"}
}

// token returns the token of a role, "" if there is none.
func (d *door) token(is role) (string, error) {
	ask := d.View
	if is == admin {
		ask = d.Admin
	}
	if ask == nil {
		return "", nil
	}
	return ask()
}

// same compares two secrets in constant time.
func same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// bearer returns the token in the header of a request.
func bearer(r *http.Request) (token string, shown bool) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.TrimSpace(token), strings.EqualFold(scheme, "Bearer")
}

// local reports whether a request comes from this machine, asks for it by a local name,
// and was not passed on by a proxy. The name is checked because a page of another site
// may have its own name lead to this machine.
func local(r *http.Request) bool {
	for _, h := range []string{"Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip"} {
		if r.Header.Get(h) != "" {
			return false
		}
	}
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !from.Addr().Unmap().IsLoopback() {
		return false
	}
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.Trim(host, "[]")
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && ip.IsLoopback()
}

// address returns where a request comes from. For IPv6 it is the network, because one
// machine may have many addresses there.
func address(r *http.Request) string {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return "unknown"
	}
	ip := from.Addr().Unmap().WithZone("")
	if ip.Is6() && !ip.IsLoopback() {
		if net, err := ip.Prefix(64); err == nil {
			return net.String()
		}
	}
	return ip.String()
}

// person returns the name of somebody as it is recorded and shown.
func person(name string) string { return plain.Short(strings.TrimSpace(name), longestName) }

// A ticket is the content of a session's cookie. It is signed with a key derived from the
// token. So every replica accepts it, and none does after the token was replaced.
type ticket struct {
	Admin bool   `json:"admin"`
	Name  string `json:"name,omitempty"`
	Ends  int64  `json:"ends"` // in seconds since 1970
}

// session returns who has signed in; the role is nobody if no session is valid.
func (d *door) session(r *http.Request) caller {
	cookie, err := r.Cookie(sessionCookie)
	if err != nil {
		return caller{}
	}
	text, mac, _ := strings.Cut(cookie.Value, ".")
	doc, err := base64.RawURLEncoding.DecodeString(text)
	var t ticket
	if err != nil || json.Unmarshal(doc, &t) != nil || time.Now().Unix() >= t.Ends {
		return caller{}
	}
	is := reader
	if t.Admin {
		is = admin
	}
	token, err := d.token(is)
	if err != nil || token == "" || !hmac.Equal([]byte(mac), []byte(sign(text, token))) {
		return caller{}
	}
	return caller{role: is, name: t.Name, signed: true}
}

func sign(text, token string) string {
	key := sha256.Sum256([]byte("globus-runner session\x00" + token))
	mac := hmac.New(sha256.New, key[:])
	mac.Write([]byte(text))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// open returns the cookie of a new session.
func (d *door) open(r *http.Request, token, name string) (*http.Cookie, error) {
	is, err := d.check(r, token)
	if err != nil {
		return nil, err
	}
	ends := time.Now().Add(sessionLife)
	name = person(name)
	if name == "" {
		name = "somebody at " + address(r)
	}
	doc, err := json.Marshal(ticket{Admin: is == admin, Name: name, Ends: ends.Unix()})
	if err != nil {
		return nil, err
	}
	text := base64.RawURLEncoding.EncodeToString(doc)
	return cookie(r, text+"."+sign(text, token), int(sessionLife.Seconds())), nil
}

// cookie makes the cookie of a session. Scripts and other sites cannot read it.
func cookie(r *http.Request, value string, age int) *http.Cookie {
	return &http.Cookie{
		Name: sessionCookie, Value: value, Path: "/", MaxAge: age, HttpOnly: true, SameSite: http.SameSiteStrictMode,
		Secure: r.TLS != nil || strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https"),
	}
}

// showSignIn shows where to sign in.
func (p *Page) showSignIn(w http.ResponseWriter, r *http.Request) {
	p.views.write(w, http.StatusOK, "sign-in", signInView{frame: p.frame("Sign in", caller{}), To: within(r.FormValue("to"))})
}

// A signInView is the page to sign in.
type signInView struct {
	frame
	To, Wrong string
	NoAdmin   bool // there is no admin token, so nobody can act
}

func (p *Page) signIn(w http.ResponseWriter, r *http.Request) {
	to := within(r.PostFormValue("to"))
	c, err := p.door.open(r, r.PostFormValue("token"), r.PostFormValue("name"))
	if err != nil {
		status, text := p.explain(err)
		p.views.write(w, status, "sign-in", signInView{frame: p.frame("Sign in", caller{}), To: to, Wrong: text})
		return
	}
	http.SetCookie(w, c)
	http.Redirect(w, r, to, http.StatusSeeOther)
}

func (p *Page) signOut(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, cookie(r, "", -1))
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// within returns a path of this server; "/" if it would lead to another one.
func within(path string) string {
	u, err := url.Parse(path)
	if err != nil || u.Scheme != "" || u.Host != "" || !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || strings.ContainsAny(path, "\\\r\n\t") {
		return "/"
	}
	return path
}
