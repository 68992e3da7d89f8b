package ledger_test

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/internal/ledger"
)

func TestAFileIsServedByOneProcess(t *testing.T) {
	url := engines["sqlite"](t)
	p := startProcess(t, "serve", url, "first")
	p.says(t)
	l := open(t, url)

	_, err := l.Serve(t.Context(), "second")
	held, ok2 := errors.AsType[*ledger.Held](err)
	if !ok2 {
		t.Fatalf("got %v, want a *Held", err)
	}
	host, err := os.Hostname()
	ok(t, err)
	if held.Holder != "first" || held.PID != p.cmd.Process.Pid || held.Host != host || time.Since(held.Since) > time.Minute {
		t.Errorf("got %+v", held)
	}
	for _, part := range []string{strings.TrimPrefix(url, "sqlite:"), host, "first", "process"} {
		if !strings.Contains(held.Error(), part) {
			t.Errorf("%q does not name %s", held, part)
		}
	}

	claim(t, l, "j", "beside", "run", time.Hour) // others may work beside it
	p.kill(t)
	release, err := l.Serve(t.Context(), "second")
	if err != nil {
		t.Fatalf("after the death of the first: %v", err)
	}
	again := open(t, url)
	if _, err := again.Serve(t.Context(), "third"); err == nil {
		t.Error("two serve in one process")
	}
	release()
	release, err = again.Serve(t.Context(), "third")
	ok(t, err)
	release()
}

func TestLeasesOfAProcessThatDiedEndWithItsLock(t *testing.T) {
	url := engines["sqlite"](t)
	p := startProcess(t, "serve", url, "first")
	p.says(t)
	l := open(t, url)
	claim(t, l, "j", "served", "first", time.Hour)
	claim(t, l, "j", "one-shot", "somebody else", time.Hour)
	p.kill(t)

	release, err := l.Serve(t.Context(), "second")
	ok(t, err)
	defer release()
	runs, err := l.TakeOver(t.Context(), "second", time.Hour, 10)
	ok(t, err)
	if len(runs) != 1 || runs[0].Key != "served" {
		t.Errorf("got %+v, want the run of the process that died, and not that of one that may live", runs)
	}
}

func TestLeasesOfAProcessThatDiedWhileItAttendedEnd(t *testing.T) {
	url := engines["sqlite"](t)
	dir := filepath.Dir(strings.TrimPrefix(url, "sqlite:"))
	dead, living := startProcess(t, "attend", url, "dead"), startProcess(t, "attend", url, "living")
	dead.says(t)
	living.says(t)
	l := open(t, url)
	for _, holder := range []string{"dead", "living", "silent"} {
		claim(t, l, "j", holder, holder, time.Hour)
	}
	dead.kill(t)
	for holder, want := range map[string]bool{"dead": true, "living": false, "silent": false} {
		if died, err := l.Died(holder); err != nil || died != want {
			t.Errorf("%s has died: got %t, %v, want %t", holder, died, err, want)
		}
	}
	leave, err := l.Attend(t.Context(), "me")
	ok(t, err)
	runs, err := l.TakeOver(t.Context(), "me", time.Hour, 10)
	ok(t, err)
	if len(runs) != 1 || runs[0].Key != "dead" {
		t.Errorf("got %+v, want the run of the process that died, and not those of others that may live", runs)
	}
	left := func(want int) {
		t.Helper()
		if files, err := filepath.Glob(filepath.Join(dir, "*.run-*")); err != nil || len(files) != want {
			t.Errorf("there are %v, %v, want %d files of processes that live", files, err, want)
		}
	}
	left(2)
	leave()
	left(1)
	living.kill(t)
	release, err := l.Serve(t.Context(), "serve")
	ok(t, err)
	if runs, err = l.TakeOver(t.Context(), "serve", time.Hour, 10); err != nil || len(runs) != 1 || runs[0].Key != "living" {
		t.Errorf("serve got %+v, %v, want the run of the other one that died", runs, err)
	}
	left(1)
	release()
	left(0)
}

// Somebody could have made the file that tells who died.
func TestAttendFollowsNoLink(t *testing.T) {
	url := engines["sqlite"](t)
	l := open(t, url)
	victim := filepath.Join(t.TempDir(), "victim")
	ok(t, os.WriteFile(victim, []byte(`{"holder": "other"}`), 0o600))
	ok(t, os.Symlink(victim, strings.TrimPrefix(url, "sqlite:")+".run-1"))
	claim(t, l, "j", "1", "other", time.Hour)
	leave, err := l.Attend(t.Context(), "me")
	ok(t, err)
	defer leave()
	if runs, err := l.TakeOver(t.Context(), "me", time.Hour, 10); err != nil || len(runs) != 0 {
		t.Errorf("got %+v, %v by what a link leads to", runs, err)
	}
}

func TestPostgresIsServedByMany(t *testing.T) {
	url := engines["postgres"](t)
	for range 2 {
		release, err := open(t, url).Serve(t.Context(), "one of many")
		ok(t, err)
		defer release()
	}
}

// A link could lead serve to write over somebody's file.
func TestServeFollowsNoLink(t *testing.T) {
	dir := t.TempDir()
	file, victim := filepath.Join(dir, "ledger.db"), filepath.Join(dir, "victim")
	if err := os.WriteFile(victim, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(victim, file+".serve"); err != nil {
		t.Fatal(err)
	}
	l, err := ledger.Open(t.Context(), "sqlite:"+file, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // nothing was written
	if _, err := l.Serve(t.Context(), "me"); err == nil {
		t.Error("a link was followed")
	}
	if text, err := os.ReadFile(victim); err != nil || string(text) != "precious" {
		t.Errorf("the file behind the link holds %q, %v", text, err)
	}
}
