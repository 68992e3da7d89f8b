package clientcreds

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"
)

// Tokens are renewed so long before they expire. One that lives no longer is
// used by those who waited for it and not kept.
const margin = 60 * time.Second

// A Token lets requests pass at one resource server.
type Token struct {
	AccessToken      Secret `json:"access_token"`
	Scope            string `json:"scope"` // granted scopes, separated by spaces, without dependencies
	TokenType        string `json:"token_type"`
	ResourceServer   string `json:"resource_server"`
	ExpiresAtSeconds int64  `json:"expires_at_seconds"` // since 1970
}

func (t Token) usable(now time.Time) bool {
	return time.Unix(t.ExpiresAtSeconds, 0).Sub(now) > margin
}

// Token returns a token for a resource server, such as [TransferServer]: the
// one that is held, or until 60 s before that expires; else one request gets
// new ones for all scopes of the Source, however many callers wait for it.
// When ctx ends, Token returns its error; the request goes on for those who
// still wait. The error is an [*Error] if Globus Auth refuses.
// API: POST /v2/oauth2/token.
func (s *Source) Token(ctx context.Context, resourceServer string) (Token, error) {
	token, f := s.heldOrJoin(resourceServer)
	if f == nil {
		return token, nil
	}
	select {
	case <-f.done:
	case <-ctx.Done():
		s.leave(f)
		return Token{}, fmt.Errorf("wait for a token: %w", ctx.Err())
	}
	if f.err != nil {
		return Token{}, fmt.Errorf("get a token: %w", f.err)
	}
	token, ok := f.tokens[resourceServer]
	if !ok {
		return Token{}, fmt.Errorf("get a token: Globus Auth gave none for %q, only for %s; the scopes asked for are %s",
			resourceServer, strings.Join(slices.Sorted(maps.Keys(f.tokens)), " and "), s.scopes)
	}
	return token, nil
}

// Tokens returns the tokens that are held and usable now, by resource server.
func (s *Source) Tokens() map[string]Token {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, tokens := time.Now(), maps.Clone(s.held)
	maps.DeleteFunc(tokens, func(_ string, t Token) bool { return !t.usable(now) })
	return tokens
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
	cancel  context.CancelFunc
	waiting int           // guarded by Source.mu
	done    chan struct{} // closed when the fields below are set
	tokens  map[string]Token
	err     error
}

// heldOrJoin returns the token that is held, or else the flight that will
// bring it, on which the caller now waits.
func (s *Source) heldOrJoin(resourceServer string) (Token, *flight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t, ok := s.held[resourceServer]; ok && t.usable(time.Now()) {
		return t, nil
	}
	if s.flight == nil {
		// The context is nobody's, because the first who waits may be the first to leave.
		ctx, cancel := context.WithCancel(context.Background())
		s.flight = &flight{cancel: cancel, done: make(chan struct{})}
		go s.fly(ctx, s.flight)
	}
	s.flight.waiting++
	return Token{}, s.flight
}

// leave gives up waiting. The last to leave ends the request.
func (s *Source) leave(f *flight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.waiting--
	if f.waiting == 0 {
		f.cancel()
		s.land(f)
	}
}

// land makes way for the next flight. The caller holds the lock.
func (s *Source) land(f *flight) {
	if s.flight == f {
		s.flight = nil
	}
}

// fly gets the tokens and tells those who wait.
func (s *Source) fly(ctx context.Context, f *flight) {
	defer f.cancel()
	f.tokens, f.err = s.fetch(ctx)

	s.mu.Lock()
	defer s.mu.Unlock()
	if f.err == nil && s.flight == f {
		now := time.Now()
		s.held = maps.Clone(f.tokens)
		maps.DeleteFunc(s.held, func(_ string, t Token) bool { return !t.usable(now) })
	}
	s.land(f)
	close(f.done)
}

// fetch makes one token request and returns its tokens by resource server.
func (s *Source) fetch(ctx context.Context) (map[string]Token, error) {
	body, err := s.post(ctx, "v2/oauth2/token", grant(s.scopes.String()))
	if err != nil {
		return nil, err
	}
	tokens, err := parseTokens(body, time.Now())
	if err != nil {
		return nil, err
	}
	for _, server := range slices.Sorted(maps.Keys(tokens)) {
		s.log.DebugContext(ctx, "token received", slog.String("resource_server", server),
			slog.Time("expires", time.Unix(tokens[server].ExpiresAtSeconds, 0).UTC()))
	}
	return tokens, nil
}

// A tokenReply is one token as the service describes it, and the others.
type tokenReply struct {
	Token
	ExpiresIn   int64        `json:"expires_in"` // seconds; 0 if the service does not say
	OtherTokens []tokenReply `json:"other_tokens"`
}

// parseTokens reads a token document, in which any token may stand on top.
func parseTokens(body []byte, now time.Time) (map[string]Token, error) {
	var top tokenReply
	if err := json.Unmarshal(body, &top); err != nil {
		return nil, fmt.Errorf("read the token document: %w", err)
	}
	tokens := make(map[string]Token)
	for _, r := range append([]tokenReply{top}, top.OtherTokens...) {
		if r.AccessToken.IsZero() || r.ResourceServer == "" {
			return nil, errors.New("read the token document: a token lacks access_token or resource_server")
		}
		r.ExpiresAtSeconds = now.Unix() + r.ExpiresIn
		tokens[r.ResourceServer] = r.Token
	}
	return tokens, nil
}
