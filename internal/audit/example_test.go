package audit_test

import (
	"fmt"

	"github.com/globus-runner/globus-runner/internal/audit"
)

// Only what somebody has to look after is said of an audit.
func ExampleSentence() {
	counts := map[audit.Verdict]int64{audit.Delivered: 1200, audit.Lost: 2}
	fmt.Println(audit.Sentence(counts, "nightly"))
	fmt.Printf("%q\n", audit.Sentence(map[audit.Verdict]int64{audit.Delivered: 1200}, "nightly"))
	// Output:
	// audit of nightly: 2 files were copied, but the copies are gone or changed
	// ""
}
