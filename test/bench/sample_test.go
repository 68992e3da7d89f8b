package main

import "testing"

func TestMediansAreOfEachQuantityByItself(t *testing.T) {
	tests := map[string]struct {
		samples []sample
		want    sample
	}{
		"one":  {[]sample{{1, 2, 3}}, sample{1, 2, 3}},
		"odd":  {[]sample{{900, 1, 5}, {1, 900, 6}, {2, 2, 7}}, sample{2, 2, 6}},
		"even": {[]sample{{40, 1, 1}, {10, 3, 1}, {20, 5, 900}, {900, 7, 1}}, sample{30, 4, 1}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := medians(tt.samples); got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}
