package settings_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/globus-runner/globus-runner/internal/settings"
)

func TestTokensOfThePage(t *testing.T) {
	const one, two = "0123456789abcdef-one", "0123456789abcdef-two"
	write := func(text string) string {
		file := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	for name, tt := range map[string]struct {
		environ string
		want    string // of the error; empty: there is none
	}{
		"none":          {"", ""},
		"both":          {"RUNNER_VIEW_TOKEN=" + one + " RUNNER_ADMIN_TOKEN=" + two, ""},
		"file":          {"RUNNER_ADMIN_TOKEN_FILE=" + write(two+"\n"), ""},
		"same":          {"RUNNER_VIEW_TOKEN=" + one + " RUNNER_ADMIN_TOKEN=" + one, "RUNNER_VIEW_TOKEN and RUNNER_ADMIN_TOKEN are the same"},
		"short":         {"RUNNER_VIEW_TOKEN=abc", "RUNNER_VIEW_TOKEN has fewer than 16 characters"},
		"short in file": {"RUNNER_ADMIN_TOKEN_FILE=" + write("abc"), "RUNNER_ADMIN_TOKEN_FILE has fewer than 16 characters"},
		"twice":         {"RUNNER_ADMIN_TOKEN=" + one + " RUNNER_ADMIN_TOKEN_FILE=" + write(one), "RUNNER_ADMIN_TOKEN and RUNNER_ADMIN_TOKEN_FILE are both set"},
		"no file":       {"RUNNER_VIEW_TOKEN_FILE=/none", "RUNNER_VIEW_TOKEN_FILE: "},
		"header":        {"RUNNER_PROXY_USER_HEADER=X-User:", "RUNNER_PROXY_USER_HEADER is not the name of a header"},
	} {
		t.Run(name, func(t *testing.T) {
			env := settings.Read(strings.Fields(tt.environ))
			err := env.Page.Check()
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("got %v", err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("got %v, want %q", err, tt.want)
			case err != nil && (strings.Contains(err.Error(), one) || strings.Contains(err.Error(), two)):
				t.Errorf("the error has the token: %v", err)
			}
			if admin, _ := env.Page.Admin(); name == "file" && admin != two {
				t.Errorf("got %q from the file, want %q", admin, two)
			}
		})
	}
}

func TestAddressOfThePage(t *testing.T) {
	for value, want := range map[string]string{
		"":                                      "",
		"https://runner.example.org":            "https://runner.example.org/runs/7",
		"http://lab7:8080/":                     "http://lab7:8080/runs/7",
		"https://example.org/runner/":           "https://example.org/runner/runs/7",
		"runner.example.org":                    "error",
		"/runs":                                 "error",
		"ftp://runner.example.org":              "error",
		"https://":                              "error",
		"https://me:CANARY@runner.example.org/": "error",
	} {
		env := settings.Read([]string{"RUNNER_PAGE_URL=" + value})
		err := env.Check()
		switch {
		case want == "error" && (err == nil || !strings.HasPrefix(err.Error(), "RUNNER_PAGE_URL: ") || strings.Contains(err.Error(), "CANARY")):
			t.Errorf("%q: got %v, want an error that names the variable", value, err)
		case want != "error" && (err != nil || env.Page.Address.At("runs", "7") != want):
			t.Errorf("%q: got %q, %v, want %q", value, env.Page.Address.At("runs", "7"), err, want)
		}
	}
}
