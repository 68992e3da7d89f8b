package ledger_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/internal/ledger"
)

func TestListsAreOfAllRunsInTheirOrder(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l := open(t, url)
		ctx := t.Context()
		var want []string
		for job := range 2 {
			r := claim(t, l, fmt.Sprint("j", job), "1", "me", time.Hour)
			ok(t, l.Submit(ctx, "me", ledger.Submission{ID: fmt.Sprint("copy", job), Run: r.ID, Attempt: 1, Document: []byte("{}")}))
			for part := range 13 {
				s := ledger.Submission{ID: fmt.Sprintf("%d-%02d", job, 99-part), Run: r.ID, Step: 2, Part: part + 1, Attempt: 1, Document: []byte("{}"), Once: true, Copies: fmt.Append(nil, part)}
				ok(t, l.Submit(ctx, "me", s))
				want = append(want, s.ID)
			}
		}
		var got []string
		for s, err := range l.Lists(ctx) {
			ok(t, err)
			got = append(got, s.ID)
			if part := s.ID[2:]; fmt.Sprint(99-s.Part+1) != part || string(s.Copies) != fmt.Sprint(s.Part-1) {
				t.Errorf("got part %d of %s with the copies %q", s.Part, s.ID, s.Copies)
			}
		}
		if slices.Sort(want); len(got) != len(want) || !slices.Equal(slices.Sorted(slices.Values(got)), want) {
			t.Errorf("got %q, want each of %q once", got, want)
		}
		if got[0][0] != '0' || got[len(got)-1][0] != '1' {
			t.Errorf("got %q, want the oldest first", got)
		}
		for s, err := range l.Lists(ctx) {
			if ok(t, err); s.ID != got[0] {
				t.Errorf("got %s, want %s", s.ID, got[0])
			}
			break
		}
	})
}
