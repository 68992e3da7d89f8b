package globussim

import (
	"net/http"
	"strings"
)

const (
	transferVersion = "0.10"
	transferPrefix  = "/v" + transferVersion
	controlPrefix   = "/_sim/"
)

// A router is a ServeMux that knows which routes it has. The zero value has
// none.
type router struct {
	http.ServeMux
	patterns []string
}

// HandleFunc adds a route.
func (mux *router) HandleFunc(pattern string, h http.HandlerFunc) {
	mux.patterns = append(mux.patterns, pattern)
	mux.ServeMux.HandleFunc(pattern, h)
}

// isControl reports whether the request is for the control path, also behind an
// address that ends in a slash. It is then changed to the one form.
func isControl(r *http.Request) bool {
	if strings.HasPrefix(r.URL.Path, "/"+controlPrefix) {
		r.URL.Path, r.URL.RawPath = r.URL.Path[1:], strings.TrimPrefix(r.URL.RawPath, "/")
	}
	return strings.HasPrefix(r.URL.Path, controlPrefix)
}

// isAuth reports whether the request's path is one of Globus Auth. Anything
// else, known or not, is answered as Transfer does.
func isAuth(r *http.Request) bool {
	for _, prefix := range []string{"/v2/oauth2/", "/v2/api/", "/v2/web/", "/.well-known/"} {
		if strings.HasPrefix(r.URL.Path, prefix) {
			return true
		}
	}
	return r.URL.Path == jwksPath
}

// preflight answers a browser that asks what it may send, and anybody else who
// asks for the options of a resource.
func preflight(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, X-Globus-Client-Info, X-Transfer-API-Client")
	if asked := r.Header.Get("Access-Control-Request-Headers"); asked != "" {
		h.Set("Access-Control-Allow-Headers", asked)
	}
	h.Set("Access-Control-Max-Age", "600")
	h.Add("Vary", "Access-Control-Request-Headers")
	w.WriteHeader(http.StatusNoContent)
}
