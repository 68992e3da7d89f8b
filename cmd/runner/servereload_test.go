package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/jobs"
)

// A watched jobs file has a job for each word in it; the word bad makes it a
// bad one.
type watched struct {
	*reloader
	mu       sync.Mutex // of all below
	text     string
	missing  error // why it cannot be read
	outage   bool
	asked    chan os.Signal
	log      bytes.Buffer
	inForce  []string // each text that was put in force, with the time
	attempts int
	begun    time.Time
}

// watch watches a jobs file until the test ends.
func watch(t *testing.T, text string) *watched {
	w := &watched{text: text, asked: make(chan os.Signal, 1), begun: time.Now()}
	w.reloader = &reloader{
		read: func() jobsVersion {
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.missing != nil {
				return jobsVersion{err: w.missing}
			}
			return jobsVersion{sources: []jobs.Source{{Data: []byte(w.text)}}, sum: sha256.Sum256([]byte(w.text))}
		},
		parse: func(all []jobs.Source) (*jobs.File, error) {
			text := string(all[0].Data)
			if strings.Contains(text, "bad") {
				return nil, errors.New("line 1 is bad")
			}
			file := &jobs.File{}
			for name := range strings.FieldsSeq(text) {
				file.Jobs = append(file.Jobs, &jobs.Job{Name: name})
			}
			return file, nil
		},
		force: func(_ context.Context, file *jobs.File) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.attempts++
			if w.outage {
				return errors.New("the ledger is gone")
			}
			var names []string
			for _, job := range file.Jobs {
				names = append(names, job.Name)
			}
			w.inForce = append(w.inForce, fmt.Sprintf("%v: %s", time.Since(w.begun), strings.Join(names, " ")))
			return nil
		},
	}
	w.reloader.log = slog.New(slog.NewTextHandler(&w.log, nil))
	w.seen = w.read().sum
	go w.watch(t.Context(), w.asked)
	w.mu.Lock() // the test has what it changes, except while it lets time pass
	t.Cleanup(w.mu.Unlock)
	return w
}

// after lets time pass.
func (w *watched) after(d time.Duration) {
	w.mu.Unlock()
	defer w.mu.Lock()
	time.Sleep(d)
	synctest.Wait()
}

// wantInForce checks what was put in force, and when.
func (w *watched) wantInForce(t *testing.T, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, w.inForce); diff != "" {
		t.Errorf("put in force (-want +got):\n%s", diff)
	}
	if got := strings.Count(w.log.String(), "jobs file reloaded"); got != len(want) {
		t.Errorf("the log says %d times that it was reloaded, want %d", got, len(want))
	}
}

// wantRefusal checks what people are told about the newest jobs file, and since when.
func (w *watched) wantRefusal(t *testing.T, want string, since time.Duration) {
	t.Helper()
	at, why := w.refusal()
	if got := fmt.Sprint(why); !strings.Contains(got, want) || why != nil && at.Sub(w.begun) != since {
		t.Errorf("got the refusal %q after %v, want %q after %v", got, at.Sub(w.begun), want, since)
	}
}

func (w *watched) wantProblem(t *testing.T, want string) {
	t.Helper()
	if got := fmt.Sprint(w.check()); !strings.Contains(got, want) {
		t.Errorf("got the problem %q, want %q", got, want)
	}
}

func TestJobsFileIsReloadedWhenItHasChanged(t *testing.T) {
	tests := map[string]func(t *testing.T, w *watched){
		"unchanged": func(t *testing.T, w *watched) {
			w.after(time.Hour)
			w.wantInForce(t)
			w.wantProblem(t, "<nil>")
		},
		"changed": func(t *testing.T, w *watched) {
			w.after(time.Minute + time.Second)
			w.text = "a b"
			w.after(time.Hour)
			w.wantInForce(t, "1m7s: a b")
		},
		"still being written": func(t *testing.T, w *watched) {
			w.after(time.Minute + time.Second)
			for _, part := range []string{"", "a", "a b", "a b c", "a b c d"} {
				w.text = part
				w.after(1500 * time.Millisecond)
			}
			w.after(time.Hour)
			w.wantInForce(t, "1m11s: a b c d")
		},
		"asked for without a change": func(t *testing.T, w *watched) {
			w.after(time.Minute + time.Second)
			w.asked <- syscall.SIGHUP
			w.after(time.Hour)
			w.wantInForce(t, "1m1s: a")
		},
		"asked for while it is written": func(t *testing.T, w *watched) {
			w.after(time.Minute + time.Second)
			w.text = ""
			w.asked <- syscall.SIGHUP
			w.after(time.Second)
			w.text = "a b"
			w.after(time.Hour)
			w.wantInForce(t, "1m5s: a b")
		},
		"bad, then mended": func(t *testing.T, w *watched) {
			w.text = "a bad"
			w.after(time.Hour)
			w.wantInForce(t)
			w.wantProblem(t, "the jobs file has mistakes")
			w.wantRefusal(t, "line 1 is bad", 7*time.Second)
			w.text = "bad again"
			w.after(time.Hour)
			w.wantRefusal(t, "line 1 is bad", 7*time.Second)
			if got := strings.Count(w.log.String(), "line 1 is bad"); got != 2 {
				t.Errorf("the reason is logged %d times, want once for each file", got)
			}
			w.text = "a"
			w.after(time.Minute)
			w.wantInForce(t, "2h0m6s: a")
			w.wantProblem(t, "<nil>")
			w.wantRefusal(t, "<nil>", 0)
		},
		"missing for a moment": func(t *testing.T, w *watched) {
			w.after(4 * time.Second)
			w.missing = absentError{"jobs.yaml"}
			w.after(2 * time.Second)
			w.missing = nil
			w.after(time.Hour)
			w.wantInForce(t)
			w.wantProblem(t, "<nil>")
		},
		"missing": func(t *testing.T, w *watched) {
			w.missing = absentError{"jobs.yaml"}
			w.after(time.Minute)
			w.wantProblem(t, "the jobs file is not there, an older one is in force")
			if got := w.log.String(); !strings.Contains(got, `the old one stays" reason="the jobs file is not there" err=`) {
				t.Errorf("the log does not say that it is not there: %s", got)
			}
		},
		"closed to the program": func(t *testing.T, w *watched) {
			w.missing = os.ErrPermission
			w.after(time.Minute)
			w.wantProblem(t, "the jobs file cannot be read, an older one is in force")
		},
		"during an outage of the ledger": func(t *testing.T, w *watched) {
			w.outage = true
			w.text = "a b"
			w.after(time.Minute)
			w.wantInForce(t)
			w.wantProblem(t, "the new jobs are not in force yet")
			w.wantRefusal(t, "the ledger cannot be used", 7*time.Second)
			w.outage = false
			w.after(time.Hour)
			w.wantInForce(t, "1m2s: a b")
			w.wantProblem(t, "<nil>")
		},
		"during an outage, and then changed back": func(t *testing.T, w *watched) {
			w.outage = true
			w.text = "a b"
			w.after(time.Minute)
			w.text = "a"
			w.outage = false
			w.after(time.Hour)
			w.wantInForce(t, "1m4s: a")
			w.wantProblem(t, "<nil>")
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test(t, watch(t, "a")) })
		})
	}
}

func TestFolderOfAConfigMapChangesAsAWhole(t *testing.T) {
	// Kubernetes has the files as links through ..data, which it exchanges.
	dir := t.TempDir()
	write := func(version string, files ...string) {
		t.Helper()
		if err := os.Mkdir(filepath.Join(dir, version), 0o755); err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			if err := os.WriteFile(filepath.Join(dir, version, name), []byte(version+" "+name), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		link := filepath.Join(dir, "..data_tmp")
		if err := errors.Join(os.Symlink(version, link), os.Rename(link, filepath.Join(dir, "..data"))); err != nil {
			t.Fatal(err)
		}
	}
	texts := func(l jobsVersion) (all []string) {
		for _, s := range l.sources {
			all = append(all, string(s.Data))
		}
		return all
	}
	write("..1", "a.yaml", "b.yaml")
	for _, name := range []string{"a.yaml", "b.yaml"} {
		if err := os.Symlink(filepath.Join("..data", name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	before, again := readVersion(dir), readVersion(dir)
	write("..2", "a.yaml", "b.yaml")
	after := readVersion(dir)
	if before.sum != again.sum || before.sum == after.sum {
		t.Error("two looks at the same files differ, or those at others are equal")
	}
	if diff := cmp.Diff([]string{"..2 a.yaml", "..2 b.yaml"}, texts(after)); diff != "" || after.err != nil {
		t.Errorf("%v (-want +got):\n%s", after.err, diff)
	}
}

func TestHangupHasNothingToReloadWithoutAJobsFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newApp(nil, nil, io.Discard, io.Discard)
		var log bytes.Buffer
		a.log = slog.New(slog.NewTextHandler(&log, nil))
		s := &server{app: a, hangups: make(chan os.Signal, 1)}
		go s.reload(t.Context())
		s.hangups <- syscall.SIGHUP
		synctest.Wait()
		if !strings.Contains(log.String(), "there is nothing to reload") || s.checkJobs() != nil {
			t.Errorf("logged %q", log.String())
		}
	})
}
