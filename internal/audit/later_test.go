package audit_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/internal/audit"
	"github.com/globus-runner/globus-runner/internal/evidence"
	"github.com/globus-runner/globus-runner/internal/proof"
)

// A deed is a file that a task has copied, with what both sides showed of it.
type deed struct {
	source, destination string
	size                int64
	before, landed      int // minutes after noon
	checksum            string
	unlike              bool // what landed has another size than what was copied
	stayed              bool // it was there, and was not copied
	came                bool // after the source was listed
	skipped             bool // because of an error
}

// toldOf is the receipt of a task of a job that copied from a folder to /d/, and ended some minutes after noon.
func toldOf(t testing.TB, run int64, from string, ended int, deeds ...deed) proof.Open {
	t.Helper()
	return headed(t, headOf(run, ended, len(deeds)), from, deeds...)
}

func at(minutes int) time.Time { return noon.Add(time.Duration(minutes) * time.Minute) }

// headOf is the head of a receipt.
func headOf(run int64, ended, files int) proof.Receipt {
	return proof.Receipt{
		Run: run, Job: fmt.Sprint("job-", run), TaskID: fmt.Sprint(run), Source: "lab", Destination: "vault", Files: int64(files),
		Options: proof.Options{VerifyChecksum: true}, Listed: at(ended - 2), Requested: at(ended - 1), Completed: at(ended),
	}
}

// headed is a receipt with a head.
func headed(t testing.TB, h proof.Receipt, from string, deeds ...deed) proof.Open {
	t.Helper()
	return receiptOf(t, h, func(yield func(proof.Row, error) bool) {
		yield(proof.Row{Item: &proof.Item{Source: from, Destination: "/d/"}}, nil)
		for _, d := range deeds {
			if !d.stayed {
				yield(proof.Row{Copied: &proof.Copied{Source: d.source, Destination: d.destination, Size: d.size, Checksum: d.checksum, Algorithm: "MD5"}}, nil)
			}
		}
		for _, d := range deeds {
			if !d.came {
				yield(proof.Row{Found: &proof.Found{Path: d.source, Size: d.size, Modified: at(d.before)}}, nil)
			}
		}
		for _, d := range deeds {
			size := d.size
			if d.unlike {
				size++
			}
			yield(proof.Row{Landed: &proof.Landed{Source: d.source, Destination: d.destination, Size: size, Modified: at(d.landed)}}, nil)
		}
		for _, d := range deeds {
			if d.skipped {
				yield(proof.Row{Skipped: &proof.Skipped{Source: d.source, Destination: d.destination, Code: "PERMISSION_DENIED"}}, nil)
			}
		}
	})
}

func rowsOf(rows ...proof.Row) iter.Seq2[proof.Row, error] {
	return func(yield func(proof.Row, error) bool) {
		for _, row := range rows {
			if !yield(row, nil) {
				return
			}
		}
	}
}

// later opens receipts as an inquiry asks for them.
func later(all ...proof.Open) audit.Later {
	return func(context.Context, int64) iter.Seq2[proof.Open, error] {
		return func(yield func(proof.Open, error) bool) {
			for _, open := range all {
				if !yield(open, nil) {
					return
				}
			}
		}
	}
}

func TestWhatALaterReceiptExplains(t *testing.T) {
	const size = 5
	own := deed{source: "/s/f", destination: "/d/f", size: size, landed: 2, checksum: "x"}
	other := func(edit func(*deed)) deed {
		d := deed{source: "/o/f", destination: "/d/f", size: size, before: -60, landed: 9, checksum: "x"}
		edit(&d)
		return d
	}
	const lost = "lost /s/f 1"
	tests := map[string]struct {
		there string // at the destination now
		deed  deed
		ended int
		want  string
	}{
		"the same content":               {"5 -9", other(func(d *deed) { d.landed = -9 }), 20, "present /s/f 2"},
		"another content":                {"5 -9", other(func(d *deed) { d.landed, d.checksum = -9, "y" }), 20, "missing /s/f 2"},
		"without a checksum":             {"5 -9", other(func(d *deed) { d.landed, d.checksum = -9, "" }), 20, "missing /s/f 2"},
		"another size":                   {"6 9", other(func(d *deed) { d.size = 6 }), 20, "missing /s/f 2"},
		"the same second":                {"6 9", other(func(d *deed) { d.size = 6 }), 2, "missing /s/f 2"},
		"an earlier task":                {"6 9", other(func(d *deed) { d.size = 6 }), 1, lost},
		"something else is there":        {"6 8", other(func(d *deed) { d.size = 6 }), 20, lost},
		"another size is there":          {"7 9", other(func(d *deed) { d.size = 6 }), 20, lost},
		"to another path":                {"6 9", other(func(d *deed) { d.size, d.destination = 6, "/d/g" }), 20, lost},
		"the file as it is":              {"5 -9", deed{source: "/s/f", destination: "/d/f", size: size, landed: -9}, 20, "present /s/f 2"},
		"the file as it was before that": {"5 -9", deed{source: "/s/f", destination: "/d/f", size: size, before: -1, landed: -9}, 20, "missing /s/f 2"},
		"a folder is there":              {"/", other(func(d *deed) { d.size = 6 }), 20, lost},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var d disks
			d.put("lab:/s/", "f 5 0")
			d.put("vault:/d/")
			if tt.there == "/" {
				d.put("vault:/d/", "f/")
			} else {
				d.put("vault:/d/", "f "+tt.there)
			}
			mine := toldOf(t, 1, "/s/", 2, own)
			got := audited(t, &d, later(toldOf(t, 2, "/o/", tt.ended, tt.deed), mine), mine)
			if !slices.Equal(got, []string{tt.want}) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestALaterTaskThatFoundTheCopyEqual(t *testing.T) {
	const equal, doubted = "present /s/f 2", "lost /s/f 1"
	tests := map[string]struct {
		head func(*proof.Receipt)
		deed func(*deed)
		want string
		more []deed
	}{
		"by its checksum":              {nil, nil, equal, nil},
		"by its size":                  {func(h *proof.Receipt) { h.Options.SyncLevel = new(1) }, nil, doubted, nil},
		"or copied it":                 {func(h *proof.Receipt) { h.Options.SyncLevel = nil }, nil, doubted, nil},
		"or did not see it":            {func(h *proof.Receipt) { h.Equal = 0 }, nil, doubted, nil},
		"or copied it, and lists less": {func(h *proof.Receipt) { h.Files = 1 }, nil, doubted, nil},
		"or skipped it":                {nil, func(d *deed) { d.skipped = true }, doubted, nil},
		"or was away, and another came": {
			func(h *proof.Receipt) { h.Files, h.Equal = 1, 0 }, nil, doubted,
			[]deed{{source: "/s/g", destination: "/d/g", size: 5, landed: 9, came: true}},
		},
		"and another came":      {func(h *proof.Receipt) { h.Files = 1 }, nil, equal, []deed{{source: "/s/g", destination: "/d/g", size: 5, landed: 9, came: true}}},
		"elsewhere":             {func(h *proof.Receipt) { h.Destination = "store" }, nil, doubted, nil},
		"of another collection": {func(h *proof.Receipt) { h.Source = "desk" }, nil, doubted, nil},
		"of another file":       {nil, func(d *deed) { d.source = "/s/g" }, doubted, nil},
		"to another one, which is there under its name": {
			func(h *proof.Receipt) { h.Equal = 2 }, func(d *deed) { d.destination = "/d/g" }, doubted,
			[]deed{{source: "/s/g", destination: "/d/f", size: 5, landed: -9, stayed: true}},
		},
		"when the file was another one": {nil, func(d *deed) { d.before = -1 }, doubted, nil},
		"when the copy was another one": {nil, func(d *deed) { d.landed = -8 }, doubted, nil},
		"when it was larger":            {nil, func(d *deed) { d.unlike = true }, doubted, nil},
		"before it was replaced":        {func(h *proof.Receipt) { h.Completed = at(1) }, nil, doubted, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var d disks
			d.put("lab:/s/", "f 5 0")
			d.put("vault:/d/", "f 5 -9")
			mine := toldOf(t, 1, "/s/", 2, deed{source: "/s/f", destination: "/d/f", size: 5, landed: 2})
			h, found := headOf(2, 20, 0), deed{source: "/s/f", destination: "/d/f", size: 5, landed: -9, stayed: true}
			h.Options.SyncLevel, h.Equal = new(3), 1
			if tt.head != nil {
				tt.head(&h)
			}
			if tt.deed != nil {
				tt.deed(&found)
			}
			if got := audited(t, &d, later(headed(t, h, "/s/", append([]deed{found}, tt.more...)...), mine), mine); !slices.Equal(got, []string{tt.want}) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestALaterTaskFoundTheCopyOfAPrunedFileEqual(t *testing.T) {
	for unlike, want := range map[bool]string{false: "pruned /s/f 2", true: "lost /s/f 1"} {
		var d disks
		d.put("lab:/s/")
		d.put("vault:/d/", "f 5 -9")
		mine := toldOf(t, 1, "/s/", 2, deed{source: "/s/f", destination: "/d/f", size: 5, landed: 2})
		h, size := headOf(2, 20, 0), int64(5)
		if h.Options.SyncLevel, h.Equal = new(3), 1; unlike {
			size = 6 // somebody replaced the copy before it was listed
		}
		found := receiptOf(t, h, rowsOf(
			proof.Row{Item: &proof.Item{Source: "/s/", Destination: "/d/"}},
			proof.Row{Found: &proof.Found{Path: "/s/f", Size: size, Modified: at(0)}},
			proof.Row{Landed: &proof.Landed{Source: "/s/f", Destination: "/d/f", Size: 5, Modified: at(-9)}},
		))
		pruned := evidence.NewDeletions()
		pruned.Add(evidence.Place{Collection: "lab"}, "/s/f", at(30))
		evidenced, err := evidence.Gather([]proof.Open{mine}, evidence.Options{Deletions: pruned})
		if err != nil {
			t.Fatal(err)
		}
		q := &audit.Inquiry{Found: evidenced, Later: later(found, mine)}
		for f, err := range q.Files(t.Context(), &d) {
			if got := fmt.Sprint(f.Verdict, " ", f.Source, " ", f.Run); got != want || err != nil {
				t.Errorf("got %q, %v, want %q", got, err, want)
			}
		}
	}
}

// held is how many files wait at most.
const held = 20

// audited writes each finding as a line.
func audited(t *testing.T, d *disks, l audit.Later, told ...proof.Open) (lines []string) {
	t.Helper()
	found, err := evidence.Gather(told, evidence.Options{})
	if err != nil {
		t.Fatal(err)
	}
	q := &audit.Inquiry{Found: found, Later: l}
	q.HoldAtMost(held)
	for f, err := range q.Files(t.Context(), d) {
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, fmt.Sprint(f.Verdict, " ", f.Source, " ", f.Run))
	}
	return lines
}

func TestLaterReceiptsAreReadOnceForManyFiles(t *testing.T) {
	var d disks
	var own, other []deed
	d.put("vault:/d/")
	const files = held + 5
	for n := range files {
		name := fmt.Sprintf("%02d", n)
		own = append(own, deed{source: "/s/" + name, destination: "/d/" + name, size: 5, landed: 2, checksum: "x"})
		other = append(other, deed{source: "/o/" + name, destination: "/d/" + name, size: 5, landed: -9, checksum: "x"})
		d.put("lab:/s/", name+" 5 0")
		d.put("vault:/d/", name+" 5 -9")
	}
	mine := toldOf(t, 1, "/s/", 2, own...)
	asked := 0
	all := later(toldOf(t, 2, "/o/", 20, other...), mine)
	got := audited(t, &d, func(ctx context.Context, run int64) iter.Seq2[proof.Open, error] {
		if asked++; run != 1 {
			t.Errorf("asked from run %d on, want 1", run)
		}
		return all(ctx, run)
	}, mine)
	if len(got) != files || asked != 2 { // a second time for the rest
		t.Fatalf("got %d findings, and asked %d times, want %d and 2", len(got), asked, files)
	}
	for n, line := range got {
		if want := fmt.Sprintf("present /s/%02d 2", n); line != want {
			t.Fatalf("got %s, want %s", line, want)
		}
	}
}

func TestAReceiptThatCannotBeReadEndsAnAudit(t *testing.T) {
	var d disks
	d.put("lab:/s/", "f 5 0")
	d.put("vault:/d/", "f 6 0")
	mine := toldOf(t, 1, "/s/", 2, deed{source: "/s/f", destination: "/d/f", size: 5, landed: 2, checksum: "x"})
	found, err := evidence.Gather([]proof.Open{mine}, evidence.Options{})
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	q := audit.Inquiry{Found: found, Later: later(func() (*proof.Reader, error) { return nil, broken })}
	n := 0
	for _, err := range q.Files(t.Context(), &d) {
		if n++; !errors.Is(err, broken) {
			t.Errorf("got %v", err)
		}
	}
	if n != 1 {
		t.Errorf("got %d findings", n)
	}
}

func TestALaterReceiptMustBeAboutTheCopy(t *testing.T) {
	own := deed{source: "/s/f", destination: "/d/f", size: 5, landed: 2}
	other := deed{source: "/o/f", destination: "/d/f", size: 5, landed: -9}
	itself := deed{source: "/s/f", destination: "/d/f", size: 5, landed: -9}
	head := func(edit func(*proof.Receipt)) proof.Receipt {
		h := headOf(2, 20, 1)
		edit(&h)
		return h
	}
	tests := map[string]struct {
		later []proof.Open // the newest first
		want  string
	}{
		"to another collection":      {[]proof.Open{headed(t, head(func(h *proof.Receipt) { h.Destination = "store" }), "/o/", other)}, "lost /s/f 1"},
		"from another collection":    {[]proof.Open{headed(t, head(func(h *proof.Receipt) { h.Source = "desk" }), "/s/", itself)}, "missing /s/f 2"},
		"of another task of the run": {[]proof.Open{headed(t, head(func(h *proof.Receipt) { h.Run = 1 }), "/o/", other)}, "missing /s/f 1"},
		"of a task that copied the file elsewhere": {
			[]proof.Open{toldOf(t, 2, "/", 20, other, deed{source: "/s/f", destination: "/e/f", size: 5, landed: -9})}, "missing /s/f 2",
		},
		"of a task that only found it there": {[]proof.Open{toldOf(t, 2, "/o/", 20, deed{source: "/o/f", destination: "/d/f", size: 5, landed: -9, stayed: true})}, "lost /s/f 1"},
		"of one that found what another one had replaced": {[]proof.Open{
			toldOf(t, 3, "/o/", 30, deed{source: "/o/f", destination: "/d/f", size: 5, landed: 9}),
			toldOf(t, 2, "/o/", 20, deed{source: "/o/f", destination: "/d/f", size: 5, landed: -9, stayed: true}),
		}, "lost /s/f 1"},
		"of two, and the newest counts": {[]proof.Open{toldOf(t, 3, "/o/", 30, other), toldOf(t, 2, "/o/", 20, other)}, "missing /s/f 3"},
		"of another size than what is there": {
			[]proof.Open{toldOf(t, 2, "/o/", 20, deed{source: "/o/f", destination: "/d/f", size: 4, landed: -9, unlike: true})}, "lost /s/f 1",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var d disks
			d.put("lab:/s/", "f 5 0")
			d.put("vault:/d/", "f 5 -9")
			mine := toldOf(t, 1, "/s/", 2, own)
			if got := audited(t, &d, later(append(tt.later, mine)...), mine); !slices.Equal(got, []string{tt.want}) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestReceiptsAreReadFromTheOldestOneInDoubt(t *testing.T) {
	var d disks
	var own []proof.Open
	for run := range int64(9) {
		folder := fmt.Sprintf("/s/%d/", run)
		name := fmt.Sprint("f", run)
		own = append(own, toldOf(t, 9-run, folder, 2, deed{source: folder + name, destination: "/d/" + name, size: 5, landed: 2}))
		d.put("lab:"+folder, name+" 5 0")
		d.put("vault:/d/", name+" 4 0")
	}
	var from []int64
	audited(t, &d, func(ctx context.Context, run int64) iter.Seq2[proof.Open, error] {
		from = append(from, run)
		return later(own...)(ctx, run)
	}, own...)
	if !slices.Equal(from, []int64{1}) {
		t.Errorf("read from the receipts of the runs %v, want once from run 1", from)
	}
}
