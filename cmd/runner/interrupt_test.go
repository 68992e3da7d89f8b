package main

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// silentAuth starts a Globus Auth that reports each request on a channel, and answers none
// until the test is over.
func silentAuth(t *testing.T) (url string, asked <-chan struct{}) {
	t.Helper()
	requests, over := make(chan struct{}, 100), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		requests <- struct{}{}
		<-over
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(over) })
	return server.URL, requests
}

// interrupts runs a command until it waits for a token, and then sends it a signal.
func interrupts(t *testing.T, args ...string) (status int, stderr string) {
	t.Helper()
	url, asked := silentAuth(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "jobs.yaml")
	if err := os.WriteFile(file, []byte(interruptedJobs), 0o600); err != nil {
		t.Fatal(err)
	}
	environ := []string{
		"CLIENT_ID=" + simClientID(), "CLIENT_SECRET=" + canary, "RUNNER_JOBS=" + file, "RUNNER_STATE=sqlite:" + filepath.Join(dir, "runner.db"),
		"GLOBUS_SDK_SERVICE_URL_AUTH=" + url, "GLOBUS_SDK_SERVICE_URL_TRANSFER=http://127.0.0.1:1",
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	var out bytes.Buffer
	ended := make(chan int, 1)
	go func() { ended <- run(ctx, args, environ, nil, &bytes.Buffer{}, &out) }()
	select {
	case <-asked:
		cancel(caught{syscall.SIGTERM})
		status = <-ended
	case status = <-ended:
		t.Errorf("it ended before it asked for a token, with %d: %s", status, &out)
	}
	return status, out.String()
}

const interruptedJobs = `
version: 1
collections:
  lab: 83fcef58-36aa-59ff-b3dc-897c32cd6840
jobs:
  night:
    schedule: "0 2 * * *"
    delete: {collection: lab, paths: [/old/], unproven: true}
`

func TestAnInterruptedCommandSaysSoAndBlamesNoNetwork(t *testing.T) {
	status, said := interrupts(t, "task", "list")
	if status != 143 || !strings.Contains(said, "runner: interrupted (terminated): wait for a token: Post ") {
		t.Errorf("got exit status %d: %s", status, said)
	}
	for _, misleads := range []string{"task_list", "check the network", "context canceled"} {
		if strings.Contains(said, misleads) {
			t.Errorf("%q says %q", said, misleads)
		}
	}
}

func TestAServeThatIsStoppedWhileItStartsWasAskedTo(t *testing.T) {
	status, said := interrupts(t, "serve")
	if status != 0 || !strings.Contains(said, `"stopped"`) || strings.Contains(said, "context canceled") {
		t.Errorf("got exit status %d: %s", status, said)
	}
}
