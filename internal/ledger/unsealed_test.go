package ledger_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/internal/ledger"
)

// unsealed are the documents of what has no receipt, each with whether its end is
// known and its snapshot.
func unsealed(t *testing.T, l *ledger.Ledger, since time.Time) map[string]string {
	t.Helper()
	all := map[string]string{}
	for u, err := range l.Unsealed(t.Context(), since) {
		ok(t, err)
		if _, twice := all[string(u.Document)]; twice {
			t.Errorf("%s comes twice", u.Document)
		}
		all[string(u.Document)] = fmt.Sprint(!u.Ended.IsZero(), " ", u.Snapshot, u.Receipt > 0)
	}
	return all
}

func TestUnsealedIsWhatHasNoReceipt(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l := open(t, url)
		ctx := t.Context()
		submit := func(key string, receipt bool, edit func(*ledger.Submission)) (*ledger.Run, *ledger.Receipt) {
			r := claim(t, l, "j", key, "me", time.Hour)
			var kept *ledger.Receipt
			if receipt {
				var err error
				kept, err = l.BeginReceipt(ctx, ledger.Receipt{Run: r.ID, Job: "j", Key: key, Attempt: 1})
				ok(t, err)
				writeText(t, l, kept.ID, "list", []byte("a"))
				ok(t, l.KeepSnapshot(ctx, "me", kept.ID, "list", due))
			}
			s := ledger.Submission{ID: key, Run: r.ID, Attempt: 1, Document: []byte(key)}
			if edit != nil {
				edit(&s)
			}
			ok(t, l.Submit(ctx, "me", s))
			return r, kept
		}
		end := func(r *ledger.Run, id, status string) {
			if status == "REFUSED" {
				ok(t, l.Mark(ctx, id, status))
			} else {
				ok(t, l.Accepted(ctx, id, "task of "+id))
				ok(t, l.Ended(ctx, id, status, ledger.Totals{}))
			}
			ok(t, l.Finish(ctx, r.ID, "me", ledger.Outcome{State: ledger.Failed}))
		}
		for n := range 23 { // more than two pages
			key := fmt.Sprintf("failed %02d", n)
			r, _ := submit(key, true, nil)
			end(r, key, "FAILED")
		}
		r, _ := submit("no receipt", false, nil)
		end(r, "no receipt", "SUCCEEDED")
		r, _ = submit("refused", true, nil)
		end(r, "refused", "REFUSED")
		r, _ = submit("a flow", false, func(s *ledger.Submission) { s.Flow = "f" })
		end(r, "a flow", "SUCCEEDED")
		r, _ = submit("a list", false, func(s *ledger.Submission) { s.Once = true })
		end(r, "a list", "SUCCEEDED")
		r, kept := submit("sealed", true, nil)
		writeText(t, l, kept.ID, "whole", []byte("b"))
		ok(t, l.Seal(ctx, kept.ID, "whole", seal))
		end(r, "sealed", "SUCCEEDED")
		r, _ = submit("unclear", true, nil)
		ok(t, l.Finish(ctx, r.ID, "me", ledger.Outcome{State: ledger.Canceled}))
		submit("at work", true, nil)
		r, _ = submit("pending", true, nil)
		end(r, "pending", "SUCCEEDED")

		want := map[string]string{
			"no receipt": "true false", "unclear": "false listtrue", "at work": "false listtrue", "pending": "true listtrue",
		}
		for n := range 23 {
			want[fmt.Sprintf("failed %02d", n)] = "true listtrue"
		}
		if d := cmp.Diff(want, unsealed(t, l, due)); d != "" {
			t.Error(d)
		}
		for u, err := range l.Unsealed(ctx, due) {
			if err != nil || string(u.Document) != "at work" || u.Run == 0 || u.Attempt != 1 {
				t.Errorf("got %+v, %v, want what is at work first", u, err)
			}
			break
		}
		later := time.Now().Add(time.Minute)
		if d := cmp.Diff(map[string]string{"unclear": "false listtrue", "at work": "false listtrue"}, unsealed(t, l, later)); d != "" {
			t.Errorf("what may be at work later:\n%s", d)
		}
		if d := cmp.Diff(map[string]string{"at work": "false listtrue"}, unsealed(t, l, later.Add(31*24*time.Hour))); d != "" {
			t.Errorf("what may be at work a month later:\n%s", d)
		}

		submit("newest", false, nil) // of the job, so that the others can be forgotten
		if n, err := l.ForgetRuns(ctx, ledger.Retention{Since: later}); err != nil || n == 0 {
			t.Fatal(n, err)
		}
		delete(want, "no receipt") // nothing of it is left
		want["newest"] = "false false"
		if d := cmp.Diff(want, unsealed(t, l, due)); d != "" {
			t.Errorf("when their runs are forgotten:\n%s", d)
		}
		if d := cmp.Diff(map[string]string{"unclear": "false listtrue", "at work": "false listtrue", "newest": "false false"}, unsealed(t, l, later)); d != "" {
			t.Errorf("what may be at work later, when the runs are forgotten:\n%s", d)
		}
		if d := cmp.Diff(map[string]string{"at work": "false listtrue", "newest": "false false"}, unsealed(t, l, later.Add(31*24*time.Hour))); d != "" {
			t.Errorf("what may be at work a month later, when the runs are forgotten:\n%s", d)
		}
	})
}

func TestAReceiptThatIsNotSealedIsForgottenLater(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l := open(t, url)
		ctx := t.Context()
		_, sealed := receiptOf(t, l, "1")
		writeText(t, l, sealed.ID, "whole", []byte("b"))
		ok(t, l.Seal(ctx, sealed.ID, "whole", seal))
		_, begun := receiptOf(t, l, "2")
		for _, tt := range []struct {
			before time.Time
			want   int
		}{
			{begun.Created.Add(time.Minute), 1}, {begun.Created.Add(30 * 24 * time.Hour), 0}, {begun.Created.Add(32 * 24 * time.Hour), 1},
		} {
			if n, err := l.ForgetReceipts(ctx, tt.before); err != nil || n != tt.want {
				t.Errorf("pruned %d, %v, want %d", n, err, tt.want)
			}
		}
	})
}
