package auth_test

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/globus-runner/globus-runner/auth"
)

// A slowGrant takes its time and cannot be taken back, as a refresh.
type slowGrant struct {
	t       *testing.T
	took    time.Duration
	err     error // of the first
	mu      sync.Mutex
	count   int
	running bool
}

func (g *slowGrant) grant(_ context.Context, server string) (map[string]auth.Token, error) {
	g.mu.Lock()
	g.count++
	count := g.count
	if g.running {
		g.t.Error("two grants at once")
	}
	g.running = true
	g.mu.Unlock()
	time.Sleep(g.took)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.running = false
	if g.err != nil && count == 1 {
		return nil, g.err
	}
	return map[string]auth.Token{server: {
		AccessToken: auth.NewSecret(strconv.Itoa(count)), ResourceServer: server,
	}}, nil
}

// impatient asks for a token and gives up after a second.
func impatient(t *testing.T, s *auth.Source) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := s.Token(ctx, auth.TransferServer); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the deadline", err)
	}
}

func TestGrantThatNobodyWaitsForIsNotMadeTwice(t *testing.T) {
	tests := map[string]struct {
		pause time.Duration // before the token is wanted again
		err   error
		want  string
	}{
		"while it goes on":     {0, nil, "1"},
		"when it is over":      {time.Minute, nil, "1"},
		"it fails meanwhile":   {0, errors.New("no"), "2"},
		"it failed meanwhile":  {time.Minute, errors.New("no"), "2"},
		"it is just cancelled": {0, context.Canceled, "2"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := &slowGrant{t: t, took: 30 * time.Second, err: tt.err}
				s := auth.NewSource(g.grant)
				impatient(t, s)
				impatient(t, s)
				time.Sleep(tt.pause)
				token, err := s.Token(t.Context(), auth.TransferServer)
				if got := token.AccessToken.Reveal(); got != tt.want || err != nil {
					t.Errorf("got token %q, %v, want that of grant %s", got, err, tt.want)
				}
			})
		})
	}
}

func TestLastWhoLeavesIsToldWhatTheRequestMet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused := errors.New("connection refused")
		s := auth.NewSource(func(ctx context.Context, _ string) (map[string]auth.Token, error) {
			<-ctx.Done() // it is repeated until nobody waits any more
			return nil, refused
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := s.Token(ctx, auth.TransferServer)
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, refused) {
			t.Errorf("got %v, want the end of the context and what the request met", err)
		}
	})
}
