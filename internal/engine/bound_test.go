package engine_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

func TestPruneWaitsForTheReceiptOfEachTransferOfItsRun(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.sow("data/a.txt")
		p, asked := b.process("one"), 0
		p.answer = func(r *http.Request, _ http.RoundTripper) (*http.Response, error) {
			if strings.HasSuffix(r.URL.Path, "/successful_transfers") {
				if asked++; asked == 2 {
					b.Fail(globussim.Fault{Path: copiedPath, Status: 404, Code: "NotThereYet", Times: -1})
				}
			}
			return nil, nil
		}
		r, err := p.record(t.Context(), b.order(handsOver, func(j *jobs.Job) {
			j.Steps = []jobs.Step{j.Steps[0], {Transfer: provable("/copy/", "store")}, j.Steps[1]}
		}))
		if err != nil || r.State.Final() || fault.Of(r.Err).Kind != fault.Temporary {
			t.Fatalf("got %+v, %v, want a run that is left", r, err)
		}
		contains(t, r.Err.Error(), "the receipts of 1 task of this run are pending")
		b.wantLeft("data/a.txt")
	})
}

func TestPruneThatIsStoppedWhileItListsIsLeft(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.sow("data/a.txt")
		p := b.process("one")
		p.wantRun(b.order(accounted, func(j *jobs.Job) { j.Steps = jobs.Single(provable("/copy/", "vault")) }), ledger.Succeeded)
		ctx, stop := context.WithCancel(t.Context())
		p.answer = func(r *http.Request, _ http.RoundTripper) (*http.Response, error) {
			if strings.HasSuffix(r.URL.Path, "/ls") {
				stop()
				return nil, ctx.Err()
			}
			return nil, nil
		}
		if r, err := p.record(ctx, b.order(expires())); err != nil || r.State.Final() {
			t.Fatalf("got %+v, %v, want a run that is left", r, err)
		}
		b.wantLeft("data/a.txt")
	})
}

// More nights found a file equal than receipts are judged together.
func TestPruneByAgeReadsTheReceiptsThatAreOldEnough(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.sow("data/a.txt")
		p := b.process("one")
		for night := range 20 {
			o := b.order(accounted, func(j *jobs.Job) {
				j.Steps = jobs.Single(provable("/copy/", "vault"))
				j.Steps[0].Transfer.SyncLevel = new(transfer.SyncChecksum)
			})
			o.Key = jobs.Key(fmt.Sprint("manual:", night))
			p.wantRun(o, ledger.Succeeded)
			time.Sleep(24 * time.Hour)
		}
		p.wantPruned(p.wantRun(b.order(expires(func(p *jobs.Prune) { p.OlderThan = 18 * 24 * time.Hour })), ledger.Succeeded), "1 file deleted")
	})
}

func TestPruneKeepsAFileWhoseCopyIsALinkMeanwhile(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.sow("data/a.txt")
		p := b.process("one")
		p.wantRun(b.order(accounted, func(j *jobs.Job) { j.Steps = jobs.Single(provable("/copy/", "vault")) }), ledger.Succeeded)
		file, hidden := filepath.Join(b.vault, "copy", "a.txt"), filepath.Join(b.vault, "hidden")
		p.answer = func(r *http.Request, _ http.RoundTripper) (*http.Response, error) {
			if is(r, "GET", idPath) {
				if _, err := os.Stat(hidden); err != nil && (os.Rename(file, hidden) != nil || os.Symlink("../hidden", file) != nil) {
					t.Error("the copy could not be replaced")
				}
			}
			return nil, nil
		}
		p.wantRun(b.order(expires()), ledger.Succeeded)
		b.wantLeft("data/a.txt")
	})
}

func TestPruneThatFailsSaysWhatItHasDeletedBefore(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.sow("data/a.txt", "data/b") // in lists of one file each, as the first one is a trial
		p, deletes := b.process("one"), 0
		p.wantRun(b.order(accounted, func(j *jobs.Job) { j.Steps = jobs.Single(provable("/copy/", "vault")) }), ledger.Succeeded)
		b.Fail(globussim.Fault{Path: "/v0.10/operation/endpoint/" + globussim.CollectionID("lab") + "/mkdir", Times: -1, Status: 403, Code: "EndpointPermissionDenied"})
		p.answer = func(r *http.Request, _ http.RoundTripper) (*http.Response, error) {
			if is(r, "POST", deletePath) {
				if deletes++; deletes == 2 {
					b.Fail(globussim.Fault{Path: deletePath, Times: -1, Status: 403, Code: "PermissionDenied"})
				}
			}
			return nil, nil
		}
		r := p.wantRun(b.order(expires(), func(j *jobs.Job) {
			j.Steps[0].Prune.Jobs[0].Steps = j.Steps[0].Prune.Jobs[0].Steps[:1]
		}), ledger.Failed)
		b.wantLeft("data/b")
		contains(t, p.pruned(r.Run), "1 file deleted")
	})
}
