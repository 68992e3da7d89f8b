package engine_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
)

const isAway = "0 files deleted, 1 kept (1: does not exist any more, so there is nothing to delete in it (a folder counts once)); "

// takeAway moves a folder of the lab to where nobody looks for it.
func (b *bench) takeAway(folder string) {
	b.t.Helper()
	if err := os.Rename(filepath.Join(b.lab, folder), filepath.Join(b.lab, "away")); err != nil {
		b.t.Fatal(err)
	}
}

func TestPruneSaysThatTheFolderIsGoneThatItsJobCopies(t *testing.T) {
	const day = "data/2026-11-20"
	tests := map[string]struct {
		copied, now string // the folder in the receipt, and in the jobs file
		says        string
		prospects   []string
	}{
		"the folder of the job":              {"/data/", "/data/", isAway + "runner plan expire --diff --list lists them", []string{"/data/"}},
		"that of one day, which may be gone": {"/" + day + "/", "/data/{{ date .Time }}/", "0 files deleted", nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				b.sow(day + "/a")
				p := b.process("one")
				copies := func(from string) engine.Order {
					return b.order(accounted, func(j *jobs.Job) {
						j.Steps = jobs.Single(provable("/copy/", "vault"))
						j.Steps[0].Transfer.Items[0].SourcePath = from
					})
				}
				p.wantRun(copies(tt.copied), ledger.Succeeded)
				b.takeAway(strings.Trim(tt.copied, "/"))
				order := b.order(expires(func(p *jobs.Prune) { p.Jobs = []*jobs.Job{copies(tt.now).Job} }))
				var folders []string
				for prospect, err := range p.engine.Prospects(t.Context(), p.ledger, order.Job.Steps[0].Prune, time.Now()) {
					if err != nil {
						t.Fatal(err)
					}
					folders = append(folders, prospect.Path)
				}
				if strings.Join(folders, " ") != strings.Join(tt.prospects, " ") {
					t.Errorf("prospects of %q, want %q", folders, tt.prospects)
				}
				p.wantPruned(p.wantRun(order, ledger.Succeeded), tt.says)
			})
		})
	}
}

func TestPruneSaysThatTheFolderIsGoneThatItsRunHasCopied(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.sow("data/a")
		p := b.process("one")
		p.answer = func(r *http.Request, _ http.RoundTripper) (*http.Response, error) {
			if strings.HasSuffix(r.URL.Path, "/successful_transfers") {
				b.takeAway("data")
			}
			return nil, nil
		}
		p.wantPruned(p.wantRun(b.order(handsOver), ledger.Succeeded), isAway+"runner receipt prove 1 lists them")
	})
}
