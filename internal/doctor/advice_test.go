package doctor_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"testing"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/internal/doctor"
	"github.com/globus-runner/globus-runner/transfer"
)

func TestEachErrorHasItsClassAndItsAdvice(t *testing.T) {
	network := func(err error) error {
		return fmt.Errorf("list: %w", &url.Error{Op: "Get", URL: "https://globus.test/?x", Err: err})
	}
	tests := map[string]struct {
		err    error
		class  doctor.Class
		advice string
	}{
		"consent":   {&transfer.Error{Status: 403, Code: "ConsentRequired"}, doctor.Credentials, "the consent could not be obtained for robot@x: ask the collection's owner whether service accounts are allowed"},
		"session":   {&transfer.Error{Status: 403, Authorization: &transfer.AuthorizationParameters{SessionRequiredMFA: new(true)}}, doctor.Credentials, "robot@x is a service account and has no session, so it can never meet this: ask the collection's owner to exempt it, or to share a guest collection with it"},
		"token":     {&transfer.Error{Status: 401, Code: "AuthenticationFailed"}, doctor.Credentials, "the service does not take the token of robot@x"},
		"endpoint":  {&transfer.Error{Status: 404, Code: "EndpointNotFound"}, doctor.Refused, "check the collection id: runner endpoints finds collections by name"},
		"deleted":   {&transfer.Error{Status: 404, Code: "EndpointDeleted"}, doctor.Refused, "check the collection id: runner endpoints finds collections by name"},
		"path":      {&transfer.Error{Status: 404, Code: "ClientError.NotFound"}, doctor.Refused, "check the id and the path"},
		"listing":   {&transfer.Error{Status: 502, Code: "ExternalError.DirListingFailed.NotFound"}, doctor.Refused, "check the id and the path"},
		"mapping":   {&transfer.Error{Status: 502, Code: "ExternalError.DirListingFailed.LoginFailed"}, doctor.Refused, "ask the collection's owner to map robot@x to a local account"},
		"denied":    {&transfer.Error{Status: 403, Code: "PermissionDenied"}, doctor.Refused, "ask the collection's owner to give robot@x access"},
		"offline":   {&transfer.Error{Status: 409, Code: "GCDisconnectedException"}, doctor.Temporary, "start Globus Connect Personal on that computer, or ask its owner to"},
		"listing 2": {&transfer.Error{Status: 502, Code: "ExternalError.DirListingFailed.GCDisconnected"}, doctor.Temporary, "start Globus Connect Personal on that computer, or ask its owner to"},
		"trouble":   {&transfer.Error{Status: 502, Code: "EndpointError"}, doctor.Temporary, ""},
		"busy":      {&transfer.Error{Status: 503, Code: "ServiceUnavailable"}, doctor.Temporary, "run again later"},
		"backlog":   {&transfer.Error{Status: 409, Code: "ClientError.Conflict.TooManyPendingJobs"}, doctor.Temporary, "run again later"},
		"other":     {&transfer.Error{Status: 400, Code: "BadRequest"}, doctor.Refused, ""},

		"refused login": {
			&auth.Error{Status: 401, Code: "invalid_client", ClientID: "c1"}, doctor.Credentials,
			"client c1 was refused: check that the secret was copied whole, that the id is of a service account and not of a native app, and that the secret was not deleted on https://app.globus.org/settings/developers",
		},
		"busy login": {&auth.Error{Status: 503}, doctor.Temporary, ""},

		"network":     {network(errors.New("connection refused")), doctor.Temporary, "check the network, the proxy and the address, or run again later"},
		"proxy":       {network(&net.OpError{Op: "proxyconnect", Err: errors.New("refused")}), doctor.Temporary, "check the proxy in HTTPS_PROXY, or name the host in NO_PROXY"},
		"certificate": {network(&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}), doctor.Temporary, "if the network inspects TLS, name its CA bundle in GLOBUS_SDK_VERIFY_SSL; else somebody else answers at this address"},
		"host name":   {network(x509.HostnameError{Certificate: &x509.Certificate{}}), doctor.Temporary, "if the network inspects TLS, name its CA bundle in GLOBUS_SDK_VERIFY_SSL; else somebody else answers at this address"},
		"no service":  {context.Canceled, "", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			err := fmt.Errorf("wrapped: %w", tt.err)
			if got := doctor.ClassOf(err); got != tt.class {
				t.Errorf("class %q, want %q", got, tt.class)
			}
			if got := doctor.Advice(err, "robot@x"); got != tt.advice {
				t.Errorf("advice\n%s, want\n%s", got, tt.advice)
			}
		})
	}
}

func TestASecretThatIsNoneIsDoubted(t *testing.T) {
	const good = "Zk3XJ8yqQn5v0d2mT7wB4rL9sH1cE6uA+oP/iKgFfVY="
	tests := map[string]string{ // what is seen, by secret
		good:              "",
		"canary+/=Xq7Zt0": "",
		"'" + good + "'":  "the secret has quotes around it or in it",
		`"` + good:        "the secret has quotes around it or in it",
		"\ufeff" + good:   "the secret has a character in it that no secret has, such as a blank or a byte order mark",
		"Zk3X Jyq":        "the secret has a character in it that no secret has, such as a blank or a byte order mark",

		"CLIENT_SECRET=" + good: "the secret begins with the name of a variable",

		clientID:             "the secret is the client id",
		nativeApp:            "the secret is a UUID, as ids are",
		"changeme":           "the secret looks like the words of an example",
		"<your-secret>":      "the secret looks like the words of an example",
		"${SECRET}":          "the secret looks like the words of an example",
		"xxxxxxxx":           "the secret looks like the words of an example",
		"***":                "the secret looks like the words of an example",
		"YOUR_CLIENT_SECRET": "the secret looks like the words of an example",
		"secret":             "the secret looks like the words of an example",
		"WmszWEo4eXFRbjV2MGQybVQ3d0I0ckw5c0gxY0U2dUErb1AvaUtnRmZWWT0=": "the secret looks as if it had been base64-encoded once more",
	}
	for secret, want := range tests {
		got := ""
		for _, f := range doctor.Secret(clientID, secret) {
			got = f.Seen
			if f.Level != doctor.Warning || f.Advice == "" {
				t.Errorf("%s: got %v, want a warning with advice", secret, f)
			}
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", secret, got, want)
		}
	}
}

func TestAFileSystemIsJudgedByWhatALedgerNeeds(t *testing.T) {
	tests := map[string]struct {
		kind   string
		chosen bool
		level  doctor.Level
	}{
		"disk":                      {"ext4", false, doctor.OK},
		"unknown":                   {"", false, doctor.OK},
		"network":                   {"nfs", true, doctor.Warning},
		"memory":                    {"tmpfs", false, doctor.Warning},
		"memory that was asked for": {"tmpfs", true, doctor.OK},
		"container":                 {"overlay", false, doctor.Warning},
		"container, asked for":      {"overlay", true, doctor.OK},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if f := doctor.Storage(tt.kind, tt.chosen); f.Level != tt.level || (f.Level == doctor.Warning) != (f.Advice != "") {
				t.Errorf("got %v, want %s", f, tt.level)
			}
		})
	}
}
