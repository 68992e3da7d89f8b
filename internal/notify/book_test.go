package notify_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/notify"
	"github.com/globus-runner/globus-runner/jobs"
)

// ends tells that a run of a job ended some time after the begin of the diary.
func (d *diary) ends(j *jobs.Job, after time.Duration, how ledger.Outcome) {
	d.t.Helper()
	at := d.begin.Add(after)
	d.tell(desk().Ended(notify.Run{Job: j, Key: fmt.Sprint(after), ID: 1, Since: at, Ended: at, Outcome: how}))
}

func (d *diary) kinds() (all []string) {
	for _, a := range d.standing.Alarms {
		all = append(all, a.Kind)
	}
	return all
}

// An alarm of which nobody was told at first is one like any other once somebody is.
func TestWhatWasQuietIsToldToBeOverOnceItWasTold(t *testing.T) {
	begin := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	failed, good := outcome(ledger.Failed, "failed", "no such path"), outcome(ledger.Succeeded, "", "")
	for name, told := range map[string]time.Duration{"because it is due": 48 * time.Hour, "because the channel is new": time.Hour} {
		t.Run(name, func(t *testing.T) {
			d := &diary{t: t, begin: begin}
			d.standing.Alarms = []ledger.Alarm{{Kind: "failed", Since: begin.Add(-told), Told: begin.Add(-told), Count: 1, Quiet: true}}
			d.ends(job(t), 0, failed)
			d.ends(job(t), time.Hour, good)
			if len(d.lines) != 2 || !strings.HasPrefix(d.lines[0], "0s ops: nightly failed") || d.lines[1] != "1h0m0s ops: nightly has recovered" {
				t.Errorf("got %q, want the failure and its end", d.lines)
			}
		})
	}
}

// A channel that is added is told by a notice of its own. If nobody takes that one, the
// others have heard of the alarm all the same.
func TestAnAlarmKnowsTheNoticeThatToldAll(t *testing.T) {
	d := &diary{t: t, begin: time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)}
	failed := outcome(ledger.Failed, "failed", strings.Repeat("é", 600))
	d.ends(job(t), 0, failed)
	d.ends(job(t, func(j *jobs.Job) { j.Notify.To["failed"] = []string{"ops", "pi"} }), time.Hour, failed)
	a := d.standing.Alarms[0]
	if len(d.notices) != 2 || a.Notice != d.notices[0].ID || !slices.Equal(a.Heard, []string{"ops", "pi"}) {
		t.Errorf("got the alarm %+v after the notices %q", a, d.lines)
	}
	if n := utf8.RuneCountInString(a.Why); n > 500 {
		t.Errorf("its reason has %d characters", n)
	}
}

func TestAFailureEndsWhatItsRunWaitedFor(t *testing.T) {
	d := &diary{t: t, begin: time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)}
	for _, kind := range []string{"late", "needs_human", "stalled", "overdue", "look"} {
		d.standing.Alarms = append(d.standing.Alarms, ledger.Alarm{Kind: kind, Since: d.begin, Told: d.begin})
	}
	d.ends(job(t), time.Hour, outcome(ledger.Failed, "failed", "no such path"))
	if diff := cmp.Diff([]string{"overdue", "look", "failed"}, d.kinds()); diff != "" {
		t.Errorf("alarms (-want +got):\n%s", diff)
	}
	d.ends(job(t), 2*time.Hour, outcome(ledger.Succeeded, "", ""))
	if diff := cmp.Diff([]string{"look"}, d.kinds()); diff != "" {
		t.Errorf("alarms after a success (-want +got):\n%s", diff)
	}
}

// What is missing weighs more than that it is little.
func TestARunWithoutSomeOfItsFilesHasFailed(t *testing.T) {
	d := &diary{t: t, begin: time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)}
	j := job(t, func(j *jobs.Job) { j.Expect.Files, j.Notify.To["runs"] = 4, []string{"dog"} })
	d.ends(j, 0, outcome(ledger.Succeeded, "partial", "2 files were left out"))
	all := ledger.Outcome{State: ledger.Succeeded, Totals: ledger.Totals{Files: 4}}
	d.ends(j, time.Hour, all)
	var got []string
	for _, n := range d.notices {
		got = append(got, fmt.Sprintf("%s: %s", n.Event, n.Title))
	}
	want := []string{
		"failed: nightly succeeded without some of its files", "failed: nightly succeeded without some of its files",
		"succeeded: nightly succeeded", "recovered: nightly has recovered",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWhatWasSkippedSaysWhy(t *testing.T) {
	d := &diary{t: t, begin: time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)}
	d.ends(job(t), 0, outcome(ledger.Skipped, "skipped", "another task is at work"))
	if got := d.notices[0].Lines; got[0] != "another task is at work" || len(got) != 2 {
		t.Errorf("got the lines %q, want why, and which run", got)
	}
}

// A run that is left goes on with the next start: it must not be asked for again.
func TestWhatIsLeftIsNotToBeRetried(t *testing.T) {
	d := &diary{t: t, begin: time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)}
	d.tell(desk().Left(notify.Run{
		Job: job(t), Key: "1", ID: 1, Since: d.begin, Ended: d.begin, Err: errors.New("it is away"), Outcome: outcome(ledger.Submitted, "temporary", "it is away"),
	}))
	if got := d.lines[0]; !strings.Contains(got, "could not be brought to its end, and is left to the next start") {
		t.Errorf("got %q, want that it goes on with the next start", got)
	}
	if got := d.notices[0]; got.Error.Next != "" || strings.Contains(strings.Join(got.Lines, "\n"), "retry") {
		t.Errorf("got the next step %q and the lines %q, want none", got.Error.Next, got.Lines)
	}
}

// A run that has succeeded cannot be asked for again, even if files are missing.
func TestWhatHasSucceededIsNotToBeRetried(t *testing.T) {
	d := &diary{t: t, begin: time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)}
	d.tell(desk().Ended(notify.Run{
		Job: job(t), Key: "1", ID: 1, Since: d.begin, Ended: d.begin, Err: errors.New("2 files were left out"), Outcome: outcome(ledger.Succeeded, "partial", "2 files were left out"),
	}))
	if got := d.notices[0]; got.Error.Next != "" {
		t.Errorf("got the next step %q, want none", got.Error.Next)
	}
}

// While items are left that failed, a success ends what they did not cause, and people are
// reminded of them alone.
func TestASuccessEndsWhatFailedItemsDidNotCause(t *testing.T) {
	d := &diary{t: t, begin: time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)}
	for _, kind := range []string{"failed", "late", "overdue", "needs_human", "stalled", "access"} {
		d.standing.Alarms = append(d.standing.Alarms, ledger.Alarm{Kind: kind, Since: d.begin, Told: d.begin})
	}
	at := d.begin.Add(48 * time.Hour)
	d.tell(desk().Ended(notify.Run{Job: job(t), Key: "1", ID: 1, Since: at, Ended: at, Outcome: outcome(ledger.Succeeded, "", ""), Left: 1}))
	if diff := cmp.Diff([]string{"failed", "access"}, d.kinds()); diff != "" {
		t.Errorf("alarms (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"48h0m0s ops: nightly still has 1 failed item"}, d.lines); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}

// The numbers of a new ledger begin anew, and its notices must not be taken for old ones.
func TestRunsOfTwoLedgersHaveNoticesOfTheirOwn(t *testing.T) {
	d := &diary{t: t, begin: time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)}
	for _, since := range []time.Duration{-time.Hour, 0} {
		d.standing = ledger.Standing{}
		d.tell(desk().Ended(notify.Run{Job: job(t), Key: "1", ID: 1, Since: d.begin.Add(since), Ended: d.begin, Outcome: outcome(ledger.Failed, "failed", "no such path")}))
	}
	if d.notices[0].ID == d.notices[1].ID {
		t.Error("both have the same id")
	}
}

func TestALookThatMayPassIsToldAfterAQuarterOfAnHour(t *testing.T) {
	begin := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	j := job(t)
	j.ForEach = &jobs.ForEach{}
	look := func(d *diary, after time.Duration, err error) {
		d.tell(desk().Looked(notify.Look{Job: j, Ended: d.begin.Add(after), Err: err, Why: "it is away", Passes: true}))
	}
	away := errors.New("it is away")
	d := &diary{t: t, begin: begin}
	look(d, 0, away)
	look(d, 14*time.Minute, away)
	look(d, 15*time.Minute, away)
	look(d, 20*time.Minute, nil)
	want := []string{"15m0s ops: nightly cannot look for items, 3 times since 2026-11-21 00:00 UTC", "20m0s ops: nightly has recovered"}
	if diff := cmp.Diff(want, d.lines); diff != "" {
		t.Fatalf("(-want +got):\n%s", diff)
	}
	if got := d.notices[0].Lines[1]; got != "Next step: runner items nightly --look" {
		t.Errorf("got %q, want the command that looks", got)
	}
	d = &diary{t: t, begin: begin}
	look(d, 0, away) // often in a short time, and rarely in a long one
	look(d, time.Minute, away)
	look(d, 2*time.Minute, away)
	look(d, 3*time.Minute, nil)
	look(d, time.Hour, away)
	look(d, 2*time.Hour, away)
	look(d, 3*time.Hour, nil)
	if len(d.lines) > 0 {
		t.Errorf("got %q, want nothing of what may pass", d.lines)
	}
	d = &diary{t: t, begin: begin}
	d.tell(desk().Looked(notify.Look{Job: j, Ended: begin, Err: errors.New("no such folder"), Why: "no such folder"})) // told at once
	look(d, time.Minute, away)
	look(d, 2*time.Minute, nil)
	want = []string{"0s ops: nightly cannot look for items", "2m0s ops: nightly has recovered"}
	if diff := cmp.Diff(want, d.lines); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	d = &diary{t: t, begin: begin}
	look(d, 0, away)
	look(d, time.Minute, nil)
	d.standing.Alarms = []ledger.Alarm{{Kind: "failed", Since: begin, Told: begin, Quiet: true}}
	d.ends(job(t), time.Hour, outcome(ledger.Succeeded, "", ""))
	if len(d.lines) > 0 || len(d.standing.Alarms) > 0 {
		t.Errorf("got %q and the alarms %+v, want nothing of what nobody had heard", d.lines, d.standing.Alarms)
	}
}
