package login

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/auth"
)

// Source returns a source of the tokens of a login in the store. Nothing is
// read or sent before a token is asked for.
//
// A token is taken from the file until it expires. Then it is renewed with its
// refresh token, under a lock that keeps other processes from doing the same,
// and written to the file before it is used. A token that was refused is
// replaced by a newer one in the file, or renewed. If the login is gone, now
// belongs to somebody else, or cannot be renewed, the error is an [*Error]. If
// the file cannot be read or written, nothing is renewed and the error is a
// [*StoreError].
func (s *Store) Source(client *auth.Client, l Login) *auth.Source {
	k := &keeper{store: s, client: client, login: l, given: make(map[string]string)}
	return auth.NewSource(k.grant)
}

// A keeper renews the tokens of one login. Its grant is called by one goroutine
// at a time.
type keeper struct {
	store   *Store
	client  *auth.Client
	login   Login                 // as it was in the file when that was last read
	given   map[string]string     // access tokens handed out, by resource server
	unsaved map[string]auth.Token // renewed, but not in the file yet
}

// grant is an [auth.Grant].
func (k *keeper) grant(ctx context.Context, server string) (map[string]auth.Token, error) {
	if k.unsaved == nil {
		if _, err := k.load(); err != nil {
			return nil, err
		}
		if tokens := k.unused(server); tokens != nil {
			return tokens, nil
		}
	}
	release, err := k.store.lock(ctx)
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return nil, fmt.Errorf("renew a token: %w", err)
	case err != nil:
		return nil, &StoreError{err}
	}
	defer release()
	all, err := k.load()
	if err != nil {
		return nil, err
	}
	if err := k.save(all); err != nil {
		return nil, err
	}
	if tokens := k.unused(server); tokens != nil { // renewed meanwhile, here or by another process
		return tokens, nil
	}
	if err := k.store.write(all); err != nil { // before the old refresh token is spent
		return nil, &StoreError{err}
	}
	renewed, err := k.renew(ctx, server)
	if err != nil {
		return nil, err
	}
	k.unsaved = renewed
	if err := k.save(all); err != nil {
		return nil, err
	}
	k.given[server] = renewed[server].AccessToken.Reveal()
	return renewed, nil
}

// load reads all logins from the file, and takes over the keeper's own.
func (k *keeper) load() ([]Login, error) {
	all, err := k.store.read()
	if err != nil {
		return nil, &StoreError{err}
	}
	i := slices.IndexFunc(all, k.login.same)
	switch {
	case i < 0:
		return nil, &Error{"there is no longer a login in " + k.store.file, nil}
	case all[i].Identity != k.login.Identity:
		return nil, &Error{"somebody else has logged in meanwhile: " + all[i].Username, nil}
	}
	k.login = all[i]
	return all, nil
}

// save writes renewed tokens to the file. If it cannot, they stay in unsaved
// for the next time, because the old refresh token may no longer be valid. The
// caller holds the lock; all is what load returned.
func (k *keeper) save(all []Login) error {
	if k.unsaved == nil {
		return nil
	}
	maps.Copy(k.login.Tokens, k.unsaved) // these are also in all
	if err := k.store.write(all); err != nil {
		return &StoreError{fmt.Errorf("write the renewed token, which is not used until then: %w", err)}
	}
	k.unsaved = nil
	return nil
}

// unused returns the token for the server if it is usable and was not handed
// out before. One that was handed out has expired or was refused.
func (k *keeper) unused(server string) map[string]auth.Token {
	t, ok := k.login.Tokens[server]
	if !ok || !t.Usable(time.Now()) || k.given[server] == t.AccessToken.Reveal() {
		return nil
	}
	k.given[server] = t.AccessToken.Reveal()
	return map[string]auth.Token{server: t}
}

// renew gets new tokens for the server.
func (k *keeper) renew(ctx context.Context, server string) (map[string]auth.Token, error) {
	old, ok := k.login.Tokens[server]
	switch {
	case len(k.login.Tokens) == 0:
		return nil, &Error{"the login has no tokens", nil}
	case !ok:
		has := strings.Join(slices.Sorted(maps.Keys(k.login.Tokens)), " and ")
		return nil, &Error{fmt.Sprintf("the login has no token for %s, only for %s", server, has), nil}
	case old.RefreshToken.IsZero() && old.Usable(time.Now()):
		return nil, &Error{"the token of the login is not accepted, and there is no refresh token", nil}
	case old.RefreshToken.IsZero():
		return nil, &Error{"the token of the login expired at " + old.Expires().Format(time.RFC3339) + ", and there is no refresh token", nil}
	}
	return refresh(ctx, k.client, k.login.ClientID, server, old.RefreshToken)
}
