package notify_test

import (
	"fmt"
	"time"

	"github.com/globus-runner/globus-runner/internal/notify"
)

// A notice has one sentence as its title, and below it why and what to do next.
func ExampleTestNotice() {
	n := notify.TestNotice("operators", time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC))
	fmt.Println(n.Title)
	for _, line := range n.Lines {
		fmt.Println("-", line)
	}
	// Output:
	// This is a test of the channel operators
	// - Somebody has started runner notify test operators
	// - There is nothing to do: notices arrive here
}
