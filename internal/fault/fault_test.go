package fault_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/internal/automate"
	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/login"
	"github.com/globus-runner/globus-runner/transfer"
)

// A spoken is an error that says what it means.
type spoken struct {
	error
	kind fault.Kind
}

func (s spoken) Unwrap() error        { return s.error }
func (s spoken) Means() fault.Meaning { return fault.Meaning{Kind: s.kind} }

// An error that says what it means says what to do as well, unless the time was
// over and the network was the reason.
func TestErrorThatSpeaksHasItsOwnNextStep(t *testing.T) {
	network := &url.Error{Op: "Get", URL: "https://globus.test/", Err: &net.OpError{Op: "dial", Err: errors.New("no route")}}
	for kind, want := range map[fault.Kind]string{fault.TimedOut: fault.CheckNetwork, fault.Unknown: "", fault.Failed: ""} {
		if got := fault.Next(spoken{network, kind}, fault.Identity{}); got != want {
			t.Errorf("%s: got %q, want %q", kind, got, want)
		}
	}
	if got := fault.Next(spoken{errors.New("not done"), fault.TimedOut}, fault.Identity{}); got != "" {
		t.Errorf("without the network: got %q, want nothing", got)
	}
}

// What an error says of itself goes before what lies below it, except that the
// identity is not let in.
func TestErrorThatSpeaksKeepsWhatItDoesNotSay(t *testing.T) {
	denied := &auth.Error{Status: 401, Code: "invalid_client"}
	tests := map[string]struct {
		err  error
		want fault.Meaning
	}{
		"interrupted, whatever was wrong": {spoken{denied, fault.Interrupted}, fault.Meaning{Kind: fault.Interrupted}},
		"not let in":                      {spoken{denied, fault.Unknown}, fault.Meaning{Kind: fault.Credentials, Code: "invalid_client"}},
		"code of the cause": {
			spoken{&transfer.Error{Status: 502, Code: "EndpointError", RequestID: "r1"}, fault.Unknown},
			fault.Meaning{Kind: fault.Unknown, Code: "EndpointError", RequestID: "r1"},
		},
	}
	for name, tt := range tests {
		if got := fault.Of(tt.err); got != tt.want {
			t.Errorf("%s: got %+v, want %+v", name, got, tt.want)
		}
	}
}

func TestLedgerIsWrongOrAway(t *testing.T) {
	file := filepath.Join(t.TempDir(), "runner.db")
	l, err := ledger.Open(t.Context(), "sqlite:"+file, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // its file is gone
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := l.Check(t.Context()); err == nil || fault.Of(err).Kind != fault.Temporary || !fault.Transient(err) {
		t.Errorf("its file is away: got %v, want it temporary", err)
	}
	if err := os.WriteFile(file, []byte("a text that is not a ledger"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = ledger.Open(t.Context(), "sqlite:"+file, slog.New(slog.DiscardHandler))
	if err == nil || fault.Of(err).Kind != fault.Usage || fault.Transient(err) {
		t.Errorf("its file is another one: got %v, want it to be somebody's mistake", err)
	}
}

func TestWhatDidNotReachTheServiceIsTransient(t *testing.T) {
	lost := func(err error) error { return &url.Error{Op: "Get", URL: "https://globus.test/", Err: err} }
	tests := map[string]struct {
		err  error
		want bool
	}{
		"nobody listens":    {lost(&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}), true},
		"no token for now":  {lost(&auth.Error{Status: 503}), true},
		"no token":          {lost(&auth.Error{Status: 401, Code: "invalid_client"}), false},
		"nothing is known":  {lost(errors.New("cut off")), true},
		"another thing":     {errors.New("no file"), false},
		"the service is so": {&transfer.Error{Status: 503}, true},
	}
	for name, tt := range tests {
		if got := fault.Transient(tt.err); got != tt.want {
			t.Errorf("%s: got %t, want %t", name, got, tt.want)
		}
	}
}

func TestWhoIsLoggedInLogsInAgain(t *testing.T) {
	who := fault.Identity{Login: func(*transfer.AuthorizationParameters) string { return "run runner login" }}
	ended := &login.Error{Reason: "the login has ended"}
	if got := fault.Next(ended, who); got != "run runner login" {
		t.Errorf("got %q", got)
	}
	// Its text has the consent and how to give it.
	ended.Err = &transfer.Error{Status: 403, Code: "ConsentRequired"}
	if got := fault.Next(ended, who); got != "" {
		t.Errorf("without a consent: got %q, want nothing", got)
	}
}

func TestWhoIsLoggedInGetsTheScopeThatIsMissing(t *testing.T) {
	who := fault.Identity{Login: func(wanted *transfer.AuthorizationParameters) string {
		return "scopes " + strings.Join(wanted.RequiredScopes, " ")
	}}
	for message, want := range map[string]string{
		"This action requires the following scope: https://auth.globus.org/scopes/f/flow_f_user": "scopes https://auth.globus.org/scopes/f/flow_f_user",
		"Missing 'urn:globus:auth:scope:x:all'":                                                  "scopes urn:globus:auth:scope:x:all",
		"Not allowed":                                                                            "scopes ",
	} {
		if got := fault.Next(&automate.Error{Service: automate.Flows, Status: 403, Code: "MISSING_SCOPE", Message: message}, who); got != want {
			t.Errorf("%s: got %q, want %q", message, got, want)
		}
	}
}

func TestARefusedTokenIsNotARefusedIdentity(t *testing.T) {
	session := &transfer.AuthorizationParameters{SessionRequiredMFA: new(true)}
	tests := map[string]struct {
		err  error
		want bool
	}{
		"Transfer":           {&transfer.Error{Status: 401, Code: "AuthenticationFailed"}, true},
		"Flows":              {&automate.Error{Service: automate.Flows, Status: 401}, true},
		"a consent":          {&transfer.Error{Status: 401, RequiredScopes: []string{"x"}, Code: "ConsentRequired"}, false},
		"a session":          {&transfer.Error{Status: 401, Authorization: session}, false},
		"a missing scope":    {&automate.Error{Service: automate.Flows, Status: 403, Code: "MISSING_SCOPE"}, false},
		"Timers":             {&automate.Error{Service: automate.Timers, Status: 401}, true},
		"a page of somebody": {&transfer.Error{Status: 401, Foreign: true}, false},
		"the secret":         {&auth.Error{Status: 401, Code: "invalid_client"}, false},
		"something else":     {errors.New("no"), false},
	}
	for name, c := range tests {
		if got := fault.TokenRefused(fmt.Errorf("list: %w", c.err)); got != c.want {
			t.Errorf("%s: got %t, want %t", name, got, c.want)
		}
	}
}

func TestEachErrorHasItsKindAndItsNextStep(t *testing.T) {
	network := func(err error) error {
		return fmt.Errorf("list: %w", &url.Error{Op: "Get", URL: "https://globus.test/?x", Err: err})
	}
	tests := map[string]struct {
		err  error
		kind fault.Kind
		next string
	}{
		"consent":   {&transfer.Error{Status: 403, Code: "ConsentRequired"}, fault.Credentials, "the consent could not be obtained for robot@x: ask the collection's owner whether service accounts are allowed"},
		"session":   {&transfer.Error{Status: 403, Authorization: &transfer.AuthorizationParameters{SessionRequiredMFA: new(true)}}, fault.Credentials, "robot@x is a service account and has no session, so it can never meet this: ask the collection's owner to exempt it, or to share a guest collection with it"},
		"token":     {&transfer.Error{Status: 401, Code: "AuthenticationFailed"}, fault.Credentials, "the service does not accept the token of robot@x"},
		"endpoint":  {&transfer.Error{Status: 404, Code: "EndpointNotFound"}, fault.Refused, "check the collection id: runner endpoints finds collections by name"},
		"deleted":   {&transfer.Error{Status: 404, Code: "EndpointDeleted"}, fault.Refused, "check the collection id: runner endpoints finds collections by name"},
		"path":      {&transfer.Error{Status: 404, Code: "ClientError.NotFound"}, fault.Refused, "check the id and the path"},
		"listing":   {&transfer.Error{Status: 502, Code: "ExternalError.DirListingFailed.NotFound"}, fault.Refused, "check the id and the path"},
		"mapping":   {&transfer.Error{Status: 502, Code: "ExternalError.DirListingFailed.LoginFailed"}, fault.Refused, "ask the collection's owner to map robot@x to a local account"},
		"paused":    {&transfer.Error{Status: 403, Code: "OperationPaused"}, fault.Refused, "ask the collection's manager when the pause ends, and run again then"},
		"denied":    {&transfer.Error{Status: 403, Code: "PermissionDenied"}, fault.Refused, "ask the collection's owner to give robot@x access"},
		"offline":   {&transfer.Error{Status: 409, Code: "GCDisconnectedException"}, fault.Temporary, "start Globus Connect Personal on that computer, or ask its owner to"},
		"listing 2": {&transfer.Error{Status: 502, Code: "ExternalError.DirListingFailed.GCDisconnected"}, fault.Temporary, "start Globus Connect Personal on that computer, or ask its owner to"},
		"trouble":   {&transfer.Error{Status: 502, Code: "EndpointError"}, fault.Temporary, ""},
		"busy":      {&transfer.Error{Status: 503, Code: "ServiceUnavailable"}, fault.Temporary, "run again later"},
		"backlog":   {&transfer.Error{Status: 409, Code: "ClientError.Conflict.TooManyPendingJobs"}, fault.Temporary, "run again later"},
		"other":     {&transfer.Error{Status: 400, Code: "BadRequest"}, fault.Refused, ""},

		"not a starter":   {&automate.Error{Service: automate.Flows, Status: 403, Code: "FORBIDDEN"}, fault.Refused, "ask the flow's owner to add robot@x to its starters"},
		"scope of a flow": {&automate.Error{Service: automate.Flows, Status: 403, Code: "MISSING_SCOPE"}, fault.Credentials, "Globus Flows does not accept the token of robot@x"},
		"token at Flows":  {&automate.Error{Service: automate.Flows, Status: 401}, fault.Credentials, "Globus Flows does not accept the token of robot@x"},
		"no flow":         {&automate.Error{Service: automate.Flows, Status: 404}, fault.Refused, "check the id of the flow, and whether robot@x may see it"},
		"busy Flows":      {&automate.Error{Service: automate.Flows, Status: 429}, fault.Temporary, "run again later"},
		"no timer":        {&automate.Error{Service: automate.Timers, Status: 404}, fault.Refused, "check the id of the timer: runner timer list shows the timers of robot@x"},
		"token at Timers": {&automate.Error{Service: automate.Timers, Status: 401}, fault.Credentials, "Globus Timers does not accept the token of robot@x"},
		"input of a flow": {&automate.Error{Service: automate.Flows, Status: 400, Code: "FLOW_INPUT_ERROR"}, fault.Refused, ""},

		"refused login": {
			&auth.Error{Status: 401, Code: "invalid_client", ClientID: "c1"}, fault.Credentials,
			"client c1 was refused: check that the secret was copied whole, that the id is of a service account and not of a native app, and that the secret was not deleted on https://app.globus.org/settings/developers",
		},
		"busy login":    {&auth.Error{Status: 503}, fault.Temporary, "run again later"},
		"no such scope": {&auth.Error{Status: 400, Code: "unknown_scope_error"}, fault.Credentials, ""},
		"no such page":  {&auth.Error{Status: 404}, fault.Refused, ""},
		"no such login": {&auth.Error{Status: 404, Login: true}, fault.Temporary, "check GLOBUS_SDK_SERVICE_URL_AUTH: the service does not understand the request"},

		"network":         {network(errors.New("connection refused")), fault.Temporary, "check the network, the proxy and the address, or run again later"},
		"proxy":           {network(&net.OpError{Op: "proxyconnect", Err: errors.New("refused")}), fault.Temporary, "check the proxy in HTTPS_PROXY, or name the host in NO_PROXY"},
		"dial":            {network(&net.OpError{Op: "dial", Err: errors.New("refused")}), fault.Temporary, "check the network, the proxy and the address, or run again later"},
		"certificate":     {network(&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}), fault.Temporary, "if the network inspects TLS, name its CA bundle in GLOBUS_SDK_VERIFY_SSL; else somebody else answers at this address"},
		"old certificate": {network(&tls.CertificateVerificationError{Err: x509.CertificateInvalidError{Reason: x509.Expired}}), fault.Temporary, "check the clock of this machine; if it is right, the certificate has to be renewed by whoever runs the service or the proxy"},
		"odd certificate": {network(&tls.CertificateVerificationError{Err: x509.CertificateInvalidError{Reason: x509.NotAuthorizedToSign}}), fault.Temporary, "if the network inspects TLS, name its CA bundle in GLOBUS_SDK_VERIFY_SSL; else somebody else answers at this address"},
		"host name":       {network(x509.HostnameError{Certificate: &x509.Certificate{}}), fault.Temporary, "if the network inspects TLS, name its CA bundle in GLOBUS_SDK_VERIFY_SSL; else somebody else answers at this address"},
		"no service":      {context.Canceled, fault.Failed, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			err := fmt.Errorf("wrapped: %w", tt.err)
			if got := fault.Of(err).Kind; got != tt.kind {
				t.Errorf("kind %q, want %q", got, tt.kind)
			}
			if got := fault.Next(err, fault.Identity{Name: "robot@x"}); got != tt.next {
				t.Errorf("next step\n%s, want\n%s", got, tt.next)
			}
		})
	}
}
