package status

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"syscall"
	"time"
)

// grace is how long requests may take to end when the server stops.
const grace = 500 * time.Millisecond

// Listen listens on addr, a host and a port, for [Status.Serve]. An addr without a
// host, such as ":9090", is loopback; 0.0.0.0 has to be asked for.
func Listen(ctx context.Context, addr string) (net.Listener, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	if host == "" {
		addr = net.JoinHostPort("127.0.0.1", port)
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("another program listens on %s: stop that one, or choose another port", addr)
	}
	return l, err
}

// Serve serves [Status.Handler] on l, which it closes, until ctx ends. Then it
// returns nil within a second.
func (s *Status) Serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler:           attended(s.Handler()),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       5 * time.Second,
		WriteTimeout:      15 * time.Second, // a scrape of many jobs over a slow line
		IdleTimeout:       2 * time.Minute,  // longer than the time between scrapes
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          log.New(io.Discard, "", 0), // only clients that hang up are logged here
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ConnContext:       remember,

		DisableGeneralOptionsHandler: true,
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(newDoor(l)) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serve the status: %w", err)
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if err := server.Shutdown(last); err != nil {
		_ = server.Close() // the others have had their time
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the status: %w", err)
	}
	return nil
}
