package channel

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/internal/delay"
	"github.com/globus-runner/globus-runner/internal/plain"
	"github.com/globus-runner/globus-runner/jobs"
)

const (
	maxReply  = 4 << 10 // bytes that are read of an answer
	maxReason = 200     // characters of a foreign text in an error
	// leastSecret is the number of characters from which on a part of an address
	// may be a secret.
	leastSecret = 6
)

// A poster sends requests to the HTTP service of a channel.
type poster struct {
	hook   jobs.Hook
	client *http.Client
	agent  string // the header User-Agent
	dialer dialer // that reach uses
}

func newPoster(h jobs.Hook, o Options) *poster {
	network := o.Network
	if network == nil {
		network = &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			TLSClientConfig:        &tls.Config{RootCAs: o.Roots, MinVersion: tls.VersionTLS12},
			ForceAttemptHTTP2:      true,
			MaxResponseHeaderBytes: 64 << 10,
			MaxIdleConnsPerHost:    1,
			IdleConnTimeout:        time.Minute,
		}
	}
	return &poster{hook: h, agent: "globus-runner/" + o.Version, dialer: dialer{o.Dial, o.Roots}, client: &http.Client{
		Transport: network,
		// An answer must not send us to an address that nobody configured: it could
		// be one that only this computer reaches.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// check returns why no request could be sent.
func (p *poster) check() error {
	_, err := p.address("job")
	return err
}

// reach connects to the service, or to the proxy that leads there.
func (p *poster) reach(ctx context.Context) (Answer, error) {
	to, err := p.address("job")
	if err != nil {
		return Answer{}, err
	}
	answering, way := to, ""
	switch proxy, err := http.ProxyFromEnvironment(&http.Request{URL: to}); {
	case err != nil:
		return Answer{}, passing("the address of the proxy cannot be read")
	case proxy != nil:
		answering, way = proxy, ", the proxy that leads to "+to.Host
	}
	port := cmp.Or(answering.Port(), map[string]string{"http": "80", "https": "443"}[answering.Scheme], "1080")
	conn, err := p.dialer.to(ctx, answering.Hostname(), port, answering.Scheme == "https")
	if err != nil {
		return Answer{}, passing("%s%s: %s", answering.Host, way, said(unanswered(ctx, err).Error(), secrets(to)...))
	}
	defer conn.Close() //nolint:errcheck // it was only to see whether it answers
	var state tls.ConnectionState
	if encrypted, is := conn.(*tls.Conn); is {
		state = encrypted.ConnectionState()
	}
	return certified(answering.Host+way, state), nil
}

// address reads the address. In that of a ping the name of the job stands for each
// {{ .Job }}; elsewhere job is empty.
func (p *poster) address(job string) (*url.URL, error) {
	text, from := p.hook.URL, "the jobs file"
	if p.hook.URLFile != "" {
		secret, _, err := auth.ReadSecret(p.hook.URLFile)
		if err != nil {
			return nil, passing("read the address: %w", err)
		}
		text, from = strings.TrimSpace(secret.Reveal()), p.hook.URLFile
	}
	if job != "" {
		text = jobs.PingAddress(text, url.PathEscape(job))
	}
	if err := jobs.CheckAddress(text); err != nil {
		return nil, passing("the address in %s: %w", from, err)
	}
	u, err := url.Parse(text)
	if err != nil {
		return nil, passing("the address in %s cannot be read", from)
	}
	return u, nil
}

// postJSON sends a document as JSON.
func (p *poster) postJSON(ctx context.Context, to *url.URL, doc any) error {
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false) // it would make a text six times as long
	if err := enc.Encode(doc); err != nil {
		return lasting("write the message as JSON: %w", err)
	}
	return p.post(ctx, to, http.Header{"Content-Type": {"application/json"}}, body.Bytes())
}

// post sends a body. It returns nil if the answer is that it was taken.
func (p *poster) post(ctx context.Context, to *url.URL, header http.Header, body []byte) error {
	ctx, cancel := bounded(ctx)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, to.String(), bytes.NewReader(body))
	if err != nil {
		return lasting("the address of %s cannot be used", to.Host)
	}
	r.Header = header
	r.Header.Set("User-Agent", p.agent)
	resp, err := p.client.Do(r)
	if err != nil {
		if lost, ok := errors.AsType[*url.Error](err); ok {
			err = lost.Err // the address is in the text of the outer one
		}
		return passing("%s: %s", to.Host, said(unanswered(ctx, err).Error(), secrets(to)...))
	}
	defer resp.Body.Close() //nolint:errcheck // it was only read
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxReply))
	if resp.StatusCode/100 == 2 {
		return nil // whatever it says, it has taken the notice
	}
	if err != nil {
		text = nil // the status says enough
	}
	return refused(to, resp, said(string(text), secrets(to)...))
}

// refused returns the error for an answer that is not a success.
func refused(to *url.URL, resp *http.Response, text string) error {
	if text != "" {
		text = ": " + text
	}
	e := &Error{after: delay.Of(resp.Header, time.Now())}
	switch status := resp.StatusCode; status / 100 {
	case 3:
		e.lasting = status == http.StatusMovedPermanently || status == http.StatusPermanentRedirect
		text = ", a redirect, which is not followed: give the address that it leads to"
	case 4:
		e.lasting = !delay.Passing(status)
	}
	e.Reason = errors.New(to.Host + " answered " + strings.TrimSpace(http.StatusText(resp.StatusCode)+" ("+resp.Status[:min(3, len(resp.Status))]+")") + text)
	return e
}

// secrets are the parts of an address that must not be shown.
func secrets(u *url.URL) []string {
	var parts []string
	for _, text := range []string{u.Path, u.RawPath} {
		parts = append(parts, strings.Split(text, "/")...)
	}
	for _, values := range u.Query() {
		parts = append(parts, values...)
	}
	return append(parts, u.RawQuery)
}

// said returns a foreign text for an error, shortened and harmless. A text that
// repeats a secret is not shown at all.
func said(text string, secrets ...string) string {
	for _, secret := range secrets {
		if len(secret) >= leastSecret && strings.Contains(text, secret) {
			return "(its words are not shown, since they repeat a part of the address or the password)"
		}
	}
	return plain.Short(text, maxReason)
}
