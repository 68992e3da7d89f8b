package ledger_test

import (
	"errors"
	"os"
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

func TestPostgresIsServedByMany(t *testing.T) {
	url := engines["postgres"](t)
	for range 2 {
		release, err := open(t, url).Serve(t.Context(), "one of many")
		ok(t, err)
		defer release()
	}
}
