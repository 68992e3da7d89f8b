package account_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/internal/account"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/transfer"
)

// Until is how long a task of which the end is not known may have replaced copies.
func TestATaskWithoutAnEndIsAtWorkUntilItsDeadlineAndLonger(t *testing.T) {
	deadline := time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct{ deadline, until time.Time }{
		"a deadline":    {deadline, deadline.Add(time.Hour)}, // clocks differ
		"none is known": {time.Time{}, time.Time{}},
	} {
		t.Run(name, func(t *testing.T) {
			l, kept := begun(t)
			defer l.Close() //nolint:errcheck // what was written was checked
			doc := &transfer.Transfer{SourceEndpoint: "lab", DestinationEndpoint: "vault", Items: []transfer.Item{{SourcePath: "/out/", DestinationPath: "/in/"}}}
			doc.Deadline = transfer.Time{Time: tt.deadline}
			text, err := json.Marshal(doc)
			must(t, err)
			must(t, l.Submit(t.Context(), "h", ledger.Submission{ID: "s", Run: kept.Run, Step: 1, Attempt: 1, Document: text}))
			others, err := account.Others(t.Context(), l, []*ledger.Receipt{kept})([]int{0})
			must(t, err)
			seen := 0
			for u, err := range others.Unsealed {
				must(t, err)
				if seen++; !u.Until.Equal(tt.until) {
					t.Errorf("it may be at work until %v, want %v", u.Until, tt.until)
				}
			}
			if seen != 1 {
				t.Errorf("got %d tasks", seen)
			}
		})
	}
}
