package status_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/globus-runner/globus-runner/internal/status"
	"github.com/globus-runner/globus-runner/test/long"
)

// memory is what the process uses now, in bytes, garbage aside.
func memory() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

// TestSlowClientsKeepNobodyOutAndTakeNoMemory has 2000 clients that never end
// what they say, or never listen.
func TestSlowClientsKeepNobodyOutAndTakeNoMemory(t *testing.T) {
	const most = 16 << 20
	clients := long.Or(2000, 500)
	said := []string{
		"",
		"GET /hea",
		"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: " + strings.Repeat("x", 8<<10),
		"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: " + strings.Repeat("x", 64<<10),
		strings.Repeat("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 2),
		"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nx",
	}
	l := listen(t, "127.0.0.1")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- full().Serve(ctx, l) }()
	healthy := func() {
		t.Helper()
		if code, err := get(t.Context(), "http://"+l.Addr().String()+"/healthz"); err != nil || code != http.StatusOK {
			t.Errorf("got %d, %v, want 200", code, err)
		}
	}
	healthy()
	before, highest := memory(), int64(0)
	open := make([]net.Conn, clients)
	for n := range open {
		c, err := new(net.Dialer).DialContext(t.Context(), "tcp", l.Addr().String())
		if err != nil {
			t.Fatalf("client %d: %v", n, err)
		}
		open[n] = c
		_, _ = io.WriteString(c, said[n%len(said)]) // it may be turned away already
		if n%500 == 499 {
			highest = max(highest, memory()-before)
			healthy()
		}
	}
	if highest > most {
		t.Errorf("%d clients take %d KiB", clients, highest>>10)
	}
	for _, c := range open {
		_ = c.Close() // most are closed already
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestClientsWhoLeftTakeNoPlace has more clients one after the other than there
// are places at a time.
func TestClientsWhoLeftTakeNoPlace(t *testing.T) {
	l := listen(t, "127.0.0.1")
	go full().Serve(t.Context(), l) //nolint:errcheck // it ends with the test
	for n := range 600 {
		c := dial(t, l.Addr().String(), "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		if got := heard(t, c); got != "HTTP/1.1 200 OK" {
			t.Fatalf("client %d heard %q, want its answer", n, got)
		}
		_ = c.Close() // it has all it wants
	}
}

// TestOneMoreClientTurnsAwayWhoWaitsLongest checks who has to go.
func TestOneMoreClientTurnsAwayWhoWaitsLongest(t *testing.T) {
	const most = 256
	checking, done := make(chan struct{}), make(chan struct{})
	s := status.New(status.Config{Checks: checks{"slow": func(context.Context) error {
		close(checking)
		<-done
		return nil
	}}})
	l := listen(t, "127.0.0.1")
	go s.Serve(t.Context(), l) //nolint:errcheck // it ends with the test
	busy := dial(t, l.Addr().String(), "GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	<-checking
	var idle []net.Conn
	for range most { // one more than there is room for
		idle = append(idle, dial(t, l.Addr().String(), ""))
	}
	if got := heard(t, idle[0]); got != "" {
		t.Errorf("the first client heard %q, want the end", got)
	}
	close(done)
	if got := heard(t, busy); !strings.HasPrefix(got, "HTTP/1.1 ") {
		t.Errorf("the busy client heard %q, want its answer", got)
	}
	last := idle[most-1]
	if _, err := io.WriteString(last, "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); err != nil {
		t.Error(err)
	}
	if got := heard(t, last); got != "HTTP/1.1 200 OK" {
		t.Errorf("the last client heard %q, want its answer", got)
	}
}

// pipes is a listener without a network, which a bubble can wait for.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	c, ok := <-p
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}
func (p pipes) Close() error   { return nil }
func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

// TestThereIsRoomForSoManyClientsAndNoMore checks who has to go, and that it is
// before a time is over.
func TestThereIsRoomForSoManyClientsAndNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most = 256
		ctx, cancel := context.WithCancel(t.Context())
		l := make(pipes)
		served := make(chan struct{})
		go func() {
			defer close(served)
			_ = full().Serve(ctx, l) // it was asked to end
		}()
		connect := func() net.Conn {
			ours, theirs := net.Pipe()
			l <- theirs
			synctest.Wait()
			return ours
		}
		closed := func(c net.Conn) bool {
			err := c.SetReadDeadline(time.Now().Add(time.Millisecond))
			if err == nil {
				_, err = c.Read(make([]byte, 1))
			}
			return !errors.Is(err, os.ErrDeadlineExceeded)
		}
		var all []net.Conn
		for range most {
			all = append(all, connect())
		}
		if closed(all[0]) {
			t.Errorf("one of %d clients was turned away", most)
		}
		all = append(all, connect())
		if !closed(all[0]) || closed(all[1]) {
			t.Errorf("with %d clients, the first is turned away: %t, the second: %t; want the first alone", most+1, closed(all[0]), closed(all[1]))
		}
		for _, c := range all {
			_ = c.Close() // the first is closed
		}
		cancel()
		close(l)
		<-served
	})
}
