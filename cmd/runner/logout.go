package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/internal/plain"
	"github.com/globus-runner/globus-runner/login"
)

const takeBackTime = 10 * time.Second

func (a *app) logoutCommand() *cobra.Command {
	var force bool
	c := &cobra.Command{
		Use:   "logout",
		Short: "Revoke the tokens of the stored logins, and forget them",
		Args:  arguments(0, 0),
		RunE:  func(c *cobra.Command, _ []string) error { return a.logout(c.Context(), force) },
	}
	c.Flags().BoolVar(&force, "force", false, "forget a login even if its tokens could not be revoked")
	return c
}

// A logoutDocument is a login that was ended.
type logoutDocument struct {
	ClientID string `json:"client_id"`
	Username string `json:"username"`
	Revoked  bool   `json:"revoked"`
}

// logout ends all logins at the service.
func (a *app) logout(ctx context.Context, force bool) error {
	store := a.env.Logins()
	if store == nil {
		return errNoPlace()
	}
	all, err := store.Logins(a.env.AuthURL().String())
	if err != nil {
		return usageError{fmt.Errorf("the stored login: %w", err)}
	}
	client, err := a.authAlone()
	if err != nil {
		return err
	}
	var gone []logoutDocument
	for _, l := range all {
		err := revoke(ctx, client, l, nil)
		if err != nil && !force {
			const kept = "; the login is kept, so that logout can be run again; --force forgets it, and its tokens stay valid until they expire"
			return statusError{errors.New(err.Error() + kept), exitStatus(ctx, err)}
		}
		if err != nil {
			a.log.Warn("the tokens could not be revoked, and stay valid until they expire", "username", l.Username, "err", err)
		}
		if err := store.Remove(ctx, l); err != nil {
			return fmt.Errorf("forget the login: %w", err)
		}
		gone = append(gone, logoutDocument{l.ClientID, l.Username, err == nil})
	}
	return a.print(newList(gone), func(w io.Writer) {
		for _, g := range gone {
			fmt.Fprintf(w, "logged out %s, client %s\n", plain.Line(cmp.Or(g.Username, "-")), g.ClientID)
		}
		if len(gone) == 0 {
			fmt.Fprintln(w, "nobody was logged in")
		}
	})
}

// takeBack revokes the tokens of a login that is not kept.
func (l *newLogin) takeBack(ctx context.Context, client *auth.Client, tokens map[string]auth.Token) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), takeBackTime)
	defer cancel()
	if err := revoke(ctx, client, login.Login{ClientID: l.cfg.ClientID, Tokens: tokens}, nil); err != nil {
		l.app.log.Warn("the tokens are not kept and could not be revoked, so they stay valid until they expire", "err", err)
	}
}

// revoke revokes the tokens of a login, except those in kept.
func revoke(ctx context.Context, client *auth.Client, l login.Login, kept map[string]auth.Token) error {
	inUse := map[string]bool{"": true}
	for _, t := range kept {
		inUse[t.RefreshToken.Reveal()], inUse[t.AccessToken.Reveal()] = true, true
	}
	var problems []error
	for _, t := range l.Tokens {
		for _, token := range []auth.Secret{t.RefreshToken, t.AccessToken} {
			if inUse[token.Reveal()] || len(problems) > 0 { // the next would fail as well, after as long
				continue
			}
			if err := client.Revoke(ctx, auth.Application{ID: l.ClientID}, token); err != nil {
				problems = append(problems, err)
			}
		}
	}
	return errors.Join(problems...)
}
