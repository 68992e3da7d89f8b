package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestABudgetIsExceededOnlyAboveIt(t *testing.T) {
	const ms = span(time.Millisecond)
	tests := map[string]struct {
		row  row
		want string
	}{
		"ratio at its budget":         {ratio("", 3*ms, ms, 3), within},
		"ratio above":                 {ratio("", 3*ms+1, ms, 3), over},
		"ratio without a budget":      {ratio("", 9*ms, ms, 0), none},
		"difference at its budget":    {difference("", 7*ms, 2*ms, 5*ms), within},
		"difference above":            {difference("", 7*ms+1, 2*ms, 5*ms), over},
		"faster than the bare one":    {difference("", ms, 2*ms, 5*ms), within},
		"size at its budget":          {atMost("", size(25<<20), 25<<20), within},
		"size above by a single byte": {atMost("", size(25<<20+1), 25<<20), over},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if tt.row.verdict != tt.want {
				t.Errorf("got %q, want %q in %+v", tt.row.verdict, tt.want, tt.row)
			}
		})
	}
}

func TestOnlyAFixedFigureBreaksATable(t *testing.T) {
	tests := map[string]struct {
		row  row
		want bool
	}{
		"slow machine":    {row{verdict: over}, false},
		"within":          {row{verdict: within, fixed: true}, false},
		"no budget":       {row{verdict: none, fixed: true}, false},
		"fixed, exceeded": {row{verdict: over, fixed: true}, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := (table{{verdict: within}, tt.row}).broken(); got != tt.want {
				t.Errorf("broken: got %t, want %t", got, tt.want)
			}
		})
	}
}

func TestATableIsAlignedMarkdown(t *testing.T) {
	var got strings.Builder
	err := table{
		difference("start-up", span(3_300_000), span(1_440_000), span(5_000_000)),
		difference("faster", span(1_000_000), span(3_000_000), span(5_000_000)),
		ratio("größer", size(3<<20), size(2<<20), 3),
		atMost("file", size(30<<20), 25<<20),
	}.write(&got)
	if err != nil {
		t.Fatal(err)
	}
	const want = `
| measurement |   runner |    bare |   figure |   budget | verdict |
|-------------|---------:|--------:|---------:|---------:|--------:|
| start-up    |   3.3 ms |  1.4 ms |  +1.9 ms |  +5.0 ms |  within |
| faster      |   1.0 ms |  3.0 ms |  -2.0 ms |  +5.0 ms |  within |
| größer      |  3.0 MiB | 2.0 MiB |   1.50 x |      3 x |  within |
| file        | 30.0 MiB |       - | 30.0 MiB | 25.0 MiB |    over |
`
	if diff := cmp.Diff(want[1:], got.String()); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}
