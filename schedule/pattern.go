package schedule

import (
	"regexp"
	"sync"
)

// lazy compiles a pattern when it is used first, so that nothing is done at
// import.
func lazy(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}
