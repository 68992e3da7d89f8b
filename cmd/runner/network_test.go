package main

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/globus-runner/globus-runner/internal/settings"
)

// A line is a connection that can be cut without either end being told, as by a router that
// has forgotten it.
type line struct {
	net.Conn
	cut atomic.Bool
}

func (l *line) Write(p []byte) (int, error) {
	if l.cut.Load() {
		return len(p), nil
	}
	return l.Conn.Write(p)
}

// An exchange connects a client and a server in memory.
type exchange struct {
	calls chan net.Conn
	lines []*line
}

func (e *exchange) dial(context.Context, string, string) (net.Conn, error) {
	caller, called := net.Pipe()
	e.calls <- called
	e.lines = append(e.lines, &line{Conn: caller})
	return e.lines[len(e.lines)-1], nil
}

func (e *exchange) Accept() (net.Conn, error) {
	if conn, ok := <-e.calls; ok {
		return conn, nil
	}
	return nil, net.ErrClosed
}

func (*exchange) Close() error   { return nil }
func (*exchange) Addr() net.Addr { return &net.TCPAddr{} }

func TestAConnectionThatNobodyAnswersIsReplaced(t *testing.T) {
	model := httptest.NewTLSServer(nil) // has a certificate
	defer model.Close()
	roots := model.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs

	synctest.Test(t, func(t *testing.T) {
		a := &app{env: &settings.Environment{}, log: slog.New(slog.DiscardHandler)}
		layer, err := a.network()
		if err != nil {
			t.Fatal(err)
		}
		network := layer.(wire).next.(*http.Transport)
		e := &exchange{calls: make(chan net.Conn)}
		network.DialContext, network.TLSClientConfig = e.dial, &tls.Config{RootCAs: roots}
		server := &http.Server{
			Handler:   http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) }),
			TLSConfig: &tls.Config{Certificates: model.TLS.Certificates},
			ErrorLog:  slog.NewLogLogger(slog.DiscardHandler, 0),
		}
		go func() { _ = server.ServeTLS(e, "", "") }() // it ends with the test
		defer func() { _ = server.Close() }()
		defer close(e.calls)
		defer network.CloseIdleConnections()

		get := func() (string, error) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // as retry does
			defer cancel()
			r, _ := http.NewRequestWithContext(ctx, http.MethodGet, "https://example.com/", nil)
			resp, err := network.RoundTrip(r)
			if err != nil {
				return "", err
			}
			defer func() { _ = resp.Body.Close() }()
			body, err := io.ReadAll(resp.Body)
			return string(body), err
		}
		if got, err := get(); err != nil || got != "HTTP/2.0" {
			t.Fatalf("got %q and %v, want an answer over HTTP/2", got, err)
		}
		e.lines[0].cut.Store(true)
		if _, err := get(); err == nil {
			t.Error("the request over the dead connection was answered")
		}
		if got, err := get(); err != nil || got != "HTTP/2.0" {
			t.Errorf("got %q and %v, want the answer over another connection", got, err)
		}
	})
}
