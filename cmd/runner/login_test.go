package main

import (
	"context"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/globussim"
)

// simToken matches a token of the simulator.
var simToken = regexp.MustCompile(`Ag[A-Z2-7]{52}`)

var (
	pageField = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)
	pageWho   = regexp.MustCompile(`<input type="radio" name="identity" id="([^"]*)"`)
	pageCode  = regexp.MustCompile(`<input id="code" size="40" readonly value="([^"]*)">`)
)

// openAsPerson is a program for BROWSER: it opens the address, chooses the first
// identity and allows what is asked for, or with --refuse refuses. What it got
// of the environment is then in the file browser-environ.
func openAsPerson() {
	decision := "allow"
	if slices.Contains(os.Args, "--refuse") {
		decision = "refuse"
	}
	err := os.WriteFile(filepath.Join(os.Getenv("HOME"), "browser-environ"), []byte(strings.Join(os.Environ(), "\n")), 0o600)
	if err == nil {
		_, err = decide(os.Args[len(os.Args)-1], decision)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// decide fills in the simulator's page and returns the page that comes then.
func decide(address, decision string) (string, error) {
	text, err := browse(http.NewRequest(http.MethodGet, address, http.NoBody)) //nolint:noctx // a browser
	if err != nil {
		return "", err
	}
	form := url.Values{"decision": {decision}}
	for _, m := range pageField.FindAllStringSubmatch(text, -1) {
		form.Add(html.UnescapeString(m[1]), html.UnescapeString(m[2]))
	}
	if m := pageWho.FindStringSubmatch(text); m != nil {
		form.Set("identity", m[1])
	}
	target, _, _ := strings.Cut(address, "?")
	r, err := http.NewRequest(http.MethodPost, target, strings.NewReader(form.Encode())) //nolint:noctx // a browser
	if err == nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return browse(r, err)
}

// browse returns the page that comes in the end.
func browse(r *http.Request, err error) (string, error) {
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }() // it was only read
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("HTTP %d: %s", resp.StatusCode, text)
	}
	return string(text), err
}

// startPersons starts a simulator in which persons can log in, and returns the
// environment of a program that works with it.
func startPersons(t *testing.T) []string {
	t.Helper()
	s, err := globussim.New(globussim.Config{
		Accounts:    []globussim.Account{{ID: simAppID(), NativeApp: true}},
		Persons:     []globussim.Person{{Username: simPerson}},
		Collections: []globussim.Collection{{Name: "lab", Dir: t.TempDir()}},
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s)
	t.Cleanup(func() {
		server.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return []string{
		"HOME=" + t.TempDir(), "RUNNER_HTTP_RETRIES=0",
		"GLOBUS_SDK_SERVICE_URL_AUTH=" + server.URL, "GLOBUS_SDK_SERVICE_URL_TRANSFER=" + server.URL,
	}
}

// A writer that tells what was written to it.
type telling chan string

func (w telling) Write(p []byte) (int, error) {
	w <- string(p)
	return len(p), nil
}

func TestACodeIsPastedWhereThereIsNoBrowser(t *testing.T) {
	environ := startPersons(t)
	in, paste := io.Pipe()
	said := make(telling, 100)
	var out strings.Builder
	status := make(chan int, 1)
	go func() {
		status <- run(t.Context(), []string{"login", "--client-id", simAppID()}, environ, in, &out, said)
	}()
	var told string
	for !strings.Contains(told, "paste the code") {
		select {
		case text := <-said:
			told += text
		case <-time.After(20 * time.Second):
			t.Fatalf("no prompt: %s", told)
		}
	}
	page, err := decide(regexp.MustCompile(`(?m)^http.*$`).FindString(told), "allow")
	if err != nil {
		t.Fatal(err)
	}
	code := pageCode.FindStringSubmatch(page)
	if code == nil {
		t.Fatalf("no code on the page: %s", page)
	}
	if _, err := io.WriteString(paste, "  "+code[1]+" \n"); err != nil {
		t.Fatal(err)
	}
	if got := <-status; got != 0 || !strings.Contains(out.String(), simPerson) || simToken.MatchString(out.String()) {
		t.Errorf("got exit status %d: %s", got, &out)
	}
}

func TestALoginEndsWithASignalWhileItWaits(t *testing.T) {
	for name, environ := range map[string][]string{"for a code": nil, "for the browser": {"BROWSER=true"}} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			said := make(telling, 100)
			in, _ := io.Pipe()
			status := make(chan int, 1)
			go func() {
				status <- run(ctx, []string{"login", "--client-id", simAppID()}, append(environ, startPersons(t)...), in, io.Discard, said)
			}()
			<-said
			cancel(caught{syscall.SIGTERM})
			if got := <-status; got != 143 {
				t.Errorf("got exit status %d, want 143", got)
			}
		})
	}
}

func TestABrowserGetsNoSecretOfTheProgram(t *testing.T) {
	a := newApp([]string{
		"PATH=/bin", "CLIENT_SECRET=" + canary, "RUNNER_REFRESH_TOKEN=" + canary, "RUNNER_ACCESS_TOKEN=" + canary,
		"AWS_SECRET=" + canary, "XDG_RUNTIME_DIR=/run", "HOME=/home", "LC_ALL=C", "RUNNER_STATE=postgres://u:" + canary + "@h/",
	}, nil, io.Discard, io.Discard)
	want := []string{"PATH=/bin", "XDG_RUNTIME_DIR=/run", "HOME=/home", "LC_ALL=C"}
	if got := a.browserEnviron(); !slices.Equal(got, want) {
		t.Errorf("the browser gets %q, want %q", got, want)
	}
}
