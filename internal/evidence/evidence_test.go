package evidence_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/internal/evidence"
	"github.com/globus-runner/globus-runner/internal/proof"
	"github.com/globus-runner/globus-runner/transfer"
)

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// disks are collections in memory: entries by collection and path.
type disks struct {
	mu     sync.Mutex                 // two folders are listed at once
	files  map[string]*transfer.Entry // by "lab:/path"
	broken map[string]error           // folders that cannot be listed, such as "lab:/out/"
	listed []string
	before func(folder string) // called before a folder is listed; may be nil
}

func newDisks() *disks {
	return &disks{files: map[string]*transfer.Entry{}, broken: map[string]error{}}
}

var missing = &transfer.Error{Status: http.StatusNotFound, Code: "ClientError.NotFound"}

// put writes a file of a size, modified some minutes after noon.
func (d *disks) put(at string, size int64, minutes int) {
	d.files[at] = &transfer.Entry{
		Name: path.Base(at), Type: "file", Size: size, LastModified: transfer.Time{Time: noon.Add(time.Duration(minutes) * time.Minute)},
	}
}

func (d *disks) Ls(_ context.Context, collection string, q transfer.LsQuery) iter.Seq2[*transfer.Entry, error] {
	entries, err := d.list(collection + ":" + q.Path)
	return func(yield func(*transfer.Entry, error) bool) {
		if err != nil {
			yield(nil, err)
			return
		}
		for _, e := range entries {
			if !yield(e, nil) {
				return
			}
		}
	}
}

// list returns what a folder has, by name.
func (d *disks) list(folder string) (map[string]*transfer.Entry, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.before != nil {
		d.before(folder)
	}
	d.listed = append(d.listed, folder)
	if err := d.broken[folder]; err != nil {
		return nil, err
	}
	seen := map[string]*transfer.Entry{}
	for at, e := range d.files {
		rest, ok := strings.CutPrefix(at, folder)
		if !ok {
			continue
		}
		if name, _, below := strings.Cut(rest, "/"); below {
			seen[name] = &transfer.Entry{Name: name, Type: "dir"}
		} else {
			seen[name] = e
		}
	}
	if len(seen) == 0 {
		return nil, missing
	}
	return seen, nil
}

func (d *disks) Stat(_ context.Context, collection, p string, _ ...transfer.FileOption) (*transfer.Entry, error) {
	if err := d.broken[collection+":"+p]; err != nil {
		return nil, err
	}
	if e := d.files[collection+":"+p]; e != nil {
		return e, nil
	}
	for at := range d.files {
		if strings.HasPrefix(at, collection+":"+p+"/") {
			return &transfer.Entry{Name: path.Base(p), Type: "dir"}, nil
		}
	}
	return nil, missing
}

// A copy is a task that copied from lab:/out/ or below it, some minutes after
// noon, whatever is there now.
type task struct {
	minutes int
	to      string // such as vault:/in/
	from    string // default /out/
	edit    func(*proof.Receipt)
	only    string // of the files below from; empty is all
}

// copies does a task on the disks and returns its receipt.
func (d *disks) copies(t testing.TB, c task) proof.Open {
	t.Helper()
	at, to, _ := strings.Cut(c.to, ":")
	from := cmp.Or(c.from, "/out/")
	begin := noon.Add(time.Duration(c.minutes) * time.Minute)
	h := proof.Receipt{
		Run: int64(c.minutes), Job: "nightly", Key: "k", Attempt: 1, TaskID: fmt.Sprint("task ", c.minutes), Source: "lab", Destination: at,
		Options: proof.Options{VerifyChecksum: true}, Listed: begin, Requested: begin, Completed: begin.Add(time.Minute),
	}
	if c.edit != nil {
		c.edit(&h)
	}
	s := proof.NewSorter(nil)
	add := func(r proof.Row) {
		if err := s.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	add(proof.Row{Item: &proof.Item{Source: from, Destination: to, Recursive: new(strings.HasSuffix(from, "/"))}})
	for name, e := range d.files {
		rest, ok := strings.CutPrefix(name, h.Source+":"+from)
		if !ok || c.only != "" && rest != c.only || e.LinkTarget != "" {
			continue
		}
		source, destination := from+rest, to+rest
		d.put(at+":"+destination, e.Size, c.minutes)
		add(proof.Row{Found: &proof.Found{Path: source, Size: e.Size, Modified: e.LastModified.Time}})
		add(proof.Row{Copied: &proof.Copied{Source: source, Destination: destination, Size: e.Size}})
		add(proof.Row{Landed: &proof.Landed{Source: source, Destination: destination, Size: e.Size, Modified: begin}})
		h.Files++
	}
	return write(t, h, s)
}

func write(t testing.TB, h proof.Receipt, rows *proof.Sorter) proof.Open {
	t.Helper()
	open, err := sealed(h, rows.Rows())
	if err != nil {
		t.Fatal(err)
	}
	return open
}

// kept is a receipt with some rows, in order.
func kept(h proof.Receipt, rows ...proof.Row) (proof.Open, error) {
	return sealed(h, func(yield func(proof.Row, error) bool) {
		for _, r := range rows {
			if !yield(r, nil) {
				return
			}
		}
	})
}

func sealed(h proof.Receipt, rows iter.Seq2[proof.Row, error]) (proof.Open, error) {
	var b strings.Builder
	w, err := proof.NewWriter(&b, h)
	if err != nil {
		return nil, err
	}
	for r, err := range rows {
		if err = errors.Join(err, w.Write(r)); err != nil {
			return nil, err
		}
	}
	counts, content := w.Sum()
	seal := proof.NewSeal(counts, content, 1, "", nil)
	end, err := seal.Line()
	b.Write(end)
	text := b.String()
	return func() (*proof.Reader, error) { return proof.NewReader(strings.NewReader(text)) }, err
}

// files returns what is said of each file, a line for each.
func files(t *testing.T, d *disks, o evidence.Options, receipts ...proof.Open) (lines []string) {
	t.Helper()
	all, err := evidence.Gather(receipts, o)
	if err != nil {
		t.Fatal(err)
	}
	for f, err := range all.Files(t.Context(), d) {
		if err != nil {
			t.Fatal(err)
		}
		parts := []string{f.Source.Collection + ":" + f.Path}
		for _, c := range f.Copies {
			part := c.At.Collection + " " + string(c.Reason)
			if c.Reason == "" {
				part += c.Since.Format("15:04")
			}
			parts = append(parts, part)
		}
		lines = append(lines, strings.Join(parts, " | "))
	}
	return lines
}

func want(t *testing.T, got []string, want ...string) {
	t.Helper()
	if d := gocmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestEachFileHasItsReason(t *testing.T) {
	d := newDisks()
	for _, name := range []string{"a", "b", "x.tmp", "s/c", "s/d", "tmp/e"} {
		d.put("lab:/out/"+name, 5, -60)
	}
	rules := func(r *proof.Receipt) {
		r.Options.FilterRules = []transfer.FilterRule{{Method: "exclude", Type: "file", Name: "*.tmp"}, {Method: "exclude", Type: "dir", Name: "tmp"}}
	}
	r := d.copies(t, task{to: "vault:/in/", edit: rules})
	d.put("lab:/out/b", 5, 7)
	d.put("lab:/out/new", 5, 8)
	delete(d.files, "vault:/in/s/d")
	d.files["lab:/out/link"] = &transfer.Entry{Name: "link", Type: "file", LinkTarget: "a"}
	d.files["lab:/out/pipe"] = &transfer.Entry{Name: "pipe", Type: "pipe"}
	want(
		t, files(t, d, evidence.Options{}, r),
		"lab:/out/a | vault 12:01", "lab:/out/b | vault changed since it was copied", "lab:/out/link | vault is a symbolic link",
		"lab:/out/new | vault was not seen before the copy", "lab:/out/pipe | vault is not a regular file",
		"lab:/out/tmp | vault is excluded by a filter rule", "lab:/out/x.tmp | vault is excluded by a filter rule", "lab:/out/s/c | vault 12:01", "lab:/out/s/d | vault is gone at the destination",
	)
	if slices.Contains(d.listed, "lab:/out/tmp/") {
		t.Error("an excluded folder was listed")
	}
	for _, folder := range []string{"lab:/out/s/", "vault:/in/s/"} {
		d.broken[folder] = errors.New("offline")
		lines := files(t, d, evidence.Options{}, r)
		if got := lines[len(lines)-1]; got != "lab:/out/s/ | vault could not be listed" {
			t.Errorf("%s cannot be listed: got %q", folder, got)
		}
		delete(d.broken, folder)
	}
}

func TestWhatCannotBeSeenAtTheDestinationIsNotGone(t *testing.T) {
	d := newDisks()
	d.put("lab:/out/a", 5, -60)
	d.put("lab:/out/s/b", 5, -60)
	d.put("lab:/one", 5, -60)
	tree, single := d.copies(t, task{to: "vault:/in/"}), d.copies(t, task{to: "vault:/one", from: "/one"})
	d.broken["vault:/one"] = errors.New("offline")
	want(t, files(t, d, evidence.Options{}, single), "lab:/one | vault cannot be seen at the destination")
	delete(d.broken, "vault:/one")
	delete(d.files, "vault:/one")
	want(t, files(t, d, evidence.Options{}, single), "lab:/one | vault is gone at the destination")
	d.broken["vault:/in/"] = errors.New("offline")
	want(t, files(t, d, evidence.Options{}, tree), "lab:/out/ | vault could not be listed")
	delete(d.broken, "vault:/in/")
	delete(d.files, "vault:/in/a")
	delete(d.files, "vault:/in/s/b")
	want(t, files(t, d, evidence.Options{}, tree), "lab:/out/a | vault is gone at the destination", "lab:/out/s/b | vault is gone at the destination")
	d.broken["lab:/one"] = refused
	want(t, files(t, d, evidence.Options{}, single), "lab:/one | vault could not be listed")
	delete(d.broken, "lab:/one")
	delete(d.files, "lab:/one")
	want(t, files(t, d, evidence.Options{}, single))
}

func TestACopyWhoseNameHasAnotherFormIsNotProvenAndNotGone(t *testing.T) {
	const composed, apart, renamed = "caf\u00e9", "cafe\u0301", " | vault has another form of its name at the destination, in capital letters or accents"
	d := newDisks()
	for _, name := range []string{"README", composed, "same", "Caf\u00e9s/a"} {
		d.put("lab:/out/"+name, 5, -60)
	}
	r := d.copies(t, task{to: "vault:/in/"})
	for was, is := range map[string]string{composed: apart, "README": "readme", "Caf\u00e9s/a": "cafe\u0301s/a"} {
		d.files["vault:/in/"+is] = d.files["vault:/in/"+was]
		d.files["vault:/in/"+is].Name = path.Base(is)
		delete(d.files, "vault:/in/"+was)
	}
	want(t, files(t, d, evidence.Options{}, r), "lab:/out/README"+renamed, "lab:/out/"+composed+renamed, "lab:/out/same | vault 12:01", "lab:/out/Caf\u00e9s/a"+renamed)
}

func TestAFileThatAnyReceiptProvesIsProvenSinceTheOldestOfThem(t *testing.T) {
	d := newDisks()
	d.put("lab:/out/a", 5, -60)
	d.put("lab:/out/b", 5, -60)
	level := func(r *proof.Receipt) { r.Options.SyncLevel = new(3) }
	first := d.copies(t, task{to: "vault:/in/", edit: level, only: "a"})
	second := d.copies(t, task{minutes: 10, to: "vault:/in/", edit: level, only: "b"})
	equal := func(minutes int) proof.Open { // a task that found all equal
		s := proof.NewSorter(nil)
		_ = s.Add(proof.Row{Item: &proof.Item{Source: "/out/", Destination: "/in/", Recursive: new(true)}})
		for name, at := range map[string]int{"a": 0, "b": 10} {
			_ = s.Add(proof.Row{Found: &proof.Found{Path: "/out/" + name, Size: 5, Modified: noon.Add(-time.Hour)}})
			_ = s.Add(proof.Row{Landed: &proof.Landed{
				Source: "/out/" + name, Destination: "/in/" + name, Size: 5, Modified: noon.Add(time.Duration(at) * time.Minute),
			}})
		}
		begin := noon.Add(time.Duration(minutes) * time.Minute)
		return write(t, proof.Receipt{
			Source: "lab", Destination: "vault", Options: proof.Options{SyncLevel: new(3)}, Equal: 2, Listed: begin, Requested: begin, Completed: begin.Add(time.Minute),
		}, s)
	}
	want(t, files(t, d, evidence.Options{}, second, equal(20), first, equal(30)), "lab:/out/a | vault 12:01", "lab:/out/b | vault 12:11")
	if n := len(d.listed); n != 2 {
		t.Errorf("%d folders were listed for receipts of the same trees, want 2: %v", n, d.listed)
	}
	// More than are judged in step: the newest, unless an instant is preferred.
	many := []proof.Open{second, first}
	for i := range 30 {
		many = append(many, equal(20+10*i))
	}
	gathered := func(o evidence.Options) (int, string) {
		all, err := evidence.Gather(many, o)
		if err != nil {
			t.Fatal(err)
		}
		return all.Unread, fmt.Sprint(files(t, d, o, many...))
	}
	if n, got := gathered(evidence.Options{}); n != 16 || got != "[lab:/out/a | vault 14:41 lab:/out/b | vault 14:41]" {
		t.Errorf("got %d unread, %s", n, got)
	}
	if n, got := gathered(evidence.Options{Until: noon.Add(30 * time.Minute)}); n != 16 || got != "[lab:/out/a | vault 12:01 lab:/out/b | vault 12:11]" {
		t.Errorf("with an instant: got %d unread, %s", n, got)
	}
}

func TestCopiesOfSeveralPlacesAreOfOneFile(t *testing.T) {
	d := newDisks()
	for _, name := range []string{"a", "z", "d1/a", "d2/a"} {
		d.put("lab:/out/"+name, 5, -60)
	}
	d.put("lab:/single", 5, -60)
	receipts := []proof.Open{
		d.copies(t, task{minutes: 1, to: "vault:/in/"}),
		d.copies(t, task{minutes: 2, to: "tape:/d1/", from: "/out/d1/"}),
		d.copies(t, task{minutes: 3, to: "tape:/d2/", from: "/out/d2/"}),
		d.copies(t, task{minutes: 4, to: "tape:/one", from: "/single"}),
		d.copies(t, task{minutes: 5, to: "vault:/again/", from: "/out/d1/"}), // a second time to the same collection
	}
	delete(d.files, "vault:/in/d1/a")
	want(
		t, files(t, d, evidence.Options{}, receipts...),
		"lab:/single | tape 12:05", "lab:/out/a | vault 12:02", "lab:/out/z | vault 12:02",
		"lab:/out/d1/a | tape 12:03 | vault 12:06", "lab:/out/d2/a | tape 12:04 | vault 12:02",
	)
	// Another source comes after the first one.
	receipts = append(receipts, d.copies(t, task{minutes: 6, to: "lab:/back/", from: "/in/", edit: func(r *proof.Receipt) { r.Source = "vault" }}))
	lines := files(t, d, evidence.Options{}, receipts...)
	want(t, lines[5:], "vault:/in/a | lab 12:07", "vault:/in/z | lab 12:07", "vault:/in/d2/a | lab 12:07")
}

func TestAFileThatChangesBetweenTwoLooksIsNotProven(t *testing.T) {
	d := newDisks()
	d.put("lab:/out/a", 5, -60)
	receipts := []proof.Open{d.copies(t, task{minutes: 1, to: "vault:/in/"}), d.copies(t, task{minutes: 2, to: "tape:/in/"})}
	d.before = func(folder string) {
		if folder == "lab:/out/" && slices.Contains(d.listed, folder) {
			d.put("lab:/out/a", 5, 10)
		}
	}
	want(t, files(t, d, evidence.Options{}, receipts...), "lab:/out/a | tape changed since it was copied | vault changed since it was copied")
}

func TestAFileHasTheReasonOfTheCopyThatTellsMost(t *testing.T) {
	at := func(minutes int, reasons ...proof.Reason) (f evidence.File) {
		for i, r := range reasons {
			c := evidence.Copy{At: evidence.Place{Collection: fmt.Sprint(i)}, Reason: r}
			if r == "" {
				c.Since = noon.Add(time.Duration(minutes-i) * time.Minute)
			}
			f.Copies = append(f.Copies, c)
		}
		return f
	}
	for _, tt := range []struct {
		file   evidence.File
		reason proof.Reason
		proven string // collections
	}{
		{at(9), "", ""},
		{at(9, ""), "", "0"},
		{at(9, "", "", ""), "", "210"},
		{at(9, proof.Since, "", proof.NotBefore), "", "1"},
		{at(9, proof.NotBefore, proof.NotCopied), proof.NotCopied, ""},
		{at(9, proof.NotCopied, proof.NotBefore), proof.NotCopied, ""},
		{at(9, proof.NotBefore, proof.Gone), proof.Gone, ""},
		{at(9, proof.Since, proof.Gone), proof.Since, ""},
	} {
		var proven strings.Builder
		for _, c := range tt.file.Proven() {
			proven.WriteString(c.At.Collection)
		}
		if got := tt.file.Reason(); got != tt.reason || proven.String() != tt.proven {
			t.Errorf("%v: got %q, proven at %q; want %q, %q", tt.file.Copies, got, proven.String(), tt.reason, tt.proven)
		}
	}
}

func TestFoldersInsideWhatWasCopied(t *testing.T) {
	d := newDisks()
	for _, name := range []string{"a/b/x", "a/c/x", "one/file"} {
		d.put("lab:/out/"+name, 5, -60)
	}
	all, err := evidence.Gather([]proof.Open{
		d.copies(t, task{to: "vault:/in/", from: "/out/a/"}), d.copies(t, task{to: "tape:/c/", from: "/out/a/c/"}),
		d.copies(t, task{to: "tape:/one", from: "/out/one/file"}),
		receiptOf(t, nil, "item /p/file /in/p f", "item /q/sub/ /in/q/", "item /r/any /in/r", "item /s/flag /in/s r"),
	}, evidence.Options{})
	if err != nil {
		t.Fatal(err)
	}
	// Folders that are items, or contain one that is a file.
	items := map[string]bool{"/out/a/": true, "/out/a/c/": true, "/out/one/": true, "/p/": true, "/q/sub/": true, "/r/": true, "/r/any/": true, "/s/flag/": true}
	for folder, want := range map[string]bool{
		"/": false, "/out/": false, "/out/a/": false, "/out/a/b/": true, "/out/a/b/d/": true, "/out/a/c/": false, "/out/a/c/d/": true,
		"/out/ab/": false, "/out/one/": false, "/out/two/": false, "/out/one/sub/": true,
		"/p/": false, "/p/sub/": true, "/q/": false, "/q/sub/": false, "/q/sub/a/": true, "/r/": false, "/r/any/": false, "/r/a/": true,
		"/s/": false, "/s/flag/": false, "/s/flag/a/": true, "/s/other/": false,
	} {
		if got := all.Inside(evidence.Place{Collection: "lab"}, folder); got != want {
			t.Errorf("%s: got %t, want %t", folder, got, want)
		}
		if told := all.Tells(evidence.Place{Collection: "lab"}, folder); told != (want || items[folder]) {
			t.Errorf("%s: told: %t", folder, told)
		}
		if all.Inside(evidence.Place{Collection: "vault"}, folder) {
			t.Errorf("%s is inside at another place", folder)
		}
	}
}

func TestOfTooManyItemsNoFolderIsInsideAndAllAreTold(t *testing.T) {
	many := []proof.Open{receiptOf(t, nil, "item /out/ /in/")}
	for i := range 10 {
		rows := make([]string, 10_000)
		for j := range rows {
			rows[j] = fmt.Sprintf("item /a/%d/%d/ /b/", i, j)
		}
		many = append(many, receiptOf(t, nil, rows...))
	}
	all, err := evidence.Gather(nil, evidence.Options{Trees: many})
	if err != nil {
		t.Fatal(err)
	}
	at := evidence.Place{Collection: "lab"}
	for _, folder := range []string{"/out/", "/out/s/", "/a/9/9999/s/", "/other/"} {
		if all.Inside(at, folder) || !all.Tells(at, folder) {
			t.Errorf("%s: inside: %t, told: %t", folder, all.Inside(at, folder), all.Tells(at, folder))
		}
	}
}

func TestALowerLevelAcceptsCopiesThatWereNotVerified(t *testing.T) {
	d := newDisks()
	d.put("lab:/out/a", 5, -60)
	r := d.copies(t, task{to: "vault:/in/", edit: func(r *proof.Receipt) { r.Options.VerifyChecksum = false }})
	for least, reason := range map[transfer.SyncLevel]string{
		0: "was copied without verification", transfer.SyncChecksum: "was copied without verification", transfer.SyncMtime: "12:01", transfer.SyncSize: "12:01",
	} {
		want(t, files(t, d, evidence.Options{Least: least}, r), "lab:/out/a | vault "+reason)
	}
}

func TestFoldersInsideAWholeCollection(t *testing.T) {
	all, err := evidence.Gather([]proof.Open{receiptOf(t, nil, "item / /in/")}, evidence.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for folder, want := range map[string]bool{"/": false, "/a/": true, "/a/b/": true} {
		if got := all.Inside(evidence.Place{Collection: "lab"}, folder); got != want {
			t.Errorf("%s: got %t, want %t", folder, got, want)
		}
	}
}

func TestChangedReceiptProvesNothing(t *testing.T) {
	d := newDisks()
	d.put("lab:/out/a", 5, -60)
	whole := d.copies(t, task{to: "vault:/in/"})
	changed := func() (*proof.Reader, error) {
		r, err := whole()
		if err != nil {
			return nil, err
		}
		var text strings.Builder
		w, err := proof.NewWriter(&text, r.Receipt)
		if err != nil {
			return nil, err
		}
		for row, err := range r.Rows() {
			if row.Found != nil { // as if the file had had the time that it has now
				row.Found.Modified = noon.Add(5 * time.Minute)
			}
			if err = errors.Join(err, w.Write(row)); err != nil {
				return nil, err
			}
		}
		end, err := r.Seal.Line()
		text.Write(end)
		if err != nil {
			return nil, err
		}
		return proof.NewReader(strings.NewReader(text.String()))
	}
	d.put("lab:/out/a", 5, 5)
	all, err := evidence.Gather([]proof.Open{changed}, evidence.Options{})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for f, err := range all.Files(t.Context(), d) {
		if n++; !errors.Is(err, proof.ErrChanged) {
			t.Errorf("got %v, %v, want ErrChanged", f, err)
		}
	}
	if n != 1 {
		t.Errorf("got %d pairs", n)
	}
}

func TestMemoryDoesNotGrowWithReceipts(t *testing.T) {
	d := newDisks()
	var receipts []proof.Open
	for i := range 300 { // one folder a day
		name := fmt.Sprintf("/out/%03d/", i)
		d.put("lab:"+name+"a", 5, -60)
		receipts = append(receipts, d.copies(t, task{minutes: i, to: "vault:" + name, from: name}))
	}
	slices.Reverse(receipts)
	all, err := evidence.Gather(receipts, evidence.Options{})
	if err != nil {
		t.Fatal(err)
	}
	before, most, n := runtime.NumGoroutine(), 0, 0
	for f, err := range all.Files(t.Context(), d) {
		if err != nil || f.Reason() != "" {
			t.Fatalf("got %v, %v", f, err)
		}
		n++
		most = max(most, runtime.NumGoroutine())
	}
	if n != 300 || most > before+20 {
		t.Errorf("%d files, up to %d coroutines at once, %d before", n, most, before)
	}
}

func TestOnlySomeTreesAreLookedAt(t *testing.T) {
	d := newDisks()
	for _, name := range []string{"out/a", "out/b", "other/a", "third/a"} {
		d.put("lab:/"+name, 5, -60)
	}
	blank := func(from, to string) proof.Open {
		items := []proof.Item{{Source: from, Destination: to, Recursive: new(true)}}
		open, err := proof.Blank(proof.Receipt{Source: "lab", Destination: "vault", Options: proof.Options{SyncLevel: new(3)}}, slices.Values(items))
		if err != nil {
			t.Fatal(err)
		}
		return open
	}
	receipts := []proof.Open{
		d.copies(t, task{to: "vault:/in/", only: "a"}),
		d.copies(t, task{minutes: 1, to: "vault:/other/", from: "/other/"}),
	}
	trees := []proof.Open{blank("/out/", "/in/"), blank("/third/", "/third/")}
	want(
		t, files(t, d, evidence.Options{Trees: trees}, receipts...),
		"lab:/out/a | vault 12:01", "lab:/out/b | vault was not seen before the copy", "lab:/third/a | vault was not seen before the copy",
	)
	if slices.Contains(d.listed, "lab:/other/") {
		t.Error("a tree of a receipt that nobody asked for was listed")
	}
	one, err := evidence.TreesOf(receipts[0])
	same, err2 := evidence.TreesOf(trees[0])
	other, err3 := evidence.TreesOf(trees[1])
	if err := errors.Join(err, err2, err3); err != nil || one != same || one == other {
		t.Errorf("a receipt and a document of the same trees have the names %q and %q, one of others %q (%v)", one, same, other, err)
	}
	// What proves nothing takes nobody's place.
	all, err := evidence.Gather(receipts, evidence.Options{Trees: slices.Repeat(trees[:1], 20)})
	if err != nil || all.Unread != 0 {
		t.Errorf("%d receipts that may prove something are left out (%v)", all.Unread, err)
	}
}

func TestASampleIsJudgedAlone(t *testing.T) {
	d := newDisks()
	for _, name := range []string{"a", "s/b", "s/deep/c", "t/d"} {
		d.put("lab:/out/"+name, 5, -60)
	}
	d.put("lab:/one", 5, -60)
	d.put("lab:/two", 5, -60)
	receipts := []proof.Open{
		d.copies(t, task{to: "vault:/in/"}), d.copies(t, task{minutes: 1, to: "vault:/one", from: "/one"}), d.copies(t, task{minutes: 2, to: "vault:/two", from: "/two"}),
	}
	d.put("lab:/out/s/new", 5, 5)
	sample := evidence.Options{Sample: func(path string) bool { return path == "/out/s/" || path == "/two" }}
	want(t, files(t, d, sample, receipts...), "lab:/two | vault 12:03", "lab:/out/s/b | vault 12:01", "lab:/out/s/new | vault was not seen before the copy")
}
