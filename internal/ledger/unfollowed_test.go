package ledger_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/internal/ledger"
)

func TestARunIsUnfollowedUntilItsOccurrenceIsClaimed(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l := open(t, url)
		end := func(job, key string, state ledger.State) *ledger.Run {
			t.Helper()
			r := claim(t, l, job, key, "me", time.Hour)
			ok(t, l.Finish(t.Context(), r.ID, "me", ledger.Outcome{State: state}))
			r, err := l.Run(t.Context(), r.ID)
			ok(t, err)
			return r
		}
		early := end("up", "1", ledger.Succeeded)
		time.Sleep(time.Millisecond)
		second := end("up", "2", ledger.Succeeded)
		end("up", "3", ledger.Failed)
		end("other", "4", ledger.Succeeded)
		end("up", "5", ledger.Succeeded)
		claim(t, l, "up", "6", "me", time.Hour)
		claim(t, l, "down", "5", "me", time.Hour)

		since := func(down, beside time.Time, limit int) (got []string) {
			t.Helper()
			found, now, err := l.Unfollowed(t.Context(), []ledger.Follower{
				{Job: "down", After: "up", Since: down}, {Job: "beside", After: "up", Since: beside}, {Job: "none", After: "nothing", Since: down},
			}, limit)
			ok(t, err)
			if now.Before(second.Finished) || now.After(second.Finished.Add(time.Minute)) {
				t.Errorf("the ledger looked at %s, and run 2 ended at %s", now, second.Finished)
			}
			for _, f := range found {
				got = append(got, fmt.Sprint(f.By, " ", f.Run.Job, f.Run.Key))
			}
			return got
		}
		tests := map[string]struct {
			down, beside time.Time
			limit        int
			want         []string
		}{
			"since the first":          {early.Finished, second.Finished.Add(time.Hour), 9, []string{"down up1", "down up2"}},
			"since the second":         {second.Finished, second.Finished.Add(time.Hour), 9, []string{"down up2"}},
			"at most one":              {early.Finished, second.Finished.Add(time.Hour), 1, []string{"down up1"}},
			"each follower for itself": {second.Finished.Add(time.Hour), second.Finished, 9, []string{"beside up2", "beside up5"}},
		}
		for name, tt := range tests {
			t.Run(name, func(t *testing.T) {
				if d := cmp.Diff(tt.want, since(tt.down, tt.beside, tt.limit)); d != "" {
					t.Error(d)
				}
			})
		}
	})
}
