package main

import "testing"

func TestAPercentileIsOneOfTheValues(t *testing.T) {
	hundred := make([]span, 100)
	for i := range hundred {
		hundred[i] = span(i + 1)
	}
	tests := map[string]struct {
		values []span
		p      int
		want   span
	}{
		"one value":          {[]span{7}, 99, 7},
		"median of three":    {[]span{1, 2, 9}, 50, 2},
		"longest":            {[]span{1, 2, 9}, 100, 9},
		"99 of a hundred":    {hundred, 99, 99},
		"99 of two hundred":  {append(append([]span{}, make([]span, 100)...), hundred...), 99, 98},
		"99 of a few is all": {[]span{1, 2, 9}, 99, 9},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := percentile(tt.values, tt.p); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}
