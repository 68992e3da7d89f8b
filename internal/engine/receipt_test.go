package engine_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/account"
	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

const (
	copiedPath  = "/v0.10/task/*/successful_transfers"
	skippedPath = "/v0.10/task/*/skipped_errors"
)

// accounted lets a job keep receipts, and verify what it copies.
func accounted(j *jobs.Job) {
	j.Receipts = true
	j.Steps[0].Transfer.VerifyChecksum = true
}

// receipts returns the receipts that the ledger has, checked, one line a row.
func (b *bench) receipts() (all [][]string) {
	b.t.Helper()
	l := b.ledger()
	defer l.Close() //nolint:errcheck // it was only read
	kept, err := l.Receipts(b.t.Context(), ledger.ReceiptQuery{})
	if err != nil {
		b.t.Fatal(err)
	}
	for _, k := range kept {
		r, err := account.Open(b.t.Context(), l, k)
		if err != nil {
			b.t.Fatal(err)
		}
		var rows []string
		for row, err := range r.Rows() {
			if err != nil {
				b.t.Fatal(err)
			}
			switch {
			case row.Item != nil:
				rows = append(rows, "item "+row.Item.Source+" "+row.Item.Destination)
			case row.Copied != nil:
				rows = append(rows, fmt.Sprintf("copied %s %s %d %s", row.Copied.Source, row.Copied.Destination, row.Copied.Size, row.Copied.Algorithm))
			case row.Found != nil:
				rows = append(rows, fmt.Sprintf("found %s %d", row.Found.Path, row.Found.Size))
			case row.Landed != nil:
				rows = append(rows, fmt.Sprintf("landed %s %s %d", row.Landed.Source, row.Landed.Destination, row.Landed.Size))
			default:
				rows = append(rows, "skipped "+row.Skipped.Source+" "+row.Skipped.Code)
			}
		}
		all = append(all, rows)
	}
	return all
}

func (b *bench) wantReceipts(want ...[]string) {
	b.t.Helper()
	if d := cmp.Diff(want, b.receipts()); d != "" {
		b.t.Errorf("receipts (-want +got):\n%s", d)
	}
}

// whole is the receipt of a copy of the bench's only file.
var whole = []string{"item /data/ /copy/", "copied /data/a.txt /copy/a.txt 10 MD5", "found /data/a.txt 10", "landed /data/a.txt /copy/a.txt 10"}

func TestReceiptHasWhatWasThereAndWhatWasCopied(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.plant("data/sub/b.txt", "12")
		b.plant("data/c.tmp", "123")
		b.plant("one file", "1")
		if err := os.Symlink("a.txt", filepath.Join(b.lab, "data", "link")); err != nil {
			t.Fatal(err)
		}
		o := b.order(accounted, func(j *jobs.Job) {
			doc := j.Steps[0].Transfer
			doc.FilterRules = []transfer.FilterRule{{Method: "exclude", Name: "*.tmp"}}
			doc.SkipSourceErrors, j.AllowSkipped = true, true
			doc.Items = append(doc.Items,
				transfer.Item{SourcePath: "/one file", DestinationPath: "/other name"},
				transfer.Item{SourcePath: "/missing", DestinationPath: "/missing"})
		})
		if r, err := b.process("one").record(t.Context(), o); err != nil || r.State != ledger.Succeeded || r.Err != nil {
			t.Fatalf("got %+v, %v", r, err)
		}
		b.wantReceipts([]string{
			"item /missing /missing", "item /one file /other name", "item /data/ /copy/",
			"copied /one file /other name 1 MD5", "copied /data/a.txt /copy/a.txt 10 MD5", "copied /data/sub/b.txt /copy/sub/b.txt 2 MD5",
			"found /one file 1", "found /data/a.txt 10", "found /data/sub/b.txt 2",
			"landed /one file /other name 1", "landed /data/a.txt /copy/a.txt 10", "landed /data/sub/b.txt /copy/sub/b.txt 2",
			"skipped /missing FILE_NOT_FOUND",
		})
	})
}

func TestNoReceiptIsKeptUnlessItIsWanted(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		if r, err := b.process("one").record(t.Context(), b.order()); err != nil || r.State != ledger.Succeeded {
			t.Fatalf("got %+v, %v", r, err)
		}
		b.wantReceipts()
		if n := b.requests("GET /v0.10/operation/endpoint/{id}/ls"); n != 0 {
			t.Errorf("the source was listed %d times", n)
		}
	})
}

func TestNothingIsSubmittedInTheSecondsOfTheListing(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		var listed, posted time.Time
		p := b.process("one")
		p.answer = func(r *http.Request, _ http.RoundTripper) (*http.Response, error) {
			switch {
			case strings.HasSuffix(r.URL.Path, "/ls") && posted.IsZero():
				listed = time.Now()
			case is(r, "POST", transferPath):
				posted = time.Now()
			}
			return nil, nil
		}
		if r, err := p.record(t.Context(), b.order(accounted)); err != nil || r.State != ledger.Succeeded {
			t.Fatalf("got %+v, %v", r, err)
		}
		if listed.IsZero() || posted.Sub(listed) < 2*time.Second {
			t.Errorf("listed %v, submitted %v", listed, posted)
		}
	})
}

func TestReceiptThatGlobusCannotGiveIsAskedForLater(t *testing.T) {
	tests := map[string]func(t *testing.T, b *bench, p *process){
		"by serve": func(t *testing.T, b *bench, p *process) {
			b.Fail(globussim.Fault{Path: copiedPath, Status: 404, Code: "NotThereYet"})
			if n, err := p.engine.SealPending(t.Context(), p.ledger, ""); err == nil || n != 0 {
				t.Errorf("while the service is away: completed %d, %v", n, err)
			}
			if n, err := p.engine.SealPending(t.Context(), p.ledger, ""); err != nil || n != 1 {
				t.Errorf("completed %d, %v", n, err)
			}
			b.wantReceipts(whole)
		},
		"by two at the same time": func(t *testing.T, b *bench, p *process) {
			other := b.process("two")
			looks := 0
			p.answer = func(r *http.Request, _ http.RoundTripper) (*http.Response, error) {
				if strings.HasSuffix(r.URL.Path, "/ls") {
					if looks++; looks == 1 { // it has begun
						if n, err := other.engine.SealPending(t.Context(), other.ledger, ""); err != nil || n != 1 {
							t.Errorf("the faster one completed %d, %v", n, err)
						}
					}
				}
				return nil, nil
			}
			if _, err := p.engine.SealPending(t.Context(), p.ledger, ""); err != nil || looks == 0 {
				t.Errorf("the slower one: %v, after %d looks at the destination", err, looks)
			}
			b.wantReceipts(whole)
		},
		"by the next run of the job": func(t *testing.T, b *bench, p *process) {
			o := b.order(accounted)
			o.Key = "2026-11-22T02:00:00Z"
			if r, err := p.record(t.Context(), o); err != nil || r.State != ledger.Succeeded {
				t.Fatalf("got %+v, %v", r, err)
			}
			b.wantReceipts(whole, whole)
		},
		"by nobody once Globus has forgotten it": func(t *testing.T, b *bench, p *process) {
			time.Sleep(31 * 24 * time.Hour)
			if n, err := p.engine.SealPending(t.Context(), p.ledger, ""); err != nil || n != 0 {
				t.Errorf("completed %d, %v", n, err)
			}
		},
	}
	for name, later := range tests {
		for what, path := range map[string]string{"what was copied": copiedPath, "what was skipped": skippedPath} {
			t.Run(name+": "+what, func(t *testing.T) {
				onBench(t, func(t *testing.T, b *bench) {
					b.Fail(globussim.Fault{Path: path, Status: 404, Code: "NotThereYet"})
					p := b.process("one")
					r, err := p.record(t.Context(), b.order(accounted))
					if err != nil || r.State != ledger.Succeeded || r.Err != nil {
						t.Fatalf("got %+v, %v", r, err)
					}
					b.wantReceipts()
					notes, err := p.ledger.Notes(t.Context(), r.Run)
					if err != nil || !slices.ContainsFunc(notes, func(n ledger.Note) bool { return n.Kind == "receipt_pending" }) {
						t.Errorf("got the notes %v, %v", notes, err)
					}
					later(t, b, p)
				})
			})
		}
	}
}

func TestEachPendingReceiptIsThatOfItsOwnTask(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.sow("data/b")
		b.manifests = map[string]string{"list": "a.txt a.txt\nb b\n"}
		b.Fail(globussim.Fault{Path: copiedPath, Status: 404, Code: "NotThereYet", Times: -1})
		b.disturb(globussim.Disturbance{Action: globussim.FailTask})
		p := b.process("one")
		p.wantRun(b.order(accounted, func(j *jobs.Job) {
			j.BackoffLimit = 1
			j.Steps = []jobs.Step{{Transfer: provable("/copy/", "vault"), Manifest: "list", ItemsPerTask: 1}, {Transfer: provable("/copy/", "store")}, {Transfer: provable("/more/", "vault")}}
		}), ledger.Succeeded)
		b.ClearFaults()
		if n, err := p.engine.SealPending(t.Context(), p.ledger, ""); err != nil || n != 4 {
			t.Fatalf("completed %d, %v", n, err)
		}
		kept, err := p.ledger.Receipts(t.Context(), ledger.ReceiptQuery{})
		if err != nil {
			t.Fatal(err)
		}
		labels := map[string]string{}
		for _, task := range b.State().Tasks {
			labels[task.TaskID] = task.Label
		}
		var got []string
		for _, k := range kept {
			in, err := account.Open(t.Context(), p.ledger, k)
			if err != nil {
				t.Fatal(err)
			}
			for row, err := range in.Rows() {
				if err != nil {
					t.Fatal(err)
				}
				if row.Item != nil {
					got = append(got, labels[in.Receipt.TaskID]+": "+row.Item.Source+" "+in.Receipt.Destination)
				}
			}
		}
		vault, store := globussim.CollectionID("vault"), globussim.CollectionID("store")
		want := []string{
			"nightly 2026-11-21T02:00:00Z s1 p1 #2: /data/a.txt " + vault,
			"nightly 2026-11-21T02:00:00Z s1 p2: /data/b " + vault,
			"nightly 2026-11-21T02:00:00Z s2: /data/ " + store,
			"nightly 2026-11-21T02:00:00Z s3: /data/ " + vault,
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
	})
}

func TestKilledRunHasOneReceipt(t *testing.T) {
	const looksAtTask = 1 // before it is asked what it has copied
	for name, c := range map[string]cut{
		"while it lists":            {method: "GET", path: "/v0.10/operation/endpoint/*"},
		"before the submission id":  {method: "GET", path: idPath},
		"before the submission":     {method: "POST", path: transferPath},
		"its answer is lost":        {method: "POST", path: transferPath, after: true},
		"while it waits":            {method: "GET", path: "/v0.10/task/*"},
		"before it asks":            {method: "GET", path: "/v0.10/task/*", skip: looksAtTask},
		"before it asks for errors": {method: "GET", path: "/v0.10/task/*", skip: looksAtTask + 1},
	} {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				job := b.job("nightly", "0 2 * * *", accounted)
				one := b.process("one")
				one.at(c)
				one.serve(job)
				time.Sleep(2*time.Hour + time.Minute)
				if !one.dead.Load() {
					t.Fatal("the process did not come to the cut")
				}
				two := b.process("two").serve(job)
				time.Sleep(time.Hour)
				two.stop()
				b.wantRuns("nightly 2000-01-01T02:00:00Z succeeded")
				b.wantReceipts([]string{"item /data/ /nightly/", "copied /data/a.txt /nightly/a.txt 10 MD5", "found /data/a.txt 10", "landed /data/a.txt /nightly/a.txt 10"})
			})
		})
	}
}

func TestListingThatIsYoungerThanTheTaskIsLeftOut(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		// A task of the same occurrence, of which the ledger knows nothing.
		b.run(t.Context(), b.order(accounted, func(j *jobs.Job) { j.Receipts = false }))
		time.Sleep(time.Hour)
		b.plant("data/a.txt", "9876543210") // it was not copied
		p := b.process("one")
		p.forgetful() // nobody finds it before the listing
		late := p.answer
		p.answer = func(r *http.Request, send http.RoundTripper) (*http.Response, error) {
			if strings.HasSuffix(r.URL.Path, "/ls") {
				late = func(*http.Request, http.RoundTripper) (*http.Response, error) { return nil, nil }
			}
			return late(r, send)
		}
		o := b.order(accounted)
		if r, err := p.record(t.Context(), o); err != nil || r.State != ledger.Succeeded || !r.Adopted {
			t.Fatalf("got %+v, %v, want the task adopted", r, err)
		}
		for _, rows := range b.receipts() {
			if slices.ContainsFunc(rows, func(row string) bool { return strings.HasPrefix(row, "found") }) {
				t.Errorf("got %q, want no files that were found after the copy", rows)
			}
		}
	})
}

func TestSourceThatCannotBeListedInPartIsCopiedAllTheSame(t *testing.T) {
	lsPath := "/v0.10/operation/endpoint/" + globussim.CollectionID("lab") + "/ls"
	refused := globussim.Fault{Path: lsPath, Status: 403, Code: "EndpointPermissionDenied"}
	tests := map[string]struct {
		fault globussim.Fault
		job   func(*jobs.Job)
		found []string
	}{
		"a folder below":          {globussim.Fault{Path: lsPath, Skip: 1, Status: 403, Code: "EndpointPermissionDenied"}, accounted, []string{"found /data/a.txt 10"}},
		"a service that is away":  {globussim.Fault{Path: lsPath, Status: 502, Code: "ExternalError.DirListingFailed.GCDisconnected"}, accounted, nil},
		"a job that waits for it": {refused, func(j *jobs.Job) { accounted(j); j.On.Hopeless = jobs.Wait }, nil},
		"a job that does without": {refused, func(j *jobs.Job) {
			accounted(j)
			j.Steps[0].Transfer.SkipSourceErrors, j.AllowSkipped = true, true
		}, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				if err := os.Mkdir(filepath.Join(b.lab, "data", "sub"), 0o755); err != nil {
					t.Fatal(err)
				}
				b.Fail(tt.fault)
				if r, err := b.process("one").record(t.Context(), b.order(tt.job)); err != nil || r.State != ledger.Succeeded || r.Err != nil {
					t.Fatalf("got %+v, %v", r, err)
				}
				b.wantReceipts(slices.Concat(whole[:2], tt.found, whole[3:]))
				if got := b.log.values(t, "a part of the source could not be listed, so the receipt proves less", "level"); !slices.Equal(got, []string{"WARN"}) {
					t.Errorf("logged %q, want one warning", got)
				}
			})
		})
	}
}

func TestSourceThatCannotBeReadEndsTheRunBeforeTheSubmission(t *testing.T) {
	lsPath := "/v0.10/operation/endpoint/" + globussim.CollectionID("lab") + "/ls"
	tests := map[string]struct {
		job   func(*jobs.Job)
		fault globussim.Fault
		kind  fault.Kind
		says  []string
	}{
		"no credentials": {
			accounted, globussim.Fault{Path: tokenPath, Status: 401, Body: `{"error": "invalid_client"}`, Times: -1}, fault.Credentials, []string{"list the source /data/: ", "invalid_client"},
		},
		"no consent any more": {
			accounted, globussim.Fault{Path: lsPath, Skip: 1, Status: 403, Code: "ConsentRequired", Times: -1}, fault.Credentials, []string{"list the source /data/sub: ", "ConsentRequired"},
		},
		"no permission": {
			accounted, globussim.Fault{Path: lsPath, Status: 403, Code: "EndpointPermissionDenied"}, fault.Refused, []string{"list the source /data/: ", "EndpointPermissionDenied"},
		},
		"no such folder": {
			func(j *jobs.Job) { paths("/none/", "/copy/")(j); accounted(j) },
			globussim.Fault{},
			fault.Refused,
			[]string{"the source /none/ does not exist on collection " + globussim.CollectionID("lab"), "nothing was submitted", "check that the path exists"},
		},
		"no such file": {
			func(j *jobs.Job) { paths("/none", "/copy")(j); accounted(j) },
			globussim.Fault{},
			fault.Refused,
			[]string{"the source /none does not exist", "check that the path exists"},
		},
		"no such collection": {
			accounted, globussim.Fault{Path: lsPath, Status: 404, Code: "EndpointNotFound"}, fault.Refused, []string{"list the source /data/: ", "EndpointNotFound"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				if err := os.Mkdir(filepath.Join(b.lab, "data", "sub"), 0o755); err != nil {
					t.Fatal(err)
				}
				if tt.fault.Path != "" {
					b.Fail(tt.fault)
				}
				o := b.order(tt.job)
				o.Fresh = true // else an earlier task is asked for first
				r, err := b.process("one").record(t.Context(), o)
				state := ledger.Failed
				if fault.TokenRefused(r.Err) {
					state = ledger.Claimed // it may pass: the next start goes on
				}
				if err != nil || r.State != state || fault.Of(r.Err).Kind != tt.kind {
					t.Fatalf("got %+v, %v, want it %s with %s", r, err, state, tt.kind)
				}
				contains(t, r.Err.Error(), tt.says...)
				if n := b.requests("GET "+idPath) + b.requests("POST "+transferPath); n != 0 {
					t.Errorf("Globus was asked %d times for more", n)
				}
				if got := b.log.values(t, "source listed for the receipt", "level"); len(got) > 0 {
					t.Error("logged that files were listed")
				}
			})
		})
	}
}

func TestEmptySourceIsNotLoggedAsIfItWereFine(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		if err := os.Remove(filepath.Join(b.lab, "data", "a.txt")); err != nil {
			t.Fatal(err)
		}
		if r, err := b.process("one").record(t.Context(), b.order(accounted)); err != nil || r.State != ledger.Succeeded {
			t.Fatalf("got %+v, %v", r, err)
		}
		if got := b.log.values(t, "the source has no files, so the receipt will have none", "level"); !slices.Equal(got, []string{"WARN"}) {
			t.Errorf("logged %q, want one warning", got)
		}
	})
}

func TestReceiptsNeedALedger(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		r := b.run(t.Context(), b.order(accounted))
		if fault.Of(r.Err).Kind != fault.Usage || b.requests("POST "+transferPath) != 0 {
			t.Errorf("got %v and %d submissions", r.Err, b.requests("POST "+transferPath))
		}
	})
}

func TestReceiptsAreSigned(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		signer := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
		p := b.process("one")
		p.engine = engine.New(b.clientOver(p), slog.New(slog.DiscardHandler), engine.WithSigningKey(signer))
		if r, err := p.record(t.Context(), b.order(accounted)); err != nil || r.State != ledger.Succeeded {
			t.Fatalf("got %+v, %v", r, err)
		}
		kept, err := p.ledger.Receipts(context.Background(), ledger.ReceiptQuery{})
		if err != nil || len(kept) != 1 || kept[0].Signature == "" {
			t.Fatalf("got %+v, %v", kept, err)
		}
	})
}
