//go:build !race

package engine_test

// months is how long the simulated time of a busy jobs file is.
const months = 12
