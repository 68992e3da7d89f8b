// Package pattern compiles regular expressions when they are first used, so that
// commands that do not need them start faster.
package pattern

import (
	"regexp"
	"sync"
)

// Lazy returns a function that compiles expr at its first call. It panics if expr is
// invalid.
func Lazy(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}
