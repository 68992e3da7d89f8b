package engine_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/internal/audit"
	"github.com/globus-runner/globus-runner/internal/ledger"
)

// Some disks write names in a form of their own: é as e with an accent, or A as a.
func TestACopyUnderAnotherFormOfItsNameIsKeptAndPresent(t *testing.T) {
	const composed, apart = "caf\u00e9", "cafe\u0301"
	onBench(t, func(t *testing.T, b *bench) {
		b.remove("data/a.txt")
		b.sow("data/"+composed+"/README", "data/"+composed+"/b", "data/"+composed+".txt", "data/two")
		p := b.process("one")
		p.answer = func(r *http.Request, _ http.RoundTripper) (*http.Response, error) {
			if strings.HasSuffix(r.URL.Path, "/successful_transfers") { // the task has ended, and nobody has listed its files
				for _, names := range [][2]string{{composed, apart}, {composed + ".txt", apart + ".txt"}, {apart + "/README", apart + "/readme"}} {
					if err := os.Rename(filepath.Join(b.vault, "copy", names[0]), filepath.Join(b.vault, "copy", names[1])); err != nil {
						t.Error(err)
					}
				}
			}
			return nil, nil
		}
		o := b.order(handsOver)
		r := p.wantRun(o, ledger.Succeeded)
		b.wantLeft("data/"+composed+"/README", "data/"+composed+"/b", "data/"+composed+".txt")
		p.wantPruned(r, "1 file deleted, 3 kept (3: has another form of its name at the destination, in capital letters or accents); runner receipt prove 1 lists them")

		time.Sleep(time.Hour)
		if err := os.WriteFile(filepath.Join(b.vault, "copy", apart, "b"), []byte("something else"), 0o644); err != nil {
			t.Fatal(err)
		}
		for _, f := range b.findings(p.ledger, o.Job, 30*24*time.Hour) {
			want := audit.Finding{Verdict: audit.Present, Why: "has another form of its name at the destination, in capital letters or accents"}
			switch filepath.Base(f.Source) {
			case "two":
				want = audit.Finding{Verdict: audit.Pruned}
			case "b":
				want = audit.Finding{Verdict: audit.Missing, Why: "has a file of another size in its place"}
			}
			if f.Verdict != want.Verdict || f.Why != want.Why {
				t.Errorf("%s is %s: %s, want %s: %s", f.Source, f.Verdict, f.Why, want.Verdict, want.Why)
			}
		}
	})
}
