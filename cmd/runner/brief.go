package main

import (
	"fmt"
	"time"

	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/runlog"
)

// maxBrief is how long a sentence in a table is, in characters; "show" and -F json
// have it in full.
const maxBrief = 60

// why says why a run ended as it did, with the cause first.
func why(r *ledger.Run) string { return runlog.Cause(r, maxBrief) }

// started says when a run began; nothing while it waits.
func started(r *ledger.Run) string {
	if r.Began.IsZero() {
		return ""
	}
	return r.Began.Format(time.RFC3339)
}

// ago is a time in the past, in its largest unit.
func ago(d time.Duration) string {
	const day = 24 * time.Hour
	switch d = max(d, 0); {
	case d < time.Minute:
		return fmt.Sprintf("%ds ago", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm ago", d/time.Minute)
	case d < 2*day:
		return fmt.Sprintf("%dh ago", d/time.Hour)
	}
	return fmt.Sprintf("%dd ago", d/day)
}
