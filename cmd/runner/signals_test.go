package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/globus-runner/globus-runner/globussim"
)

// program returns a start of the program in a process of its own, and the
// simulator that it works with. Its job lab moves /x.txt from lab to vault.
func program(t *testing.T, args ...string) (*exec.Cmd, *globussim.Server) {
	t.Helper()
	return programFor(t, time.Minute, args...)
}

// programFor is program for a command that is killed after that time.
func programFor(t *testing.T, limit time.Duration, args ...string) (*exec.Cmd, *globussim.Server) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"lab", "vault"} {
		must(t, os.Mkdir(filepath.Join(dir, name), 0o755))
	}
	must(t, os.WriteFile(filepath.Join(dir, "lab", "x.txt"), []byte("x"), 0o600))
	s, err := globussim.New(globussim.Config{
		Accounts: []globussim.Account{{ID: simClientID(), Secret: canary}},
		Collections: []globussim.Collection{
			{Name: "lab", Dir: filepath.Join(dir, "lab")},
			{Name: "vault", Dir: filepath.Join(dir, "vault")},
		},
	})
	must(t, err)
	server := httptest.NewServer(s)
	t.Cleanup(func() {
		server.Close()
		must(t, s.Close())
	})
	exe, err := os.Executable()
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, exe, args...)
	cmd.Args[0] = "runner" // TestMain then is the program
	cmd.Dir = dir
	cmd.Env = []string{
		"HOME=" + dir, "CLIENT_ID=" + simClientID(), "CLIENT_SECRET=" + canary,
		"GLOBUS_SDK_SERVICE_URL_AUTH=" + server.URL, "GLOBUS_SDK_SERVICE_URL_TRANSFER=" + server.URL,
		"RUNNER_STATE=sqlite:" + filepath.Join(dir, "runner.db"), "RUNNER_JOB_NAME=lab",
		"RUNNER_JOB_SOURCE=" + globussim.CollectionID("lab") + ":/x.txt",
		"RUNNER_JOB_DESTINATION=" + globussim.CollectionID("vault") + ":/x.txt",
	}
	return cmd, s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestALogReaderThatGoesAwayEndsNothing(t *testing.T) {
	cmd, _ := program(t, "serve", "--verbose")
	cmd.Env = append(cmd.Env, "RUNNER_JOB_SCHEDULE=0 0 1 1 *")
	log, err := cmd.StderrPipe()
	must(t, err)
	must(t, cmd.Start())
	_, err = bufio.NewReader(log).ReadString('\n') // it has begun
	must(t, err)
	must(t, log.Close())
	must(t, cmd.Process.Signal(syscall.SIGPIPE))
	must(t, cmd.Process.Signal(syscall.SIGTERM)) // it logs that it stops
	err = cmd.Wait()
	if e, ok := errors.AsType[*exec.ExitError](err); ok && e.ExitCode() == 143 {
		err = nil // it was still starting
	}
	if err != nil {
		t.Errorf("serve ended with %v", err)
	}
}

// A script that saw another status would start the run again.
func TestARunEndsAsItHasAlsoIfNobodyReadsItsResult(t *testing.T) {
	cmd, s := program(t, "run", "--scheduled-for", "2026-11-21T02:00:00Z")
	r, w, err := os.Pipe()
	must(t, err)
	must(t, r.Close())
	var stderr strings.Builder
	cmd.Stdout, cmd.Stderr = w, &stderr
	err = cmd.Run()
	must(t, w.Close())
	if err != nil {
		t.Errorf("run ended with %v, want success", err)
	}
	if !strings.Contains(stderr.String(), "write the result to standard output: ") {
		t.Errorf("it says %q", stderr.String())
	}
	if n := len(s.State().Tasks); n != 1 {
		t.Errorf("there are %d tasks", n)
	}
}

func TestASecondSignalEndsAtOnce(t *testing.T) {
	for sig, want := range map[os.Signal]int{syscall.SIGTERM: 143, os.Interrupt: 130} {
		t.Run(sig.String(), func(t *testing.T) {
			cmd, s := program(t, "run", "--on-interrupt", "cancel")
			must(t, s.Disturb(globussim.Disturbance{Action: "stall"}))
			s.Fail(globussim.Fault{Method: "POST", Path: "/v0.10/task/*/cancel", Delay: time.Hour, Times: -1})
			must(t, cmd.Start())
			until(t, func() bool { return len(s.State().Tasks) > 0 })
			must(t, cmd.Process.Signal(syscall.SIGTERM))
			// The first one has the task canceled, which hangs.
			until(t, func() bool {
				for _, r := range s.State().Requests {
					if strings.HasSuffix(r.Path, "/cancel") {
						return true
					}
				}
				return false
			})
			must(t, cmd.Process.Signal(sig))
			err := cmd.Wait()
			// A process that exits by itself also does so as the first of a
			// container, which a signal cannot kill.
			if e, ok := errors.AsType[*exec.ExitError](err); !ok || !e.Exited() || e.ExitCode() != want {
				t.Errorf("it ended with %v, want exit status %d", err, want)
			}
		})
	}
}

// until waits for what another process does.
func until(t *testing.T, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for !done() {
		select {
		case <-ctx.Done():
			t.Fatal("it did not happen within a minute")
		case <-time.After(5 * time.Millisecond): // the other process gives no other sign
		}
	}
}

func TestALogThatNobodyReadsHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe() // without any room
		lost := make(chan int64, 1)
		scr := newScreen(w, "")
		direct := scr.spooled(func(n int64) { lost <- n })
		begin := time.Now()
		const lines = spoolLines + 500
		for i := range lines {
			_, err := fmt.Fprintf(scr, "line %d\n", i)
			must(t, err)
		}
		if took := time.Since(begin); took > spoolTime {
			t.Errorf("it held up for %v", took)
		}
		// The reader is back.
		read := bufio.NewScanner(r)
		for i := range spoolLines + 1 { // one was in the hand of the writer
			if want := fmt.Sprint("line ", i); !read.Scan() || read.Text() != want {
				t.Fatalf("read %q, want %q", read.Text(), want)
			}
		}
		if n := <-lost; n != lines-spoolLines-1 {
			t.Errorf("%d lines are said to be lost", n)
		}
		go func() {
			fmt.Fprintln(scr, "last")
			direct()
			fmt.Fprintln(scr, "directly")
			w.Close() //nolint:errcheck // it has none
		}()
		for _, want := range []string{"last", "directly"} {
			if !read.Scan() || read.Text() != want {
				t.Fatalf("read %q, want %q", read.Text(), want)
			}
		}
	})
}

func TestAStuckLogDoesNotKeepTheProgramFromEnding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		scr := newScreen(w, "")
		direct := scr.spooled(func(int64) {})
		begin := time.Now()
		fmt.Fprintln(scr, "nobody reads this")
		direct()
		fmt.Fprintln(scr, "nor this")
		if took := time.Since(begin); took != spoolTime {
			t.Errorf("it took %v", took)
		}
		must(t, r.Close()) // lets the spool's goroutine end
	})
}
