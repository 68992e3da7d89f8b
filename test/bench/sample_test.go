package main

import "testing"

func TestMediansAreOfEachQuantityByItself(t *testing.T) {
	tests := map[string]struct {
		samples []sample
		want    sample
	}{
		"one":  {[]sample{{1, 2, 3, 4, 5}}, sample{1, 2, 3, 4, 5}},
		"odd":  {[]sample{{900, 1, 5, 1, 0}, {1, 900, 6, 1, 9}, {2, 2, 7, 1, 2}}, sample{2, 2, 6, 1, 2}},
		"even": {[]sample{{40, 1, 1, 8, 0}, {10, 3, 1, 4, 0}, {20, 5, 900, 2, 0}, {900, 7, 1, 6, 2}}, sample{30, 4, 1, 5, 0}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := medians(tt.samples); got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}
