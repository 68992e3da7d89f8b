package engine_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/audit"
	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/schedule"
	"github.com/globus-runner/globus-runner/test/long"
	"github.com/globus-runner/globus-runner/transfer"
)

// findings audits a job.
func (b *bench) findings(l *ledger.Ledger, j *jobs.Job, since time.Duration) (all []audit.Finding) {
	b.t.Helper()
	e := engine.New(b.client(), slog.New(slog.NewJSONHandler(b.log, nil)), engine.WithManifests(b.open))
	inquiry, err := e.Inquire(b.t.Context(), l, j, time.Now().Add(-since), time.Now(), nil)
	if err != nil {
		b.t.Fatal(err)
	}
	for f, err := range inquiry.Files(b.t.Context(), b.client()) {
		if err != nil {
			b.t.Fatal(err)
		}
		all = append(all, f)
	}
	return all
}

// verdicts audits a job and returns the verdict on each path.
func (b *bench) verdicts(l *ledger.Ledger, j *jobs.Job, since time.Duration) map[string]audit.Verdict {
	b.t.Helper()
	all := map[string]audit.Verdict{}
	for _, f := range b.findings(l, j, since) {
		if was, twice := all[f.Source]; twice {
			b.t.Errorf("%s is %s, and %s again", f.Source, was, f.Verdict)
		}
		all[f.Source] = f.Verdict
	}
	return all
}

// do runs one occurrence of a job to its end.
func (b *bench) do(l *ledger.Ledger, j *jobs.Job, at time.Time, noWait bool) *engine.Result {
	b.t.Helper()
	e := engine.New(b.client(), slog.New(slog.NewJSONHandler(b.log, nil)), engine.WithManifests(b.open))
	rec := engine.Recording{Ledger: l, Holder: "h", Lease: time.Hour}
	res, err := e.Record(b.t.Context(), rec, engine.Order{Job: j, Key: jobs.ScheduledKey(at), At: at, NoWait: noWait})
	if err != nil {
		b.t.Fatal(err)
	}
	return res
}

// A known is what a test knows of a file.
type known struct {
	text string
	at   time.Time
}

// TestEveryVerdictIsWhatTheDisksSay lets files come, change and go on both sides
// between runs, and holds each verdict against what the disks have then.
func TestEveryVerdictIsWhatTheDisksSay(t *testing.T) {
	histories := long.Or(150, 20)
	seen := map[audit.Verdict]int{}
	for seed := range histories {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				r := rand.New(rand.NewPCG(uint64(seed), 7))
				b.remove("data/a.txt")
				l := b.ledger()
				defer l.Close() //nolint:errcheck // it was only read
				j := b.order(named("nightly"), paths("/data/", "/in/")).Job
				doc := j.Steps[0].Transfer
				doc.VerifyChecksum = true
				doc.PreserveTimestamp = r.IntN(2) == 0
				doc.FilterRules = []transfer.FilterRule{{Method: "exclude", Type: "file", Name: "*.tmp"}, {Method: "exclude", Type: "dir", Name: "skip"}}
				if r.IntN(3) == 0 {
					doc.SyncLevel = new(transfer.SyncChecksum)
				}
				j.Receipts = r.IntN(3) > 0
				names := []string{"a", "b.tmp", "new\nline", "é", "sub/a", "sub/deep/c", "skip/d"}
				versions := 0
				recorded := map[string]known{} // by a receipt: what was copied
				for range 12 {
					name := names[r.IntN(len(names))]
					time.Sleep(time.Duration(1+r.IntN(100)) * time.Minute)
					switch r.IntN(8) {
					case 0, 1, 2:
						versions++
						b.plant("data/"+name, strings.Repeat("x", versions))
					case 3:
						_ = os.Remove(filepath.Join(b.lab, "data", name)) // it may not be there
					case 4:
						_ = os.Remove(filepath.Join(b.vault, "in", name)) // the same
					case 5: // somebody else writes into the copy
						copied := filepath.Join(b.vault, "in", name)
						if os.WriteFile(copied, []byte(strings.Repeat("y", 100+versions)), 0o644) == nil { // its folder may not be there
							dated(b.t, copied)
						}
					case 6, 7:
						if err := os.MkdirAll(filepath.Join(b.lab, "data"), 0o755); err != nil {
							b.t.Fatal(err)
						}
						if res := b.do(l, j, time.Now(), false); res.State != ledger.Succeeded {
							b.t.Fatalf("the run is %s: %v", res.State, res.Err)
						}
						if j.Receipts {
							maps.Copy(recorded, look(b.t, filepath.Join(b.lab, "data")))
						}
					}
				}
				flying := r.IntN(4) == 0
				source, there := look(b.t, filepath.Join(b.lab, "data")), look(b.t, filepath.Join(b.vault, "in"))
				if flying && len(source) > 0 {
					time.Sleep(time.Minute) // else it may be due in the second of the run before it
					b.stall()
					b.do(l, j, time.Now(), true)
				} else {
					flying = false
				}
				want := map[string]audit.Verdict{}
				if _, err := os.Stat(filepath.Join(b.lab, "data", "skip")); err == nil {
					want["/data/skip"] = audit.Excluded
				}
				for name, s := range source {
					path := "/data/" + name
					switch copied, ok := recorded[name]; {
					case strings.HasSuffix(name, ".tmp"):
						want[path] = audit.Excluded
					case strings.HasPrefix(name, "skip/"):
					case there[name].text == s.text && ok && copied == s:
						want[path] = audit.Delivered
					case there[name].text == s.text:
						want[path] = audit.Present
					case !ok:
						want[path] = audit.Missing
					case there[name].text == "" || copied == s:
						want[path] = audit.Lost
					default:
						want[path] = audit.Changed
					}
					if _, ok := want[path]; !ok {
						continue
					}
					if flying && (want[path] == audit.Missing || want[path] == audit.Changed) {
						want[path] = audit.InFlight
					}
				}
				for _, v := range want {
					seen[v]++
				}
				if diff := cmp.Diff(want, b.verdicts(l, j, 30*24*time.Hour)); diff != "" {
					b.t.Errorf("verdicts (-want +got):\n%s\nsource %v\ndestination %v\nrecorded %v\n%+v", diff, source, there, recorded, doc)
				}
			})
		})
	}
	for _, v := range []audit.Verdict{audit.Delivered, audit.Present, audit.Excluded, audit.InFlight, audit.Changed, audit.Missing, audit.Lost} {
		if seen[v] == 0 {
			t.Errorf("no file was %s", v)
		}
	}
	t.Log(seen)
}

// look reads all files below a folder.
func look(t *testing.T, dir string) map[string]known {
	t.Helper()
	all := map[string]known{}
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if os.IsNotExist(err) {
			return nil
		}
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		text, err := os.ReadFile(name)
		at, _ := filepath.Rel(dir, name)
		all[at] = known{string(text), info.ModTime()}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestAuditLooksAtWhatRunsWereAbout(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		l := b.ledger()
		defer l.Close() //nolint:errcheck // it was only read
		j := b.order(named("nightly"), paths("/data/{{ .Time | date }}/", "/in/{{ .Time | date }}/")).Job
		var err error
		if j.Schedule, err = schedule.Parse("0 2 * * *", time.UTC); err != nil {
			t.Fatal(err)
		}
		j.Receipts = true
		j.Steps[0].Transfer.VerifyChecksum, j.Steps[0].Transfer.PreserveTimestamp = true, true
		day := func(n int) time.Time { return time.Date(2000, 1, n, 2, 0, 0, 0, time.UTC) }
		for n := 1; n <= 4; n++ {
			time.Sleep(time.Until(day(n)))
			b.plant(fmt.Sprintf("data/%s/f", day(n).Format(time.DateOnly)), "x")
			if n < 4 { // nobody was there for the last one
				b.do(l, j, day(n), false)
			}
		}
		time.Sleep(time.Hour)
		tests := []struct {
			since time.Duration
			want  map[string]audit.Verdict
		}{
			{100 * 24 * time.Hour, map[string]audit.Verdict{
				"/data/2000-01-01/f": audit.Delivered, "/data/2000-01-02/f": audit.Delivered, "/data/2000-01-03/f": audit.Delivered, "/data/2000-01-04/f": audit.Missing,
			}},
			{30 * time.Hour, map[string]audit.Verdict{"/data/2000-01-03/f": audit.Delivered, "/data/2000-01-04/f": audit.Missing}},
			{time.Minute, map[string]audit.Verdict{"/data/2000-01-04/f": audit.Missing}},
		}
		for _, tt := range tests {
			if diff := cmp.Diff(tt.want, b.verdicts(l, j, tt.since)); diff != "" {
				t.Errorf("since %v (-want +got):\n%s", tt.since, diff)
			}
		}
		if got := b.verdicts(nil, j, 100*24*time.Hour); !cmp.Equal(got, tests[2].want) {
			t.Errorf("without a ledger: %v", got)
		}
		j.Jitter = 10 * time.Hour
		due := j.Due(jobs.ScheduledKey(day(4)), day(4))
		for now, want := range map[time.Time]string{due.Add(-time.Second): "/data/2000-01-03/f", due.Add(time.Second): "/data/2000-01-04/f"} {
			inquiry, err := b.engine().Inquire(t.Context(), nil, j, now, now, nil)
			if err != nil {
				t.Fatal(err)
			}
			for f, err := range inquiry.Files(t.Context(), b.client()) {
				if err != nil || f.Source != want {
					t.Errorf("at %v, with the last occurrence due at %v: %s is looked at, want %s (%v)", now, due, f.Source, want, err)
				}
			}
		}
		j.Suspend = true
		if got := b.verdicts(nil, j, time.Hour); len(got) > 0 {
			t.Errorf("of a suspended job: %v", got)
		}
	})
}

func TestAuditKnowsReceiptsOfForgottenRuns(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		l := b.ledger()
		defer l.Close() //nolint:errcheck // it was only read
		j := b.order(named("nightly"), paths("/data/", "/in/")).Job
		j.Receipts = true
		j.Steps[0].Transfer.VerifyChecksum = true
		b.do(l, j, time.Now(), false)
		time.Sleep(time.Hour)
		paths("/second/", "/second/")(j) // the newest run stays
		b.plant("second/b.txt", "b")
		b.do(l, j, time.Now(), false)
		time.Sleep(time.Hour)
		if n, err := l.ForgetRuns(t.Context(), ledger.Retention{Since: time.Now()}); err != nil || n != 1 {
			t.Fatalf("%d runs forgotten, %v", n, err)
		}
		if err := os.Remove(filepath.Join(b.vault, "in", "a.txt")); err != nil {
			t.Fatal(err)
		}
		want := map[string]audit.Verdict{"/data/a.txt": audit.Lost, "/second/b.txt": audit.Present}
		if diff := cmp.Diff(want, b.verdicts(l, j, 24*time.Hour)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestAuditOfAManifestAndSingleFiles(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		l := b.ledger()
		defer l.Close() //nolint:errcheck // it was only read
		b.manifests = map[string]string{"list": "/data/a.txt /in/1\n/data/b.txt /in/2\n/data/c.txt /in/3\n"}
		b.plant("data/b.txt", "b")
		j := b.order(named("listed"), paths("/", "/")).Job
		j.Receipts = true
		doc := j.Steps[0].Transfer
		doc.VerifyChecksum, doc.PreserveTimestamp, doc.SkipSourceErrors, j.AllowSkipped = true, true, true, true
		j.Steps[0].Manifest, j.Steps[0].ItemsPerTask = "list", 2
		if got := b.verdicts(l, j, time.Hour); !maps.Equal(got, map[string]audit.Verdict{"/data/a.txt": audit.Missing, "/data/b.txt": audit.Missing}) {
			t.Errorf("before the run: %v", got)
		}
		if res := b.do(l, j, time.Now(), false); res.State != ledger.Succeeded {
			t.Fatalf("%+v", res)
		}
		b.plant("data/c.txt", "c")
		want := map[string]audit.Verdict{"/data/a.txt": audit.Delivered, "/data/b.txt": audit.Delivered, "/data/c.txt": audit.Missing}
		if diff := cmp.Diff(want, b.verdicts(l, j, time.Hour)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestAuditOfARunThatHasSubmittedNothingYet(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		l := b.ledger()
		defer l.Close() //nolint:errcheck // it was only read
		j := b.order(named("nightly"), paths("/data/", "/in/")).Job
		at := time.Now()
		if _, mine, err := l.Claim(t.Context(), ledger.Claim{Job: j.Name, Key: string(jobs.ScheduledKey(at)), Due: at, Holder: "h", Lease: time.Hour}); err != nil || !mine {
			t.Fatal(mine, err)
		}
		if got := b.verdicts(l, j, time.Hour); got["/data/a.txt"] != audit.InFlight {
			t.Errorf("got %v", got)
		}
	})
}

func TestOnlyWhatIsUnderWayIsInFlight(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		l := b.ledger()
		defer l.Close() //nolint:errcheck // it was only read
		j := b.order(paths("/data/", "/in/")).Job
		run, _, err := l.Claim(t.Context(), ledger.Claim{Job: j.Name, Key: "manual:1", Holder: "h", Lease: 100 * time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		document, err := json.Marshal(j.Steps[0].Transfer)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Submit(t.Context(), "h", ledger.Submission{ID: "s", Run: run.ID, Attempt: 1, Document: document}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Hour)
		check := func(when string, since time.Duration, want audit.Verdict) {
			t.Helper()
			if got := b.verdicts(l, j, since)["/data/a.txt"]; got != want {
				t.Errorf("%s: got %s, want %s", when, got, want)
			}
		}
		check("of a run that began long ago", time.Hour, audit.InFlight)
		if err := l.Ended(t.Context(), "s", "FAILED", ledger.Totals{}); err != nil {
			t.Fatal(err)
		}
		check("after its task", time.Hour, audit.Missing)
		if err := l.Ended(t.Context(), "s", "", ledger.Totals{}); err != nil {
			t.Fatal(err)
		}
		if err := l.Finish(t.Context(), run.ID, "h", ledger.Outcome{State: ledger.TimedOut}); err != nil {
			t.Fatal(err)
		}
		check("after the run", 100*time.Hour, audit.Missing)
	})
}

func TestAuditStepFailsTheRunAndLooksAtASample(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		const folders = 60
		for n := range folders {
			b.plant(fmt.Sprintf("data/%02d/f", n), "x")
		}
		j := b.order(named("nightly"), paths("/data/", "/in/")).Job
		weekly := b.order(named("weekly")).Job
		missing := func(step *jobs.Audit, k jobs.Key) (n int) {
			t.Helper()
			weekly.Steps = []jobs.Step{{Audit: step}}
			res := b.engine().Run(t.Context(), engine.Order{Job: weekly, Key: k, At: time.Now()})
			if res.State != ledger.Failed || fault.Of(res.Err).Kind != fault.Missing {
				t.Fatalf("the run is %s: %v", res.State, res.Err)
			}
			of := "nightly"
			if step.Sample != "" {
				of += ", " + string(step.Sample) + "% of the folders" // a % that is not a verb
			}
			if _, err := fmt.Sscanf(res.Err.Error(), "audit of "+of+": %d files are not at the destination; runner audit nightly --list names them", &n); err != nil {
				t.Fatalf("%v: %v", res.Err, err)
			}
			return n
		}
		of := []*jobs.Job{j}
		if n := missing(&jobs.Audit{Jobs: of}, key); n != folders+1 {
			t.Errorf("%d files are missing, want %d", n, folders+1)
		}
		sample := &jobs.Audit{Jobs: of, Sample: "25%"}
		one, again := missing(sample, key), missing(sample, key)
		if one != again || one < folders/10 || one > folders/2 {
			t.Errorf("%d, and then %d files of %d are in a sample of a quarter", one, again, folders)
		}
		different := false
		for n := range 5 {
			different = different || missing(sample, jobs.Key(fmt.Sprint("manual:", n))) != one
		}
		if !different {
			t.Error("all occurrences look at as many files")
		}
		if res := b.engine().Run(t.Context(), engine.Order{Job: j, Key: key, At: time.Now()}); res.Err != nil {
			t.Fatal(res.Err)
		}
		weekly.Steps = []jobs.Step{{Audit: sample}}
		if res := b.engine().Run(t.Context(), engine.Order{Job: weekly, Key: key, At: time.Now()}); res.State != ledger.Succeeded || res.Err != nil {
			t.Errorf("nothing is missing: the run is %s: %v", res.State, res.Err)
		}
	})
}

// Of a few folders, chance often chooses none.
func TestSampleHasAFolder(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		for n := range 4 {
			b.plant(fmt.Sprintf("data/%d/f", n), "x")
		}
		b.remove("data/a.txt")
		weekly := b.order(named("weekly")).Job
		weekly.Steps = []jobs.Step{{Audit: &jobs.Audit{Jobs: []*jobs.Job{b.order(paths("/data/", "/in/")).Job}, Sample: "1%"}}}
		for n := range 12 {
			k := jobs.Key(fmt.Sprint("manual:", n))
			res := b.engine().Run(t.Context(), engine.Order{Job: weekly, Key: k, At: time.Now()})
			if sum := res.Audited[audit.Missing]; sum != 1 {
				t.Errorf("%s: %d files are missing, want the one of a folder: %v", k, sum, res.Err)
			}
		}
	})
}

func TestAuditKnowsWhatPrunesHaveDeleted(t *testing.T) {
	copied := func(b *bench, name string) string { return filepath.Join(b.vault, "copy", name) }
	tests := map[string]struct {
		later func(t *testing.T, b *bench)
		want  map[string]audit.Verdict
	}{
		"as it was": {func(*testing.T, *bench) {}, map[string]audit.Verdict{"/data/a.txt": audit.Pruned, "/data/s/b": audit.Pruned}},
		"a copy is gone": {func(t *testing.T, b *bench) {
			if err := os.Remove(copied(b, "s/b")); err != nil {
				t.Fatal(err)
			}
		}, map[string]audit.Verdict{"/data/a.txt": audit.Pruned, "/data/s/b": audit.Lost}},
		"another file is in the place of a copy": {func(t *testing.T, b *bench) {
			if err := os.WriteFile(copied(b, "a.txt"), []byte("other"), 0o644); err != nil {
				t.Fatal(err)
			}
		}, map[string]audit.Verdict{"/data/a.txt": audit.Lost, "/data/s/b": audit.Pruned}},
		"all copies are gone": {func(t *testing.T, b *bench) {
			if err := os.RemoveAll(filepath.Join(b.vault, "copy")); err != nil {
				t.Fatal(err)
			}
		}, map[string]audit.Verdict{"/data/a.txt": audit.Lost, "/data/s/b": audit.Lost}},
		"a copy is a folder": {func(t *testing.T, b *bench) {
			if err := errors.Join(os.Remove(copied(b, "a.txt")), os.Mkdir(copied(b, "a.txt"), 0o755)); err != nil {
				t.Fatal(err)
			}
		}, map[string]audit.Verdict{"/data/a.txt": audit.Lost, "/data/s/b": audit.Pruned}},
		"the copies cannot be seen": {func(_ *testing.T, b *bench) {
			b.Fail(globussim.Fault{
				Path: "/v0.10/operation/endpoint/" + globussim.CollectionID("vault") + "/ls", Times: -1, Status: 403, Code: "EndpointPermissionDenied",
			})
		}, map[string]audit.Verdict{"/data/": audit.Unseen}},
		"the source is gone as well": {func(t *testing.T, b *bench) {
			if err := os.RemoveAll(filepath.Join(b.lab, "data")); err != nil {
				t.Fatal(err)
			}
		}, map[string]audit.Verdict{"/data/a.txt": audit.Pruned, "/data/s/b": audit.Pruned}},
		"the folder is gone on both sides": {func(t *testing.T, b *bench) {
			if err := errors.Join(os.RemoveAll(filepath.Join(b.lab, "data")), os.RemoveAll(filepath.Join(b.vault, "copy"))); err != nil {
				t.Fatal(err)
			}
		}, map[string]audit.Verdict{"/data/a.txt": audit.Lost, "/data/s/b": audit.Lost}},
		"it comes again": {func(_ *testing.T, b *bench) {
			b.sow("data/a.txt")
		}, map[string]audit.Verdict{"/data/a.txt": audit.Changed, "/data/s/b": audit.Pruned}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				b.sow("data/a.txt", "data/s/b")
				p := b.process("one")
				o := b.order(handsOver)
				p.wantRun(o, ledger.Succeeded)
				b.wantLeft()
				time.Sleep(time.Hour)
				tt.later(t, b)
				if diff := cmp.Diff(tt.want, b.verdicts(p.ledger, o.Job, 30*24*time.Hour)); diff != "" {
					t.Errorf("verdicts (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestASourceThatIsGoneWithItsFilesIsNotGreen(t *testing.T) {
	tests := map[string]struct {
		delete jobs.Step // of the job itself; none if somebody else deletes the folder
		want   map[string]audit.Verdict
	}{
		"by somebody": {jobs.Step{}, map[string]audit.Verdict{"/data/": audit.Vanished}},
		"by the job": {jobs.Step{Unproven: true, Delete: &transfer.Delete{
			Endpoint: globussim.CollectionID("lab"), Recursive: true, Items: []transfer.DeleteItem{{Path: "/data"}},
		}}, map[string]audit.Verdict{}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				b.sow("data/a.txt")
				p := b.process("one")
				o := b.order(accounted, func(j *jobs.Job) {
					j.Steps = jobs.Single(provable("/copy/", "vault"))
					if tt.delete.Delete != nil {
						j.Steps = append(j.Steps, tt.delete)
					}
				})
				p.wantRun(o, ledger.Succeeded)
				if err := os.RemoveAll(filepath.Join(b.lab, "data")); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(tt.want, b.verdicts(p.ledger, o.Job, 30*24*time.Hour)); diff != "" {
					t.Errorf("verdicts (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestVerdictsHaveAnOrder(t *testing.T) {
	all := audit.Verdicts()
	slices.Sort(all)
	if n := len(all); n != 12 || len(slices.Compact(all)) != n {
		t.Errorf("got %d verdicts", n)
	}
}
