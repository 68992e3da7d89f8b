package main

import (
	"context"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/clientcreds"
	"github.com/globus-runner/globus-runner/internal/settings"
	"github.com/globus-runner/globus-runner/login"
)

// An identityDocument is the result of "runner whoami".
type identityDocument struct {
	Kind        settings.Kind   `json:"kind"`
	From        string          `json:"from"`               // the variable or file that says so
	ID          string          `json:"id,omitempty"`       // empty if a person's token does not tell
	Username    string          `json:"username,omitempty"` // the same
	Name        string          `json:"name,omitempty"`
	ClientID    string          `json:"client_id,omitempty"`
	Environment string          `json:"environment"`
	AuthURL     string          `json:"auth_url"`
	TransferURL string          `json:"transfer_url"`
	Tokens      []tokenDocument `json:"tokens"`
}

// A tokenDocument is what may be known of a token.
type tokenDocument struct {
	ResourceServer string    `json:"resource_server"`
	Scopes         []string  `json:"scopes"`
	Expires        time.Time `json:"expires,omitzero"` // zero if that is not known
	Active         bool      `json:"active"`
	Refresh        bool      `json:"refresh"` // it can be renewed
}

// environment names the environment of Globus, or says that the addresses are others.
func (a *app) environment() string {
	if a.env.Service == "production" && !a.env.Production() {
		return "custom"
	}
	return a.env.Service
}

func (a *app) whoamiCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "whoami",
		Short: "Show which identity is used, and when its tokens expire",
		Args:  arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			globus, err := a.connect(wiring{scopes: login.DefaultScopes()})
			if err != nil {
				return err
			}
			doc, err := a.describeIdentity(c.Context(), globus)
			if err != nil {
				return err
			}
			return a.print(doc, doc.text)
		},
	}
}

// describeIdentity asks the services who the program is to them.
func (a *app) describeIdentity(ctx context.Context, globus *session) (*identityDocument, error) {
	doc := &identityDocument{
		Kind: globus.who.Kind, From: globus.who.From, ClientID: globus.who.ClientID,
		Environment: a.environment(), AuthURL: a.env.AuthURL().String(), TransferURL: a.env.TransferURL().String(),
	}
	if globus.who.Told() {
		user, err := globus.account.Userinfo(ctx)
		if err != nil {
			return nil, err
		}
		doc.ID, doc.Username, doc.Name = user.Sub, user.PreferredUsername, user.Name
	}
	if service, ok := globus.account.(*clientcreds.Source); ok {
		return doc, doc.introspect(ctx, service)
	}
	// Globus Auth answers a native app nothing about tokens, so Transfer is asked.
	if _, err := globus.transfer.SubmissionID(ctx); err != nil {
		return nil, err
	}
	doc.Tokens = describeTokens(globus.account.Tokens())
	return doc, nil
}

// introspect adds what Globus Auth says about the tokens of a service account.
func (d *identityDocument) introspect(ctx context.Context, service *clientcreds.Source) error {
	tokens := service.Tokens()
	d.Tokens = describeTokens(tokens)
	for i := range d.Tokens {
		info, err := service.Introspect(ctx, tokens[d.Tokens[i].ResourceServer])
		if err != nil {
			return err
		}
		d.Tokens[i].Active, d.Tokens[i].Refresh = info.Active, true
	}
	return nil
}

// describeTokens says what is known of tokens without asking, in the order of
// their servers.
func describeTokens(tokens map[string]auth.Token) []tokenDocument {
	docs := []tokenDocument{}
	for _, server := range slices.Sorted(maps.Keys(tokens)) {
		t := tokens[server]
		docs = append(docs, tokenDocument{
			ResourceServer: server, Scopes: strings.Fields(t.Scope), Expires: t.Expires(),
			Active: t.Usable(time.Now()), Refresh: !t.RefreshToken.IsZero(),
		})
	}
	return docs
}

func (d *identityDocument) text(w io.Writer) {
	properties(w, "id", d.ID, "username", d.Username, "name", d.Name, "kind", string(d.Kind)+", from "+d.From,
		"client id", d.ClientID, "environment", d.Environment, "auth", d.AuthURL, "transfer", d.TransferURL)
	tokensText(w, d.Tokens)
}

func tokensText(w io.Writer, tokens []tokenDocument) {
	for _, t := range tokens {
		state := "until " + t.Expires.Format(time.RFC3339)
		switch {
		case !t.Active:
			state = "not active"
		case t.Expires.IsZero():
			state = "until a time that is not known"
		case t.Refresh:
			state += ", then renewed"
		}
		properties(w, "token", t.ResourceServer+", "+state, "scopes", strings.Join(t.Scopes, " "))
	}
}
