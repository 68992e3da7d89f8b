package engine_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/account"
	"github.com/globus-runner/globus-runner/internal/evidence"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/proof"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

// proves judges the files of the newest receipt: each path with its reason.
func (p *process) proves(t *testing.T) map[string]string {
	t.Helper()
	kept, err := p.ledger.Receipts(t.Context(), ledger.ReceiptQuery{})
	if err != nil || len(kept) == 0 {
		t.Fatalf("got the receipts %v, %v", kept, err)
	}
	open := func() (*proof.Reader, error) { return account.Open(t.Context(), p.ledger, kept[len(kept)-1]) }
	all := map[string]string{}
	found, err := evidence.Gather([]proof.Open{open}, evidence.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for f, err := range found.Files(t.Context(), p.b.client()) {
		if err != nil {
			t.Fatal(err)
		}
		all[f.Path] = string(f.Reason())
	}
	return all
}

// dated sets the time of a file on the bench's disks to that of the bubble,
// which is not that of the machine.
func dated(t *testing.T, file string) {
	t.Helper()
	if err := os.Chtimes(file, time.Now(), time.Now()); err != nil {
		t.Fatal(err)
	}
}

func TestProveJudgesWhatIsThereNow(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		lab := func(name string) string { return filepath.Join(b.lab, name) }
		vault := func(name string) string { return filepath.Join(b.vault, name) }
		files := []string{"data/a.txt", "data/changed", "data/deleted", "data/gone", "data/s/moved on", "data/x.tmp", "single"}
		for _, f := range files {
			b.plant(f, f)
		}
		job := func(j *jobs.Job) {
			doc := j.Steps[0].Transfer
			doc.FilterRules = []transfer.FilterRule{{Method: "exclude", Name: "*.tmp"}}
			doc.Items = append(doc.Items, transfer.Item{SourcePath: "/single", DestinationPath: "/one"})
		}
		time.Sleep(time.Hour)
		p := b.process("one")
		if r, err := p.record(t.Context(), b.order(accounted, job)); err != nil || r.State != ledger.Succeeded || r.Err != nil {
			t.Fatalf("got %+v, %v", r, err)
		}
		want := map[string]string{
			"/data/a.txt": "", "/data/changed": "", "/data/deleted": "", "/data/gone": "", "/data/s/moved on": "", "/single": "",
			"/data/x.tmp": string(evidence.Excluded),
		}
		if d := cmp.Diff(want, p.proves(t)); d != "" {
			t.Fatalf("right after the copy (-want +got):\n%s", d)
		}
		b.plant("data/changed", "DATA/CHANGED") // the same size
		b.plant("data/new", "x")
		for _, f := range []string{lab("data/deleted"), vault("copy/gone")} {
			if err := os.Remove(f); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(vault("one"), []byte("SINGLE"), 0o644); err != nil {
			t.Fatal(err)
		}
		want = map[string]string{
			"/data/a.txt": "", "/data/changed": string(proof.Since), "/data/gone": string(proof.Gone),
			"/data/new": string(proof.NotBefore), "/data/s/moved on": "", "/single": string(proof.OtherThere),
			"/data/x.tmp": string(evidence.Excluded),
		}
		if d := cmp.Diff(want, p.proves(t)); d != "" {
			t.Errorf("later (-want +got):\n%s", d)
		}
		for _, side := range []string{"lab", "vault"} {
			b.Fail(globussim.Fault{Path: "/v0.10/operation/endpoint/" + globussim.CollectionID(side) + "/*", Times: -1, Status: 403, Code: "EndpointPermissionDenied"})
			got := p.proves(t)
			b.ClearFaults()
			for path, reason := range got {
				if reason == "" {
					t.Errorf("%s cannot be read, and %s is proven", side, path)
				}
			}
			if len(got) != 2 {
				t.Errorf("%s cannot be read: got %v, want the folder and the file", side, got)
			}
		}
	})
}
