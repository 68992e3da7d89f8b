package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
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
	free, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	address := free.Addr().String()
	must(t, free.Close())

	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan int)
	var said strings.Builder
	go func() {
		ended <- run(ctx, []string{"serve"}, append(environ,
			"CLIENT_ID="+simClientID(), "CLIENT_SECRET="+canary, "RUNNER_LISTEN="+address,
			"GLOBUS_SDK_SERVICE_URL_AUTH="+globus.URL, "GLOBUS_SDK_SERVICE_URL_TRANSFER="+globus.URL,
		), strings.NewReader(""), io.Discard, &said)
	}()
	page, err := get(ctx, ended, "http://"+address+"/metrics")
	stop()
	<-ended
	if err != nil {
		t.Fatalf("%v\n%s", err, said.String())
	}
	return page
}

// get asks until somebody listens, or the program has ended.
func get(ctx context.Context, ended chan int, address string) (string, error) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
		if err != nil {
			return "", err
		}
		if resp, err := client.Do(r); err == nil {
			defer resp.Body.Close() //nolint:errcheck // it was only read
			text, err := io.ReadAll(resp.Body)
			return string(text), err
		}
		select {
		case status := <-ended:
			go func() { ended <- status }()
			return "", fmt.Errorf("serve has ended with status %d", status)
		case <-time.After(5 * time.Millisecond): // it gives no other sign
		}
	}
}
