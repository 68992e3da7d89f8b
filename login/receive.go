package login

import (
	"context"
	"crypto/subtle"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// A Receiver waits on a loopback port for the browser to come back from Globus Auth.
type Receiver struct{ listener net.Listener }

// Listen opens a free port of 127.0.0.1. The caller closes the Receiver.
func Listen(ctx context.Context) (*Receiver, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	return &Receiver{l}, nil
}

// Redirect returns the address for [Config.Redirect]. Its host is localhost,
// because native apps are registered with that.
func (r *Receiver) Redirect() string {
	return "http://localhost:" + strconv.Itoa(r.listener.Addr().(*net.TCPAddr).Port)
}

// Close closes the port.
func (r *Receiver) Close() error { return r.listener.Close() }

// Receive waits for the first request with the state of the flow, tells the
// browser that the window can be closed, and returns the code. It refuses and
// ignores all other requests. If the person or Globus Auth refused the login,
// the error is an [*Error].
func (r *Receiver) Receive(ctx context.Context, f *Flow) (string, error) {
	type outcome struct {
		code string
		err  error
	}
	came := make(chan outcome, 1)
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			query, right := f.comesBack(req)
			if !right {
				page(w, http.StatusNotFound, "Nothing is here", "This address waits for a login only.")
				return
			}
			code, err := f.code(query)
			if err != nil {
				page(w, http.StatusOK, "Not logged in", "You can close this window and go back to the terminal.")
			} else {
				page(w, http.StatusOK, "Almost done", "The login goes on in the terminal. You can close this window.")
			}
			select {
			case came <- outcome{code, err}:
			default: // only the first counts
			}
		}),
		ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, MaxHeaderBytes: 32 << 10,
	}
	server.SetKeepAlivesEnabled(false)
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(r.listener) }()
	select {
	case o := <-came:
		// The page may not have been sent yet.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = server.Shutdown(ctx) // the code is what counts
		return o.code, o.err
	case <-ctx.Done():
		_ = server.Close() // nobody needs it any more
		return "", context.Cause(ctx)
	case err := <-failed:
		return "", err
	}
}

// comesBack reports whether this is the request with which the browser comes
// back from Globus Auth. It returns the request's query.
func (f *Flow) comesBack(req *http.Request) (url.Values, bool) {
	query := req.URL.Query()
	right := subtle.ConstantTimeCompare([]byte(query.Get("state")), []byte(f.state)) == 1
	return query, right && req.Method == http.MethodGet && req.URL.Path == "/"
}

// page answers with a title and a text. Neither may contain anything of the request.
func page(w http.ResponseWriter, status int, title, text string) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer") // the address holds the code
	w.WriteHeader(status)
	_, _ = io.WriteString(w, "<!DOCTYPE html>\n<html lang=\"en\"><meta name=\"viewport\" content=\"width=device-width\">"+
		"<title>"+title+"</title>\n<h1>"+title+"</h1>\n<p>"+text+"</p>\n</html>\n") // the browser has gone
}
