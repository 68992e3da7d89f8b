package runlog_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/runlog"
)

// What is typed next about an item names it.
func TestNextAfterAGuardNamesTheItem(t *testing.T) {
	refused := ledger.Outcome{State: ledger.Failed, Class: "guard"}
	for key, want := range map[string]string{
		"2026-11-21T02:00:00Z": "runner plan ingest --diff; when that is as it should be, runner runs retry 7",
		"item:run_7@2":         "runner plan ingest --item item:run_7@2 --diff; when that is as it should be, runner runs retry 7",
	} {
		if got := runlog.Next(&ledger.Run{ID: 7, Job: "ingest", Key: key, Outcome: refused}, nil); got != want {
			t.Errorf("%s: got %q, want %q", key, got, want)
		}
	}
}

// Nothing is to be typed about a skipped run whose place another one takes.
func TestNextAfterASkipIsWhatItsMessageSays(t *testing.T) {
	for message, want := range map[string]string{
		"too late; to do it later: runner runs retry 7":     "runner runs retry 7",
		"nothing is to be done once item:x@2 has succeeded": "",
	} {
		if got := runlog.Next(&ledger.Run{ID: 7, Outcome: ledger.Outcome{State: ledger.Skipped, Message: message}}, nil); got != want {
			t.Errorf("%s: got %q, want %q", message, got, want)
		}
	}
}

func Example() {
	at := func(minute int) time.Time { return time.Date(2026, 11, 21, 2, minute, 0, 0, time.UTC) }
	run := &ledger.Run{ID: 7, Key: "2026-11-21T02:00:00Z", Claimed: at(0), Finished: at(9), Outcome: ledger.Outcome{State: ledger.Failed}}
	sent := []ledger.Submission{{
		ID: "s1", Attempt: 1, Label: "nightly 2026-11-21T02:00:00Z", TaskID: "t1", Created: at(1), Accepted: at(2),
		Document: []byte(`{"source_endpoint": "lab", "destination_endpoint": "vault", "DATA": [{"source_path": "/a", "destination_path": "/b"}]}`),
	}}
	for _, e := range runlog.Events(run, sent, []ledger.Note{{At: at(5), Kind: "stalled", Text: "no progress"}}) {
		fmt.Println(e.Time.Format("15:04"), e.Kind, e.Text)
	}
	paths, more := runlog.Paths(sent)
	fmt.Println(paths, more)
	fmt.Println(runlog.Next(run, sent))
	sent[0].Status = "SUCCEEDED" // a later step of the job was the reason
	fmt.Println(runlog.Next(run, sent))
	// Output:
	// 02:00 claimed occurrence 2026-11-21T02:00:00Z
	// 02:01 recorded submission s1, attempt 1: nightly 2026-11-21T02:00:00Z
	// 02:02 submitted task t1
	// 02:05 stalled no progress
	// 02:09 ended failed
	// [lab:/a -> vault:/b] 0
	// runner task events t1, then runner runs retry 7
	// runner runs retry 7
}

// To repeat an audit copies nothing: its message says what does.
func TestNextAfterAnAuditIsWhatItSays(t *testing.T) {
	run := &ledger.Run{ID: 7, Job: "watch", Outcome: ledger.Outcome{State: ledger.Failed, Class: "missing", Message: "audit of scans: 1 file is not at the destination; runner audit scans --list names them; to copy again: runner run scans"}}
	if got, want := runlog.Next(run, nil), "runner audit scans --list names them; to copy again: runner run scans"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := runlog.Advice(run); got != run.Message {
		t.Errorf("got %q, want %q", got, run.Message)
	}
}
