package clientcreds_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caarlos0/env/v11"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/clientcreds"
)

const otherID = "0b6c8f2e-0000-4000-8000-000000000002"

// credentials reads variables as the program does.
func credentials(t *testing.T, vars map[string]string) (clientcreds.Credentials, error) {
	t.Helper()
	e, err := env.ParseAsWithOptions[clientcreds.Environment](env.Options{Environment: vars})
	if err != nil {
		t.Fatal(err)
	}
	return e.Credentials()
}

func TestEnvironmentNamesTheAccount(t *testing.T) {
	tests := map[string]map[string]string{
		"first pair":         {"CLIENT_ID": clientID, "CLIENT_SECRET": canary},
		"second pair":        {"GLOBUS_CLIENT_ID": clientID, "GLOBUS_CLIENT_SECRET": canary},
		"third pair":         {"GLOBUS_CLI_CLIENT_ID": clientID, "GLOBUS_CLI_CLIENT_SECRET": canary},
		"empty before":       {"CLIENT_ID": "", "CLIENT_SECRET": "", "GLOBUS_CLIENT_ID": clientID, "GLOBUS_CLIENT_SECRET": canary},
		"upper case":         {"CLIENT_ID": strings.ToUpper(clientID), "CLIENT_SECRET": canary},
		"equal pairs":        {"CLIENT_ID": clientID, "CLIENT_SECRET": canary, "GLOBUS_CLIENT_ID": strings.ToUpper(clientID), "GLOBUS_CLIENT_SECRET": canary},
		"half a second pair": {"CLIENT_ID": clientID, "CLIENT_SECRET": canary, "GLOBUS_CLI_CLIENT_ID": clientID},
	}
	for name, vars := range tests {
		t.Run(name, func(t *testing.T) {
			creds, err := credentials(t, vars)
			if err != nil {
				t.Fatal(err)
			}
			fake := &fakeAuth{secret: canary}
			if _, err := creds.Source(clientcreds.WithClient(auth.New(fake.client()))).Token(t.Context(), auth.TransferServer); err != nil {
				t.Errorf("the secret is not the one that was set: %v", err)
			}
			if creds.ID() != clientID || len(creds.Warnings()) > 0 {
				t.Errorf("got id %q, warnings %q", creds.ID(), creds.Warnings())
			}
		})
	}
}

func TestEnvironmentThatIsRefused(t *testing.T) {
	file := secretFile(t, canary, 0o600)
	tests := map[string]struct {
		vars map[string]string
		want []string // words of the message
	}{
		"nothing": {nil, []string{
			"CLIENT_ID and CLIENT_SECRET must both be set", "https://app.globus.org/settings/developers",
			"Register a service account or application credential for automation", "client UUID", "add a client secret",
		}},
		"no secret":           {map[string]string{"CLIENT_ID": clientID}, []string{"CLIENT_SECRET is not", "CLIENT_ID and CLIENT_SECRET must both be set"}},
		"no id":               {map[string]string{"CLIENT_SECRET": canary}, []string{"CLIENT_ID is not"}},
		"file, no id":         {map[string]string{"CLIENT_SECRET_FILE": file}, []string{"CLIENT_SECRET_FILE is set", "CLIENT_ID is not"}},
		"halves of two pairs": {map[string]string{"CLIENT_ID": clientID, "GLOBUS_CLIENT_SECRET": canary}, []string{"CLIENT_SECRET is not"}},
		"no fallback secret":  {map[string]string{"GLOBUS_CLI_CLIENT_ID": clientID}, []string{"GLOBUS_CLI_CLIENT_SECRET is not"}},
		"two ids": {
			map[string]string{"CLIENT_ID": clientID, "CLIENT_SECRET": canary, "GLOBUS_CLIENT_ID": otherID, "GLOBUS_CLIENT_SECRET": canary},
			[]string{"CLIENT_ID and GLOBUS_CLIENT_ID"},
		},
		"two secrets": {
			map[string]string{"CLIENT_ID": clientID, "CLIENT_SECRET": "other", "GLOBUS_CLI_CLIENT_SECRET": canary},
			[]string{"CLIENT_SECRET and GLOBUS_CLI_CLIENT_SECRET have different values", "correct CLIENT_SECRET, or unset GLOBUS_CLI_CLIENT_SECRET"},
		},
		"two secrets, one in a file": {
			map[string]string{"CLIENT_ID": clientID, "CLIENT_SECRET_FILE": file, "GLOBUS_CLIENT_SECRET": "other"},
			[]string{"CLIENT_SECRET_FILE and GLOBUS_CLIENT_SECRET"},
		},
		"secret and file":      {map[string]string{"CLIENT_ID": clientID, "CLIENT_SECRET": canary, "CLIENT_SECRET_FILE": file}, []string{"CLIENT_SECRET and CLIENT_SECRET_FILE"}},
		"id that is a secret":  {map[string]string{"CLIENT_ID": canary, "CLIENT_SECRET": canary}, []string{"CLIENT_ID is not a UUID"}},
		"id in braces":         {map[string]string{"CLIENT_ID": "{" + clientID + "}", "CLIENT_SECRET": canary}, []string{"CLIENT_ID is not a UUID"}},
		"id in quotes":         {map[string]string{"CLIENT_ID": `"` + clientID + `"`, "CLIENT_SECRET": canary}, []string{"CLIENT_ID: there are quotes around it"}},
		"secret in quotes":     {map[string]string{"CLIENT_ID": clientID, "CLIENT_SECRET": "'" + canary + "'"}, []string{"CLIENT_SECRET: there are quotes around it"}},
		"secret after a mark":  {map[string]string{"CLIENT_ID": clientID, "CLIENT_SECRET": "\ufeff" + canary}, []string{"CLIENT_SECRET: there is a byte order mark before it"}},
		"quotes in the file":   {map[string]string{"CLIENT_ID": clientID, "CLIENT_SECRET_FILE": secretFile(t, `"`+canary+"\"\n", 0o600)}, []string{"CLIENT_SECRET_FILE: there are quotes around it"}},
		"secret with newline":  {map[string]string{"CLIENT_ID": clientID, "CLIENT_SECRET": canary + "\n"}, []string{"CLIENT_SECRET has a line end"}},
		"secret with blank":    {map[string]string{"CLIENT_ID": clientID, "CLIENT_SECRET": " " + canary}, []string{"CLIENT_SECRET has a line end in it or a blank"}},
		"fallback with return": {map[string]string{"GLOBUS_CLIENT_ID": clientID, "GLOBUS_CLIENT_SECRET": canary + "\rx"}, []string{"GLOBUS_CLIENT_SECRET has"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := credentials(t, tt.vars)
			if err == nil {
				t.Fatal("got no error")
			}
			for _, word := range tt.want {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("got %q, want %q in it", err, word)
				}
			}
			if strings.Contains(strings.ToLower(err.Error()), "canary") {
				t.Errorf("the secret is in %q", err)
			}
			if errors.Is(err, clientcreds.ErrNoCredentials) != (tt.vars == nil) {
				t.Errorf("%q is ErrNoCredentials: %t", err, tt.vars != nil)
			}
		})
	}
}

// secretFile writes a file and returns its name.
func secretFile(t *testing.T, content string, mode os.FileMode) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(name, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(name, mode); err != nil { // whatever the umask
		t.Fatal(err)
	}
	return name
}

func TestSecretFile(t *testing.T) {
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(secretFile(t, canary, 0o644), link); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		file    string
		err     string // a part of it; empty for none
		warning string
	}{
		"plain":               {secretFile(t, canary, 0o600), "", ""},
		"newline":             {secretFile(t, canary+"\n", 0o600), "", ""},
		"return and newline":  {secretFile(t, canary+"\r\n", 0o600), "", ""},
		"readable by a group": {secretFile(t, canary, 0o640), "", ""},
		"readable by all":     {secretFile(t, canary, 0o644), "", "mode 0644"},
		"link":                {link, "", "mode 0644"},
		"empty":               {secretFile(t, "\n", 0o600), "is empty", ""},
		"missing":             {filepath.Join(t.TempDir(), "none"), "no such file or directory; name a readable file that holds only the secret", ""},
		"folder":              {t.TempDir(), "is a directory", ""},
		"two lines":           {secretFile(t, canary+"\nmore", 0o600), "has a line end", ""},
		"too long":            {secretFile(t, strings.Repeat("x", 64<<10+1), 0o600), "is longer than 65536 bytes", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			creds, err := credentials(t, map[string]string{"CLIENT_ID": clientID, "CLIENT_SECRET_FILE": tt.file})
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) || !strings.Contains(err.Error(), "CLIENT_SECRET_FILE") {
					t.Errorf("got %v, want CLIENT_SECRET_FILE and %q", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			fake := &fakeAuth{secret: canary}
			if _, err := creds.Source(clientcreds.WithClient(auth.New(fake.client()))).Token(t.Context(), auth.TransferServer); err != nil {
				t.Error(err)
			}
			if got := strings.Join(creds.Warnings(), " "); (got == "") != (tt.warning == "") || !strings.Contains(got, tt.warning) {
				t.Errorf("warnings %q, want %q", got, tt.warning)
			}
		})
	}
}

func TestRefusedSecretIsReadAgainOnce(t *testing.T) {
	tests := map[string]struct {
		content  string // of the file, when the first secret is refused; empty: it is gone
		works    bool
		requests int
	}{
		"new secret":   {"rotated\n", true, 2},
		"same secret":  {canary, false, 1},
		"wrong secret": {"neither", false, 2},
		"no file":      {"", false, 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			file := secretFile(t, canary, 0o600)
			creds, err := credentials(t, map[string]string{"CLIENT_ID": clientID, "CLIENT_SECRET_FILE": file})
			if err != nil {
				t.Fatal(err)
			}
			fake := &fakeAuth{secret: "rotated"}
			source := creds.Source(clientcreds.WithClient(auth.New(fake.client())))
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
			if tt.content != "" {
				if err := os.WriteFile(file, []byte(tt.content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			_, err = source.Token(t.Context(), auth.TransferServer)
			if (err == nil) != tt.works || fake.requests() != tt.requests {
				t.Errorf("got %v after %d requests; want it to work: %t, after %d", err, fake.requests(), tt.works, tt.requests)
			}
			if e, ok := errors.AsType[*auth.Error](err); !tt.works && (!ok || e.Code != "invalid_client") {
				t.Errorf("got %v, want invalid_client", err)
			}
			if tt.works {
				if err := source.Consent(t.Context(), []string{"openid"}); err != nil || fake.requests() != 3 {
					t.Errorf("the new secret is not kept: %v after %d requests", err, fake.requests())
				}
			}
		})
	}
}

func TestEnvironmentTellsItsPartsWithoutJudging(t *testing.T) {
	tests := map[string]struct {
		vars                 map[string]string
		id, variable, secret string
		err                  string
	}{
		"nothing":         {nil, "", "", "", ""},
		"id alone":        {map[string]string{"CLIENT_ID": strings.ToUpper(clientID)}, clientID, "CLIENT_ID", "", ""},
		"fallback":        {map[string]string{"GLOBUS_CLI_CLIENT_ID": clientID}, clientID, "GLOBUS_CLI_CLIENT_ID", "", ""},
		"no id":           {map[string]string{"CLIENT_ID": canary}, "", "", "", "CLIENT_ID is not a UUID"},
		"secret alone":    {map[string]string{"GLOBUS_CLIENT_SECRET": canary}, "", "", "GLOBUS_CLIENT_SECRET", ""},
		"file":            {map[string]string{"CLIENT_SECRET_FILE": "/none"}, "", "", "CLIENT_SECRET_FILE", ""},
		"secret of a CLI": {map[string]string{"GLOBUS_CLI_CLIENT_SECRET": canary}, "", "", "GLOBUS_CLI_CLIENT_SECRET", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			e, err := env.ParseAsWithOptions[clientcreds.Environment](env.Options{Environment: tt.vars})
			if err != nil {
				t.Fatal(err)
			}
			id, variable, err := e.ID()
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) || strings.Contains(err.Error(), canary) {
					t.Errorf("got %v, want %q", err, tt.err)
				}
				return
			}
			if id != tt.id || variable != tt.variable || err != nil || e.Secret() != tt.secret {
				t.Errorf("got %q from %q and %q, %v", id, variable, e.Secret(), err)
			}
		})
	}
}
