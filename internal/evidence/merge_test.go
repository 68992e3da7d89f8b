package evidence_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/internal/evidence"
	"github.com/globus-runner/globus-runner/internal/proof"
	"github.com/globus-runner/globus-runner/transfer"
)

// gathered returns the files of receipts.
func gathered(t *testing.T, d *disks, o evidence.Options, receipts ...proof.Open) (all []*evidence.File) {
	t.Helper()
	found, err := evidence.Gather(receipts, o)
	if err != nil {
		t.Fatal(err)
	}
	for f, err := range found.Files(t.Context(), d) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, f)
	}
	return all
}

func TestAPathThatIsNotTheSameAtTwoLooksIsNotProven(t *testing.T) {
	const at = "lab:/out/a"
	entry := func(e transfer.Entry) func(*disks) {
		return func(d *disks) { e.Name = "a"; d.files[at] = &e }
	}
	there := func(d *disks) { d.put(at, 5, -60) }
	changed := func(d *disks) { d.put(at, 5, 10) }
	gone := func(d *disks) { delete(d.files, at) }
	link := entry(transfer.Entry{Type: "file", LinkTarget: "b"})
	folder := func(d *disks) {
		gone(d)
		d.put(at+"/x", 5, -60)
	}
	file := func(d *disks) {
		delete(d.files, at+"/x")
		there(d)
	}
	const since, special, excluded = "changed since it was copied", "is a symbolic link", "is excluded by a filter rule"
	tests := map[string]struct {
		first, second func(*disks)
		want          string // whether it is a folder, whether it was pruned, whether it is a file now, the reasons at tape and vault
	}{
		"the same":              {there, there, "false false true, , "},
		"changed before":        {changed, there, "false false true, " + since + ", " + since},
		"changed in between":    {there, changed, "false false true, " + since + ", " + since},
		"gone":                  {gone, gone, "false true false, , "},
		"gone in between":       {there, gone, "false false true, " + since + ", " + since},
		"gone before":           {gone, there, "false false true, " + since + ", " + since},
		"a link before":         {link, gone, "false false false, " + special + ", " + since},
		"a link in between":     {gone, link, "false false false, " + since + ", " + special},
		"an excluded folder":    {folder, folder, "true false false, " + excluded + ", " + excluded},
		"a folder before":       {folder, file, "false false false, " + excluded + ", " + since},
		"a folder in its place": {there, folder, "false false true, " + since + ", " + excluded},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			d := newDisks()
			there(d)
			rules := func(r *proof.Receipt) {
				r.Options.FilterRules = []transfer.FilterRule{{Method: "exclude", Type: "dir", Name: "a"}}
			}
			receipts := []proof.Open{d.copies(t, task{to: "vault:/in/", edit: rules}), d.copies(t, task{to: "tape:/in/", edit: rules})}
			pruned := evidence.NewDeletions()
			pruned.Add(evidence.Place{Collection: "lab"}, "/out/a", noon)
			d.put("lab:/out/z", 5, 60) // else the folder is gone as well
			looks := 0
			d.before = func(folder string) {
				if folder == "lab:/out/" {
					if looks++; looks == 1 {
						tt.first(d)
					} else {
						tt.second(d)
					}
				}
			}
			f := gathered(t, d, evidence.Options{Deletions: pruned}, receipts...)[0]
			got := fmt.Sprintf("%t %t %t, %s, %s", f.Folder, f.Pruned, f.State.File, f.Copies[0].Reason, f.Copies[1].Reason)
			if f.Path != "/out/a" || got != tt.want {
				t.Errorf("%s: got %s, want %s", f.Path, got, tt.want)
			}
		})
	}
}

func TestOfTwoCopiesAtOnePlaceTheOneThatProvesMoreCounts(t *testing.T) {
	for name, tt := range map[string]struct {
		first, second int // minutes
		gone          string
		want          string
	}{
		"the older one is first":    {1, 2, "", "12:02"},
		"the older one is second":   {2, 1, "", "12:02"},
		"the first one is gone":     {1, 2, "vault:/in/s/a", "12:03"},
		"the second one is gone":    {1, 2, "vault:/again/a", "12:02"},
		"the younger first is gone": {2, 1, "vault:/in/s/a", "12:02"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDisks()
			d.put("lab:/out/s/a", 5, -60)
			receipts := []proof.Open{d.copies(t, task{minutes: tt.first, to: "vault:/in/"}), d.copies(t, task{minutes: tt.second, to: "vault:/again/", from: "/out/s/"})}
			delete(d.files, tt.gone)
			want(t, files(t, d, evidence.Options{}, receipts...), "lab:/out/s/a | vault "+tt.want)
		})
	}
}

// receiptOf is a receipt of a task that ended a minute after noon, but for what edit
// says, with some rows: "item /from /to", with "r" or "f" at its end if it is known to be a
// folder or a file; "copied /from /to", of a file that was there before and arrived; or
// "found /from" or "landed /from /to" alone.
func receiptOf(t *testing.T, edit func(*proof.Receipt), rows ...string) proof.Open {
	t.Helper()
	h := proof.Receipt{
		Source: "lab", Destination: "vault", Options: proof.Options{VerifyChecksum: true}, Listed: noon, Requested: noon, Completed: noon.Add(time.Minute),
	}
	s := proof.NewSorter(nil)
	add := func(r proof.Row) {
		if err := s.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	for _, row := range rows {
		w := append(strings.Fields(row), "", "")
		found, landed := &proof.Found{Path: w[1], Size: 5, Modified: noon.Add(-time.Hour)}, &proof.Landed{Source: w[1], Destination: w[2], Size: 5, Modified: noon}
		switch w[0] {
		case "item":
			i := &proof.Item{Source: w[1], Destination: w[2]}
			if w[3] != "" {
				i.Recursive = new(w[3] == "r")
			}
			add(proof.Row{Item: i})
		case "found":
			add(proof.Row{Found: found})
		case "landed":
			add(proof.Row{Landed: landed})
		default:
			h.Files++
			add(proof.Row{Copied: &proof.Copied{Source: w[1], Destination: w[2], Size: 5}})
			add(proof.Row{Found: found})
			add(proof.Row{Landed: landed})
		}
	}
	if edit != nil {
		edit(&h)
	}
	return write(t, h, s)
}

func TestAPathThatComesASecondTimeIsNotProven(t *testing.T) {
	d := newDisks()
	for _, name := range []string{"lab:/c", "vault:/in/c", "vault:/again/c"} {
		d.put(name, 5, 0)
	}
	d.put("lab:/c", 5, -60)
	d.broken["lab:/b/"] = refused
	want(
		t, files(
			t, d, evidence.Options{},
			receiptOf(t, nil, "item /b /in/b r", "item /c /in/c", "copied /c /in/c"), // the files of /b/ come after /c in each order
			receiptOf(t, nil, "item /c /again/c", "copied /c /again/c"),
		),
		"lab:/c | vault 12:01", "lab:/b/ | vault could not be listed", "lab:/c | vault was looked at twice",
	)
}

func TestASingleFileOfSeveralReceiptsComesOnce(t *testing.T) {
	d := newDisks()
	for _, name := range []string{"c", "d"} {
		d.put("vault:/in/"+name, 5, 0)
		d.put("vault:/again/"+name, 5, 0)
		d.put("lab:/"+name, 5, -60)
	}
	want(
		t, files(
			t, d, evidence.Options{},
			receiptOf(t, nil, "item /c /in/c f", "item /d /in/d f", "copied /c /in/c", "copied /d /in/d"),
			receiptOf(t, nil, "item /c /again/c f", "copied /c /again/c"), receiptOf(t, nil, "item /d /again/d f", "copied /d /again/d"),
		),
		"lab:/c | vault 12:01", "lab:/d | vault 12:01",
	)
}

// Of trees that overlap, each file comes in its place, whichever of them has it.
func TestFilesOfTreesThatOverlapComeInOrder(t *testing.T) {
	d := newDisks()
	for _, name := range []string{"s/1", "t/1", "z/1"} {
		d.put("lab:/out/"+name, 5, -60)
		d.put("vault:/in/"+name, 5, 0)
		d.put("tape:/in/"+name, 5, 0)
	}
	whole := receiptOf(t, nil, "item /out/ /in/", "copied /out/s/1 /in/s/1", "copied /out/t/1 /in/t/1", "copied /out/z/1 /in/z/1")
	some := receiptOf(t, func(r *proof.Receipt) { r.Destination = "tape" },
		"item /out/s/ /in/s/", "item /out/z/ /in/z/", "copied /out/s/1 /in/s/1", "copied /out/z/1 /in/z/1")
	for _, both := range [][]proof.Open{{whole, some}, {some, whole}} {
		want(
			t, files(t, d, evidence.Options{}, both...),
			"lab:/out/s/1 | tape 12:01 | vault 12:01", "lab:/out/t/1 | vault 12:01", "lab:/out/z/1 | tape 12:01 | vault 12:01",
		)
	}
}
