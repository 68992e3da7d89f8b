package ledger_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/globus-runner/globus-runner/internal/ledger"
)

func TestSubmissionsAreKept(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l := open(t, url)
		ctx := t.Context()
		r := claim(t, l, "j", "1", "me", time.Hour)
		second := ledger.Submission{ID: "s2", Run: r.ID, Step: 1, Part: 1, Attempt: 1, Label: "j 1 \x00", Document: []byte("\x00{}\xff")}
		first := ledger.Submission{ID: "s1", Run: r.ID, Step: 1, Part: 0, Attempt: 1, Label: "j 1", Document: []byte(`{"a": 1}`), Deletes: new(int64(7)), DeletesAtLeast: true, Once: true}
		again := ledger.Submission{ID: "s3", Run: r.ID, Step: 1, Part: 0, Attempt: 2, Label: "j 1 #2", Deletes: new(int64(0))}
		for _, s := range []ledger.Submission{second, again, first} {
			ok(t, l.Submit(ctx, "me", s))
		}
		ok(t, l.Accepted(ctx, "s1", "t1"))
		ok(t, l.Ended(ctx, "s1", "SUCCEEDED", ledger.Totals{}))

		got, err := l.Submissions(ctx, r.ID)
		ok(t, err)
		second.Label = "j 1 \uFFFD"
		first.TaskID, first.Status = "t1", "SUCCEEDED"
		if d := cmp.Diff([]ledger.Submission{first, second, again}, got, cmpopts.IgnoreFields(ledger.Submission{}, "Created", "Accepted"), cmpopts.EquateEmpty()); d != "" {
			t.Error(d)
		}
		if got[0].Created.IsZero() || got[0].Accepted.Before(got[0].Created) || !got[1].Accepted.IsZero() {
			t.Errorf("created %v, accepted %v; the other accepted %v", got[0].Created, got[0].Accepted, got[1].Accepted)
		}
	})
}

func TestSubmitTakesAPlaceOnce(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l := open(t, url)
		ctx := t.Context()
		r := claim(t, l, "j", "1", "me", time.Hour)
		other := claim(t, l, "j", "2", "me", time.Hour)
		s := ledger.Submission{ID: "s1", Run: r.ID, Step: 1, Part: 2, Attempt: 3, Document: []byte("d")}
		ok(t, l.Submit(ctx, "me", s))
		ok(t, l.Submit(ctx, "me", s)) // its answer may have been lost

		with := func(f func(*ledger.Submission)) ledger.Submission { c := s; f(&c); return c }
		for name, c := range map[string]ledger.Submission{
			"another id at the place":     with(func(s *ledger.Submission) { s.ID = "s2" }),
			"the id in another run":       with(func(s *ledger.Submission) { s.Run = other.ID }),
			"the id at another step":      with(func(s *ledger.Submission) { s.Step = 2 }),
			"the id with another content": with(func(s *ledger.Submission) { s.Document = []byte("e") }),
		} {
			wantError(t, name, l.Submit(ctx, "me", c), ledger.ErrExists)
		}
		if l.Submit(ctx, "me", ledger.Submission{Run: r.ID}) == nil {
			t.Error("a submission without id was recorded")
		}
		got, err := l.Submissions(ctx, r.ID)
		if err != nil || len(got) != 1 {
			t.Errorf("got %v, %v", got, err)
		}
	})
}

func TestAttemptCountsWithItsSubmissionOrNotAtAll(t *testing.T) {
	refuse := map[string]string{
		"sqlite":   `CREATE TRIGGER few BEFORE UPDATE OF attempt ON runs WHEN NEW.attempt = 2 BEGIN SELECT RAISE(ABORT, 'few'); END`,
		"postgres": `ALTER TABLE runs ADD CONSTRAINT few CHECK (attempt <> 2)`,
	}
	onEngines(t, func(t *testing.T, url string) {
		l := open(t, url)
		scheme, _, _ := strings.Cut(url, ":")
		ok(t, l.Exec(t.Context(), refuse[scheme]))
		r := claim(t, l, "j", "1", "me", time.Hour)
		if err := l.Submit(t.Context(), "me", ledger.Submission{ID: "s2", Run: r.ID, Step: 1, Attempt: 2}); err == nil {
			t.Error("the attempt was recorded")
		}
		if s, err := l.Submissions(t.Context(), r.ID); err != nil || len(s) != 0 {
			t.Errorf("got the submissions %+v, %v, want none", s, err)
		}
		ok(t, l.Submit(t.Context(), "me", ledger.Submission{ID: "s3", Run: r.ID, Step: 1, Attempt: 3}))
		if got := get(t, l, r.ID); got.Step != 1 || got.Attempt != 3 {
			t.Errorf("got %+v, want step 1 and attempt 3", got)
		}
	})
}

func TestTaskOfASubmissionMakesItsRunSubmitted(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l := open(t, url)
		for key, want := range map[string]ledger.State{"open": ledger.Submitted, "over": ledger.Failed} {
			r := claim(t, l, "j", key, "me", time.Hour)
			ok(t, l.Submit(t.Context(), "me", ledger.Submission{ID: key, Run: r.ID}))
			if want.Final() {
				ok(t, l.Finish(t.Context(), r.ID, "me", ledger.Outcome{State: want}))
			}
			ok(t, l.Accepted(t.Context(), key, "task of "+key))
			if got := get(t, l, r.ID).State; got != want {
				t.Errorf("%s: got %s, want %s", key, got, want)
			}
		}
	})
}

func TestASubmissionBecomesOneTask(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l := open(t, url)
		ctx := t.Context()
		r := claim(t, l, "j", "1", "me", time.Hour)
		ok(t, l.Submit(ctx, "me", ledger.Submission{ID: "s1", Run: r.ID}))
		ok(t, l.Accepted(ctx, "s1", "t1"))
		before, err := l.Submissions(ctx, r.ID)
		ok(t, err)
		ok(t, l.Accepted(ctx, "s1", "t1"))
		wantError(t, "another task", l.Accepted(ctx, "s1", "t2"), ledger.ErrExists)
		after, err := l.Submissions(ctx, r.ID)
		ok(t, err)
		if d := cmp.Diff(before, after); d != "" {
			t.Error(d)
		}
		wantError(t, "Accepted of none", l.Accepted(ctx, "s9", "t1"), ledger.ErrNone)
		wantError(t, "Ended of none", l.Ended(ctx, "s9", "FAILED", ledger.Totals{}), ledger.ErrNone)
		wantError(t, "Mark of none", l.Mark(ctx, "s9", "REFUSED"), ledger.ErrNone)
	})
}

// An answer that was lost may have been a task after all. How a task that is
// known has ended stays.
func TestTaskUndoesThatASubmissionWasRefused(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l := open(t, url)
		ctx := t.Context()
		r := claim(t, l, "j", "1", "me", time.Hour)
		ok(t, l.Submit(ctx, "me", ledger.Submission{ID: "s1", Run: r.ID}))
		ok(t, l.Mark(ctx, "s1", "REFUSED"))
		ok(t, l.Accepted(ctx, "s1", "t1"))
		status := func(want string) {
			t.Helper()
			if s, err := l.Submissions(ctx, r.ID); err != nil || len(s) != 1 || s[0].TaskID != "t1" || s[0].Status != want {
				t.Errorf("got %+v, %v, want task t1 with status %q", s, err, want)
			}
		}
		status("")
		did := ledger.Totals{Files: 1, FilesSkipped: 2, Bytes: 1 << 60, SkippedErrors: 4, Faults: 5}
		ok(t, l.Ended(ctx, "s1", "SUCCEEDED", did))
		ok(t, l.Accepted(ctx, "s1", "t1"))
		status("SUCCEEDED")
		if s, err := l.Submissions(ctx, r.ID); err != nil || s[0].Totals != did {
			t.Errorf("got %+v, %v, want what its task did: %+v", s, err, did)
		}
		ok(t, l.Mark(ctx, "s1", ""))
		ok(t, l.Mark(ctx, "s1", "REFUSED"))
		status("SUCCEEDED")
	})
}

func TestNotesAreInOrder(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l := open(t, url)
		ctx := t.Context()
		r := claim(t, l, "j", "1", "me", time.Hour)
		ok(t, l.Note(ctx, r.ID, due.Add(time.Second), "stalled", "no progress \x00"))
		ok(t, l.Note(ctx, r.ID, due, "submitted", "one"))
		ok(t, l.Note(ctx, r.ID, due, "accepted", "two"))
		want := []ledger.Note{
			{At: due, Kind: "submitted", Text: "one"},
			{At: due, Kind: "accepted", Text: "two"},
			{At: due.Add(time.Second), Kind: "stalled", Text: "no progress \uFFFD"},
		}
		got, err := l.Notes(ctx, r.ID)
		ok(t, err)
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
		wantError(t, "note on none", l.Note(ctx, 99, due, "k", "t"), ledger.ErrNone)
	})
}
