package status_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/internal/status"
)

// listen returns a listener on a free port of a loopback address.
func listen(t *testing.T, host string) net.Listener {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Skipf("no loopback address %s here: %v", host, err)
	}
	t.Cleanup(func() { _ = l.Close() }) // it may be closed already
	return l
}

func get(ctx context.Context, url string) (int, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return 0, err
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close() //nolint:errcheck // it was read
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

// dial connects, says something and stays.
func dial(t *testing.T, addr, say string) net.Conn {
	t.Helper()
	c, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() }) // it was only read
	if _, err := io.WriteString(c, say); err != nil {
		t.Fatal(err)
	}
	return c
}

// heard returns the first line that c still gets before it is closed.
func heard(t *testing.T, c net.Conn) string {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(c)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the connection is still open")
	}
	line, _, _ := strings.Cut(string(all), "\r\n")
	return line
}

func TestServeEndsSoonAfterItsContext(t *testing.T) {
	tests := map[string]struct{ say, want string }{
		"nothing said":      {"", ""},
		"half a request":    {"GET /healthz HTTP/1.1\r\nHost:", ""},
		"answered":          {"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 OK"},
		"check in progress": {"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 503 Service Unavailable"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			checking, never := make(chan struct{}), make(chan struct{})
			t.Cleanup(func() { close(never) })
			s := status.New(status.Config{Checks: checks{"deaf": func(context.Context) error {
				close(checking)
				<-never
				return nil
			}}})
			l := listen(t, "127.0.0.1")
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- s.Serve(ctx, l) }()
			c := dial(t, l.Addr().String(), tt.say)
			switch name {
			case "answered": // the server may not have read the request before
				got := make([]byte, len(tt.want))
				if _, err := io.ReadFull(c, got); err != nil || string(got) != tt.want {
					t.Errorf("the client heard %q, %v, want %q", got, err, tt.want)
				}
				tt.want = "" // the status line is read
			case "check in progress":
				<-checking
			}
			if code, err := get(t.Context(), "http://"+l.Addr().String()+"/healthz"); code != 200 || err != nil {
				t.Errorf("got %d, %v, want 200", code, err) // and c was accepted before this one
			}

			cancel()
			select {
			case err := <-ended:
				if err != nil {
					t.Errorf("got %v, want nil", err)
				}
			case <-time.After(time.Minute):
				t.Fatal("still serving after a minute")
			}
			if got := heard(t, c); got != tt.want {
				t.Errorf("the client heard %q, want %q", got, tt.want)
			}
			if _, err := get(t.Context(), "http://"+l.Addr().String()+"/healthz"); err == nil {
				t.Error("the port is still open")
			}
		})
	}
}

func TestServerHasNoAnswersOfItsOwn(t *testing.T) {
	l := listen(t, "127.0.0.1")
	go status.New(status.Config{}).Serve(t.Context(), l) //nolint:errcheck // it ends with the test
	c := dial(t, l.Addr().String(), "OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	if got := heard(t, c); got != "HTTP/1.1 404 Not Found" {
		t.Errorf("got %q, want 404", got)
	}
}

func TestListenWithoutHostIsLoopback(t *testing.T) {
	taken := listen(t, "127.0.0.2") // on all addresses the port is not free
	_, port, err := net.SplitHostPort(taken.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	l, err := status.Listen(t.Context(), ":"+port)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- status.New(status.Config{}).Serve(ctx, l) }()
	for {
		select {
		case err := <-ended:
			t.Fatal(err)
		case <-time.After(5 * time.Millisecond):
		}
		if code, err := get(t.Context(), "http://127.0.0.1:"+port+"/healthz"); err == nil {
			if code != 200 {
				t.Errorf("got %d, want 200", code)
			}
			break
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("got %v, want nil", err)
	}
}

func TestListenSaysWhyItCannot(t *testing.T) {
	taken := listen(t, "127.0.0.1").Addr().String()
	tests := map[string]struct{ addr, says string }{
		"taken":     {taken, "another program listens on " + taken + ": stop that one, or choose another port"},
		"no port":   {"127.0.0.1", "missing port"},
		"not ours":  {"192.0.2.1:9090", "cannot assign"},
		"bad port":  {"127.0.0.1:http-or-so", "unknown port"},
		"no number": {":99999", "invalid port"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := status.Listen(t.Context(), tt.addr); err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v, want it to say %q", err, tt.says)
			}
		})
	}
}

func TestServeSaysWhenItsListenerFails(t *testing.T) {
	l := listen(t, "127.0.0.1")
	_ = l.Close() // so that accepting fails
	if err := status.New(status.Config{}).Serve(t.Context(), l); err == nil {
		t.Error("got nil, want the listener's error")
	}
}
