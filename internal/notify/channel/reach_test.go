package channel_test

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/internal/notify/channel"
	"github.com/globus-runner/globus-runner/jobs"
)

// reached is what Reach says, be it an error.
func reached(t *testing.T, c jobs.Channel, o channel.Options) string {
	t.Helper()
	answer, err := channel.Reach(t.Context(), c, o)
	text := answer.Host + " answers"
	if err != nil {
		text = "error: " + err.Error()
	}
	if strings.Contains(text, "CANARY") {
		t.Errorf("a secret is shown: %s", text)
	}
	return text
}

func TestReachConnectsAndSendsNothing(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("it was sent %s %s", r.Method, r.URL)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	there := channel.Options{Roots: x509.NewCertPool(), Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
	}}
	there.Roots.AddCert(server.Certificate()) // it is for example.com
	away := channel.Options{Dial: func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no such host") }}
	address := func(host string) jobs.Hook { return jobs.Hook{URLFile: fileOf(t, "https://"+host+"/"+secretPath)} }

	for kind, c := range kinds(address("example.com")) {
		if got := reached(t, c, there); got != "example.com answers" {
			t.Errorf("%s: got %q", kind, got)
		}
		if got := reached(t, c, away); got != "error: example.com: no such host" {
			t.Errorf("%s: got %q", kind, got)
		}
	}
	for kind, c := range kinds(address("other.example")) {
		if got := reached(t, c, there); !strings.Contains(got, "error: other.example: tls: failed to verify certificate") {
			t.Errorf("%s: got %q", kind, got)
		}
	}
	for want, c := range map[string]jobs.Channel{
		"error: read the address: ":                 {Slack: &jobs.Hook{URLFile: "none"}},
		"http is not encrypted":                     {Slack: &jobs.Hook{URLFile: fileOf(t, "http://example.com/CANARY")}},
		"error: read the key that signs requests: ": {Webhook: &jobs.Webhook{Hook: jobs.Hook{URL: "https://example.com/"}, SecretFile: "none"}},
	} {
		if got := reached(t, c, there); !strings.Contains(got, want) {
			t.Errorf("got %q, want %q in it", got, want)
		}
	}
}

func TestReachSignsInAtAMailServer(t *testing.T) {
	server := newMailServer(t, how{starttls: true})
	for address, want := range map[string]string{
		"smtp://runner:" + mailPassword + "@example.com": "mail server example.com answers",
		"smtp://runner:other@example.com":                "error: mail server example.com: ",
	} {
		o := channel.Options{Roots: server.roots, Dial: server.dial, From: "runner@facility.example"}
		o.SMTP = func() (auth.Secret, error) { return auth.NewSecret(address), nil }
		if got := reached(t, jobs.Channel{Mail: &jobs.Mail{To: []string{"pi@example.edu"}}}, o); !strings.HasPrefix(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if n := len(server.deliveries()); n > 0 {
		t.Errorf("%d mails were sent", n)
	}
}

func TestAnAnswerSaysWhenItsCertificateEnds(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	o := channel.Options{Roots: x509.NewCertPool(), Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
	}}
	o.Roots.AddCert(server.Certificate())
	mail := newMailServer(t, how{starttls: true})
	sent := channel.Options{Roots: mail.roots, Dial: mail.dial, From: "runner@facility.example"}
	sent.SMTP = func() (auth.Secret, error) {
		return auth.NewSecret("smtp://runner:" + mailPassword + "@example.com"), nil
	}
	plain := sent
	plainServer := newMailServer(t, how{})
	plain.Dial = plainServer.dial
	plain.SMTP = func() (auth.Secret, error) { return auth.NewSecret("smtp://localhost"), nil }
	end := server.Certificate().NotAfter
	for name, tt := range map[string]struct {
		c    jobs.Channel
		o    channel.Options
		ends bool
	}{
		"https":       {jobs.Channel{Slack: &jobs.Hook{URL: "https://example.com/"}}, o, true},
		"mail":        {jobs.Channel{Mail: &jobs.Mail{To: []string{"pi@example.edu"}}}, sent, true},
		"without TLS": {jobs.Channel{Mail: &jobs.Mail{To: []string{"pi@example.edu"}}}, plain, false},
	} {
		a, err := channel.Reach(t.Context(), tt.c, tt.o)
		if err != nil || a.Ends.IsZero() == tt.ends {
			t.Errorf("%s: got %+v, %v, want the end of the certificate: %t", name, a, err, tt.ends)
		}
	}
	a, err := channel.Reach(t.Context(), jobs.Channel{Slack: &jobs.Hook{URL: "https://example.com/"}}, o)
	if err != nil {
		t.Fatal(err)
	}
	const day = 24 * time.Hour
	for before, want := range map[time.Duration]bool{15 * day: false, 13 * day: true, -day: true} {
		if got := a.EndsSoon(end.Add(-before)); got != want {
			t.Errorf("%s before its end: got %t, want %t", before, got, want)
		}
	}
}
