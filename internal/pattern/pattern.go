// Package pattern has regular expressions that are compiled when they are first used:
// a command that needs none of them starts faster.
package pattern

import (
	"regexp"
	"sync"
)

// Lazy compiles an expression, which must be good, when it is used first.
func Lazy(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}
