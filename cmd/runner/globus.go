package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/internal/arrival"
	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/internal/flows"
	"github.com/globus-runner/globus-runner/internal/plain"
	"github.com/globus-runner/globus-runner/internal/settings"
	"github.com/globus-runner/globus-runner/internal/timers"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/retry"
	"github.com/globus-runner/globus-runner/transfer"
)

// The account's budget at the Transfer service.
const (
	budgetRequests = 200
	budgetWindow   = 10 * time.Second
	// newTokens is how often a new token is tried after one that was refused although
	// Globus Auth had just issued it: with the waits, some seconds.
	newTokens = 4
)

// A session is a command's connection to Globus: its identity, and the clients.
type session struct {
	who      *settings.Identity
	account  settings.Account
	transfer *transfer.Client
	flows    *flows.Client
	timers   *timers.Client
	clock    *arrival.Clock    // hears what time Transfer has
	network  http.RoundTripper // without credentials and retries
}

// A wiring says how a session differs from that of a command that only reads.
type wiring struct {
	acts   bool         // it changes something at Globus: the identity is in the log
	scopes []auth.Scope // what a service account asks tokens for; none means Transfer's
	retry  retry.Policy // zero means that of the environment
	// meter, unless nil, counts the requests to a service. It is for serve, which has
	// metrics instead of messages about slow requests.
	meter func(service string, next http.RoundTripper) http.RoundTripper
}

// connect stacks the layers between the clients and the network. It sends
// nothing.
func (a *app) connect(w wiring) (*session, error) {
	id, err := a.env.Identity()
	if err != nil {
		return nil, usageError{err}
	}
	for _, w := range id.Warnings {
		a.log.Warn("credentials", "warning", w)
	}
	say := a.log.Debug
	if w.acts {
		say = a.log.Info
	}
	say("credentials", "kind", string(id.Kind), "from", id.From, "identity", id.String())
	network, err := a.network()
	if err != nil {
		return nil, err
	}
	a.warnOfPlainText(a.env.AuthURL(), a.env.TransferURL())
	if w.retry == (retry.Policy{}) {
		w.retry = a.retries()
	}
	patient := func(next http.RoundTripper) http.RoundTripper { return next }
	if w.meter == nil {
		slow := a.slowRequests()
		network, patient = slow.below(network), slow.above
		w.meter = func(_ string, next http.RoundTripper) http.RoundTripper { return next }
	}
	authClient := a.authClient(patient(retry.New(w.meter("auth", network), w.retry, a.log)))
	account := id.Account(authClient, w.scopes)
	clock := arrival.NewClock()
	limited := retry.Limit(engine.Hearing(clock, w.meter("transfer", network)), budgetRequests, budgetWindow, retry.WithRank(engine.Rank))
	atFlows := retry.Limit(w.meter("flows", network), budgetRequests, budgetWindow)
	as := func(account settings.Account, server string, way http.RoundTripper, policy retry.Policy, scopes ...auth.Scope) *http.Client {
		policy.Unauthorized = newTokens
		return client(patient(retry.New(id.Advise(account.Transport(server, way), scopes...), policy, a.log)))
	}
	look := scopesOf(flows.Scopes()...)
	atTimers := scopesOf(timers.Scope)
	once := retry.Policy{Retries: -1, AttemptTimeout: w.retry.AttemptTimeout}
	starting := &flowClients{
		client: func(scope, flow string) *http.Client {
			start := scopesOf(scope)
			return as(id.Account(authClient, start), flow, atFlows, once, start...)
		},
		clients: map[string]*http.Client{},
	}
	return &session{
		who: id, account: account, clock: clock, network: network,
		transfer: transfer.New(
			as(account, auth.TransferServer, limited, w.retry),
			transfer.WithBaseURL(a.env.TransferURL()), transfer.WithConsent(account.Consent),
		),
		flows: flows.New(
			as(id.Account(authClient, look), flows.ResourceServer, atFlows, w.retry, look...),
			starting.open, flows.WithBaseURL(a.env.FlowsURL()),
		),
		timers: timers.New(as(id.Account(authClient, atTimers), timers.ResourceServer, network, w.retry, atTimers...), a.env.TimersURL()),
	}, nil
}

// users returns the option that lets an engine share folders with users.
func (s *session) users() engine.Option {
	return engine.WithUsers(s.who.String(), auth.IDOf(s.account.Identities))
}

// authClient returns a client of Globus Auth that adds no credentials to requests.
func (a *app) authClient(rt http.RoundTripper) *auth.Client {
	return auth.New(client(rt), auth.WithBaseURL(a.env.AuthURL()), auth.WithLogger(a.log))
}

// authAlone returns a client of Globus Auth for commands without an identity.
func (a *app) authAlone() (*auth.Client, error) {
	network, err := a.network()
	if err != nil {
		return nil, err
	}
	a.warnOfPlainText(a.env.AuthURL())
	slow := a.slowRequests()
	return a.authClient(slow.above(retry.New(slow.below(network), a.retries(), a.log))), nil
}

// retries is the policy that the environment asks for.
func (a *app) retries() retry.Policy {
	return retry.Policy{Retries: cmp.Or(int(a.env.Retries), -1), AttemptTimeout: time.Duration(a.env.Timeout)} // -1: none
}

// warnOfPlainText warns of addresses to which everything goes unencrypted.
func (a *app) warnOfPlainText(services ...*url.URL) {
	for _, u := range services {
		if u.Scheme == "http" && !jobs.Loopback(u.Hostname()) {
			a.log.Warn("the address of a service is not https: secrets, tokens and the data about files can be read on the way", "url", u.String())
		}
	}
}

// client returns a client that follows no redirect: a token must not go where
// nobody configured it to go.
func client(rt http.RoundTripper) *http.Client {
	return &http.Client{
		Transport:     rt,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// network returns the transport below all others.
func (a *app) network() (http.RoundTripper, error) {
	t := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 15 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout: 15 * time.Second,
		IdleConnTimeout:     90 * time.Second,
		MaxIdleConnsPerHost: 8,
		ForceAttemptHTTP2:   true,
		// Requests over HTTP/2 share a connection. One that a router has forgotten would take
		// all of them with it, try after try, until the kernel gives it up after 15 minutes.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 15 * time.Second},

		MaxResponseHeaderBytes: 256 << 10,
		OnProxyConnectResponse: refusedByProxy,
	}
	switch verify := a.env.VerifySSL; {
	case verify.Off:
		a.log.Warn("certificates are not checked (GLOBUS_SDK_VERIFY_SSL)")
		t.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // asked for, and said aloud
	case verify.Bundle != "":
		pool, err := readBundle(verify.Bundle)
		if err != nil {
			return nil, usageError{err}
		}
		t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	return wire{t, a.log}, nil
}

// refusedByProxy says which proxy does not let a request through. Without it the error
// would be the words of the status alone, which read as if the service had answered.
func refusedByProxy(_ context.Context, proxy *url.URL, _ *http.Request, resp *http.Response) error {
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	return &net.OpError{Op: "proxyconnect", Net: "tcp", Err: fmt.Errorf("the proxy %s answered %s", proxy.Host, plain.Short(resp.Status, 80))}
}

// readBundle reads the CA certificates in a file that GLOBUS_SDK_VERIFY_SSL names.
func readBundle(name string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("GLOBUS_SDK_VERIFY_SSL: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("GLOBUS_SDK_VERIFY_SSL: %s holds no certificate", name)
	}
	return pool, nil
}

// A wire is the last layer above the network: it says in every request which
// program sends it, and logs it.
type wire struct {
	next http.RoundTripper
	log  *slog.Logger
}

func (w wire) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("User-Agent", "globus-runner/"+build().Version)
	r.Header.Set("X-Globus-Client-Info", "product=globus-runner,version="+build().Version)
	begin := time.Now()
	resp, err := w.next.RoundTrip(r)
	attrs := []any{"method", r.Method, "host", r.URL.Host, "path", r.URL.Path, "elapsed", time.Since(begin)}
	if err != nil {
		w.log.Debug("request", append(attrs, "err", err)...)
		return nil, err
	}
	w.log.Debug("request", append(attrs, "status", resp.StatusCode)...)
	return resp, nil
}
