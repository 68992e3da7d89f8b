package pattern_test

import (
	"fmt"

	"github.com/globus-runner/globus-runner/internal/pattern"
)

// An expression is made where it is declared, and compiled by the first call.
func Example() {
	date := pattern.Lazy(`[0-9]{4}-[0-9]{2}-[0-9]{2}`)
	fmt.Println(date().FindString("run-2026-11-21.h5"))
	// Output: 2026-11-21
}
