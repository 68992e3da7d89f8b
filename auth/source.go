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
// renews them. Its methods may be called concurrently.
type Source struct {
	grant Grant

	mu     sync.Mutex // never held while waiting
	held   map[string]Token
	flight *flight // the token request in progress; nil if there is none
}

// A Grant gets tokens from Globus Auth: the one for a resource server, and
// possibly others with it. The result is by resource server.
type Grant func(ctx context.Context, resourceServer string) (map[string]Token, error)

// NewSource returns a Source that begins with the held tokens, and gets others
// from grant, which is called by one goroutine at a time.
func NewSource(grant Grant, held ...Token) *Source {
	s := &Source{grant: grant, held: make(map[string]Token)}
	for _, t := range held {
		s.held[t.ResourceServer] = t
	}
	return s
}

// Token returns a token for a resource server, such as [TransferServer]. It is
// the one that the Source holds, until 60 s before that expires; then one
// request gets a new one for all callers that wait. When ctx ends, Token
// returns its error; the request goes on for the other callers, and is canceled
// if there are none. The error is an [*Error] if Globus Auth refuses.
func (s *Source) Token(ctx context.Context, resourceServer string) (Token, error) {
	for {
		token, f := s.heldOrJoin(resourceServer) //nolint:contextcheck // the request belongs to all who wait for it
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
		case f.server != resourceServer, f.err != nil && f.abandoned: // it was for others
			continue
		case f.err != nil:
			return Token{}, fmt.Errorf("get a token: %w", f.err)
		}
		return Token{}, missing(resourceServer, f.tokens)
	}
}

// missing is the error for a reply that lacks the token of the resource server.
func missing(resourceServer string, tokens map[string]Token) error {
	var others []string
	for _, t := range tokens {
		others = append(others, fmt.Sprintf("%s (%s)", t.ResourceServer, t.Scope))
	}
	slices.Sort(others)
	return fmt.Errorf("get a token: Globus Auth gave none for %q, only for %s", resourceServer, strings.Join(others, " and "))
}

// Tokens returns the tokens that the Source holds and that are usable now, by
// resource server.
func (s *Source) Tokens() map[string]Token {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, tokens := time.Now(), maps.Clone(s.held)
	maps.DeleteFunc(tokens, func(_ string, t Token) bool { return !t.Usable(now) })
	return tokens
}

// reveal returns the text of all tokens, to keep them out of messages.
func (s *Source) reveal() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for _, t := range s.held {
		all = append(all, t.AccessToken.Reveal(), t.RefreshToken.Reveal())
	}
	return all
}

// drop forgets a token that was refused, unless a newer one has replaced it.
func (s *Source) drop(t Token) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held[t.ResourceServer].AccessToken.Reveal() == t.AccessToken.Reveal() {
		delete(s.held, t.ResourceServer)
	}
}

// A flight is one token request and the callers that wait for it.
type flight struct {
	server    string // the resource server that it was begun for
	cancel    context.CancelFunc
	waiting   int           // guarded by Source.mu
	abandoned bool          // canceled because nobody waited any more; guarded by Source.mu
	done      chan struct{} // closed when the fields below are set, and those above do not change any more
	tokens    map[string]Token
	err       error
}

// heldOrJoin returns the token that the Source holds, or else the flight that
// may bring it. The caller is then counted among those who wait.
func (s *Source) heldOrJoin(resourceServer string) (Token, *flight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t, ok := s.held[resourceServer]; ok && t.Usable(time.Now()) {
		return t, nil
	}
	if s.flight == nil {
		// The context belongs to no caller, because the first to wait may be
		// the first to leave.
		ctx, cancel := context.WithCancel(context.Background())
		s.flight = &flight{server: resourceServer, cancel: cancel, done: make(chan struct{})}
		go s.fly(ctx, s.flight)
	}
	s.flight.waiting++
	return Token{}, s.flight
}

// leave gives up waiting, and reports whether the caller was the last. The last
// to leave cancels the request. A request that cannot be undone, such as a
// refresh, may still go on and bring its tokens for later callers; the next
// request begins when it has ended.
func (s *Source) leave(f *flight) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.waiting--
	if f.waiting == 0 && s.flight == f {
		f.abandoned = true
		f.cancel()
	}
	return f.abandoned
}

// canceled is how long the last to leave waits for the error of the canceled
// request, which may say what went wrong: that nothing listens at the service's
// address, for example.
const canceled = 50 * time.Millisecond

// instead returns the error for the last caller to leave: err, and what went
// wrong in the request if that is known.
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

// fly gets the tokens and wakes those who wait.
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
