package evidence_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/internal/evidence"
	"github.com/globus-runner/globus-runner/internal/proof"
)

// run says of which run a receipt is, that many minutes after noon.
func run(n int) func(*proof.Receipt) {
	return func(r *proof.Receipt) {
		r.Run, r.Completed = int64(n), noon.Add(time.Duration(n)*time.Minute)
	}
}

func TestTheReceiptThatTellsMostSaysWhyACopyIsNotProven(t *testing.T) {
	const tells, silent = "copied /out/a /in/a", "copied /out/b /in/b"
	gone := func(d *disks) { delete(d.files, "vault:/in/a") }
	tests := map[string]struct {
		older, newer string // of run 1 and 2
		edit         func(*disks)
		want         string
	}{
		"both prove it":                       {tells, tells, nil, " by 2"},
		"the older one proves it":             {tells, silent, nil, " by 1"},
		"the newer one proves it":             {silent, tells, nil, " by 2"},
		"none tells of it":                    {silent, silent, nil, "was not seen before the copy by 2"},
		"the older one tells that it is gone": {tells, silent, gone, "is gone at the destination by 1"},
		"the newer one tells that it is gone": {silent, tells, gone, "is gone at the destination by 2"},
		"both tell that it is gone":           {tells, tells, gone, "is gone at the destination by 2"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			d := newDisks()
			d.put("lab:/out/a", 5, -60)
			d.put("vault:/in/a", 5, 0)
			if tt.edit != nil {
				tt.edit(d)
			}
			const item = "item /out/ /in/"
			f := gathered(t, d, evidence.Options{}, receiptOf(t, run(1), item, tt.older), receiptOf(t, run(2), item, tt.newer))[0]
			if c := f.Copies[0]; fmt.Sprintf("%s by %d", c.Reason, c.By.Run) != tt.want {
				t.Errorf("got %q by %d, want %q", c.Reason, c.By.Run, tt.want)
			}
		})
	}
}

func TestReceiptsThatProveNothingLeaveRoomForOthers(t *testing.T) {
	tests := map[string]struct {
		edit   func(*proof.Receipt) // of the newer ones
		rows   []string
		unread int
	}{
		"they copied nothing":                      {func(*proof.Receipt) {}, nil, 0},
		"they compared by a level that is too low": {func(r *proof.Receipt) { r.Options.SyncLevel = new(2) }, nil, 0},
		"they do not know what the source had":     {func(r *proof.Receipt) { r.Listed, r.Options.SyncLevel = time.Time{}, new(3) }, nil, 0},
		"they compared":                            {func(r *proof.Receipt) { r.Options.SyncLevel = new(3) }, nil, 15},
		"they copied":                              {func(*proof.Receipt) {}, []string{"copied /out/b /in/b"}, 15},
		"they copied, and compared by a low level": {func(r *proof.Receipt) { r.Options.SyncLevel = new(2) }, []string{"copied /out/b /in/b"}, 15},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			d := newDisks()
			d.put("lab:/out/a", 5, -60)
			d.put("vault:/in/a", 5, 0)
			receipts := []proof.Open{receiptOf(t, run(1), "item /out/ /in/", "copied /out/a /in/a")}
			for i := range 30 {
				edit := func(r *proof.Receipt) { run(2 + i)(r); tt.edit(r) }
				receipts = append(receipts, receiptOf(t, edit, append(tt.rows, "item /out/ /in/")...))
			}
			found, err := evidence.Gather(receipts, evidence.Options{})
			if err != nil || found.Unread != tt.unread {
				t.Errorf("%d receipts are left out (%v), want %d", found.Unread, err, tt.unread)
			}
			reason := gathered(t, d, evidence.Options{}, receipts...)[0].Reason()
			if (reason == "") != (tt.unread == 0) {
				t.Errorf("got %q", reason)
			}
			// Without one that may prove something there is still a reason.
			if reason = gathered(t, d, evidence.Options{}, receipts[1:]...)[0].Reason(); reason == "" {
				t.Error("proven by receipts that prove nothing")
			}
		})
	}
}

func TestReceiptsAreJudgedThoughAllAreYoung(t *testing.T) {
	d := newDisks()
	d.put("lab:/out/a", 5, -60)
	d.put("vault:/in/a", 5, 0)
	var receipts []proof.Open
	for i := range 20 {
		receipts = append(receipts, receiptOf(t, run(10+i), "item /out/ /in/", "copied /out/a /in/a"))
	}
	want(t, files(t, d, evidence.Options{Until: noon}, receipts...), "lab:/out/a | vault 12:14")
}

func TestAReceiptCountsIfOneOfItsItemsIsChosen(t *testing.T) {
	d := newDisks()
	for _, name := range []string{"a", "b"} {
		d.put("lab:/"+name, 5, -60)
		d.put("vault:/in/"+name, 5, 0)
	}
	r := receiptOf(t, nil, "item /a /in/a", "item /b /in/b", "copied /a /in/a", "copied /b /in/b")
	for source, n := range map[string]int{"/a": 2, "/b": 2, "/c": 0} {
		found, err := evidence.Gather([]proof.Open{r}, evidence.Options{About: func(from, to evidence.Place, i *proof.Item) bool {
			return from.Collection == "lab" && to.Collection == "vault" && i.Source == source
		}})
		if err != nil || found.Strangers != map[bool]int{true: 1}[n == 0] {
			t.Fatalf("by %s: got %+v, %v", source, found, err)
		}
		for f, err := range found.Files(t.Context(), d) {
			if n--; err != nil || f.Reason() != "" {
				t.Errorf("by %s: got %v, %v", source, f, err)
			}
		}
		if n != 0 {
			t.Errorf("by %s: %d files too few", source, n)
		}
	}
}

func TestAFileThatWasPrunedAndIsNotInAReceiptIsGoneOnlyIfThatIsSeen(t *testing.T) {
	const item, row = "item /a /in/a", "landed /a /in/a"
	unverified := func(r *proof.Receipt) { r.Options.VerifyChecksum = false }
	tests := map[string]struct {
		receipt proof.Open
		broken  error
		want    string
	}{
		"gone":                     {receiptOf(t, nil, item, row), nil, "is gone at the destination"},
		"not seen":                 {receiptOf(t, nil, item, row), refused, "was not seen before the copy"},
		"gone, and never verified": {receiptOf(t, unverified, item, "copied /a /in/a"), nil, "was copied without verification"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			d := newDisks()
			d.broken["vault:/in/a"] = tt.broken
			want(t, files(t, d, evidence.Options{Deletions: d.pruned("/a")}, tt.receipt), "lab:/a | vault "+tt.want)
		})
	}
}

func TestWhatCannotBeReadEndsTheFiles(t *testing.T) {
	broken := errors.New("broken")
	d := newDisks()
	d.put("lab:/a", 5, -60)
	d.put("vault:/in/a", 5, -60)
	whole := receiptOf(t, keeping("", "", 20, 21).edit, "item /a /in/a", "item /b/ /in/b/", "copied /a /in/a", "copied /b/x /in/b/x", "found /c")
	read := func(open proof.Open) (n int, err error) {
		o := evidence.Options{Deletions: d.pruned("/b/x"), Others: others(receiptOf(t, keeping("", "", 10, 11).edit, "item /d/ /in/", "copied /d/a /in/a"))}
		found, err := evidence.Gather([]proof.Open{open}, o)
		if err != nil {
			return 0, err
		}
		for _, e := range found.Files(t.Context(), d) {
			if err != nil {
				t.Error("an error is not the last pair")
			}
			if err = e; err == nil {
				n++
			}
		}
		return n, err
	}
	opened := 0
	if n, err := read(func() (*proof.Reader, error) { opened++; return whole() }); n != 2 || err != nil {
		t.Fatalf("got %d files, %v", n, err)
	}
	for nth := 1; nth <= opened; nth++ {
		again := 0
		_, err := read(func() (*proof.Reader, error) {
			if again++; again == nth {
				return nil, broken
			}
			return whole()
		})
		if !errors.Is(err, broken) {
			t.Errorf("the receipt cannot be opened for the time %d of %d: got %v", nth, opened, err)
		}
		again = 0
		_, err = read(func() (*proof.Reader, error) {
			in, err := whole()
			if again++; again == nth {
				return proof.NewReader(strings.NewReader(head(t, in)))
			}
			return in, err
		})
		if err == nil {
			t.Errorf("the receipt is cut when it is opened for the time %d of %d: no error", nth, opened)
		}
	}
}

// head is the text of a receipt up to its head.
func head(t *testing.T, in *proof.Reader) string {
	t.Helper()
	var text strings.Builder
	if _, err := proof.NewWriter(&text, in.Receipt); err != nil {
		t.Fatal(err)
	}
	return text.String()
}
