package ledger_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/internal/ledger"
)

func TestARunThatHasEndedIsGivenUp(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l, ctx := open(t, url), t.Context()
		tests := []struct {
			state         ledger.State
			message, want string // the message after it; "" if it cannot be given up
		}{
			{ledger.Failed, "no such path", "given up by ada: the sample was bad; it had failed: no such path"},
			{ledger.TimedOut, "too slow", "given up by ada: the sample was bad; it had timed out: too slow"},
			{ledger.Skipped, "busy", "given up by ada: the sample was bad; it was skipped: busy"},
			{ledger.Failed, "", "given up by ada: the sample was bad"},
			{ledger.Succeeded, "", ""},
			{ledger.Canceled, "by hand", ""},
		}
		for i, tt := range tests {
			run := claim(t, l, "a", string(rune('a'+i)), "me", time.Hour)
			ok(t, l.Finish(ctx, run.ID, "me", ledger.Outcome{State: tt.state, Class: "c", Code: "C", Message: tt.message, RequestID: "r", Totals: ledger.Totals{Files: 3}}))
			before := get(t, l, run.ID)
			done, err := l.Act(ctx, ledger.Action{Kind: ledger.ActionCancel, Run: run.ID, Who: "ada", Why: "the sample was bad"})
			after := get(t, l, run.ID)
			if tt.want == "" {
				wantError(t, "cancel of a run that is "+string(tt.state), err, ledger.ErrState)
				if done.GaveUp || *after != *before {
					t.Errorf("got %+v and %+v, want no change of %+v", done, after, before)
				}
				continue
			}
			ok(t, err)
			want := *before
			want.State, want.Class, want.Code, want.RequestID, want.Message = ledger.Canceled, "canceled", "", "", tt.want
			if diff := cmp.Diff(&want, after); diff != "" || !done.GaveUp || done.Job != "a" {
				t.Errorf("given up: %+v (-want +got):\n%s", done, diff)
			}
			if b := bars(t, l, "a", 1)[0]; b.ID != run.ID || b.State != ledger.Canceled {
				t.Errorf("got the bar %+v, want it canceled", b)
			}
			if notes, err := l.Notes(ctx, run.ID); err != nil || len(notes) != 1 || notes[0].Kind != "given_up" || notes[0].Text != "by ada: the sample was bad" {
				t.Errorf("got the notes %+v, %v", notes, err)
			}
			changed, err := l.ChangedRuns(ctx, after.Finished.Add(time.Microsecond))
			if err != nil || len(changed) == 0 || changed[len(changed)-1].State != ledger.Canceled {
				t.Errorf("got the changed runs %+v, %v, want the one that was given up", changed, err)
			}
			ok(t, l.Retry(ctx, run.ID))
			if r := get(t, l, run.ID); r.State != ledger.Claimed || !r.Again || r.Message != "" {
				t.Errorf("got %+v, want it asked for again", r)
			}
			_, err = l.Act(ctx, ledger.Action{Kind: ledger.ActionCancel, Run: run.ID, Who: "ada"}) // which has not ended
			ok(t, err)
			if r := get(t, l, run.ID); r.State != ledger.Claimed || !r.CancelRequested {
				t.Errorf("got %+v, want it to be canceled", r)
			}
		}
	})
}

// The alarm about failed runs is settled by who gives up the last of them.
func TestAlarmsAreSettledWithTheLastFailedRun(t *testing.T) {
	for name, items := range map[string]bool{"of items": true, "of other runs": false} {
		t.Run(name, func(t *testing.T) {
			onEngines(t, func(t *testing.T, url string) {
				l, ctx := open(t, url), t.Context()
				end := func(key string, state ledger.State) int64 {
					t.Helper()
					if items {
						ok(t, l.KeepItems(ctx, "j", []ledger.Item{{Name: key, Key: key, Generation: 1, State: "ready"}}))
					}
					run := claim(t, l, "j", key, "me", time.Hour)
					ok(t, l.Finish(ctx, run.ID, "me", ledger.Outcome{State: state}))
					return run.ID
				}
				old := end("before the alarm", ledger.Failed)
				first, second := end("1", ledger.Failed), end("2", ledger.TimedOut)
				end("3", ledger.Skipped)
				end("4", ledger.Succeeded)
				if items { // all of them count, since whenever
					ok(t, l.SetGone(ctx, "j", []string{"before the alarm"}))
				} else {
					ok(t, l.Exec(ctx, `UPDATE runs SET finished = finished - 3600000000 WHERE key = 'before the alarm'`))
				}
				begin := time.Now()
				ok(t, l.Tell(ctx, "j", func(s ledger.Standing) (ledger.Standing, []ledger.Notice) {
					s.Alarms = []ledger.Alarm{
						{Kind: "access", Since: begin.Add(-24 * time.Hour)}, {Kind: "refused", Since: begin.Add(time.Hour)}, {Kind: "failed", Since: begin},
					}
					return s, nil
				}))
				if n, err := l.Failed(ctx, "j", begin); err != nil || n != 2 {
					t.Errorf("%d have failed, %v, want 2", n, err)
				}
				giveUp := func(run int64, want ...string) {
					t.Helper()
					act(t, l, ledger.Action{Kind: ledger.ActionCancel, Run: run, Who: "ada", Why: "bad", Alarms: []string{"failed", "refused"}})
					all, err := l.Standings(ctx)
					ok(t, err)
					var got []string
					for _, a := range all["j"].Alarms {
						got = append(got, a.Kind+" "+a.GivenUp)
					}
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("after run %d (-want +got):\n%s", run, diff)
					}
				}
				giveUp(first, "access ", "refused ", "failed ")
				giveUp(second, "access ", "refused by ada: bad", "failed by ada: bad")
				giveUp(old, "access ", "refused by ada: bad", "failed by ada: bad")
			})
		})
	}
}
