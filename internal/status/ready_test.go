package status_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/internal/status"
)

type checks = map[string]func(context.Context) error

func passes(context.Context) error { return nil }

func fails(text string) func(context.Context) error {
	return func(context.Context) error { return errors.New(text) }
}

// hangs does not heed its context.
func hangs(d time.Duration) func(context.Context) error {
	return func(context.Context) error { time.Sleep(d); return nil }
}

// ready asks /readyz of a scheduler with these checks whose loop turns.
func ready(t *testing.T, c checks) (int, answer) {
	t.Helper()
	s := status.New(status.Config{Checks: c})
	s.Beat()
	return ask(t, s, "GET", "/readyz")
}

func TestReadyNamesEveryCheck(t *testing.T) {
	loop := check{Name: "loop", OK: true}
	tests := map[string]struct {
		checks checks
		status int
		want   answer
	}{
		"none": {nil, 200, answer{OK: true, Checks: []check{loop}}},
		"all pass": {
			checks{"token": passes, "jobs": passes},
			200,
			answer{OK: true, Checks: []check{{Name: "jobs", OK: true}, loop, {Name: "token", OK: true}}},
		},
		"some fail": {
			checks{"token": fails("invalid_client"), "jobs": fails("unknown key"), "ledger": passes},
			503,
			answer{Error: "not ready: jobs, token", Checks: []check{
				{Name: "jobs", Error: "unknown key"}, {Name: "ledger", OK: true}, loop, {Name: "token", Error: "invalid_client"},
			}},
		},
		"loop is ours": {checks{"loop": fails("not called")}, 200, answer{OK: true, Checks: []check{loop}}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			code, got := ready(t, tt.checks)
			if code != tt.status {
				t.Errorf("got status %d, want %d", code, tt.status)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error("want -, got +:\n", diff)
			}
		})
	}
}

func TestReadyMakesTheChecksThatCameLater(t *testing.T) {
	s := status.New(status.Config{Checks: checks{"token": passes}})
	s.Require("ledger", fails("gone"))
	s.Beat()
	code, got := ask(t, s, "GET", "/readyz")
	want := answer{Error: "not ready: ledger", Checks: []check{{Name: "ledger", Error: "gone"}, {Name: "loop", OK: true}, {Name: "token", OK: true}}}
	if diff := cmp.Diff(want, got); code != 503 || diff != "" {
		t.Errorf("got status %d, want -, got +:\n%s", code, diff)
	}
}

func TestReadyWaitsForTheFirstTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := status.New(status.Config{})
		var got []int
		for _, beat := range []bool{false, true, false} {
			if beat {
				s.Beat()
			}
			code, _ := ask(t, s, "GET", "/readyz")
			got = append(got, code)
			time.Sleep(2*time.Minute + 1)
		}
		if diff := cmp.Diff([]int{503, 200, 503}, got); diff != "" {
			t.Error("before the first turn, after it, much later: want -, got +:\n", diff)
		}
	})
}

func TestChecksRunSideBySideAndAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		_, got := ready(t, checks{
			"quick": hangs(1900 * time.Millisecond),
			"deaf":  hangs(time.Minute),
			"polite": func(ctx context.Context) error {
				<-ctx.Done()
				return fmt.Errorf("query: %w", ctx.Err())
			},
		})
		if elapsed := time.Since(begin); elapsed != 2*time.Second {
			t.Errorf("took %v, want 2s", elapsed)
		}
		want := []check{
			{Name: "deaf", Error: "no answer within 2s"},
			{Name: "loop", OK: true},
			{Name: "polite", Error: "no answer within 2s"},
			{Name: "quick", OK: true},
		}
		if diff := cmp.Diff(want, got.Checks); diff != "" {
			t.Error("want -, got +:\n", diff)
		}
		time.Sleep(time.Minute) // until the deaf one has returned
	})
}

func TestHangingCheckIsNotStartedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		var calls atomic.Int32
		s := status.New(status.Config{Checks: checks{"ledger": func(context.Context) error {
			calls.Add(1)
			time.Sleep(10 * time.Second)
			return nil
		}}})
		s.Beat()
		var got []string
		for _, at := range []time.Duration{0, 4 * time.Second, 8 * time.Second, 12 * time.Second} {
			time.Sleep(at - time.Since(begin))
			_, a := ask(t, s, "GET", "/readyz")
			got = append(got, a.Checks[0].Error)
		}
		time.Sleep(time.Minute) // until the last has returned
		if calls.Load() != 2 {
			t.Errorf("called %d times, want twice", calls.Load())
		}
		want := []string{"no answer within 2s", "an earlier check has not returned", "an earlier check has not returned", "no answer within 2s"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error("want -, got +:\n", diff)
		}
	})
}

func TestProbeStormCostsOneRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		s := status.New(status.Config{Checks: checks{"ledger": func(context.Context) error {
			calls.Add(1)
			time.Sleep(100 * time.Millisecond)
			return nil
		}}})
		s.Beat()
		storm := func() {
			var wg sync.WaitGroup
			for range 100 {
				wg.Go(func() {
					if code, a := ask(t, s, "GET", "/readyz"); code != 200 {
						t.Errorf("got %d %+v", code, a)
					}
				})
			}
			wg.Wait()
		}
		for _, step := range []struct {
			wait time.Duration
			want int32
		}{{0, 1}, {0, 1}, {time.Second - 1, 1}, {1, 2}} {
			time.Sleep(step.wait)
			if storm(); calls.Load() != step.want {
				t.Errorf("%v later: checked %d times, want %d", step.wait, calls.Load(), step.want)
			}
		}
	})
}

func TestRoundOutlivesTheProbeThatBeganIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := status.New(status.Config{Checks: checks{"ledger": func(ctx context.Context) error {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(time.Second):
				return nil
			}
		}}})
		s.Beat()
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		begin := time.Now()
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, httptest.NewRequestWithContext(ctx, "GET", "/readyz", http.NoBody))
		if elapsed := time.Since(begin); w.Code != 503 || elapsed != 300*time.Millisecond {
			t.Errorf("given up: got %d after %v, want 503 after 300ms", w.Code, elapsed)
		}
		if code, a := ask(t, s, "GET", "/readyz"); code != 200 || time.Since(begin) != time.Second {
			t.Errorf("the next: got %d %+v after %v, want 200 after 1s", code, a, time.Since(begin))
		}
	})
}

func TestErrorsAreShownWithoutWhatIsPrivate(t *testing.T) {
	denied := func(path string) error { return &fs.PathError{Op: "open", Path: path, Err: fs.ErrPermission} }
	tests := map[string]struct {
		err  error
		want string
	}{
		"file":            {denied("/var/lib/runner/runner.db"), "open [path]: permission denied"},
		"file with blank": {fmt.Errorf("ledger: %w", denied("/var/my lab/runner.db")), "ledger: open [path]: permission denied"},
		"relative file":   {errors.New("conf.d/jobs.yaml:7: unknown key"), "[path]:7: unknown key"},
		"in quotes":       {errors.New(`read "/home/ada/my jobs": EOF`), `read "[path]": EOF`},
		"in brackets":     {errors.New("full (/dev/sda1)"), "full ([path])"},
		"two":             {errors.New("rename /a/b /a/c: busy"), "rename [path] [path]: busy"},
		"home":            {errors.New("read ~/.globus: EOF"), "read [path]: EOF"},
		"parent":          {errors.New("../x: EOF"), "[path]: EOF"},
		"windows":         {errors.New(`open C:\runner\x.db: EOF`), "open [path]: EOF"},
		"socket":          {errors.New("dial unix /run/pg/.s.PGSQL.5432: refused"), "dial unix [path]: refused"},
		"state":           {errors.New("sqlite:/var/lib/x.db: locked"), "sqlite:[path]: locked"},
		"no path":         {errors.New("disk I/O error (10)"), "disk I/O error (10)"},
		"plain name":      {errors.New("jobs.yaml:7:3: source: not absolute"), "jobs.yaml:7:3: source: not absolute"},
		"url":             {errors.New(`Post "https://auth.globus.org/v2/oauth2/token?a=b": EOF`), `Post "https://auth.globus.org": EOF`},
		"database":        {errors.New("postgres://ada:s3cret@db:5432/runner: refused"), "postgres://db:5432: refused"},
		"broken url":      {errors.New("postgres://ada:s3%cret@db/runner"), "[url]"},
		"file url":        {errors.New("file:///etc/runner.db locked"), "[url] locked"},
		"lines":           {errors.Join(errors.New("one"), errors.New("two")), "one two"},
		"long":            {errors.New(strings.Repeat("é", 500)), strings.Repeat("é", 399) + "…"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, a := ready(t, checks{"x": func(context.Context) error { return tt.err }})
			if got := a.Checks[1].Error; got != tt.want {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

func FuzzErrorsShowNoPath(f *testing.F) {
	for _, seed := range []string{"/var/lib/runner.db", "a b/c", "/", "x://y/z", `\\host\share`, "\xff/\x00", `"/a" /b`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		if !strings.ContainsAny(path, `/\`) {
			t.Skip("no more than a name")
		}
		_, a := ready(t, checks{"x": func(context.Context) error {
			return fmt.Errorf("ledger: %w", &fs.PathError{Op: "open", Path: path, Err: fs.ErrPermission})
		}})
		if got, want := a.Checks[1].Error, "ledger: open [path]: permission denied"; got != want || !utf8.ValidString(got) {
			t.Errorf("%q shows as %q, want %q", path, got, want)
		}
	})
}
