package main

import (
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/globus-runner/globus-runner/auth"
)

// An identityDocument is the result of "runner whoami".
type identityDocument struct {
	ID          string          `json:"id"`
	Username    string          `json:"username"`
	Name        string          `json:"name"`
	Environment string          `json:"environment"`
	AuthURL     string          `json:"auth_url"`
	TransferURL string          `json:"transfer_url"`
	Tokens      []tokenDocument `json:"tokens"`
}

// A tokenDocument is what may be known of a token.
type tokenDocument struct {
	ResourceServer string    `json:"resource_server"`
	Scopes         []string  `json:"scopes"`
	Expires        time.Time `json:"expires"`
	Active         bool      `json:"active"`
}

func (a *app) whoamiCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "whoami",
		Short: "Say as whom the program is logged in, and what its tokens are good for",
		Args:  arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			globus, err := a.connect(
				auth.Scope{Name: auth.TransferAll},
				auth.Scope{Name: "openid"}, auth.Scope{Name: "profile"}, auth.Scope{Name: "email"},
			)
			if err != nil {
				return err
			}
			user, err := globus.account.Userinfo(c.Context())
			if err != nil {
				return err
			}
			doc := identityDocument{
				ID: user.Sub, Username: user.PreferredUsername, Name: user.Name,
				Environment: a.env.Service, AuthURL: a.env.authURL().String(), TransferURL: a.env.transferURL().String(),
			}
			tokens := globus.account.Tokens()
			for _, server := range slices.Sorted(maps.Keys(tokens)) {
				token := tokens[server]
				info, err := globus.account.Introspect(c.Context(), token)
				if err != nil {
					return err
				}
				doc.Tokens = append(doc.Tokens, tokenDocument{
					ResourceServer: server, Scopes: strings.Fields(token.Scope),
					Expires: time.Unix(token.ExpiresAtSeconds, 0).UTC(), Active: info.Active,
				})
			}
			return a.print(doc, doc.text)
		},
	}
}

func (d identityDocument) text(w io.Writer) {
	record(w, "id", d.ID, "username", d.Username, "name", printable(d.Name), "environment", d.Environment,
		"auth", d.AuthURL, "transfer", d.TransferURL)
	for _, t := range d.Tokens {
		state := "until " + t.Expires.Format(time.RFC3339)
		if !t.Active {
			state = "not active"
		}
		record(w, "token", t.ResourceServer+", "+state, "scopes", strings.Join(t.Scopes, " "))
	}
}
