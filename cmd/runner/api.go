package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/internal/spelling"
	"github.com/globus-runner/globus-runner/login"
	"github.com/globus-runner/globus-runner/retry"
)

const aboutAPI = `Send any request to %s, with the credentials, rate limit and retries of
all commands, and print the reply.

A POST or PATCH is sent only once, because it may not be safe to repeat.`

func (a *app) apiCommand() *cobra.Command {
	c := &cobra.Command{Use: "api", Short: "Send any request to a Globus service", Args: cobra.ArbitraryArgs, RunE: group}
	c.AddCommand(
		a.apiOf(&apiCall{
			name: "transfer", service: "Globus Transfer", send: func(s *session) sender { return s.transfer.Call },
			scopes: auth.Scopes{{Name: auth.TransferAll}},
		}, `  runner api transfer GET /endpoint/$VAULT/role_list
  runner api transfer GET /endpoint_manager/task_list -Q filter_status=ACTIVE --jmespath 'DATA[].task_id' -F unix`),
		a.apiOf(&apiCall{
			name: "auth", service: "Globus Auth", send: func(s *session) sender { return s.account.Call },
			scopes: login.DefaultScopes(),
		}, `  runner api auth GET /v2/oauth2/userinfo
  runner api auth GET /v2/api/identities -Q usernames=ada@example.edu --jmespath 'identities[].id' -F unix`),
	)
	return c
}

// apiOf makes the command of a service.
func (a *app) apiOf(call *apiCall, example string) *cobra.Command {
	c := &cobra.Command{
		Use:     call.name + " METHOD PATH",
		Short:   "Send any request to " + call.service,
		Long:    fmt.Sprintf(aboutAPI, call.service),
		Example: example,
		Args:    arguments(2, 2),
		RunE:    func(c *cobra.Command, args []string) error { return call.do(a, c, args[0], args[1]) },
	}
	flags := c.Flags()
	flags.StringArrayVarP(&call.query, "query-param", "Q", nil, "a query parameter, as KEY=VALUE; several are possible")
	flags.StringVar(&call.body, "body", "", "JSON to send")
	flags.StringVar(&call.bodyFile, "body-file", "", "file with the JSON to send, or - for the standard input")
	flags.BoolVar(&call.noRetry, "no-retry", false, "send the request only once, even if it fails")
	flags.Var(&call.more, "scope-string", "scopes that the token of a service account has besides the usual ones")
	return c
}

// A sender sends a request to a service and returns the reply.
type sender func(ctx context.Context, method, path string, query url.Values, body json.RawMessage) (json.RawMessage, error)

// An apiCall is a request to a service, and the flags that say what is sent.
type apiCall struct {
	name, service string
	send          func(*session) sender
	scopes        auth.Scopes // of the token

	more           scopeList
	query          []string
	body, bodyFile string
	noRetry        bool
}

// maxBody is how many bytes a body may have.
const maxBody = 8 << 20

func (call *apiCall) do(a *app, c *cobra.Command, method, path string) error {
	method, err := spelling.OneOf(method, http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete)
	if err != nil {
		return usageError{err}
	}
	path, query, err := call.parameters(path)
	if err != nil {
		return err
	}
	body, err := call.document(a)
	if err != nil {
		return err
	}
	w := wiring{acts: method != http.MethodGet, scopes: call.scopes.Merge(call.more.Scopes...)}
	if call.noRetry || method == http.MethodPost || method == http.MethodPatch {
		w.retry = retry.Policy{Retries: -1}
	}
	globus, err := a.connect(w)
	if err != nil {
		return err
	}
	if len(call.more.Scopes) > 0 && globus.who.Person() {
		return usageError{errors.New("--scope-string is for service accounts: the scopes of a person are those of the login; see runner login --scopes")}
	}
	doc, err := call.send(globus)(c.Context(), method, path, query, body)
	if err != nil {
		return err
	}
	if !json.Valid(doc) {
		return fmt.Errorf("%s %s: the reply is not JSON", method, path)
	}
	return a.print(doc, func(w io.Writer) {
		text, err := encode(doc)
		if err == nil {
			_, _ = w.Write(text) // w is a buffer
		}
	})
}

// parameters returns the path without its query, and the parameters of the query and of
// the flags.
func (call *apiCall) parameters(target string) (path string, query url.Values, err error) {
	path, inline, _ := strings.Cut(target, "?")
	if query, err = url.ParseQuery(inline); err != nil {
		return "", nil, usageError{fmt.Errorf("the query of %q cannot be read: %w; write --query-param KEY=VALUE", target, err)}
	}
	for _, pair := range call.query {
		key, value, ok := strings.Cut(pair, "=")
		if !ok || key == "" {
			return "", nil, usageError{fmt.Errorf("--query-param %q is not KEY=VALUE", pair)}
		}
		query.Add(key, value)
	}
	return path, query, nil
}

// document returns the body, nil if there is none.
func (call *apiCall) document(a *app) (json.RawMessage, error) {
	switch {
	case call.body != "" && call.bodyFile != "":
		return nil, usageError{errors.New("--body and --body-file exclude each other")}
	case call.bodyFile == "" && call.body == "":
		return nil, nil
	case call.bodyFile == "":
		return call.valid("--body", []byte(call.body))
	}
	open := a.inputs.open
	if call.bodyFile == "-" {
		open = func(string) (io.ReadCloser, error) { return a.inputs.openStdin() }
	}
	r, err := open(call.bodyFile)
	if err != nil {
		return nil, usageError{fmt.Errorf("--body-file: %w", err)}
	}
	defer r.Close() //nolint:errcheck // it was only read
	text, err := io.ReadAll(io.LimitReader(r, maxBody+1))
	switch {
	case err != nil:
		return nil, usageError{fmt.Errorf("--body-file %s: %w", call.bodyFile, err)}
	case len(text) > maxBody:
		return nil, usageError{fmt.Errorf("--body-file %s is longer than %d MiB", call.bodyFile, maxBody>>20)}
	}
	return call.valid("--body-file "+call.bodyFile, text)
}

func (call *apiCall) valid(from string, text []byte) (json.RawMessage, error) {
	var doc json.RawMessage
	err := json.Unmarshal(text, &doc)
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		read := text[:e.Offset]
		line := 1 + bytes.Count(read, []byte("\n"))
		return nil, usageError{fmt.Errorf("%s is not JSON: line %d, byte %d: %w", from, line, len(read)-(1+bytes.LastIndexByte(read, '\n')), err)}
	}
	return doc, err
}
