package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/internal/settings"
	"github.com/globus-runner/globus-runner/login"
)

const aboutLogin = `Log in as yourself, in a browser, and keep the tokens for later commands. This is
for trying things out. For unattended jobs, use a service account; it takes
precedence over a stored login.

The client id is that of a native app: on ` + auth.Developers + `
choose "Register a thick client or script that will be installed and run by
users on their devices". After the first login, its id is the default.

The tokens are kept in globus-runner/login.json in the user's config folder
(XDG_CONFIG_HOME, or ~/.config), which only you can read. With
--refresh-token-file, no login is kept: that file gets a refresh token, for a
machine that runs jobs with your identity and RUNNER_REFRESH_TOKEN_FILE.`

const (
	loginTime = 10 * time.Minute // for the person in the browser
	maxCode   = 4 << 10          // bytes of a code that is pasted
)

// A newLogin is one start of "runner login".
type newLogin struct {
	app         *app
	cfg         login.Config
	scopes      scopeList
	noBrowser   bool
	refreshFile string
}

func (a *app) loginCommand() *cobra.Command {
	l := &newLogin{app: a}
	var mfa bool
	c := &cobra.Command{
		Use:   "login",
		Short: "Log in as yourself, in a browser",
		Long:  aboutLogin,
		Example: `  runner login --client-id 0b6c8f2e-0000-4000-8000-000000000001
  runner login --no-browser`,
		Args: arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			if c.Flags().Changed("session-required-mfa") {
				l.cfg.MFA = &mfa
			}
			return l.run(c.Context())
		},
	}
	flags := c.Flags()
	flags.StringVar(&l.cfg.ClientID, "client-id", "", "client UUID of a native app; default: that of the last login")
	flags.Var(&l.scopes, "scopes", "scopes to ask for besides Transfer and your identity, such as the scope in a message about a consent")
	flags.BoolVar(&l.noBrowser, "no-browser", false, "print the address, and ask for the code that the browser shows")
	flags.StringVar(&l.refreshFile, "refresh-token-file", "", "write a refresh token for Transfer to this file, and keep no login")
	flags.BoolVar(&l.cfg.Online, "no-refresh", false, "do not ask for refresh tokens: the login ends after two days")
	flags.StringVar(&l.cfg.Prompt, "prompt", "", "login: ask for the password again")
	flags.StringVar(&l.cfg.Message, "session-message", "", "text to show on the page")
	flags.StringSliceVar(&l.cfg.Identities, "session-required-identities", nil, "log in with one of these identities (ids or usernames)")
	flags.StringSliceVar(&l.cfg.Domains, "session-required-single-domain", nil, "log in with an identity of one of these domains")
	flags.StringSliceVar(&l.cfg.Policies, "session-required-policies", nil, "satisfy these authentication policies (ids)")
	flags.BoolVar(&mfa, "session-required-mfa", false, "log in with a second factor")
	return c
}

// run logs in and keeps the tokens.
func (l *newLogin) run(ctx context.Context) error {
	store := l.app.env.Logins()
	if err := l.check(ctx, store); err != nil {
		return err
	}
	client, err := l.app.authAlone()
	if err != nil {
		return err
	}
	tokens, err := l.authenticate(ctx, client)
	if err != nil {
		return err
	}
	transfer, ok := tokens[auth.TransferServer]
	switch {
	case !ok:
		err = &login.Error{Reason: "the login was allowed, but not for Transfer"}
	case l.refreshFile != "":
		err = l.keepRefreshToken(transfer)
	default:
		err = l.keep(ctx, client, store, tokens)
	}
	if err != nil {
		l.takeBack(ctx, client, tokens)
	}
	return err
}

// keep finds out who logged in, and stores the login. It revokes the tokens of the login
// that it replaces.
func (l *newLogin) keep(ctx context.Context, client *auth.Client, store *login.Store, tokens map[string]auth.Token) error {
	kept := login.Login{Auth: l.app.env.AuthURL().String(), ClientID: l.cfg.ClientID, Scopes: l.cfg.Scopes.String(), Tokens: tokens}
	if _, ok := tokens[auth.Server]; ok {
		held := slices.Collect(maps.Values(tokens))
		user, err := client.Userinfo(ctx, auth.NewSource(nothingMore, held...))
		if err != nil {
			return err
		}
		kept.Identity, kept.Username = user.Sub, user.PreferredUsername
	}
	old, err := store.Put(ctx, kept)
	if err != nil {
		return fmt.Errorf("keep the login: %w", err)
	}
	if old != nil {
		if err := revoke(ctx, client, *old, tokens); err != nil {
			l.app.log.Warn("the tokens of the login before could not be revoked", "err", err)
		}
	}
	doc := describeLogin(kept, store)
	return l.app.print(doc, doc.text)
}

// check completes the settings, and finds out beforehand what would make the login fail.
func (l *newLogin) check(ctx context.Context, store *login.Store) error {
	if l.refreshFile == "" {
		if store == nil {
			return errNoPlace()
		}
		id, err := l.app.env.Given()
		if err != nil {
			return usageError{err}
		}
		if id != nil {
			return usageError{fmt.Errorf("%s is set, which takes precedence over a stored login: unset it first, and CLIENT_ID too", id.From)}
		}
	}
	if store != nil {
		old, err := store.Logins(l.app.env.AuthURL().String())
		if err != nil && l.refreshFile == "" {
			return usageError{fmt.Errorf("the stored login: %w", err)}
		}
		if len(old) > 0 {
			l.cfg.ClientID = cmp.Or(l.cfg.ClientID, old[0].ClientID)
		}
	}
	id, wrongID := settings.UUID("client id", l.cfg.ClientID)
	switch {
	case l.cfg.ClientID == "":
		return usageError{errors.New("--client-id is missing: it is the client UUID of a native app, to be registered on " + auth.Developers + "; see runner login --help")}
	case wrongID != nil:
		return usageError{errors.New("--client-id is not a UUID: copy the client UUID of a native app from " + auth.Developers)}
	case l.cfg.Prompt != "" && l.cfg.Prompt != "login":
		return usageError{fmt.Errorf("--prompt: %q is not login", l.cfg.Prompt)}
	case l.refreshFile != "" && l.cfg.Online:
		return usageError{errors.New("--refresh-token-file and --no-refresh exclude each other")}
	}
	l.cfg.ClientID, l.cfg.Scopes = id, login.DefaultScopes()
	if l.refreshFile != "" {
		l.cfg.Scopes = auth.Scopes{{Name: auth.TransferAll}}
	}
	l.cfg.Scopes = l.cfg.Scopes.Merge(l.scopes.Scopes...)
	if l.refreshFile != "" {
		if err := login.Writable(l.refreshFile); err != nil {
			return usageError{fmt.Errorf("--refresh-token-file: %w", err)}
		}
		return nil
	}
	if err := store.Writable(ctx); err != nil {
		return usageError{fmt.Errorf("the login could not be kept: %w", err)}
	}
	return nil
}

// errNoPlace returns the error for a machine without a folder to keep logins in.
func errNoPlace() error {
	return usageError{errors.New("neither XDG_CONFIG_HOME nor HOME is an absolute path, so the login cannot be kept: set one of them")}
}

// authenticate has the person log in: in a browser of this machine, which sends the code
// back, or else in any browser, with a code to paste.
func (l *newLogin) authenticate(ctx context.Context, client *auth.Client) (map[string]auth.Token, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, loginTime, &login.Error{Reason: fmt.Sprintf("nobody logged in within %v", loginTime)})
	defer cancel()
	if browser := l.app.browser(); browser != nil && !l.noBrowser {
		tokens, err := l.inBrowser(ctx, client, browser)
		if !errors.Is(err, errNoBrowser) {
			return tokens, err
		}
		l.app.log.Warn("no browser could be opened", "err", err)
	}
	flow := login.New(client, l.cfg)
	fmt.Fprintf(l.app.stderr, "Open this address in a browser, on any machine, and log in:\n\n%s\n\nThen paste the code that it shows: ", flow.URL())
	code, err := readLine(ctx, l.app.inputs.stdin)
	if err != nil {
		return nil, err
	}
	return flow.Exchange(ctx, code)
}

// errNoBrowser says that the browser could not be started.
var errNoBrowser = errors.New("start the browser")

// inBrowser has the person log in in a browser of this machine.
func (l *newLogin) inBrowser(ctx context.Context, client *auth.Client, browser []string) (map[string]auth.Token, error) {
	receiver, err := login.Listen(ctx)
	if err != nil {
		return nil, fmt.Errorf("wait for the browser: %w; try --no-browser", err)
	}
	defer receiver.Close() //nolint:errcheck // it is closed already, or not needed
	cfg := l.cfg
	cfg.Redirect = receiver.Redirect()
	flow := login.New(client, cfg)
	if err := l.app.browse(browser, flow.URL()); err != nil {
		return nil, fmt.Errorf("%w: %w", errNoBrowser, err)
	}
	fmt.Fprintf(l.app.stderr, "Log in in the browser. If no window opens, open this address on this machine, or stop and add --no-browser:\n\n%s\n\n", flow.URL())
	code, err := receiver.Receive(ctx, flow)
	if err != nil {
		return nil, err
	}
	return flow.Exchange(ctx, code)
}

// readLine reads the code that a person pastes.
func readLine(ctx context.Context, in io.Reader) (string, error) {
	type line struct {
		text string
		err  error
	}
	came := make(chan line, 1)
	go func() { // a terminal cannot be asked to stop
		text, err := bufio.NewReader(io.LimitReader(in, maxCode)).ReadString('\n')
		came <- line{strings.TrimSpace(text), err}
	}()
	select {
	case <-ctx.Done():
		return "", context.Cause(ctx)
	case l := <-came:
		switch {
		case l.text != "":
			return l.text, nil
		case l.err != nil && !errors.Is(l.err, io.EOF):
			return "", fmt.Errorf("read the code: %w", l.err)
		}
		return "", usageError{errors.New("no code was given on standard input: run it in a terminal, or where there is a browser")}
	}
}

// nothingMore is the grant of a source that has tokens and can get no others.
func nothingMore(context.Context, string) (map[string]auth.Token, error) {
	return nil, &login.Error{Reason: "the new token is not accepted"}
}

// keepRefreshToken writes the refresh token to the file that was asked for.
func (l *newLogin) keepRefreshToken(t auth.Token) error {
	if t.RefreshToken.IsZero() {
		return &login.Error{Reason: "Globus Auth gave no refresh token"}
	}
	if err := login.WriteToken(l.refreshFile, t.RefreshToken); err != nil {
		return fmt.Errorf("write the refresh token: %w", err)
	}
	doc := map[string]string{"client_id": l.cfg.ClientID, "refresh_token_file": l.refreshFile}
	return l.app.print(doc, func(w io.Writer) {
		properties(w, "refresh token in", l.refreshFile, "use it with", "CLIENT_ID="+l.cfg.ClientID+" RUNNER_REFRESH_TOKEN_FILE="+l.refreshFile)
	})
}

// A loginDocument is the result of "runner login".
type loginDocument struct {
	ID       string          `json:"id,omitempty"`
	Username string          `json:"username,omitempty"`
	ClientID string          `json:"client_id"`
	File     string          `json:"file"`
	Tokens   []tokenDocument `json:"tokens"`
}

func describeLogin(l login.Login, store *login.Store) *loginDocument {
	return &loginDocument{l.Identity, l.Username, l.ClientID, store.File(), describeTokens(l.Tokens)}
}

func (d *loginDocument) text(w io.Writer) {
	properties(w, "logged in as", d.Username, "id", d.ID, "client id", d.ClientID, "kept in", d.File)
	tokensText(w, d.Tokens)
}

// A scopeList is a flag of scopes.
type scopeList struct{ auth.Scopes }

func (s *scopeList) Type() string { return "SCOPES" }

// Set reads scopes; given several times, they add up.
func (s *scopeList) Set(text string) error {
	scopes, err := auth.ParseScopes(text)
	s.Scopes = s.Merge(scopes...)
	return err
}
