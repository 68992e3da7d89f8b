package jobs_test

import (
	"testing"

	"github.com/globus-runner/globus-runner/jobs"
)

func TestMaxDelete(t *testing.T) {
	tests := []struct {
		bound       string
		gone, files int64
		allows      bool
	}{
		{"50%", 0, 0, true},
		{"50%", 1, 2, true},
		{"50%", 2, 3, false},
		{"0%", 0, 9, true},
		{"0%", 1, 1000, false},
		{"100%", 9, 9, true},
		{"10", 10, 10, true},
		{"10", 11, 1000, false},
		{"0", 1, 2, false},
		{"0", 0, 2, true},
		{"none", 9, 9, true},
	}
	for _, tt := range tests {
		most, err := jobs.ParseMaxDelete(tt.bound)
		if err != nil {
			t.Fatal(err)
		}
		if got := most.Allows(tt.gone, tt.files); got != tt.allows {
			t.Errorf("%s of %d files with %s: got %t", tt.bound, tt.files, tt.bound, got)
		}
	}
	for _, bad := range []string{"", "%", "half", "101%", "-1", "12.5%", "50 %", "None", "99999999999"} {
		if most, err := jobs.ParseMaxDelete(bad); err == nil || most != "" {
			t.Errorf("%q: got %q and no error", bad, most)
		}
	}
}
