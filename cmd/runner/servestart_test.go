package main

import (
	"bufio"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/globussim"
)

func TestTheStartUpBlockSaysWhereEverythingIsAndWhatIsNext(t *testing.T) {
	file := filepath.Join(t.TempDir(), "jobs.yaml")
	text := strings.NewReplacer("LAB", globussim.CollectionID("lab"), "VAULT", globussim.CollectionID("vault")).Replace(`version: 1
collections: {lab: LAB, vault: VAULT}
jobs:
  often: {schedule: "@every 90m", transfer: {source: "lab:/a/", destination: "vault:/a/"}}
  nightly: {schedule: "30 1 * * *", time_zone: America/Chicago, transfer: {source: "lab:/b/", destination: "vault:/b/"}}
  resting: {schedule: "0 0 * * *", suspend: true, transfer: {source: "lab:/c/", destination: "vault:/c/"}}
  by-hand: {transfer: {source: "lab:/d/", destination: "vault:/d/"}}
`)
	must(t, os.WriteFile(file, []byte(text), 0o644))
	a := newApp([]string{"RUNNER_JOBS=" + file, "RUNNER_STATE=postgres://runner:hush@db.example.org/runs"}, nil, io.Discard, io.Discard)
	jobs, err := jobsSource{env: a.env}.load()
	must(t, err)
	s, err := a.describeStart(jobs, "127.0.0.1:8080", time.Date(2026, 11, 21, 6, 0, 0, 0, time.UTC))
	must(t, err)
	s.version = "v1.2.3"
	var out strings.Builder
	s.text(&out)
	want := "runner   v1.2.3\n" +
		"jobs     " + file + ", 4 jobs, 2 on a schedule\n" +
		"ledger   database runs on db.example.org\n" +
		"address  127.0.0.1:8080\n" +
		"next     Sat 2026-11-21 01:30:00 CST  nightly\n" +
		"then     Sat 2026-11-21 07:30:00 UTC  often\n" +
		"then     Sat 2026-11-21 09:00:00 UTC  often\n\n"
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
	out.Reset()
	s.log(slog.New(slog.NewJSONHandler(&out, nil)))
	_, line, _ := strings.Cut(out.String(), `"msg":`)
	if want := `"serve started","version":"v1.2.3","jobs_file":"` + file + `","jobs":4,"scheduled":2,` +
		`"ledger":"database runs on db.example.org","address":"127.0.0.1:8080",` +
		`"next":["nightly 2026-11-21T01:30:00-06:00","often 2026-11-21T07:30:00Z","often 2026-11-21T09:00:00Z"]}` + "\n"; line != want {
		t.Errorf("got the line %s\nwant %s", line, want)
	}
}

func TestServeSaysThatItWaitsForGlobusAtItsStart(t *testing.T) {
	cmd, s := programFor(t, time.Minute, "serve")
	s.Fail(globussim.Fault{Path: "/v2/oauth2/token", Delay: 6 * time.Second, Times: 1})
	cmd.Env = append(cmd.Env, "RUNNER_JOB_SCHEDULE=0 0 1 1 *")
	log, err := cmd.StderrPipe()
	must(t, err)
	must(t, cmd.Start())
	waits := false
	for lines := bufio.NewScanner(log); lines.Scan(); {
		waits = waits || strings.Contains(lines.Text(), "still waiting for an answer, and no job is started before that")
		if strings.Contains(lines.Text(), "serve started") {
			must(t, cmd.Process.Signal(syscall.SIGTERM))
		}
	}
	if err := cmd.Wait(); err != nil || !waits {
		t.Errorf("it ended with %v; it said that it waits: %t", err, waits)
	}
}
