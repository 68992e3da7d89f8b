package fault_test

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/transfer"
)

// A reply answers every request, and is not followed if it is a redirect.
type reply struct {
	status         int
	kind, location string
	body           string
}

func (r reply) RoundTrip(req *http.Request) (*http.Response, error) {
	header := http.Header{}
	if r.kind != "" {
		header.Set("Content-Type", r.kind)
	}
	if r.location != "" {
		header.Set("Location", r.location)
	}
	return &http.Response{StatusCode: r.status, Header: header, Body: io.NopCloser(strings.NewReader(r.body)), Request: req}, nil
}

func (r reply) client() *http.Client {
	return &http.Client{
		Transport:     r,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func TestWhatAnswersInPlaceOfAServiceIsNotTheService(t *testing.T) {
	const html, page = "text/html; charset=utf-8", "<html>Log in to the hotel"
	const elsewhere = "check the proxy, the address of the service, and whether this network wants a login in a browser first"
	tests := map[string]struct {
		reply          reply
		auth, transfer fault.Kind
		says, next     string // of Globus Auth
	}{
		"a redirect":       {reply{302, html, "https://portal.test/login?x=1", ""}, fault.Temporary, fault.Temporary, "a redirect to portal.test answered", elsewhere},
		"a login page":     {reply{200, html, "", page}, fault.Temporary, fault.Temporary, "comes from a proxy on the way", ""},
		"a page, 400":      {reply{400, html, "", page}, fault.Temporary, fault.Temporary, "a reply of type text/html answered", elsewhere},
		"a page, 401":      {reply{401, html, "", page}, fault.Temporary, fault.Temporary, "a reply of type text/html answered", elsewhere},
		"a page, 403":      {reply{403, html, "", page}, fault.Temporary, fault.Temporary, "a reply of type text/html answered", elsewhere},
		"a page, 404":      {reply{404, html, "", page}, fault.Temporary, fault.Temporary, "a reply of type text/html answered", elsewhere},
		"a page, 502":      {reply{502, html, "", page}, fault.Temporary, fault.Temporary, "HTTP 502", "run again later"},
		"a bad request":    {reply{400, "", "", `{"error": "invalid_request"}`}, fault.Temporary, fault.Refused, "invalid_request", "check GLOBUS_SDK_SERVICE_URL_AUTH"},
		"a refused secret": {reply{401, "", "", `{"error": "invalid_client"}`}, fault.Credentials, fault.Credentials, "invalid_client", "client c1 was refused"},
		"no authorization": {reply{401, "", "", `{"errors": [{"code": "UNAUTHORIZED"}]}`}, fault.Credentials, fault.Credentials, "UNAUTHORIZED", "client c1 was refused"},
		"an old grant":     {reply{400, "", "", `{"error": "invalid_grant"}`}, fault.Credentials, fault.Refused, "invalid_grant", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := auth.New(tt.reply.client()).Grant(t.Context(), auth.Application{ID: "c1"}, url.Values{})
			if got := fault.Of(err).Kind; got != tt.auth {
				t.Errorf("Globus Auth: kind %s of %v, want %s", got, err, tt.auth)
			}
			if !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "x=1") {
				t.Errorf("got %q, want %q in it", err, tt.says)
			}
			if got := fault.Next(err, fault.Identity{}); !strings.HasPrefix(got, tt.next) || (got == "") != (tt.next == "") {
				t.Errorf("next step %q, want %q", got, tt.next)
			}
			_, err = transfer.New(tt.reply.client()).Task(t.Context(), "t1")
			if got := fault.Of(err).Kind; got != tt.transfer {
				t.Errorf("Globus Transfer: kind %s of %v, want %s", got, err, tt.transfer)
			}
		})
	}
}
