package runlog_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/runlog"
)

func TestARunIsDescribedAsFarAsItHasCome(t *testing.T) {
	at := time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)
	const sums = `"files_transferred":1,"files_skipped":2,"bytes_transferred":3,"skipped_errors":4,"faults":5,"files_deleted":6`
	did := ledger.Totals{Files: 1, FilesSkipped: 2, Bytes: 3, SkippedErrors: 4, Faults: 5}
	tests := map[string]struct {
		run    ledger.Run
		want   string
		waited bool
	}{
		"asked for": {
			ledger.Run{Claimed: at, Outcome: ledger.Outcome{State: ledger.Claimed, Totals: did, FilesDeleted: 6}},
			`"state":"claimed","attempt":1,"claimed":"2026-11-21T02:00:00Z",` + sums, true,
		},
		"at work": {
			ledger.Run{Holder: "vm:1", Claimed: at, Began: at.Add(time.Minute), Outcome: ledger.Outcome{State: ledger.Submitted, Totals: did, FilesDeleted: 6}},
			`"state":"submitted","attempt":1,"holder":"vm:1","claimed":"2026-11-21T02:00:00Z","began":"2026-11-21T02:01:00Z",` + sums, true,
		},
		"failed": {
			ledger.Run{
				Holder: "vm:1", Claimed: at, Began: at, Finished: at.Add(time.Hour),
				Outcome: ledger.Outcome{State: ledger.Failed, Class: "refused", Code: "C", Message: "m", RequestID: "r", Totals: did, FilesDeleted: 6},
			},
			`"state":"failed","attempt":1,"claimed":"2026-11-21T02:00:00Z","began":"2026-11-21T02:00:00Z","finished":"2026-11-21T03:00:00Z",` + sums +
				`,"error":{"class":"refused","code":"C","message":"m","request_id":"r"}`, false,
		},
		"skipped": {
			ledger.Run{
				Claimed: at, Began: at, Finished: at,
				Outcome: ledger.Outcome{State: ledger.Skipped, Message: "m", Totals: did, FilesDeleted: 6},
			},
			`"state":"skipped","attempt":1,"claimed":"2026-11-21T02:00:00Z","began":"2026-11-21T02:00:00Z","finished":"2026-11-21T02:00:00Z",` + sums +
				`,"error":{"class":"skipped","message":"m"}`, false,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tt.run.ID, tt.run.Job, tt.run.Key, tt.run.Attempt = 7, "nightly", "k", 1
			d := runlog.Describe(&tt.run)
			got, err := json.Marshal(d)
			if want := `{"run":7,"job":"nightly","key":"k",` + tt.want + "}"; err != nil || string(got) != want {
				t.Errorf("got  %s, %v\nwant %s", got, err, want)
			}
			if d.Waited() != tt.waited {
				t.Errorf("it waited: %t, want %t", d.Waited(), tt.waited)
			}
		})
	}
}
