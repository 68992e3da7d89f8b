package login_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/login"
	"github.com/globus-runner/globus-runner/transfer"
)

// A tutorial is a simulated Globus for the examples, with a person in front of
// a browser.
type tutorial struct {
	*globussim.Server
	dir string
}

func newTutorial() *tutorial {
	dir, err := os.MkdirTemp("", "tutorial-")
	must(err)
	must(os.WriteFile(filepath.Join(dir, "hello.txt"), []byte("hello\n"), 0o600))
	s, err := globussim.New(globussim.Config{
		Accounts:    []globussim.Account{{ID: app, Name: "tutorial", NativeApp: true}},
		Persons:     []globussim.Person{{Username: ada}},
		Collections: []globussim.Collection{{Name: "lab", Dir: dir, Owner: globussim.PersonID(ada)}},
	})
	must(err)
	return &tutorial{s, dir}
}

func (t *tutorial) close() {
	must(t.Close())
	must(os.RemoveAll(t.dir))
}

// browser is the person who opens the address and allows what it asks for. The
// code is what the page shows then.
func (t *tutorial) browser(address string) (code string) {
	u, err := url.Parse(address)
	must(err)
	form := u.Query()
	form.Set("identity", globussim.PersonID(ada))
	form.Set("decision", "allow")
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, authBase+"v2/oauth2/authorize", strings.NewReader(form.Encode()))
	must(err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := t.Client().Transport.RoundTrip(r)
	must(err)
	must(resp.Body.Close())
	to, err := resp.Location()
	must(err)
	return to.Query().Get("code")
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// The address that the person opens.
func ExampleFlow_URL() {
	flow := login.New(auth.New(http.DefaultClient), login.Config{ClientID: "0b6c8f2e-0000-4000-8000-000000000001"})

	u, err := url.Parse(flow.URL())
	must(err)
	fmt.Println(u.Host + u.Path)
	for _, name := range []string{"client_id", "redirect_uri", "scope", "access_type", "code_challenge_method"} {
		fmt.Println(name, "=", u.Query().Get(name))
	}
	// Output:
	// auth.globus.org/v2/oauth2/authorize
	// client_id = 0b6c8f2e-0000-4000-8000-000000000001
	// redirect_uri = https://auth.globus.org/v2/web/auth-code
	// scope = openid profile email urn:globus:auth:scope:transfer.api.globus.org:all
	// access_type = offline
	// code_challenge_method = S256
}

// The code that the browser shows becomes tokens, one for each service.
func ExampleFlow_Exchange() {
	globus := newTutorial() // instead of the service
	defer globus.close()

	flow := login.New(auth.New(globus.Client()), login.Config{
		ClientID: app,
		Scopes:   auth.Scopes{{Name: "openid"}, {Name: auth.TransferAll}},
	})
	tokens, err := flow.Exchange(context.Background(), globus.browser(flow.URL()))
	must(err)
	for _, server := range slices.Sorted(maps.Keys(tokens)) {
		token := tokens[server]
		fmt.Println(server, token.TokenType, token.AccessToken, token.RefreshToken)
		fmt.Println("  for", token.Scope)
	}
	// Output:
	// auth.globus.org Bearer [secret] [secret]
	//   for openid
	// transfer.api.globus.org Bearer [secret] [secret]
	//   for urn:globus:auth:scope:transfer.api.globus.org:all
}

// The official tutorial: log in, list my collections, copy a file, and go on
// with the refresh token when the access token has ended.
func Example() {
	ctx := context.Background()
	globus := newTutorial() // instead of the service
	defer globus.close()
	client := auth.New(globus.Client())

	// Log in.
	flow := login.New(client, login.Config{ClientID: app})
	tokens, err := flow.Exchange(ctx, globus.browser(flow.URL()))
	must(err)

	// A client of Transfer whose token is renewed when it is due.
	refresh := login.RefreshToken{ClientID: app, Token: tokens[auth.TransferServer].RefreshToken}
	source := refresh.Source(client)
	tc := transfer.New(&http.Client{Transport: source.Transport(auth.TransferServer, globus.Client().Transport)})

	// List my collections.
	var lab string
	for c, err := range tc.SearchEndpoints(ctx, transfer.EndpointQuery{Scope: "my-endpoints"}) {
		must(err)
		fmt.Println("collection", c.DisplayName)
		lab = c.ID
	}

	// Copy a file.
	answer, err := tc.Submit(ctx, &transfer.Transfer{
		Header:         transfer.Header{Label: "tutorial"},
		SourceEndpoint: lab, DestinationEndpoint: lab,
		Items: []transfer.Item{{SourcePath: "/hello.txt", DestinationPath: "/copy.txt"}},
	})
	must(err)
	fmt.Println(answer.Code)

	// The access token ends; the next request gets a new one.
	globus.ExpireTokens()
	task, err := tc.Task(ctx, answer.TaskID)
	must(err)
	fmt.Println(task.Label)
	// Output:
	// collection lab
	// Accepted
	// tutorial
}

// A login that the next start of the program finds again.
func ExampleStore() {
	ctx := context.Background()
	globus := newTutorial() // instead of the service
	defer globus.close()
	client := auth.New(globus.Client())
	flow := login.New(client, login.Config{ClientID: app})
	tokens, err := flow.Exchange(ctx, globus.browser(flow.URL()))
	must(err)

	store := login.NewStore(filepath.Join(globus.dir, "settings", "login.json"))
	_, err = store.Put(ctx, login.Login{Auth: authBase, ClientID: app, Username: ada, Tokens: tokens})
	must(err)

	// The next start.
	logins, err := store.Logins(authBase)
	must(err)
	token, err := store.Source(client, logins[0]).Token(ctx, auth.TransferServer)
	must(err)
	fmt.Println(logins[0].Username, token.AccessToken)
	// Output: ada@sim.example [secret]
}
