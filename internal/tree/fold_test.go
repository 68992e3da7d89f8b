package tree_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/internal/tree"
	"github.com/globus-runner/globus-runner/transfer"
)

func TestNamesOfAnotherFormAreMatchedIfThereIsOneOfThem(t *testing.T) {
	source := &forest{folders: map[string][]string{
		"/top/": {"a", "b", "B", "c", "D/", "e", "f", "g/", "h", "x"}, "/top/D/": {"1", "s/"}, "/top/D/s/": {"2"}, "/top/g/": {},
	}}
	destination := &forest{folders: map[string][]string{
		"/top/": {"A", "b", "C", "d/", "E", "é", "F/", "G", "H", "h", "y"}, "/top/d/": {"1", "s/"}, "/top/d/s/": {"2", "3"}, "/top/F/": {},
	}}
	want := []string{
		" dir dir", "B file -", "G - file", "H - file", "a file file A", "b file file", "c file file C", "e file file E", "f file -", "h file file", "x file -", "y - file", "é - file",
		"D dir dir d", "D/1 file file d/1", "D/s dir dir d/s", "D/s/2 file file d/s/2", "D/s/3 - file", "F - dir", "g dir -",
	}
	var got []string
	for p, err := range tree.Compare(t.Context(), top(source), top(destination), tree.Options{Fold: strings.ToLower}) {
		if err != nil {
			t.Fatal(err)
		}
		line := lines(t, func(yield func(tree.Pair, error) bool) { yield(p, nil) })[0]
		if p.Renamed && p.Source != nil {
			line += " " + p.Destination.Path
		}
		got = append(got, line)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestNamesOfAnotherFormAreTwoNamesIfNobodyAsks(t *testing.T) {
	source := &forest{folders: map[string][]string{"/top/": {"a"}}}
	destination := &forest{folders: map[string][]string{"/top/": {"A"}}}
	want := []string{" dir dir", "A - file", "a file -"}
	if d := cmp.Diff(want, compare(t, source, destination, tree.Options{})); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestTwoNamesOfOneFormHaveNoTwin(t *testing.T) {
	source := &forest{folders: map[string][]string{"/top/": {"Ab", "aB", "x"}}}
	destination := &forest{folders: map[string][]string{"/top/": {"ab", "X", "y"}}}
	rules := tree.NewRules([]transfer.FilterRule{{Name: "x"}})
	want := []string{" dir dir", "Ab file -", "X - file", "aB file -", "ab - file", "x file[x] -", "y - file"}
	if d := cmp.Diff(want, compare(t, source, destination, tree.Options{Fold: strings.ToLower, Rules: rules, Excluded: true})); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}
