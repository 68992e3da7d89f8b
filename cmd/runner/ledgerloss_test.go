package main

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/test/long"
)

// ends runs a command and wants its exit status. It returns what was printed.
func ends(t *testing.T, cmd *exec.Cmd, want int) (stdout, stderr string) {
	t.Helper()
	var out, log strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &log
	err := cmd.Run()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatal(err)
	}
	if got := cmd.ProcessState.ExitCode(); got != want {
		t.Errorf("%v ended with %d, want %d: %s", cmd.Args, got, want, log.String())
	}
	return out.String(), log.String()
}

func wantParts(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q is not in:\n%s", part, text)
		}
	}
}

func TestWhatGlobusDidIsSaidAlthoughTheLedgerIsLost(t *testing.T) {
	tests := map[string]struct {
		action globussim.Action
		lose   func(t *testing.T, file string)
		status int
		state  string
	}{
		"deleted, success": {"release", func(t *testing.T, file string) { must(t, os.Remove(file)) }, exitTemporary, "succeeded"},
		"deleted, failure": {"fail", func(t *testing.T, file string) { must(t, os.Remove(file)) }, exitFailed, "failed"},
		"damaged, success": {"release", func(t *testing.T, file string) {
			must(t, os.WriteFile(file, []byte(strings.Repeat("plain text\n", 4000)), 0o600))
		}, exitUsage, "succeeded"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // it waits for a task
			cmd, s := program(t, "run", "--scheduled-for", "2026-11-21T02:00:00Z", "-F", "json")
			must(t, s.Disturb(globussim.Disturbance{Action: "stall"}))
			looked := make(chan struct{})
			go func() {
				defer close(looked)
				until(t, func() bool { // the task is recorded, and watched
					for _, r := range s.State().Requests {
						if r.Method == http.MethodGet && strings.HasPrefix(r.Path, "/v0.10/task/") {
							return true
						}
					}
					return false
				})
				tt.lose(t, filepath.Join(cmd.Dir, "runner.db"))
				if err := s.Disturb(globussim.Disturbance{Action: tt.action, Task: s.State().Tasks[0].TaskID}); err != nil {
					t.Error(err)
				}
			}()
			stdout, stderr := ends(t, cmd, tt.status)
			<-looked
			wantParts(t, stdout, `"state": "`+tt.state+`"`)
			wantParts(t, stderr, "runner.db: ")
		})
	}
}

// Somebody else writes to the ledger at the end of a start, or its disk is full.
func TestAStartWhoseLeasesCouldNotBeReleasedHoldsUpNobody(t *testing.T) {
	t.Parallel() // it waits for a task
	cmd, s := program(t, "run", "--scheduled-for", "2026-11-21T02:00:00Z")
	again := exec.CommandContext(t.Context(), cmd.Path, "run", "--scheduled-for", "2026-11-22T02:00:00Z")
	again.Args[0], again.Dir, again.Env = "runner", cmd.Dir, cmd.Env
	must(t, s.Disturb(globussim.Disturbance{Action: "stall"}))
	var log strings.Builder
	cmd.Stderr = &log
	must(t, cmd.Start())
	file, task := filepath.Join(cmd.Dir, "runner.db"), ""
	until(t, func() bool {
		for _, r := range s.State().Requests {
			if id, ok := strings.CutPrefix(r.Path, "/v0.10/task/"); ok {
				task = id
			}
		}
		return task != ""
	})
	locked, err := os.OpenFile(file, os.O_RDWR, 0)
	must(t, err)
	until(t, func() bool { // as SQLite locks it
		return syscall.FcntlFlock(locked.Fd(), syscall.F_SETLK, &syscall.Flock_t{Type: syscall.F_WRLCK, Start: 1 << 30, Len: 512}) == nil
	})
	must(t, cmd.Process.Signal(syscall.SIGTERM))
	_ = cmd.Wait() // its log says how it went
	wantParts(t, log.String(), "could not be released")
	must(t, locked.Close())
	must(t, s.Disturb(globussim.Disturbance{Action: "release", Task: task}))
	_, stderr := ends(t, again, 0)
	wantParts(t, stderr, "was left by its start, and is ended first")
}

func TestALedgerThatSomebodyHasToMendIsAMistake(t *testing.T) {
	for _, args := range [][]string{{"run", "--scheduled-for", "2026-11-21T02:00:00Z"}, {"runs"}, {"serve"}} {
		t.Run(args[0], func(t *testing.T) {
			cmd, s := program(t, args...)
			cmd.Env = append(cmd.Env, "RUNNER_JOB_SCHEDULE=0 0 1 1 *")
			file := filepath.Join(cmd.Dir, "runner.db")
			must(t, os.WriteFile(file, []byte(strings.Repeat("plain text\n", 1000)), 0o600))
			_, stderr := ends(t, cmd, exitUsage)
			wantParts(t, stderr, file, "not a SQLite database", "move the file away")
			if n := len(s.State().Tasks); n != 0 {
				t.Errorf("there are %d tasks", n)
			}
		})
	}
}

// Whoever supervises serve starts it anew when it has ended.
func TestServeEndsWhenItsLedgerStaysAway(t *testing.T) {
	if !long.Wanted() {
		t.Skip("it takes more than a minute")
	}
	t.Parallel()
	cmd, _ := programFor(t, 3*time.Minute, "serve")
	cmd.Env = append(cmd.Env, "RUNNER_JOB_SCHEDULE=0 0 1 1 *", "RUNNER_LISTEN=127.0.0.1:0")
	lines, err := cmd.StderrPipe()
	must(t, err)
	must(t, cmd.Start())
	var said strings.Builder
	read := bufio.NewReader(io.TeeReader(lines, &said))
	address, err := startedAt(read)
	must(t, err)
	until(t, func() bool { // its loop turns
		answer, err := get(t.Context(), "http://"+address+"/readyz")
		return err == nil && strings.HasPrefix(answer, `{"ok":true`)
	})
	file := filepath.Join(cmd.Dir, "runner.db")
	must(t, os.Remove(file))
	_, err = io.Copy(io.Discard, read)
	must(t, err)
	_ = cmd.Wait() // its status is looked at
	if got := cmd.ProcessState.ExitCode(); got != exitTemporary {
		t.Errorf("serve ended with %d, want %d", got, exitTemporary)
	}
	wantParts(t, said.String(), "runner: the scheduler ends because its ledger has been missing for a minute: "+file+": it was deleted or moved away")
}
