package delay_test

import (
	"fmt"
	"math"
	"net/http"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/internal/delay"
)

func TestOf(t *testing.T) {
	now := time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"":                              0,
		"17":                            17 * time.Second,
		"-17":                           0,
		"1.5":                           0,
		"soon":                          0,
		"Sat, 21 Nov 2026 02:01:00 GMT": time.Minute,
		"Sat, 21 Nov 2026 01:59:00 GMT": 0,
		fmt.Sprint(math.MaxInt64):       math.MaxInt64 / time.Second * time.Second,
	} {
		if got := delay.Of(http.Header{"Retry-After": {value}}, now); got != want {
			t.Errorf("%q: got %v, want %v", value, got, want)
		}
	}
}

func ExampleOf() {
	fmt.Println(delay.Of(http.Header{"Retry-After": {"90"}}, time.Now()))
	// Output: 1m30s
}

func TestPassing(t *testing.T) {
	for status, want := range map[int]bool{
		200: false, 302: false, 400: false, 401: false, 404: false, 409: false, 501: false,
		408: true, 421: true, 425: true, 429: true, 500: true, 502: true, 503: true, 504: true, 520: true, 530: true,
	} {
		if got := delay.Passing(status); got != want {
			t.Errorf("%d: got %t, want %t", status, got, want)
		}
	}
}
