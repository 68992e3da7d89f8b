package jobs_test

import (
	"strings"
	"testing"

	"github.com/globus-runner/globus-runner/jobs"
)

func TestAddressesMustBeEncrypted(t *testing.T) {
	tests := map[string]string{ // a part of the error, or nothing
		"https://hooks.example.org/in/secret":     "",
		"http://localhost:8080/in/secret":         "",
		"http://127.0.0.1/in/secret":              "",
		"http://[::1]:80/in/secret":               "",
		"http://hooks.example.org/in/secret":      "not encrypted",
		"http://127.0.0.1.example.org/in/secret":  "not encrypted",
		"ftp://hooks.example.org/in/secret":       `scheme is "ftp"`,
		"https://me:secret@hooks.example.org/":    "user name",
		"hooks.example.org/secret":                "want a URL",
		"https://hooks.example.org/%zz/secret":    "want a URL",
		"https:///secret":                         "want a URL",
		"://secret":                               "want a URL",
		"https://hooks.example.org:port/secret/x": "want a URL",
	}
	for address, want := range tests {
		t.Run(address, func(t *testing.T) {
			err := jobs.CheckAddress(address)
			if want == "" {
				if err != nil {
					t.Errorf("got %q, want none", err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
				t.Errorf("got error %v, want one with %q that does not repeat the address", err, want)
			}
		})
	}
}

func TestPingsNameTheJob(t *testing.T) {
	got := jobs.PingAddress("https://ping.example.org/{{ .Job }}/{{.Job}}$1", "nightly")
	if want := "https://ping.example.org/nightly/nightly$1"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
