package evidence_test

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/internal/evidence"
	"github.com/globus-runner/globus-runner/internal/proof"
)

// unsealed yields tasks that copied /b/ to the folder where the copy is, and had ended
// half an hour after noon, but for what an edit says.
func unsealed(edits ...func(*proof.Unsealed)) func([]int) (*proof.Others, error) {
	return without(func(yield func(*proof.Unsealed, error) bool) {
		for _, edit := range edits {
			u := &proof.Unsealed{
				Receipt: proof.Receipt{Source: "lab", Destination: "vault", Options: proof.Options{PreserveTimestamp: true}},
				Items:   itemsOf("/b/", "/in/"),
				Until:   noon.Add(30 * time.Minute),
			}
			edit(u)
			if !yield(u, nil) {
				return
			}
		}
	})
}

// without are tasks without receipts.
func without(tasks iter.Seq2[*proof.Unsealed, error]) func([]int) (*proof.Others, error) {
	return func([]int) (*proof.Others, error) { return &proof.Others{Unsealed: tasks}, nil }
}

func itemsOf(from, to string) iter.Seq[proof.Item] {
	return slices.Values([]proof.Item{{Source: from, Destination: to}})
}

// had lets the source of a task have had rows.
func had(rows ...proof.Row) func(*proof.Unsealed) {
	return func(u *proof.Unsealed) {
		u.Found = func(yield func(proof.Row, error) bool) {
			for _, r := range rows {
				if !yield(r, nil) {
					return
				}
			}
		}
	}
}

// foundAt is a file of the source, modified some minutes after noon.
func foundAt(path string, size int64, minutes int) proof.Row {
	return proof.Row{Found: &proof.Found{Path: path, Size: size, Modified: noon.Add(time.Duration(minutes) * time.Minute)}}
}

func TestATaskWithoutAReceiptMayHaveReplacedACopy(t *testing.T) {
	const proven, kept = "12:21", "was copied to a place where a task without a receipt may have copied another file since"
	anything := func(*proof.Unsealed) {}
	until := func(minutes int) func(*proof.Unsealed) {
		return func(u *proof.Unsealed) { u.Until = noon.Add(time.Duration(minutes) * time.Minute) }
	}
	from := func(path, to string) func(*proof.Unsealed) {
		return func(u *proof.Unsealed) { u.Items = itemsOf(path, to) }
	}
	both := func(edits ...func(*proof.Unsealed)) func(*proof.Unsealed) {
		return func(u *proof.Unsealed) {
			for _, edit := range edits {
				edit(u)
			}
		}
	}
	ownTime := func(u *proof.Unsealed) { u.Options.PreserveTimestamp = false }
	tests := map[string]struct {
		tasks []func(*proof.Unsealed)
		want  string
	}{
		"none":                                                       {nil, proven},
		"of which nothing is known":                                  {[]func(*proof.Unsealed){anything}, kept},
		"it ended when the source was listed":                        {[]func(*proof.Unsealed){until(20)}, kept},
		"it ended before":                                            {[]func(*proof.Unsealed){until(19)}, proven},
		"one ended before, one after":                                {[]func(*proof.Unsealed){anything, until(19)}, kept},
		"one of another folder ended before":                         {[]func(*proof.Unsealed){until(19), both(from("/c/", "/in/"), until(21))}, kept},
		"it may be at work":                                          {[]func(*proof.Unsealed){func(u *proof.Unsealed) { u.Until = time.Time{} }}, kept},
		"it copied the same folder":                                  {[]func(*proof.Unsealed){from("/a/", "/in/")}, proven},
		"it copied the folder above, to one above":                   {[]func(*proof.Unsealed){from("/", "/")}, kept}, // of /in/s/x there
		"it copied the same file":                                    {[]func(*proof.Unsealed){from("/a/s/x", "/in/s/x")}, proven},
		"it copied another file to its place":                        {[]func(*proof.Unsealed){from("/b/y", "/in/s/x")}, kept},
		"it copied another file beside it":                           {[]func(*proof.Unsealed){from("/b/y", "/in/s/y")}, proven},
		"it copied to a folder beside it":                            {[]func(*proof.Unsealed){from("/b/", "/in/t/")}, proven},
		"it copied to its folder":                                    {[]func(*proof.Unsealed){from("/b/", "/in/s/")}, kept},
		"to a name that some disks take for it":                      {[]func(*proof.Unsealed){from("/b/", "/IN/")}, kept},
		"to another collection":                                      {[]func(*proof.Unsealed){func(u *proof.Unsealed) { u.Destination = "store" }}, proven},
		"to the collection in another spelling":                      {[]func(*proof.Unsealed){func(u *proof.Unsealed) { u.Destination = "VAULT" }}, kept},
		"from another collection":                                    {[]func(*proof.Unsealed){both(from("/a/", "/in/"), func(u *proof.Unsealed) { u.Source = "desk" })}, kept},
		"of whose source nothing is known, and copies got own times": {[]func(*proof.Unsealed){ownTime}, kept},
		"its source had a file like it":                              {[]func(*proof.Unsealed){had(foundAt("/b/s/x", 5, -60))}, kept},
		"its source had one, and it ended before":                    {[]func(*proof.Unsealed){both(until(19), had(foundAt("/b/s/x", 5, -60)))}, proven},
		"its source had one, and it ended then":                      {[]func(*proof.Unsealed){both(until(20), had(foundAt("/b/s/x", 5, -60)))}, kept},
		"its source had one of another size":                         {[]func(*proof.Unsealed){had(foundAt("/b/s/x", 6, -60))}, kept}, // it may have changed, to an old time
		"its source had one of another time":                         {[]func(*proof.Unsealed){had(foundAt("/b/s/x", 5, -61))}, kept},
		"its copy got a time of its own":                             {[]func(*proof.Unsealed){both(ownTime, had(foundAt("/b/s/x", 6, -61)))}, kept},
		"its source had others":                                      {[]func(*proof.Unsealed){had(foundAt("/b/s/y", 5, -60), foundAt("/b/x", 5, -60))}, kept}, // one with an old time may have come
		"its source had none":                                        {[]func(*proof.Unsealed){had()}, kept},
		"it had others, and copies got own times":                    {[]func(*proof.Unsealed){both(ownTime, had(foundAt("/b/s/y", 5, -60), foundAt("/b/x", 5, -60)))}, proven},
		"its copy got an own time, and it ended before":              {[]func(*proof.Unsealed){both(ownTime, until(19), had(foundAt("/b/s/x", 5, -60)))}, proven},
		"its copy got an own time, and it ended then":                {[]func(*proof.Unsealed){both(ownTime, until(20), had(foundAt("/b/s/x", 5, -60)))}, kept},
		"it had none, and copies got own times":                      {[]func(*proof.Unsealed){both(ownTime, had())}, proven},
		"it is the same source":                                      {[]func(*proof.Unsealed){both(from("/a/", "/in/"), had(foundAt("/a/s/x", 5, -60)))}, proven},
		"a part of its source was not listed": {[]func(*proof.Unsealed){
			both(ownTime, had(proof.Row{Skipped: &proof.Skipped{Source: "/b/s/", Destination: "/in/s/", Folder: true}})),
		}, kept},
		"another part of its source was not listed": {[]func(*proof.Unsealed){
			both(ownTime, had(proof.Row{Skipped: &proof.Skipped{Source: "/b/t/", Destination: "/in/t/", Folder: true}})),
		}, proven},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			d := newDisks()
			d.put("lab:/a/s/x", 5, -60)
			open := d.copies(t, keeping("/a/", "vault:/in/", 20, 21))
			d.put("vault:/in/s/x", 5, -60)
			want(t, files(t, d, evidence.Options{Others: unsealed(tt.tasks...)}, open), "lab:/a/s/x | vault "+tt.want)
		})
	}
}

// tooMany are more items than are remembered, and one more.
func tooMany(u *proof.Unsealed) {
	u.Items = func(yield func(proof.Item) bool) {
		for n := range 100_000 {
			if !yield(proof.Item{Source: fmt.Sprint("/c/", n), Destination: fmt.Sprint("/d/", n)}) {
				return
			}
		}
		yield(proof.Item{Source: "/b/", Destination: "/in/"})
	}
}

func TestMoreTasksWithoutReceiptsThanAreRememberedCountForAllCopies(t *testing.T) {
	const kept = "was copied to a place where a task without a receipt may have copied another file since"
	d := newDisks()
	d.put("lab:/a/x", 5, -60)
	open := d.copies(t, keeping("/a/", "vault:/in/", 20, 21))
	d.put("vault:/in/x", 5, -60)
	for minutes, reason := range map[int]string{19: "12:21", 20: kept, 30: kept} {
		many := unsealed(func(u *proof.Unsealed) {
			tooMany(u)
			u.Until = noon.Add(time.Duration(minutes) * time.Minute)
		})
		want(t, files(t, d, evidence.Options{Others: many}, open), "lab:/a/x | vault "+reason)
	}
}

// What is not remembered may have been copied anywhere, and what is remembered counts
// for its own place.
func TestATaskOfWhichTheSourceIsKnownCountsThoughThereAreTooManyItemsToRemember(t *testing.T) {
	const kept = "was copied to a place where a task without a receipt may have copied another file since"
	for name, want1 := range map[string]string{"/b/x": kept, "/b/y": "12:21"} {
		d := newDisks()
		d.put("lab:/a/x", 5, -60)
		open := d.copies(t, keeping("/a/", "vault:/in/", 20, 21))
		d.put("vault:/in/x", 5, -60)
		many := unsealed(func(u *proof.Unsealed) {
			tooMany(u)
			u.Options.PreserveTimestamp = false
			had(foundAt(name, 5, -60))(u)
		})
		want(t, files(t, d, evidence.Options{Others: many}, open), "lab:/a/x | vault "+want1)
	}
}

func TestALaterCopyCountsThoughThereAreTooManyItemsToRemember(t *testing.T) {
	d := newDisks()
	d.put("lab:/a/x", 5, -60)
	d.put("lab:/b/x", 5, -60)
	one, later := d.copies(t, keeping("/a/", "vault:/in/", 10, 11)), d.copies(t, keeping("/b/", "vault:/in/", 20, 21))
	many := unsealed(func(u *proof.Unsealed) {
		tooMany(u)
		had()(u)
	})
	both := func(some []int) (*proof.Others, error) {
		o, err := many(some)
		o.Sealed = []proof.Open{later}
		return o, err
	}
	want(
		t, files(t, d, evidence.Options{Others: both}, one),
		"lab:/a/x | vault was copied to a place to which another file was copied since",
	)
}

func TestWhatTasksWithoutReceiptsHadMustBeKnown(t *testing.T) {
	broken := errors.New("broken")
	d := newDisks()
	d.put("lab:/a/x", 5, -60)
	open := d.copies(t, keeping("/a/", "vault:/in/", 20, 21))
	_, err := evidence.Gather([]proof.Open{open}, evidence.Options{Others: without(func(yield func(*proof.Unsealed, error) bool) { yield(nil, broken) })})
	if !errors.Is(err, broken) {
		t.Errorf("got %v, want that the tasks cannot be read", err)
	}
	all, err := evidence.Gather([]proof.Open{open}, evidence.Options{Others: unsealed(func(u *proof.Unsealed) {
		u.Options.PreserveTimestamp = false // else nobody reads it
		u.Found = func(yield func(proof.Row, error) bool) { yield(proof.Row{}, broken) }
	})})
	if err != nil {
		t.Fatal(err)
	}
	for f, err := range all.Files(t.Context(), d) {
		if !errors.Is(err, broken) {
			t.Errorf("got %+v, %v, want that a snapshot cannot be read", f, err)
		}
	}
}

// A file was copied, then another of its size and time to the same place, and then
// perhaps the first one again.
func TestAReplacedFileMayHaveBeenCopiedOnceMoreByATaskWithoutAReceipt(t *testing.T) {
	const (
		replaced = "was copied to a place to which another file was copied since"
		maybe    = "was copied to a place where a task without a receipt may have copied another file since"
	)
	tests := map[string]struct {
		until int // minutes after noon
		found proof.Row
		keeps bool // the times of files
		want  string
	}{
		"after the other":          {22, foundAt("/a/x", 5, -60), true, maybe},
		"with the other":           {21, foundAt("/a/x", 5, -60), true, maybe},
		"before the other":         {20, foundAt("/a/x", 5, -60), true, replaced},
		"with a time of its own":   {22, foundAt("/a/x", 5, -60), false, maybe},
		"another file after it":    {22, foundAt("/a/y", 5, -60), false, replaced},
		"what may have come since": {22, foundAt("/a/y", 5, -60), true, maybe},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			d := newDisks()
			d.put("lab:/a/x", 5, -60)
			d.put("lab:/b/x", 5, -60)
			one, other := d.copies(t, keeping("/a/", "vault:/in/", 10, 11)), d.copies(t, keeping("/b/", "vault:/in/", 20, 21))
			d.put("vault:/in/x", 5, -60)
			again := unsealed(func(u *proof.Unsealed) {
				u.Items, u.Until = itemsOf("/a/", "/in/"), noon.Add(time.Duration(tt.until)*time.Minute)
				u.Options.PreserveTimestamp = tt.keeps
				had(tt.found)(u)
			})
			both := func(some []int) (*proof.Others, error) {
				o, err := again(some)
				o.Sealed = []proof.Open{other}
				return o, err
			}
			want(t, files(t, d, evidence.Options{Others: both}, one), "lab:/a/x | vault "+tt.want)
		})
	}
}

// A task without a receipt that may have copied another file since the source was
// listed counts, whatever a task with a receipt has copied there after it and before
// the copy.
func TestATaskWithoutAReceiptCountsBesideOneThatCopiedTheSameFile(t *testing.T) {
	const kept = "was copied to a place where a task without a receipt may have copied another file since"
	for until, reason := range map[int]string{9: "12:21", 10: kept} {
		d := newDisks()
		d.put("lab:/a/x", 5, -60)
		d.put("lab:/b/x", 5, -60)
		between := d.copies(t, keeping("/b/", "vault:/in/", 14, 15))
		c := keeping("/a/", "vault:/in/", 20, 21)
		edit := c.edit
		c.edit = func(r *proof.Receipt) {
			edit(r)
			r.Listed = noon.Add(10 * time.Minute)
		}
		one := d.copies(t, c)
		d.put("vault:/in/x", 5, -60)
		again := unsealed(func(u *proof.Unsealed) {
			u.Options.PreserveTimestamp, u.Until = false, noon.Add(time.Duration(until)*time.Minute)
			had(foundAt("/b/x", 5, -60))(u)
		})
		both := func(some []int) (*proof.Others, error) {
			o, err := again(some)
			o.Sealed = []proof.Open{between}
			return o, err
		}
		want(t, files(t, d, evidence.Options{Others: both}, one), "lab:/a/x | vault "+reason)
	}
}
