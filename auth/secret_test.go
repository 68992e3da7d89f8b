package auth_test

import (
	"bytes"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/clientcreds"
)

const canary = "canary+/=%secret"

func TestNothingPrintsASecret(t *testing.T) {
	secret := auth.NewSecret(canary)
	type exported struct{ Secret auth.Secret }
	type unexported struct{ secret auth.Secret }
	environment := clientcreds.Environment{ClientID: "0b6c8f2e-0000-4000-8000-000000000001", ClientSecret: secret}
	creds, err := environment.Credentials()
	if err != nil {
		t.Fatal(err)
	}

	values := map[string]any{
		"secret":             secret,
		"pointer":            &secret,
		"exported field":     exported{secret},
		"unexported field":   unexported{secret},
		"pointer to struct":  &exported{secret},
		"pointer to private": &unexported{secret},
		"slice":              []auth.Secret{secret},
		"map":                map[string]auth.Secret{"k": secret},
		"environment":        environment,
		"credentials":        creds,
		"token":              auth.Token{AccessToken: secret, RefreshToken: secret},
		"source":             creds.Source(clientcreds.WithClient(auth.New(nil))),
		"interface":          struct{ v any }{secret},
	}
	printers := map[string]func(any) string{
		"slog text": func(v any) string {
			var b bytes.Buffer
			slog.New(slog.NewTextHandler(&b, nil)).Info("m", "v", v)
			return b.String()
		},
		"slog json": func(v any) string {
			var b bytes.Buffer
			slog.New(slog.NewJSONHandler(&b, nil)).Info("m", "v", v)
			return b.String()
		},
		"json": func(v any) string {
			out, err := json.Marshal(v)
			return fmt.Sprint(string(out), err)
		},
		"xml": func(v any) string {
			out, err := xml.Marshal(v)
			return fmt.Sprint(string(out), err)
		},
		"gob": func(v any) string {
			var b bytes.Buffer
			err := gob.NewEncoder(&b).Encode(v)
			return fmt.Sprint(b.String(), err)
		},
		"error":   func(v any) string { return fmt.Errorf("cause: %v", v).Error() },
		"joined":  func(v any) string { return errors.Join(fmt.Errorf("%+v", v)).Error() },
		"println": func(v any) string { return fmt.Sprintln(v) },
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%p"} {
		printers[verb] = func(v any) string { return fmt.Sprintf(verb, v) }
	}
	forms := []string{canary, hex.EncodeToString([]byte(canary)), strings.ToUpper(hex.EncodeToString([]byte(canary)))}
	for kind, v := range values {
		for name, show := range printers {
			for _, form := range forms {
				if out := show(v); strings.Contains(out, form) {
					t.Errorf("%s of %s shows it: %s", name, kind, out)
				}
			}
		}
	}
}

func TestSecretIsReadFromText(t *testing.T) {
	var doc struct{ Secret auth.Secret }
	if err := json.Unmarshal([]byte(`{"Secret": "text"}`), &doc); err != nil {
		t.Fatal(err)
	}
	if got := doc.Secret.Reveal(); got != "text" || doc.Secret.IsZero() {
		t.Errorf("got %q, want the text", got)
	}
	var zero auth.Secret
	if zero.Reveal() != "" || !zero.IsZero() || zero.String() != "" {
		t.Error("the zero secret is not empty")
	}
	if got := doc.Secret.String(); got != "[secret]" {
		t.Errorf("printed as %q, want a mask", got)
	}
}

func TestTokenIsEncodedOnPurposeAlone(t *testing.T) {
	token := auth.Token{AccessToken: auth.NewSecret(canary), ResourceServer: auth.TransferServer, ExpiresAtSeconds: 7, RefreshToken: auth.NewSecret("r")}
	if out, err := json.Marshal(token); err == nil {
		t.Errorf("got %s without an error, want none of it: the secrets are missing", out)
	}
	out, err := json.Marshal(token.Document())
	if err != nil {
		t.Fatal(err)
	}
	var doc auth.TokenDocument
	if err := json.Unmarshal(out, &doc); err != nil {
		t.Fatal(err)
	}
	got := doc.Token()
	if got.AccessToken.Reveal() != canary || got.RefreshToken.Reveal() != "r" || got.ResourceServer != auth.TransferServer || got.ExpiresAtSeconds != 7 {
		t.Errorf("got %s back, want the same token", out)
	}
}

func TestSecretIsLoggedAsAMask(t *testing.T) {
	var b bytes.Buffer
	slog.New(slog.NewJSONHandler(&b, nil)).Info("m", "v", auth.NewSecret(canary))
	if !strings.Contains(b.String(), `"v":"[secret]"`) {
		t.Errorf("got %s, want the mask", b.String())
	}
}
