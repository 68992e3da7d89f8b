package evidence_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/internal/evidence"
	"github.com/globus-runner/globus-runner/internal/proof"
)

// others are receipts that prove nothing, whatever is judged.
func others(sealed ...proof.Open) func([]int) (*proof.Others, error) {
	return func([]int) (*proof.Others, error) { return &proof.Others{Sealed: sealed}, nil }
}

// keeping is a task that keeps times, and was at work during some minutes after noon.
func keeping(from, to string, requested, completed int) task {
	return task{from: from, to: to, minutes: -60, edit: func(r *proof.Receipt) {
		at := func(minutes int) time.Time { return noon.Add(time.Duration(minutes) * time.Minute) }
		r.Options.PreserveTimestamp = true
		r.Listed, r.Requested, r.Completed, r.Run = at(requested), at(requested), at(completed), int64(completed)
	}}
}

func TestACopyProvesTheFileThatWasCopiedLast(t *testing.T) {
	const replaced = "was copied to a place to which another file was copied since"
	tests := map[string]struct {
		first, second task
		want          [2]string // of /a/x or what is copied first, and of /b/x
	}{
		"to one folder":                          {keeping("/a/", "vault:/in/", 10, 11), keeping("/b/", "vault:/in/", 20, 21), [2]string{replaced, "12:21"}},
		"in the other order":                     {keeping("/a/", "vault:/in/", 20, 21), keeping("/b/", "vault:/in/", 10, 11), [2]string{"12:21", replaced}},
		"at the same time":                       {keeping("/a/", "vault:/in/", 10, 21), keeping("/b/", "vault:/in/", 20, 22), [2]string{replaced, replaced}},
		"the one when the other has ended":       {keeping("/a/", "vault:/in/", 10, 20), keeping("/b/", "vault:/in/", 20, 22), [2]string{replaced, replaced}},
		"to two folders":                         {keeping("/a/", "vault:/in/", 10, 11), keeping("/b/", "vault:/in2/", 20, 21), [2]string{"12:11", "12:21"}},
		"to two collections":                     {keeping("/a/", "vault:/in/", 10, 11), keeping("/b/", "store:/in/", 20, 21), [2]string{"12:11", "12:21"}},
		"as a single file":                       {keeping("/a/", "vault:/in/", 10, 11), keeping("/b/x", "vault:/in/x", 20, 21), [2]string{replaced, "12:21"}},
		"as a single file of another name":       {keeping("/a/", "vault:/in/", 10, 11), keeping("/b/x", "vault:/in/y", 20, 21), [2]string{"12:11", "12:21"}},
		"to a folder in the other one":           {keeping("/a/", "vault:/in/", 10, 11), keeping("/b/", "vault:/in/b/", 20, 21), [2]string{"12:11", "12:21"}},
		"names that some disks take for one":     {keeping("/a/", "vault:/in/", 10, 11), keeping("/b/", "vault:/IN/", 20, 21), [2]string{replaced, "12:21"}},
		"a collection with another spelling":     {keeping("/a/", "vault:/in/", 10, 11), keeping("/b/", "VAULT:/in/", 20, 21), [2]string{replaced, "12:21"}},
		"the same folder, and one that it is in": {keeping("/a/", "vault:/in/a/", 10, 11), keeping("/", "vault:/in/", 20, 21), [2]string{"12:11", "12:21"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			d := newDisks()
			d.put("lab:/a/x", 5, -60)
			d.put("lab:/b/x", 5, -60)
			first, second := d.copies(t, tt.first), d.copies(t, tt.second)
			d.put("vault:/in/x", 5, -60) // on a disk that takes /IN/ for /in/
			reasons := func(o evidence.Options, all ...proof.Open) map[string]string {
				got := map[string]string{}
				for _, line := range files(t, d, o, all...) {
					path, copied, _ := strings.Cut(line, " | ")
					_, got[path], _ = strings.Cut(copied, " ")
				}
				return got
			}
			if got := reasons(evidence.Options{Others: others(second)}, first)["lab:/a/x"]; got != tt.want[0] {
				t.Errorf("the first: got %q, want %q", got, tt.want[0])
			}
			if got := reasons(evidence.Options{Others: others(first)}, second)["lab:/b/x"]; got != tt.want[1] {
				t.Errorf("the second: got %q, want %q", got, tt.want[1])
			}
			if got := reasons(evidence.Options{}, first, second)["lab:/a/x"]; got != tt.want[0] {
				t.Errorf("the first of both: got %q, want %q", got, tt.want[0])
			}
		})
	}
}

func TestTheSameFileMayBeCopiedToOnePlaceByManyTasks(t *testing.T) {
	d := newDisks()
	d.put("lab:/a/s/x", 5, -60)
	var all []proof.Open
	for _, c := range []task{
		keeping("/a/", "vault:/in/", 10, 11), keeping("/a/s/", "vault:/in/s/", 12, 13), keeping("/a/s/x", "vault:/in/s/x", 14, 15), keeping("/a/", "vault:/in/", 16, 17),
	} {
		all = append(all, d.copies(t, c))
	}
	opened := map[int]int{}
	var later []proof.Open
	for i, open := range all[1:] {
		later = append(later, func() (*proof.Reader, error) { opened[i]++; return open() })
	}
	want(t, files(t, d, evidence.Options{Others: others(later...)}, all[0]), "lab:/a/s/x | vault 12:11")
	for i, n := range opened {
		if n != 1 {
			t.Errorf("other receipt %d was opened %d times: nothing is contested", i, n)
		}
	}
}

func TestTheSamePathOfAnotherCollectionIsAnotherFile(t *testing.T) {
	d := newDisks()
	d.put("lab:/a/x", 5, -60)
	d.put("desk:/a/x", 5, -60)
	first, second := keeping("/a/", "vault:/in/", 10, 11), keeping("/a/", "vault:/in/", 20, 21)
	edit := second.edit
	second.edit = func(r *proof.Receipt) {
		edit(r)
		r.Source = "desk"
	}
	one, other := d.copies(t, first), d.copies(t, second)
	want(
		t, files(t, d, evidence.Options{Others: others(other)}, one),
		"lab:/a/x | vault was copied to a place to which another file was copied since",
	)
}

func TestTheLastCopyOfAnotherFileCounts(t *testing.T) {
	d := newDisks()
	d.put("lab:/a/x", 5, -60)
	d.put("lab:/b/x", 5, -60)
	one := d.copies(t, keeping("/a/", "vault:/in/", 15, 16))
	before, after := d.copies(t, keeping("/b/", "vault:/in/", 10, 11)), d.copies(t, keeping("/b/", "vault:/in/", 20, 21))
	for _, both := range [][]proof.Open{{before, after}, {after, before}} {
		want(
			t, files(t, d, evidence.Options{Others: others(both...)}, one),
			"lab:/a/x | vault was copied to a place to which another file was copied since",
		)
	}
	want(t, files(t, d, evidence.Options{Others: others(before)}, one), "lab:/a/x | vault 12:16")
}

func TestWhatMayHaveReplacedCopiesIsAskedAboutTheReceiptsThatAreJudged(t *testing.T) {
	d := newDisks()
	for _, name := range []string{"a/x", "b/x", "c/x"} {
		d.put("lab:/"+name, 5, -60)
	}
	receipts := []proof.Open{d.copies(t, keeping("/a/", "vault:/a/", 1, 2)), d.copies(t, keeping("/c/", "vault:/c/", 3, 4))}
	for i := range 20 {
		receipts = append(receipts, d.copies(t, keeping("/b/", "vault:/b/", 30-i, 31-i)))
	}
	var judged []int
	broken := errors.New("broken")
	o := evidence.Options{
		Trees:  []proof.Open{receipts[1], receipts[2]},
		Others: func(some []int) (*proof.Others, error) { judged = some; return nil, broken },
	}
	if _, err := evidence.Gather(receipts, o); !errors.Is(err, broken) {
		t.Errorf("got %v, want the error of what was asked", err)
	}
	slices.Sort(judged)
	if want := []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17}; !slices.Equal(judged, want) {
		t.Errorf("asked about %v, want %v: the only one of /c/ and the newest 16 of /b/", judged, want)
	}
	o.Trees = []proof.Open{d.copies(t, keeping("/d/", "vault:/d/", 1, 2))} // of which there is no receipt
	if all, err := evidence.Gather(receipts, o); err != nil || all.Unread != 0 {
		t.Errorf("got %v, %v, want that nothing is asked", all, err)
	}
}

// The order in which tasks list their copies is not that in which they are looked up.
func TestEachOfManyFilesIsProvenByItsLastCopy(t *testing.T) {
	const replaced = "was copied to a place to which another file was copied since"
	d := newDisks()
	for i := range 700 { // so many that the copies of both are sorted in between
		for _, folder := range []string{"a", "b"} {
			d.put(fmt.Sprintf("lab:/%s/%03d", folder, i), 5, -60)
		}
	}
	first, second := d.copies(t, keeping("/a/", "vault:/in/", 10, 11)), d.copies(t, keeping("/b/", "vault:/in/", 20, 21))
	for i, line := range files(t, d, evidence.Options{}, second, first) {
		want := fmt.Sprintf("lab:/a/%03d | vault %s", i, replaced)
		if i >= 700 {
			want = fmt.Sprintf("lab:/b/%03d | vault 12:21", i-700)
		}
		if line != want {
			t.Fatalf("got %q, want %q", line, want)
		}
	}
}
