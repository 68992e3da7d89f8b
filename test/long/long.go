// Package long tells tests how much of their work is wanted. What a change
// could break is tested in the short form, which "make test" runs; "make
// test-long" goes on to every zone and year, all seeds and all rounds.
package long

import "os"

// Variable is the environment variable that asks for the long form.
const Variable = "TEST_LONG"

// Wanted reports whether tests run in the long form. The go command sees that
// the variable is read, so it never takes a short result for a long one.
func Wanted() bool { return os.Getenv(Variable) != "" }

// Or returns all in the long form, and some in the short one.
func Or[T any](all, some T) T {
	if Wanted() {
		return all
	}
	return some
}
