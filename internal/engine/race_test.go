//go:build race

package engine_test

// months is how long the simulated time of a busy jobs file is: the race
// detector makes it twenty times slower.
const months = 4
