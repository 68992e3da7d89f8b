package main

import (
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
	"github.com/globus-runner/globus-runner/retry"
	"github.com/globus-runner/globus-runner/transfer"
)

// The account's budget at the Transfer service.
const (
	budgetRequests = 200
	budgetWindow   = 10 * time.Second
)

// clients are the clients of the two services, for one identity.
type clients struct {
	account  account
	transfer *transfer.Client
}

// connect stacks the layers between the clients and the network. It sends
// nothing. Scopes are what a service account asks tokens for; none means
// Transfer's.
func (a *app) connect(scopes ...auth.Scope) (*clients, error) {
	id, err := a.whoAmI()
	if err != nil {
		return nil, usageError{err}
	}
	a.who = id
	for _, w := range id.warnings {
		a.log.Warn("credentials", "warning", w)
	}
	say := a.log.Debug
	if a.acts {
		say = a.log.Info
	}
	say("credentials", "kind", string(id.kind), "from", id.from, "identity", id.String())
	base, err := a.baseTransport()
	if err != nil {
		return nil, err
	}
	a.warnOfPlainText(a.env.authURL(), a.env.transferURL())
	account := id.account(a.authClient(base), scopes)
	limited := retry.Limit(a.measured("transfer", base), budgetRequests, budgetWindow)
	return &clients{
		account: account,
		transfer: transfer.New(
			client(retry.New(advised{account.Transport(auth.TransferServer, limited), id}, a.retries(), a.log)),
			transfer.WithBaseURL(a.env.transferURL()), transfer.WithConsent(account.Consent),
		),
	}, nil
}

// connectToAct connects for a command that changes something at Globus: the identity
// it does is in the log.
func (a *app) connectToAct() (*clients, error) {
	a.acts = true
	return a.connect()
}

// authClient returns a client of Globus Auth that adds no credentials.
func (a *app) authClient(base http.RoundTripper) *auth.Client {
	return auth.New(client(retry.New(a.measured("auth", base), a.retries(), a.log)),
		auth.WithBaseURL(a.env.authURL()), auth.WithLogger(a.log))
}

// retries is the policy that the environment asks for.
func (a *app) retries() retry.Policy {
	policy := retry.Policy{Retries: int(a.env.Retries), AttemptTimeout: time.Duration(a.env.Timeout)}
	if policy.Retries == 0 {
		policy.Retries = -1 // none
	}
	return policy
}

// warnOfPlainText warns of addresses to which everything goes unencrypted.
func (a *app) warnOfPlainText(services ...*url.URL) {
	for _, u := range services {
		if u.Scheme == "http" && !loopback(u.Hostname()) {
			a.log.Warn("the address of a service is not https: secrets, tokens and the data about files can be read on the way", "url", u.String())
		}
	}
}

// measured counts the requests to a service, where somebody wants to know.
func (a *app) measured(service string, next http.RoundTripper) http.RoundTripper {
	if a.status == nil {
		return next
	}
	return a.status.Transport(service, next)
}

// client returns a client that follows no redirect: a token must not go where
// nobody configured it to go.
func client(rt http.RoundTripper) *http.Client {
	return &http.Client{
		Transport:     rt,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// baseTransport is the way to the network.
func (a *app) baseTransport() (http.RoundTripper, error) {
	t := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 15 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout: 15 * time.Second,
		IdleConnTimeout:     90 * time.Second,
		MaxIdleConnsPerHost: 8,
		ForceAttemptHTTP2:   true,

		MaxResponseHeaderBytes: 256 << 10,
	}
	switch verify := a.env.VerifySSL; {
	case verify.off:
		a.log.Warn("certificates are not checked (GLOBUS_SDK_VERIFY_SSL)")
		t.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // asked for, and said aloud
	case verify.bundle != "":
		pem, err := os.ReadFile(verify.bundle)
		if err != nil {
			return nil, usageError{fmt.Errorf("GLOBUS_SDK_VERIFY_SSL: %w", err)}
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, usageError{fmt.Errorf("GLOBUS_SDK_VERIFY_SSL: %s holds no certificate", verify.bundle)}
		}
		t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	return wire{t, a.log}, nil
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

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
