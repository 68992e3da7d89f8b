package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/ledger"
)

// TestMetricsOfTheLastRunsSurviveARestart starts serve with a ledger in which runs
// of an earlier start have ended.
func TestMetricsOfTheLastRunsSurviveARestart(t *testing.T) {
	t.Parallel() // it starts serve
	dir := t.TempDir()
	state := "sqlite:" + filepath.Join(dir, "runner.db")
	success, last := endedRuns(t, state)
	file := filepath.Join(dir, "jobs.yaml")
	must(t, os.WriteFile(file, fmt.Appendf(nil, schemaJobs, globussim.CollectionID("lab"), globussim.CollectionID("vault")), 0o644))

	page := metricsOf(t, []string{"RUNNER_JOBS=" + file, "RUNNER_STATE=" + state, "HOME=" + dir})
	for _, want := range []string{
		fmt.Sprintf("globus_runner_last_success_timestamp_seconds{job=\"nightly\"} %v\n", float64(success.UnixMilli())/1000),
		fmt.Sprintf("globus_runner_last_run_timestamp_seconds{job=\"nightly\"} %v\n", float64(last.UnixMilli())/1000),
	} {
		if !strings.Contains(page, want) {
			t.Errorf("there is no %s", want)
		}
	}
	if strings.Contains(page, `"removed"`) {
		t.Error("a job that is not in the jobs file has metrics")
	}
}

// endedRuns makes a ledger with runs that have ended, and says when.
func endedRuns(t *testing.T, state string) (success, last time.Time) {
	t.Helper()
	l, err := ledger.Open(t.Context(), state, slog.New(slog.DiscardHandler))
	must(t, err)
	defer l.Close() //nolint:errcheck // every write was checked
	end := func(job, key string, state ledger.State) time.Time {
		r, _, err := l.Claim(t.Context(), ledger.Claim{Job: job, Key: key, Due: time.Now().Add(-time.Hour), Holder: "me", Lease: time.Hour})
		must(t, err)
		must(t, l.Finish(t.Context(), r.ID, "me", ledger.Outcome{State: state}))
		r, err = l.Run(t.Context(), r.ID)
		must(t, err)
		return r.Finished
	}
	end("removed", "1", ledger.Succeeded)
	return end("nightly", "1", ledger.Succeeded), end("nightly", "2", ledger.Failed)
}

// metricsOf starts serve on a simulated Globus, and returns the first page of metrics
// that can be had.
func metricsOf(t *testing.T, environ []string) string {
	t.Helper()
	sim, err := globussim.New(globussim.Config{
		Accounts:    []globussim.Account{{ID: simClientID(), Secret: canary}},
		Collections: []globussim.Collection{{Name: "lab", Dir: t.TempDir()}, {Name: "vault", Dir: t.TempDir()}},
	})
	must(t, err)
	globus := httptest.NewServer(sim)
	defer sim.Close() //nolint:errcheck // it returns nil
	defer globus.Close()

	ctx, stop := context.WithCancel(t.Context())
	log, lines := io.Pipe()
	var said strings.Builder
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"serve"}, append(environ,
			"CLIENT_ID="+simClientID(), "CLIENT_SECRET="+canary, "RUNNER_LISTEN=127.0.0.1:0",
			"GLOBUS_SDK_SERVICE_URL_AUTH="+globus.URL, "GLOBUS_SDK_SERVICE_URL_TRANSFER="+globus.URL,
		), strings.NewReader(""), io.Discard, lines)
		_ = lines.Close() // it returns nil
	}()
	read := bufio.NewReader(io.TeeReader(log, &said))
	address, started := startedAt(read)
	drained := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, read) // the log must not stop the program
		drained <- err
	}()
	page, err := get(ctx, "http://"+address+"/metrics")
	stop()
	must(t, <-drained)
	<-ended
	err = cmp.Or(started, err)
	if err != nil {
		t.Fatalf("%v\n%s", err, said.String())
	}
	return page
}

// startedAt reads the log of serve until it says where it listens.
func startedAt(log *bufio.Reader) (address string, err error) {
	for {
		line, err := log.ReadString('\n')
		if err != nil {
			return "", fmt.Errorf("serve has not started: %w", err)
		}
		var start struct{ Msg, Address string }
		if json.Unmarshal([]byte(line), &start) == nil && start.Msg == "serve started" {
			return start.Address, nil
		}
	}
}

// get returns what an address answers.
func get(ctx context.Context, address string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return "", err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(r)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close() //nolint:errcheck // it was only read
	text, err := io.ReadAll(resp.Body)
	return string(text), err
}
