package migrate_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/internal/migrate"
	"github.com/globus-runner/globus-runner/jobs"
)

// now is when the lists of timers in the tests were asked for.
var now = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// timers imports timers, given as JSON.
func timers(t *testing.T, o migrate.Options, docs ...string) migrate.Result {
	t.Helper()
	o.Name = "timers"
	r, err := migrate.Timers([]byte(`{"jobs": [`+strings.Join(docs, ",")+`]}`), now, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// oldTimer is in the form that the service had before there were schedules.
const oldTimer = `{
  "name": "example timer", "start": "2022-04-01T19:30:00+00:00", "stop_after": null, "interval": 604800.0,
  "callback_url": "https://actions.automate.globus.org/transfer/transfer/run",
  "callback_body": {"body": {
    "label": "an example", "skip_source_errors": true, "sync_level": 3, "verify_checksum": true,
    "source_endpoint_id": "aa752cea-8222-5bc8-acd9-555b090c0ccb", "destination_endpoint_id": "313ce13e-b597-5858-ae13-29e46fea26e6",
    "transfer_items": [{"source_path": "/share/godata/file1.txt", "destination_path": "/~/file1.txt", "recursive": false}]
  }},
  "inactive_reason": null, "scope": null, "job_id": "77c9ae98-d3c3-11ed-9234-0affc202d2e9", "status": "loaded",
  "next_run": "2022-04-11T19:30:00+00:00", "n_runs": 1, "n_errors": 0, "results": {"data": [], "page_next": null}
}`

// newTimer is in the newer form, with a schedule and some keys of the body.
func newTimer(schedule, body string) string {
	return fmt.Sprintf(`{"name": "My timer", "job_id": "t1", "status": "new", "timer_type": "transfer", "schedule": %s, "callback_body": {"body": {
  "DATA_TYPE": "transfer", "source_endpoint": "0b6c8f2e-0000-4000-8000-000000000001", "destination_endpoint": "94ef1c3a-0000-4000-8000-000000000002",
  "DATA": [{"DATA_TYPE": "transfer_item", "source_path": "/a/", "destination_path": "/b/", "recursive": null}], "verify_checksum": true, "label": null%s}}}`, schedule, body)
}

const daily = `{"type": "recurring", "interval_seconds": 86400, "start": "2026-03-01T02:00:00+00:00"}`

func TestTimerBecomesAJob(t *testing.T) {
	r := timers(t, migrate.Options{}, oldTimer,
		strings.Replace(newTimer(daily, `, "notify_on_failed": true, "encrypt_data": false, "filter_rules": [{"DATA_TYPE": "filter_rule", "method": "exclude", "type": null, "name": "*.tmp"}]`), `"new"`, `"inactive"`, 1),
		newTimer(`{"type": "recurring", "interval_seconds": 21600, "start": "2026-03-01T01:15:00+00:00"}`, `, "verify_checksum": null`),
	)
	const want = `# Made from timers by runner import.
version: 1
collections:
  c-0b6c8f2e: 0b6c8f2e-0000-4000-8000-000000000001
  c-313ce13e: 313ce13e-b597-5858-ae13-29e46fea26e6
  c-94ef1c3a: 94ef1c3a-0000-4000-8000-000000000002
  c-aa752cea: aa752cea-8222-5bc8-acd9-555b090c0ccb
defaults:
  time_zone: UTC
jobs:
  # timer "example timer" (77c9ae98-d3c3-11ed-9234-0affc202d2e9)
  example-timer:
    description: 'an example'
    schedule: '30 19 * * 5'
    transfer:
      source: c-aa752cea:/share/godata/file1.txt
      destination: c-313ce13e:/~/file1.txt
      recursive: false
      skip_source_errors: true
      sync_level: checksum
  # timer "My timer" (t1)
  # it is inactive, so the job is suspended
  my-timer:
    description: 'My timer'
    schedule: '0 2 * * *'
    suspend: true
    transfer:
      source: c-0b6c8f2e:/a/
      destination: c-94ef1c3a:/b/
      filter_rules:
        - method: exclude
          name: '*.tmp'
      notify_on_failed: true
  # timer "My timer" (t1)
  # it is inactive, so the job is suspended
  my-timer-2:
    description: 'My timer'
    schedule: '15 1-23/6 * * *'
    transfer:
      source: c-0b6c8f2e:/a/
      destination: c-94ef1c3a:/b/
      verify_checksum: false
`
	if diff := cmp.Diff(want, string(r.File)); diff != "" {
		t.Errorf("jobs file (-want +got):\n%s\nproblems: %q", diff, lines(r.Problems))
	}
}

func TestTimerIsRefusedByName(t *testing.T) {
	const old = `{"type": "recurring", "interval_seconds": 86400, "start": "2026-03-01T02:00:00+00:00"`
	tests := map[string]struct {
		timer   string
		problem string
		nearest bool // it can be taken nevertheless
	}{
		"seconds":        {newTimer(strings.Replace(daily, "02:00:00", "02:00:27", 1), ""), `schedule.interval_seconds: no schedule has the instants every 86400 s from 2026-03-01T02:00:27Z on; the nearest is "0 2 * * *" (--nearest takes it)`, true},
		"odd interval":   {newTimer(strings.Replace(daily, "86400", "90000", 1), ""), `schedule.interval_seconds: no schedule has the instants every 90000 s from 2026-03-01T02:00:00Z on; the nearest is "@every 25h" (--nearest takes it)`, true},
		"end by count":   {newTimer(old+`, "end": {"count": 30}}`, ""), "schedule.end: it ends after 30 runs; the nearest is a job without an end (--nearest takes it)", true},
		"end, other key": {newTimer(old+`, "end": {"condition": "iterations", "iterations": 30}}`, ""), "schedule.end: it ends after 30 runs; the nearest is a job without an end (--nearest takes it)", true},
		"end by date":    {newTimer(old+`, "end": {"condition": "time", "datetime": "2027-01-01T00:00:00Z"}}`, ""), "schedule.end: it ends after 2027-01-01T00:00:00Z; the nearest is a job without an end (--nearest takes it)", true},
		"later start":    {newTimer(strings.Replace(daily, "2026-03-01", "2026-12-24", 1), ""), `schedule.start: it begins at 2026-12-24T02:00:00Z; the nearest is "0 2 * * *" from now on (--nearest takes it)`, true},
		"once":           {newTimer(`{"type": "once", "datetime": "2026-12-24T00:00:00Z"}`, ""), "it runs once, at 2026-12-24T00:00:00Z; the nearest is a job without a schedule, which is started by hand (--nearest takes it)", true},
		"other schedule": {newTimer(`{"type": "lunar"}`, ""), `schedule.type: "lunar" is neither once nor recurring`, false},
		"no interval":    {newTimer(`{"type": "recurring"}`, ""), "schedule.interval_seconds: it is missing", false},
		"half a second":  {newTimer(strings.Replace(daily, "86400", "90.5", 1), ""), "schedule.interval_seconds: 90.5 is not from 60 to 31536000", false},
		"deadline":       {newTimer(daily, `, "deadline": "2027-01-01"`), `deadline: "2027-01-01" is one date, but a job runs many times`, false},
		"unknown key":    {newTimer(daily, `, "perf_cc": 4`), "perf_cc: a jobs file has no equivalent", false},
		"symbolic link":  {newTimer(daily, `, "DATA": [{"DATA_TYPE": "transfer_symlink_item", "source_path": "/a", "destination_path": "/b"}]`), "DATA[0].DATA_TYPE: a jobs file has no equivalent of a transfer_symlink_item", false},
		"wrong type":     {newTimer(daily, `, "encrypt_data": "yes"`), `encrypt_data: "yes" is neither true nor false`, false},
		"no collection":  {newTimer(daily, `, "source_endpoint": "lab"`), `source_endpoint: "lab" is not a collection id`, false},
		"flow":           {strings.Replace(newTimer(daily, ""), `"transfer", "schedule"`, `"flow", "callback_url": "https://flows.globus.org/x", "schedule"`, 1), "it starts a flow or something else at https://flows.globus.org/x, but jobs transfer and delete", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := timers(t, migrate.Options{}, tt.timer)
			if diff := cmp.Diff([]string{`timer "My timer" (t1): ` + tt.problem}, lines(r.Problems)); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
			if r := timers(t, migrate.Options{Nearest: true}, tt.timer); (r.Jobs == 1) != tt.nearest {
				t.Errorf("got %d jobs with the nearest taken, want one: %t; problems: %q", r.Jobs, tt.nearest, lines(r.Problems))
			}
		})
	}
}

func TestTimerThatHasEndedIsLeftOut(t *testing.T) {
	for name, doc := range map[string]string{
		"by status": strings.Replace(newTimer(daily, ""), `"new"`, `"ended"`, 1),
		"once":      newTimer(`{"type": "once", "datetime": "2026-01-01T00:00:00Z"}`, ""),
		"by date":   newTimer(`{"type": "recurring", "interval_seconds": 86400, "start": "2026-03-01T02:00:00Z", "end": {"datetime": "2026-04-01T00:00:00Z"}}`, ""),
	} {
		t.Run(name, func(t *testing.T) {
			r := timers(t, migrate.Options{}, doc)
			if len(r.Problems) > 0 || r.Jobs > 0 || len(r.Notes) != 1 {
				t.Errorf("got %d jobs, problems %q, notes %q; want one note", r.Jobs, lines(r.Problems), lines(r.Notes))
			}
		})
	}
}

func TestScheduleOfATimerHasItsInstants(t *testing.T) {
	const second = time.Second
	intervals := []time.Duration{
		60 * second, 300 * second, 900 * second, 3600 * second, 2 * 3600 * second, 6 * 3600 * second, 8 * 3600 * second,
		12 * 3600 * second, 24 * 3600 * second, 7 * 24 * 3600 * second, 48 * 3600 * second, 420 * second, 5400 * second, 61 * second,
	}
	random := rand.New(rand.NewPCG(1, 2))
	exact := 0
	for range 500 {
		interval := intervals[random.IntN(len(intervals))]
		start := time.Unix(random.Int64N(now.Unix()), 0).Truncate(time.Minute)
		if random.IntN(4) == 0 {
			start = start.Truncate(interval)
		}
		raw, err := json.Marshal(map[string]any{"type": "recurring", "interval_seconds": int(interval / second), "start": start})
		if err != nil {
			t.Fatal(err)
		}
		r := timers(t, migrate.Options{}, newTimer(string(raw), ""))
		if len(r.Problems) > 0 {
			continue
		}
		exact++
		file, err := jobs.Parse(nil, jobs.Source{Data: r.File})
		if err != nil {
			t.Fatal(err)
		}
		at := now
		due := start.Add((now.Sub(start)/interval + 1) * interval)
		for range 50 {
			if at = file.Jobs[0].Schedule.Next(at); !at.Equal(due) {
				t.Fatalf("every %s from %s: schedule %q is due at %s, want %s", interval, start, file.Jobs[0].Schedule, at, due)
			}
			due = due.Add(interval)
		}
	}
	if exact < 200 {
		t.Errorf("only %d of 500 timers had a schedule", exact)
	}
}

func TestCollectionIsCalledAsGlobusCallsIt(t *testing.T) {
	asked := map[string]int{}
	r := timers(t, migrate.Options{Collections: map[string]string{lab: "lab"}, KeepGoing: true, DisplayName: func(id string) string {
		asked[id]++
		return "Lab 7: the Vault"
	}}, newTimer(daily, ""), strings.Replace(newTimer(daily, ""), "/a/", "/../", 1)) // the second is refused late
	if !strings.Contains(string(r.File), "\n  lab-7-the-vault: "+vault+"\n") {
		t.Errorf("got\n%s\nproblems: %q", r.File, lines(r.Problems))
	}
	if diff := cmp.Diff(map[string]int{vault: 1}, asked); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
}

func TestListOfTimersThatIsNoneIsAnError(t *testing.T) {
	for _, text := range []string{"", "[]", "{}", `{"jobs": 3}`} {
		if _, err := migrate.Timers([]byte(text), now, migrate.Options{Name: "timers"}); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
	want := []string{"timers: the account has no timers, so there is nothing to import"}
	if r := timers(t, migrate.Options{}); len(r.Problems) > 0 || !slices.Equal(lines(r.Notes), want) {
		t.Errorf("no timers: got problems %q and notes %q, want the note %q", lines(r.Problems), lines(r.Notes), want)
	}
	if r := timers(t, migrate.Options{}, `{"name": 3}`); len(r.Problems) != 1 {
		t.Errorf("a timer that cannot be read: got %q", lines(r.Problems))
	}
}
