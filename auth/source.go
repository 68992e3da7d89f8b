package auth

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// A Source keeps the tokens of one identity, one for each resource server, and
// has them renewed. Its methods may be called concurrently.
type Source struct {
	grant Grant

	mu     sync.Mutex // never held while waiting
	held   map[string]Token
	flight *flight // the token request under way; nil if there is none
}

// A Grant gets tokens from Globus Auth: that for a resource server, and maybe
// those for others with it.
type Grant func(ctx context.Context, resourceServer string) (map[string]Token, error)

// NewSource returns a Source that gets its tokens by grant, one call at a time,
// but for those that it holds from the start.
func NewSource(grant Grant, held ...Token) *Source {
	s := &Source{grant: grant, held: make(map[string]Token)}
	for _, t := range held {
		s.held[t.ResourceServer] = t
	}
	return s
}

// Token returns a token for a resource server, such as [TransferServer]: the
// one that is held, or until 60 s before that expires; else one request gets a
// new one, however many callers wait for it. When ctx ends, Token returns its
// error; the request goes on for those who still wait, and is canceled if
// there are none. The error is an [*Error] if Globus Auth refuses.
func (s *Source) Token(ctx context.Context, resourceServer string) (Token, error) {
	for {
		token, f := s.heldOrJoin(resourceServer) //nolint:contextcheck // the request is of all who wait for it
		if f == nil {
			return token, nil
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			err := ctx.Err()
			if s.leave(f) {
				err = f.instead(err)
			}
			return Token{}, fmt.Errorf("wait for a token: %w", err)
		}
		token, ok := f.tokens[resourceServer]
		switch {
		case ok:
			return token, nil
		case f.server != resourceServer, f.err != nil && f.left: // it was for others
			continue
		case f.err != nil:
			return Token{}, fmt.Errorf("get a token: %w", f.err)
		}
		return Token{}, missing(resourceServer, f.tokens)
	}
}

// missing is the error of a request that brought tokens for others only.
func missing(resourceServer string, tokens map[string]Token) error {
	var others []string
	for _, t := range tokens {
		others = append(others, fmt.Sprintf("%s (%s)", t.ResourceServer, t.Scope))
	}
	slices.Sort(others)
	return fmt.Errorf("get a token: Globus Auth gave none for %q, only for %s", resourceServer, strings.Join(others, " and "))
}

// Tokens returns the tokens that are held and usable now, by resource server.
func (s *Source) Tokens() map[string]Token {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, tokens := time.Now(), maps.Clone(s.held)
	maps.DeleteFunc(tokens, func(_ string, t Token) bool { return !t.Usable(now) })
	return tokens
}

// reveal returns the tokens that are held, to keep them out of messages.
func (s *Source) reveal() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for _, t := range s.held {
		all = append(all, t.AccessToken.Reveal(), t.RefreshToken.Reveal())
	}
	return all
}

// drop forgets a token that was refused, unless a newer one is held already.
func (s *Source) drop(t Token) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held[t.ResourceServer].AccessToken.Reveal() == t.AccessToken.Reveal() {
		delete(s.held, t.ResourceServer)
	}
}

// A flight is one token request and those who wait for it.
type flight struct {
	server  string // for which it was begun
	cancel  context.CancelFunc
	waiting int           // guarded by Source.mu
	left    bool          // once nobody waited, which canceled it; guarded by Source.mu
	done    chan struct{} // closed when the fields below are set, and those above do not change any more
	tokens  map[string]Token
	err     error
}

// heldOrJoin returns the token that is held, or else the flight that may
// bring it, on which the caller now waits.
func (s *Source) heldOrJoin(resourceServer string) (Token, *flight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t, ok := s.held[resourceServer]; ok && t.Usable(time.Now()) {
		return t, nil
	}
	if s.flight == nil {
		// The context is nobody's, because the first who waits may be the first to leave.
		ctx, cancel := context.WithCancel(context.Background())
		s.flight = &flight{server: resourceServer, cancel: cancel, done: make(chan struct{})}
		go s.fly(ctx, s.flight)
	}
	s.flight.waiting++
	return Token{}, s.flight
}

// leave gives up waiting. The last to leave cancels the request, which makes
// way for the next when it has ended: one that cannot be taken back, such as a
// refresh, may go on and bring its tokens for those who come later. It reports
// whether it was the last.
func (s *Source) leave(f *flight) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.waiting--
	if f.waiting == 0 && s.flight == f {
		f.left = true
		f.cancel()
	}
	return f.left
}

// canceled is how long the last who leaves waits for the error of the request,
// which tells what it met: nobody may listen at the service's address.
const canceled = 50 * time.Millisecond

// instead returns the error for the last who left the flight, with what the
// request met until then if that is known.
func (f *flight) instead(err error) error {
	select {
	case <-f.done:
	case <-time.After(canceled):
		return err
	}
	if f.err == nil || errors.Is(err, f.err) {
		return err
	}
	return fmt.Errorf("%w: %w", err, f.err)
}

// fly gets the tokens and tells those who wait.
func (s *Source) fly(ctx context.Context, f *flight) {
	defer f.cancel()
	f.tokens, f.err = s.grant(ctx, f.server)

	s.mu.Lock()
	defer s.mu.Unlock()
	if f.err == nil {
		now := time.Now()
		for server, t := range f.tokens {
			if t.Usable(now) {
				s.held[server] = t
			} else {
				delete(s.held, server)
			}
		}
	}
	s.flight = nil
	close(f.done)
}
