package notify_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/notify"
	"github.com/globus-runner/globus-runner/jobs"
)

// desk is one whose tasks have pages, and which knows what to do about nothing.
func desk() *notify.Desk {
	return &notify.Desk{
		TaskLink: func(id, _ string) string { return "https://app.globus.org/activity/" + id },
		Next:     func(error) string { return "" },
	}
}

// job is one that tells a channel for each event, by the event's name.
func job(t *testing.T, edits ...func(*jobs.Job)) *jobs.Job {
	t.Helper()
	j := &jobs.Job{Name: "nightly", Steps: []jobs.Step{{}}, Notify: jobs.Notify{To: map[string][]string{}}}
	for _, event := range []notify.Event{
		notify.Failed, notify.Recovered, notify.Skipped, notify.NeedsHuman, notify.Stalled, notify.Refused,
		notify.Late, notify.Overdue, notify.Nothing, notify.Missing, notify.Access,
	} {
		j.Notify.To[string(event)] = []string{"ops"}
	}
	for _, edit := range edits {
		edit(j)
	}
	if err := j.Check(); err != nil {
		t.Fatal(err)
	}
	return j
}

// A diary is what is told, one event after the other.
type diary struct {
	t        *testing.T
	standing ledger.Standing
	begin    time.Time
	lines    []string
	notices  []notify.Notice
}

// tell adds what people hear about an event.
func (d *diary) tell(telling ledger.Transition) {
	d.t.Helper()
	after, first := telling(d.standing)
	if _, second := telling(d.standing); !cmp.Equal(first, second) {
		d.t.Errorf("asked again, it says something else: %s", cmp.Diff(first, second))
	}
	d.standing = after
	for _, row := range first {
		var n notify.Notice
		if err := json.Unmarshal([]byte(row.Body), &n); err != nil {
			d.t.Fatal(err)
		}
		if n.ID != row.ID || n.Job != row.Job || string(n.Event) != row.Event {
			d.t.Errorf("the notice %+v stands for %+v", row, n)
		}
		d.notices = append(d.notices, n)
		d.lines = append(d.lines, fmt.Sprintf("%v %s: %s", n.Time.Sub(d.begin), row.Channel, n.Title))
	}
}

// An end is how a run ends, some time after the begin.
type end struct {
	after time.Duration
	how   ledger.Outcome
}

func outcome(state ledger.State, class, message string) ledger.Outcome {
	return ledger.Outcome{State: state, Class: class, Message: message}
}

// A job that is done for each item has recovered when none of them is left that failed.
func TestAJobHasNotRecoveredWhileItemsAreLeft(t *testing.T) {
	good, failed := outcome(ledger.Succeeded, "", ""), outcome(ledger.Failed, "failed", "no such path")
	d := &diary{t: t, begin: time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)}
	j := job(t)
	for i, e := range []struct {
		end
		left int
	}{
		{end{0, failed}, 0},
		{end{time.Hour, good}, 1},
		{end{2 * time.Hour, good}, -1}, // it failed after somebody had looked whether one had
		{end{25 * time.Hour, good}, -1},
		{end{26 * time.Hour, good}, 2},
		{end{27 * time.Hour, good}, 2},
		{end{28 * time.Hour, good}, 0},
		{end{29 * time.Hour, good}, -1},
	} {
		run := notify.Run{Job: j, Key: fmt.Sprint(i), ID: int64(i + 1), Since: d.begin, Outcome: e.how, Ended: d.begin.Add(e.after), Left: e.left}
		if e.how.Class != "" {
			run.Err = errors.New(e.how.Message)
		}
		d.tell(desk().Ended(run))
	}
	want := []string{"0s ops: nightly failed", "26h0m0s ops: nightly still has 2 failed items", "28h0m0s ops: nightly has recovered"}
	if diff := cmp.Diff(want, d.lines); diff != "" {
		t.Errorf("notices (-want +got):\n%s", diff)
	}
}

// Who was told of failed items is told how to end that, in the words for the job.
func TestFailedItemsAreToldWithTheWaysOut(t *testing.T) {
	for list, each := range map[string]*jobs.ForEach{"runner items nightly": {}, "runner runs --job nightly --state failed": nil} {
		d := &diary{t: t, begin: time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)}
		j := job(t)
		j.ForEach = each
		end := func(after time.Duration, how ledger.Outcome, left int) {
			d.tell(desk().Ended(notify.Run{Job: j, Key: fmt.Sprint(after), ID: 1, Since: d.begin, Outcome: how, Ended: d.begin.Add(after), Left: left}))
		}
		end(0, outcome(ledger.Failed, "failed", "no such path"), 0)
		end(26*time.Hour, outcome(ledger.Succeeded, "", ""), 2)
		want := []string{"no such path", "Next step: " + list + " lists them; runner runs retry RUN does one again, and runner runs cancel RUN gives it up"}
		if diff := cmp.Diff(want, d.notices[1].Lines); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		d.standing.Alarms[0].GivenUp = "by ada"
		end(27*time.Hour, outcome(ledger.Succeeded, "", ""), -1) // nobody has counted, as nothing is wrong
		if got := d.lines[len(d.lines)-1]; got != "27h0m0s ops: nightly has recovered" || len(d.standing.Alarms) > 0 {
			t.Errorf("after it was given up: %q, with the alarms %+v", got, d.standing.Alarms)
		}
	}
}

func TestWhatIsToldOfRuns(t *testing.T) {
	good := outcome(ledger.Succeeded, "", "")
	failed := outcome(ledger.Failed, "failed", "no such path")
	canceled := outcome(ledger.Canceled, "canceled", "canceled on request")
	few := good
	few.Files = 3
	tests := map[string]struct {
		edit func(*jobs.Job)
		ends []end
		want []string
	}{
		"success says nothing": {nil, []end{{0, good}, {time.Hour, good}}, nil},
		"a failure, once, and its end": {nil, []end{{0, failed}, {time.Hour, failed}, {2 * time.Hour, good}, {3 * time.Hour, good}}, []string{
			"0s ops: nightly failed",
			"2h0m0s ops: nightly has recovered",
		}},
		"a failure that goes on is told once a day": {nil, []end{{0, failed}, {12 * time.Hour, failed}, {24 * time.Hour, failed}, {36 * time.Hour, failed}}, []string{
			"0s ops: nightly failed",
			"24h0m0s ops: nightly failed, 3 times since 2026-11-21 00:00 UTC",
		}},
		"a nightly failure that ends a little earlier": {nil, []end{{0, failed}, {23*time.Hour + 50*time.Minute, failed}, {47*time.Hour + 40*time.Minute, failed}}, []string{
			"0s ops: nightly failed",
			"23h50m0s ops: nightly failed, 2 times since 2026-11-21 00:00 UTC",
			"47h40m0s ops: nightly failed, 3 times since 2026-11-21 00:00 UTC",
		}},
		"a task that was canceled at Globus, and the end of that": {nil, []end{{0, outcome(ledger.Failed, "canceled", "by a manager")}, {1, good}}, []string{
			"0s ops: nightly was canceled", "1ns ops: nightly has recovered",
		}},
		"another failure after a recovery": {nil, []end{{0, failed}, {1, good}, {2, failed}}, []string{
			"0s ops: nightly failed", "1ns ops: nightly has recovered", "2ns ops: nightly failed",
		}},
		"how it ended": {nil, []end{
			{0, canceled},
			{1, good},
			{2, outcome(ledger.TimedOut, "timed_out", "")},
			{3, good},
			{4, outcome(ledger.Succeeded, "skipped_errors", "")},
			{5, good},
			{6, outcome(ledger.Failed, "guard", "")},
			{7, good},
			{8, outcome(ledger.Failed, "missing", "")},
		}, []string{
			"0s ops: nightly was canceled",
			"2ns ops: nightly timed out", "3ns ops: nightly has recovered",
			"4ns ops: nightly succeeded without some of its files", "5ns ops: nightly has recovered",
			"6ns ops: nightly was refused by a guard", "7ns ops: nightly has recovered",
			"8ns ops: nightly found files without a copy",
		}},
		"skipped runs are told once, and their end is not": {nil, []end{
			{0, outcome(ledger.Skipped, "", "the run before it goes on")}, {1, outcome(ledger.Skipped, "", "the run before it goes on")}, {2, good},
		}, []string{"0s ops: nightly was skipped"}},
		"a canceled run is told, and nothing recovers from it": {nil, []end{{0, canceled}, {time.Hour, canceled}, {2 * time.Hour, good}, {3 * time.Hour, canceled}}, []string{
			"0s ops: nightly was canceled",
			"3h0m0s ops: nightly was canceled",
		}},
		"a canceled run hides no failure": {nil, []end{{0, canceled}, {1, failed}, {2, good}}, []string{
			"0s ops: nightly was canceled", "1ns ops: nightly failed", "2ns ops: nightly has recovered",
		}},
		"a canceled run ends no failure": {nil, []end{{0, failed}, {1, canceled}, {2, good}}, []string{
			"0s ops: nightly failed", "1ns ops: nightly was canceled", "2ns ops: nightly has recovered",
		}},
		"a skipped run ends no failure": {nil, []end{{0, failed}, {1, outcome(ledger.Skipped, "", "")}, {2, good}}, []string{
			"0s ops: nightly failed", "1ns ops: nightly was skipped", "2ns ops: nightly has recovered",
		}},
		"too few files": {func(j *jobs.Job) { j.Expect.Files = 4 }, []end{{0, failed}, {1, few}, {2, few}}, []string{
			"0s ops: nightly failed",
			"1ns ops: nightly has recovered",
			"1ns ops: nightly succeeded, but copied less than expected",
		}},
		"enough files": {func(j *jobs.Job) { j.Expect.Files = 3 }, []end{{0, few}}, nil},
		"too few bytes": {func(j *jobs.Job) { j.Expect.Bytes = 1 }, []end{{0, few}}, []string{
			"0s ops: nightly succeeded, but copied less than expected",
		}},
		"nobody wants to hear": {func(j *jobs.Job) { j.Notify.To = nil }, []end{{0, failed}, {1, good}}, nil},
		"each run, for machines": {func(j *jobs.Job) { j.Notify.To = map[string][]string{"runs": {"dog"}} }, []end{
			{0, good}, {1, failed}, {2, failed}, {3, outcome(ledger.Skipped, "", "")}, {4, outcome(ledger.Failed, "guard", "")},
		}, []string{
			"0s dog: nightly succeeded", "1ns dog: nightly failed", "2ns dog: nightly failed", "4ns dog: nightly was refused by a guard",
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			d := &diary{t: t, begin: time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)}
			edit := tt.edit
			if edit == nil {
				edit = func(*jobs.Job) {}
			}
			j := job(t, edit)
			for i, e := range tt.ends {
				run := notify.Run{Job: j, Key: fmt.Sprint(i), ID: int64(i + 1), Since: d.begin, Outcome: e.how, Ended: d.begin.Add(e.after)}
				if e.how.Class != "" {
					run.Err = errors.New(e.how.Message)
				}
				d.tell(desk().Ended(run))
			}
			if diff := cmp.Diff(tt.want, d.lines); diff != "" {
				t.Errorf("notices (-want +got):\n%s", diff)
			}
			ids := map[string]bool{}
			for _, n := range d.notices {
				if ids[n.ID] {
					t.Errorf("two notices have the id %s", n.ID)
				}
				ids[n.ID] = true
			}
		})
	}
}

func TestAHeldTaskIsToldOnceForARun(t *testing.T) {
	d := &diary{t: t, begin: time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)}
	j := job(t)
	run := notify.Run{Job: j, Key: "1", ID: 1, Since: d.begin}
	task := notify.Task{TaskID: "t1", Label: "nightly 1"}
	for i := range 3 {
		d.tell(desk().Held(run, notify.NeedsHuman, d.begin.Add(time.Duration(i)), task, "paused by the manager; ask her to resume it"))
	}
	run.Ended, run.Outcome = d.begin.Add(time.Hour), outcome(ledger.Succeeded, "", "")
	d.tell(desk().Ended(run))
	if diff := cmp.Diff([]string{"0s ops: nightly waits: a person has to act", "1h0m0s ops: nightly has recovered"}, d.lines); diff != "" {
		t.Errorf("notices (-want +got):\n%s", diff)
	}
	want := notify.Notice{
		ID: d.notices[0].ID, Event: notify.NeedsHuman, Job: "nightly", Key: "1", Run: 1, Time: d.begin,
		Title: "nightly waits: a person has to act",
		Lines: []string{"paused by the manager; ask her to resume it", "Occurrence 1, run 1: runner runs show 1"},
		Tasks: []notify.Task{{TaskID: "t1", Label: "nightly 1", Link: "https://app.globus.org/activity/t1"}},
	}
	if diff := cmp.Diff(want, d.notices[0]); diff != "" {
		t.Errorf("notice (-want +got):\n%s", diff)
	}
}

func TestANoticeSaysWhyAndWhatToDo(t *testing.T) {
	d := &diary{t: t}
	desk := desk()
	desk.Next = func(error) string { return "ask the owner" }
	run := notify.Run{
		Job: job(t), Key: "2026-11-21T02:00:00Z", ID: 17, Since: time.Unix(1, 0), Ended: time.Unix(2, 0), Err: errors.New("x"),
		Outcome: ledger.Outcome{State: ledger.Failed, Class: "refused", Code: "ENOENT", Message: "no such\npath \u202e/a; ask the owner", RequestID: "r1"},
	}
	d.tell(desk.Ended(run))
	n := d.notices[0]
	if diff := cmp.Diff([]string{`no such\npath \u202e/a`, "Next step: ask the owner, then runner runs retry 17", "Occurrence 2026-11-21T02:00:00Z, run 17: runner runs show 17"}, n.Lines); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	want := &notify.Cause{Class: "refused", Code: "ENOENT", Message: `no such\npath \u202e/a`, RequestID: "r1", Next: "ask the owner, then runner runs retry 17"}
	if diff := cmp.Diff(want, n.Error); diff != "" {
		t.Errorf("cause (-want +got):\n%s", diff)
	}
}

func TestMachinesHearThatARunCopiedLessThanExpected(t *testing.T) {
	d := &diary{t: t, begin: time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)}
	j := job(t, func(j *jobs.Job) {
		j.Expect.Files, j.Notify.To = 4, map[string][]string{"runs": {"dog"}}
	})
	run := notify.Run{Job: j, Key: "1", ID: 1, Since: d.begin, Ended: d.begin, Outcome: outcome(ledger.Succeeded, "", "")}
	run.Outcome.Files = 3
	d.tell(desk().Ended(run))
	n := d.notices[0]
	if n.Event != notify.Failed || n.Title != "nightly succeeded, but copied less than expected" || n.Lines[0] != "3 files copied, and at least 4 expected" {
		t.Errorf("got the event %s, %q and %q, want that it failed, with what was expected and what came", n.Event, n.Title, n.Lines)
	}
}

func TestARunThatGoesOnBeganOnce(t *testing.T) {
	d := &diary{t: t}
	run := notify.Run{Job: job(t, func(j *jobs.Job) { j.Notify.To["runs"] = []string{"dog"} }), Key: "1", ID: 1, Since: time.Unix(1, 0)}
	d.tell(desk().Began(run))
	d.tell(desk().Began(run))
	run.Again = true
	d.tell(desk().Began(run))
	var ids []string
	for _, n := range d.notices {
		ids = append(ids, n.ID)
	}
	if len(ids) != 3 || ids[0] != ids[1] || ids[0] == ids[2] || strings.ContainsAny(ids[0], " \n") {
		t.Errorf("got the ids %q, want one for both starts of the run, and another for the next attempt", ids)
	}
}

func TestAFailureThatNobodyHeardOfIsToldAgain(t *testing.T) {
	begin := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	d := &diary{t: t, begin: begin}
	fail := func(after time.Duration) {
		at := begin.Add(after)
		d.tell(desk().Ended(notify.Run{Job: job(t), Key: at.Format(time.RFC3339), ID: 1, Since: at, Ended: at, Outcome: outcome(ledger.Failed, "failed", "no such path")}))
	}
	fail(0)
	d.standing.Alarms[0].Unheard = true // its receiver answered 404
	fail(time.Minute)
	fail(15 * time.Minute)
	fail(2 * time.Hour)
	if diff := cmp.Diff([]string{"0s ops: nightly failed", "15m0s ops: nightly failed, 3 times since 2026-11-21 00:00 UTC"}, d.lines); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}

// Who is named only while a job fails already has heard nothing of it.
func TestAChannelThatIsAddedHearsOfWhatGoesOn(t *testing.T) {
	begin := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	failed, good := outcome(ledger.Failed, "failed", "no such path"), outcome(ledger.Succeeded, "", "")
	d := &diary{t: t, begin: begin}
	ends := func(after time.Duration, how ledger.Outcome, channels ...string) {
		at := begin.Add(after)
		j := job(t, func(j *jobs.Job) {
			j.Notify.To = map[string][]string{"failed": channels, "recovered": channels}
		})
		d.tell(desk().Ended(notify.Run{Job: j, Key: at.Format(time.RFC3339), ID: 1, Since: at, Ended: at, Outcome: how}))
	}
	ends(0, failed)
	ends(1*time.Hour, failed, "ops")
	ends(2*time.Hour, failed, "ops")
	ends(3*time.Hour, failed, "ops", "pi")
	ends(4*time.Hour, failed, "ops", "pi")
	ends(24*time.Hour, failed, "ops", "pi")
	ends(25*time.Hour, failed, "ops", "pi")
	ends(26*time.Hour, good, "ops", "pi")
	want := []string{
		"1h0m0s ops: nightly failed, 2 times since 2026-11-21 00:00 UTC",
		"3h0m0s pi: nightly failed, 4 times since 2026-11-21 00:00 UTC",
		"24h0m0s ops: nightly failed, 6 times since 2026-11-21 00:00 UTC",
		"24h0m0s pi: nightly failed, 6 times since 2026-11-21 00:00 UTC",
		"26h0m0s ops: nightly has recovered",
		"26h0m0s pi: nightly has recovered",
	}
	if diff := cmp.Diff(want, d.lines); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}

// What a canceled run makes known is a failure, and its alarm is of another kind.
func TestTheAlarmOfACanceledRunNamesTheEventOfItsNotice(t *testing.T) {
	at := time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)
	run := notify.Run{Job: job(t), Key: "1", ID: 1, Since: at, Ended: at, Outcome: outcome(ledger.Canceled, "canceled", "canceled on request")}
	standing, notices := desk().Ended(run)(ledger.Standing{Job: "nightly"})
	if len(notices) != 1 || len(standing.Alarms) != 1 || standing.Alarms[0].Kind != "canceled" || standing.Alarms[0].Event != notices[0].Event {
		t.Errorf("got the alarms %+v and the notices %+v, want one of each, of the same event", standing.Alarms, notices)
	}
}

// A start that goes on with a run says nothing new, and each attempt that somebody
// asks for does.
func TestEachAttemptThatIsAskedForBeginsOnce(t *testing.T) {
	j := job(t, func(j *jobs.Job) { j.Notify.To[jobs.RunsEvent] = []string{"dog"} })
	began := func(again bool, attempt int) string {
		d := diary{t: t}
		d.tell(desk().Began(notify.Run{Job: j, Key: "k", ID: 1, Since: time.Unix(0, 0), Again: again, Attempt: attempt}))
		return d.notices[0].ID
	}
	if began(false, 1) != began(false, 2) {
		t.Error("a start that goes on with a later attempt says once more that the run began")
	}
	first, restarted, second := began(true, 1), began(true, 1), began(true, 2)
	if restarted != first {
		t.Error("a start that goes on with a retry says once more that it began")
	}
	if first == second || first == began(false, 1) {
		t.Error("a second retry does not say that it began")
	}
}

func TestALookThatFailsIsToldByItsKind(t *testing.T) {
	begin := time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)
	watching := func(j *jobs.Job) {
		j.ForEach = &jobs.ForEach{Collection: "00000000-0000-4000-8000-000000000001", Folder: "/runs/", Ready: jobs.Readiness{Marker: "done"}}
	}
	j := job(t, watching)
	j.Notify.To["needs_human"] = []string{"pi"}
	alone := job(t, watching)
	delete(alone.Notify.To, "needs_human")
	gone := errors.New("404")
	tests := map[string]struct {
		look notify.Look
		want string
	}{
		"what is missing":                        {notify.Look{Job: j, Err: gone, Why: "404; look at the path"}, "ops failed"},
		"who is not let in":                      {notify.Look{Job: j, Err: gone, Why: "404; look at the path", Person: true}, "pi needs_human"},
		"who is not let in, and nobody is named": {notify.Look{Job: alone, Err: gone, Why: "404; look at the path", Person: true}, "ops failed"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tt.look.Ended = begin
			standing, notices := desk().Looked(tt.look)(ledger.Standing{Job: "nightly"})
			if len(notices) != 1 || notices[0].Channel+" "+notices[0].Event != tt.want {
				t.Errorf("got %+v, want %s", notices, tt.want)
			}
			if a := standing.Alarms; len(a) != 1 || a[0].Kind != string(notify.LooksFail) || a[0].Event != notices[0].Event || a[0].Why != tt.look.Why {
				t.Errorf("got the alarms %+v", a)
			}
		})
	}
	t.Run("a run that succeeds does not end it", func(t *testing.T) {
		standing, _ := desk().Looked(notify.Look{Job: j, Ended: begin, Err: gone})(ledger.Standing{Job: "nightly"})
		run := notify.Run{Job: j, Key: "item:a", ID: 1, Since: begin, Ended: begin.Add(time.Minute), Outcome: outcome(ledger.Succeeded, "", "")}
		after, notices := desk().Ended(run)(standing)
		if len(after.Alarms) != 1 || len(notices) > 0 {
			t.Errorf("got the alarms %+v and the notices %+v", after.Alarms, notices)
		}
	})
}

func TestANoticeNamesTheItemAndHowItIsDoneAgain(t *testing.T) {
	failed := outcome(ledger.Failed, "refused", "")
	quota := failed
	quota.Message = "the disk is full; free space"
	said := failed
	said.Message = "see runner runs retry 9"
	tests := map[string]struct {
		key                  string
		id                   int64
		how                  ledger.Outcome
		advice               string
		title, message, next string
	}{
		"an item":             {"item:perm_2.tif", 9, failed, "", "nightly failed: perm_2.tif", "", "runner runs retry 9"},
		"a later one":         {"item:perm_2.tif@2", 9, failed, "", "nightly failed: perm_2.tif", "", "runner runs retry 9"},
		"a long name":         {"item:a-long-name+15d5695c76bd7492", 9, failed, "", "nightly failed: a-long-name+15d5695c76bd7492", "", "runner runs retry 9"},
		"an instant":          {"2026-11-21T02:00:00Z", 9, failed, "", "nightly failed", "", "runner runs retry 9"},
		"advice in the words": {"1", 9, quota, "free space", "nightly failed", "the disk is full", "free space, then runner runs retry 9"},
		"says it itself":      {"1", 9, said, "", "nightly failed", "see runner runs retry 9", ""},
		"without a ledger":    {"1", 0, failed, "", "nightly failed", "", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			d := &diary{t: t}
			d.tell(desk().Ended(notify.Run{Job: job(t), Key: tt.key, ID: tt.id, Ended: time.Unix(2, 0), Err: errors.New("x"), Outcome: tt.how, Next: tt.advice}))
			if n := d.notices[0]; n.Title != tt.title || n.Error.Message != tt.message || n.Error.Next != tt.next {
				t.Errorf("title %q, message %q, next step %q; want %q, %q, %q", n.Title, n.Error.Message, n.Error.Next, tt.title, tt.message, tt.next)
			}
		})
	}
}

// To repeat an audit copies nothing, so its notice names what does.
func TestANoticeOfAnAuditSaysWhatCopiesAgain(t *testing.T) {
	d := &diary{t: t}
	d.tell(desk().Ended(notify.Run{
		Job: job(t), Key: "1", ID: 17, Since: time.Unix(1, 0), Ended: time.Unix(2, 0), Err: errors.New("x"),
		Outcome: ledger.Outcome{State: ledger.Failed, Class: "missing", Message: "audit of scans: 1 file is not at the destination; runner audit scans --list names them; to copy again: runner run scans"},
	}))
	want := []string{"audit of scans: 1 file is not at the destination", "Next step: runner audit scans --list names them; to copy again: runner run scans", "Occurrence 1, run 17: runner runs show 17"}
	if diff := cmp.Diff(want, d.notices[0].Lines); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}
