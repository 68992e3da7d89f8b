package login

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"syscall"
	"time"

	"github.com/globus-runner/globus-runner/auth"
)

// A RefreshToken is a refresh token that was given to the program.
type RefreshToken struct {
	ClientID string // of the native app that it was issued to
	Token    auth.Secret
	File     string // file that holds it; empty if none does
}

// Source returns a source of the tokens that the refresh token brings. They are
// for one resource server. If the refresh token is not accepted, the error of a
// request for a token is an [*Error].
//
// If there is a file, it is read again each time. A refresh token that replaces
// the old one is written to it before the new access token is used. If that
// fails, a warning is logged, and the new token is kept in memory.
func (r RefreshToken) Source(client *auth.Client) *auth.Source {
	s := &renewer{client: client, given: r, read: r.Token.Reveal()}
	return auth.NewSource(s.grant)
}

// A renewer renews tokens with a given refresh token. Its grant is called by
// one goroutine at a time.
type renewer struct {
	client *auth.Client
	given  RefreshToken // with the token that is valid now
	read   string       // content of the file when it was last read
}

func (s *renewer) grant(ctx context.Context, server string) (map[string]auth.Token, error) {
	if s.given.File != "" {
		release, err := lock(ctx, s.given.File)
		switch {
		case err == nil:
			defer release()
		case !readOnly(err):
			return nil, err
		}
		if err := s.reread(); err != nil {
			return nil, err
		}
	}
	tokens, err := refresh(ctx, s.client, s.given.ClientID, server, s.given.Token)
	if err != nil {
		return nil, err
	}
	s.rotate(ctx, tokens[server].RefreshToken)
	return tokens, nil
}

// readOnly reports whether err says that the file cannot be written, by other
// processes either.
func readOnly(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS)
}

// reread takes the token in the file if it is a new one.
func (s *renewer) reread() error {
	token, _, err := readToken(s.given.File)
	if err != nil {
		return &Error{"the refresh token cannot be read", err}
	}
	if token.Reveal() != s.read {
		s.given.Token, s.read = token, token.Reveal()
	}
	return nil
}

// rotate keeps a refresh token that has replaced the old one.
func (s *renewer) rotate(ctx context.Context, token auth.Secret) {
	if token.IsZero() || token.Reveal() == s.given.Token.Reveal() {
		return
	}
	s.given.Token = token
	log := s.client.Logger()
	if s.given.File == "" {
		log.WarnContext(ctx, "the refresh token was replaced by a new one, which only this process has: "+
			"the next start will be refused. Give it in a file that can be written, or log in with runner login")
		return
	}
	target, err := filepath.EvalSymlinks(s.given.File)
	if err == nil {
		err = WriteToken(target, token)
	}
	if err != nil {
		log.WarnContext(ctx, "the refresh token was replaced by a new one, which only this process has, because its file cannot be written: "+
			"the next start will be refused", "err", err)
		return
	}
	s.read = token.Reveal()
	log.InfoContext(ctx, "refresh token replaced", "file", s.given.File)
}

// An AccessToken is an access token for Transfer that was given to the program.
// It cannot be renewed.
type AccessToken struct {
	Token   auth.Secret
	File    string    // file that holds it; empty if none does
	Expires time.Time // zero if that is not known
}

// Source returns a source of this token. When it has expired or was refused,
// the file is read again. If that brings no new token, the error of a request
// for a token is an [*Error].
func (a AccessToken) Source() *auth.Source {
	used := false
	return auth.NewSource(func(_ context.Context, server string) (map[string]auth.Token, error) {
		if server != auth.TransferServer {
			return nil, &Error{"the access token is for Transfer, not for " + server, nil}
		}
		if used && a.File != "" {
			token, _, err := readToken(a.File)
			if err != nil {
				return nil, &Error{"the access token is no longer valid and its file cannot be read", err}
			}
			if token.Reveal() != a.Token.Reveal() {
				used, a.Token, a.Expires = false, token, time.Time{}
			}
		}
		t := a.token()
		switch {
		case !t.Usable(time.Now()):
			return nil, &Error{"the access token expired at " + a.Expires.UTC().Format(time.RFC3339), nil}
		case used:
			return nil, &Error{"the access token is not accepted: it has expired or was revoked", nil}
		}
		used = true
		return map[string]auth.Token{server: t}, nil
	})
}

func (a AccessToken) token() auth.Token {
	t := auth.Token{AccessToken: a.Token, Scope: auth.TransferAll, TokenType: "Bearer", ResourceServer: auth.TransferServer}
	if !a.Expires.IsZero() {
		t.ExpiresAtSeconds = a.Expires.Unix()
	}
	return t
}
