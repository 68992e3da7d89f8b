package clientcreds_test

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

	"github.com/globus-runner/globus-runner/clientcreds"
)

func TestNothingPrintsASecret(t *testing.T) {
	secret := clientcreds.NewSecret(canary)
	type exported struct{ Secret clientcreds.Secret }
	type unexported struct{ secret clientcreds.Secret }
	creds := account(t)
	source := clientcreds.New((&fakeAuth{}).client(), creds)

	values := map[string]any{
		"secret":             secret,
		"pointer":            &secret,
		"exported field":     exported{secret},
		"unexported field":   unexported{secret},
		"pointer to struct":  &exported{secret},
		"pointer to private": &unexported{secret},
		"slice":              []clientcreds.Secret{secret},
		"map":                map[string]clientcreds.Secret{"k": secret},
		"environment":        clientcreds.Environment{ClientSecret: secret},
		"credentials":        creds,
		"token":              clientcreds.Token{AccessToken: secret},
		"source":             source,
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
	var doc struct{ Secret clientcreds.Secret }
	if err := json.Unmarshal([]byte(`{"Secret": "text"}`), &doc); err != nil {
		t.Fatal(err)
	}
	if got := doc.Secret.Reveal(); got != "text" || doc.Secret.IsZero() {
		t.Errorf("got %q, want the text", got)
	}
	var zero clientcreds.Secret
	if zero.Reveal() != "" || !zero.IsZero() || zero.String() != "" {
		t.Error("the zero secret is not empty")
	}
	if got := doc.Secret.String(); got != "[secret]" {
		t.Errorf("printed as %q, want a mask", got)
	}
}
