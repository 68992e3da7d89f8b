package globussim

import (
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// A guard refuses requests of web pages from elsewhere. Whoever reaches the simulator may do
// anything with its folders, and every page that a person has open can send requests to this
// machine: with its own address in the header Origin, or with a name in Host that it makes
// point here (DNS rebinding).
type guard struct {
	hosts []string // names that the simulator has besides those of this machine
}

// admit returns an error if the request comes from such a page. It sets the headers that let
// scripts of allowed pages read the answer.
func (g guard) admit(w http.ResponseWriter, r *http.Request) *apiError {
	host := hostname(r.Host)
	if !g.knows(host) {
		return &apiError{
			Status: http.StatusMisdirectedRequest, Code: "ClientError.Misdirected",
			Message: "The simulator is not called " + quoteName(host) + ": use its address, or name it with --host",
		}
	}
	w.Header().Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	switch u, err := url.Parse(origin); {
	case origin == "":
		return nil
	case origin == "null" && r.Header.Get("Sec-Fetch-Site") == "same-origin": // a form of ours, without a referrer
		return nil
	case err != nil || u.Host == "" || !strings.EqualFold(u.Host, r.Host) && !isLocal(strings.ToLower(u.Hostname())):
		return &apiError{
			Status: http.StatusForbidden, Code: "PermissionDenied",
			Message: "The simulator answers only web pages of this machine, not those of " + quoteName(origin),
		}
	}
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Expose-Headers", "Date, Retry-After, X-Transfer-API-Error, X-Transfer-API-Version")
	return nil
}

// knows reports whether a host name may be the simulator's: an address, which no page can have
// as its name; a name that public DNS does not have, such as that of a container or a
// Kubernetes service; a name of Globus, which tests use within one process; or one of
// Config.Hosts.
func (g guard) knows(host string) bool {
	const httptest = "example.com" // what package httptest calls every server; nobody can have it
	if host == httptest || isLocal(host) || net.ParseIP(host) != nil || !strings.Contains(host, ".") || slices.Contains(g.hosts, host) {
		return true
	}
	return slices.ContainsFunc([]string{".globus.org", ".svc", ".cluster.local", ".internal", ".test", ".example"}, func(domain string) bool {
		return strings.HasSuffix(host, domain)
	})
}

// isLocal reports whether a host name always means this machine.
func isLocal(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && ip.IsLoopback()
}

// hostname returns the host of an address, without its port, in lower case.
func hostname(address string) string {
	u := url.URL{Host: address}
	return strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
}

// quoteName quotes the beginning of a name that a stranger has sent.
func quoteName(name string) string {
	const most = 100 // bytes
	return strings.ToValidUTF8(name[:min(len(name), most)], "?")
}
