package login

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/url"
	"strconv"
	"strings"

	"github.com/globus-runner/globus-runner/auth"
)

// CodePage is the path of a page of Globus Auth that shows the code of a login
// for people to copy. Every native app may use it as its redirect.
const CodePage = "v2/web/auth-code"

// DefaultScopes returns what a login asks for by default: every call of
// Transfer, and who the person is.
func DefaultScopes() auth.Scopes {
	return auth.Scopes{{Name: auth.OpenID}, {Name: auth.Profile}, {Name: auth.Email}, {Name: auth.TransferAll}}
}

// A Config describes a login. Only the client id is required.
type Config struct {
	ClientID string      // of a native app, a UUID
	Redirect string      // where the browser takes the code; empty means [CodePage]
	Scopes   auth.Scopes // what is asked for; nil means [DefaultScopes]
	Online   bool        // do not ask for refresh tokens
	Prompt   string      // "login" makes the person authenticate again

	// Requirements on the person's session.
	Message    string   // shown to the person
	Identities []string // ids or usernames, one of which must have been authenticated
	Domains    []string // an identity of one of these must have been authenticated
	Policies   []string // ids of authentication policies, all of which must be met
	MFA        *bool    // with a second factor, or without; nil means either
}

// A Flow is one login, from the address for the browser to the exchange of the
// code for tokens.
type Flow struct {
	client   *auth.Client
	cfg      Config
	state    string
	verifier string
}

// New begins a login at the Globus Auth of client.
func New(client *auth.Client, cfg Config) *Flow {
	if cfg.Redirect == "" {
		cfg.Redirect = client.URL(CodePage).String()
	}
	if len(cfg.Scopes) == 0 {
		cfg.Scopes = DefaultScopes()
	}
	// A verifier needs at least 43 characters with 256 random bits.
	return &Flow{client: client, cfg: cfg, state: rand.Text(), verifier: rand.Text() + rand.Text()}
}

// URL returns the address that the person opens in a browser.
// API: GET /v2/oauth2/authorize.
func (f *Flow) URL() string {
	challenge := sha256.Sum256([]byte(f.verifier))
	query := url.Values{
		"response_type":         {"code"},
		"client_id":             {f.cfg.ClientID},
		"redirect_uri":          {f.cfg.Redirect},
		"scope":                 {f.cfg.Scopes.String()},
		"state":                 {f.state},
		"code_challenge":        {base64.RawURLEncoding.EncodeToString(challenge[:])},
		"code_challenge_method": {"S256"},
		"access_type":           {"offline"},
	}
	if f.cfg.Online {
		query.Set("access_type", "online")
	}
	optional := map[string]string{
		"prompt":                         f.cfg.Prompt,
		"session_message":                f.cfg.Message,
		"session_required_identities":    strings.Join(f.cfg.Identities, ","),
		"session_required_single_domain": strings.Join(f.cfg.Domains, ","),
		"session_required_policies":      strings.Join(f.cfg.Policies, ","),
	}
	if f.cfg.MFA != nil {
		optional["session_required_mfa"] = strconv.FormatBool(*f.cfg.MFA)
	}
	for name, value := range optional {
		if value != "" {
			query.Set(name, value)
		}
	}
	u := f.client.URL("v2/oauth2/authorize")
	u.RawQuery = query.Encode()
	return u.String()
}

// Exchange exchanges the code that the browser got for tokens, by resource
// server. A code is valid once, for a few minutes. If it is not accepted, the
// error is an [*Error]; other refusals are an [*auth.Error]. API: POST
// /v2/oauth2/token.
func (f *Flow) Exchange(ctx context.Context, code string) (map[string]auth.Token, error) {
	tokens, err := f.client.Grant(ctx, auth.Application{ID: f.cfg.ClientID}, url.Values{
		"grant_type":    {"authorization_code"},
		"code":          {strings.TrimSpace(code)},
		"code_verifier": {f.verifier},
		"redirect_uri":  {f.cfg.Redirect},
	})
	if e, ok := errors.AsType[*auth.Error](err); ok && e.GrantRefused() {
		return nil, &Error{"the code is not accepted: it was used before, is some minutes old, or belongs to another login", err}
	}
	return tokens, err
}

// code returns the code from the query that the browser was sent back with.
func (f *Flow) code(query url.Values) (string, error) {
	switch code, oauth := query.Get("code"), query.Get("error"); {
	case oauth == "access_denied":
		return "", &Error{"the login was refused in the browser", nil}
	case oauth != "":
		return "", &Error{"Globus Auth ended the login", errors.New(plain(oauth + " " + query.Get("error_description")))}
	case code == "":
		return "", &Error{"the browser came back without a code", nil}
	default:
		return code, nil
	}
}

// plain makes one short line of a text that came through the browser.
func plain(text string) string {
	const most = 300 // characters
	words := strings.Join(strings.Fields(strconv.QuoteToGraphic(text)), " ")
	if runes := []rune(words); len(runes) > most {
		words = string(runes[:most]) + "…"
	}
	return words
}
