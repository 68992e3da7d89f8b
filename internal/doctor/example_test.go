package doctor_test

import (
	"context"
	"fmt"
	"time"

	"github.com/globus-runner/globus-runner/internal/doctor"
	"github.com/globus-runner/globus-runner/internal/fault"
)

func ExampleRun() {
	disk := &doctor.Check{Group: "machine", Name: "disk", Look: func(context.Context) []doctor.Finding {
		return []doctor.Finding{doctor.Bad(fault.Usage, "/var is full", "free some space").Stopping()}
	}}
	ledger := &doctor.Check{Group: "machine", Name: "ledger", Needs: []*doctor.Check{disk}}
	clock := &doctor.Check{Group: "machine", Name: "clock", Look: func(context.Context) []doctor.Finding {
		return []doctor.Finding{doctor.Good("right")}
	}}
	for _, f := range doctor.Run(context.Background(), []*doctor.Check{disk, ledger, clock}, time.Minute, nil) {
		fmt.Println(f.Level, f.Check, f.Seen, f.Advice, f.NotChecked)
	}
	// Output:
	// error disk /var is full free some space [ledger]
	// ok clock right  []
}
