package evidence_test

import (
	"strings"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/internal/evidence"
	"github.com/globus-runner/globus-runner/internal/proof"
	"github.com/globus-runner/globus-runner/transfer"
)

var refused = &transfer.Error{Status: 403, Code: "PermissionDenied"}

// pruned deletes files of the lab, as a prune does.
func (d *disks) pruned(paths ...string) *evidence.Deletions {
	all := evidence.NewDeletions()
	for _, p := range paths {
		delete(d.files, "lab:"+p)
		all.Add(evidence.Place{Collection: "lab"}, p, noon.Add(time.Hour))
	}
	return all
}

func TestFilesThatWereDeletedAreJudgedByTheirCopies(t *testing.T) {
	d := newDisks()
	for _, name := range []string{"a", "b", "c", "s/d", "s/e", "t/f", "t/g"} {
		d.put("lab:/out/"+name, 5, -60)
	}
	r := []proof.Open{d.copies(t, task{to: "vault:/in/"}), d.copies(t, task{to: "store:/in/", minutes: 10})}
	o := evidence.Options{Deletions: d.pruned("/out/a", "/out/s/d", "/out/t/f", "/out/t/g", "/out/none")}
	delete(d.files, "lab:/out/b") // somebody else
	delete(d.files, "vault:/in/s/d")
	d.put("vault:/in/t/g", 5, 30)
	d.put("vault:/in/new", 5, 30)
	want(
		t, files(t, d, o, r...),
		"lab:/out/a | store 12:11 | vault 12:01", "lab:/out/c | store 12:11 | vault 12:01", "lab:/out/s/d | store 12:11 | vault is gone at the destination",
		"lab:/out/s/e | store 12:11 | vault 12:01", "lab:/out/t/f | store 12:11 | vault 12:01",
		"lab:/out/t/g | store 12:11 | vault is not the same at the destination any more",
	)
	t.Run("of a sample", func(t *testing.T) {
		o := o
		o.Sample = func(path string) bool { return strings.HasPrefix(path, "/out/s") }
		want(
			t, files(t, d, o, r...),
			"lab:/out/s/d | store 12:11 | vault is gone at the destination", "lab:/out/s/e | store 12:11 | vault 12:01",
		)
	})
	t.Run("below a folder that is deleted meanwhile", func(t *testing.T) {
		d.broken["store:/in/t/"] = missing
		defer func() { d.broken = map[string]error{} }()
		got := files(t, d, o, r...)
		want(
			t, got[len(got)-2:],
			"lab:/out/t/f | store is gone at the destination | vault 12:01",
			"lab:/out/t/g | store is gone at the destination | vault is not the same at the destination any more",
		)
	})
	t.Run("below a folder that cannot be listed", func(t *testing.T) {
		d.broken["store:/in/t/"], d.broken["vault:/in/t/"], d.broken["lab:/out/s/"] = refused, refused, refused
		defer func() { d.broken = map[string]error{} }()
		want(
			t, files(t, d, o, r...),
			"lab:/out/a | store 12:11 | vault 12:01", "lab:/out/c | store 12:11 | vault 12:01",
			"lab:/out/s/ | store could not be listed | vault could not be listed", "lab:/out/t/ | store could not be listed | vault could not be listed",
		)
	})
}

func TestADeletedFileOfWhichOnlyANewerReceiptTellsIsGoneWithItsCopy(t *testing.T) {
	d := newDisks()
	rows := proof.NewSorter(nil)
	for _, r := range []proof.Row{
		{Item: &proof.Item{Source: "/out/", Destination: "/in/"}},
		{Landed: &proof.Landed{Source: "/out/a", Destination: "/in/a", Size: 5, Modified: noon}},
		{Landed: &proof.Landed{Source: "/out/b", Destination: "/in/b", Size: 5, Modified: noon}},
	} {
		if err := rows.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	later := write(t, proof.Receipt{Source: "lab", Destination: "vault", Listed: noon, Requested: noon, Completed: noon}, rows)
	d.put("vault:/in/b", 5, 0)
	want(
		t, files(t, d, evidence.Options{Deletions: d.pruned("/out/a", "/out/b")}, later),
		"lab:/out/a | vault is gone at the destination", "lab:/out/b | vault was not seen before the copy",
	)
}

func TestAFolderThatIsGoneWithFilesIsSaid(t *testing.T) {
	const gone = "does not exist, although a receipt says that it had files"
	tests := map[string]struct {
		pruned []string
		folder string // that was deleted
		want   []string
	}{
		"nothing pruned":         {nil, "", []string{"lab:/out/ | vault " + gone}},
		"a part pruned":          {[]string{"/out/a"}, "", []string{"lab:/out/ | vault " + gone, "lab:/out/a | vault 12:01"}},
		"all pruned":             {[]string{"/out/a", "/out/s/b"}, "", []string{"lab:/out/a | vault 12:01", "lab:/out/s/b | vault 12:01"}},
		"deleted":                {nil, "/out", nil},
		"deleted with one above": {nil, "/", nil},
		"another one deleted":    {nil, "/out/s/", []string{"lab:/out/ | vault " + gone}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			d := newDisks()
			d.put("lab:/out/a", 5, -60)
			d.put("lab:/out/s/b", 5, -60)
			r := d.copies(t, task{to: "vault:/in/"})
			all := d.pruned(tt.pruned...)
			if tt.folder != "" {
				all.AddFolder(evidence.Place{Collection: "lab"}, tt.folder)
			}
			delete(d.files, "lab:/out/a")
			delete(d.files, "lab:/out/s/b")
			d.broken["lab:/out/"] = missing
			want(t, files(t, d, evidence.Options{Deletions: all}, r), tt.want...)
			want(t, files(t, d, evidence.Options{}, r), "lab:/out/ | vault "+gone) // whoever has deleted it
		})
	}
}

func TestAFolderThatIsGoneAndWasNamedWithoutASlashIsSaid(t *testing.T) {
	d := newDisks()
	d.put("vault:/in/a", 5, 0)
	r := receiptOf(t, nil, "item /out /in", "found /out/a", "copied /out/a /in/a")
	for _, o := range []evidence.Options{{}, {Deletions: evidence.NewDeletions()}} {
		want(t, files(t, d, o, r), "lab:/out/ | vault does not exist, although a receipt says that it had files")
	}
}

func TestTheNewestReceiptThatTellsSaysWhetherAFolderHadFiles(t *testing.T) {
	const item, file, gone = "item /out/ /in/", "found /out/a", "lab:/out/ | vault does not exist, although a receipt says that it had files"
	unlisted := func(r *proof.Receipt) {
		run(3)(r)
		r.Listed = time.Time{}
	}
	tests := map[string]struct {
		receipts []proof.Open
		want     []string
	}{
		"it had some":                       {[]proof.Open{receiptOf(t, run(1), item), receiptOf(t, run(2), item, file)}, []string{gone}},
		"it had none any more":              {[]proof.Open{receiptOf(t, run(1), item, file), receiptOf(t, run(2), item)}, nil},
		"the newest does not tell":          {[]proof.Open{receiptOf(t, run(1), item, file), receiptOf(t, unlisted, item)}, []string{gone}},
		"none tells":                        {[]proof.Open{receiptOf(t, unlisted, item)}, nil},
		"other folders come before":         {[]proof.Open{receiptOf(t, run(1), "item /a/ /in/", item, "found /a/x", "found /a/y", file)}, []string{"lab:/a/z | vault was not seen before the copy", gone}},
		"a folder that it had files beside": {[]proof.Open{receiptOf(t, run(1), "item /a/ /in/", item, "found /outer/x", "found /a/x")}, []string{"lab:/a/z | vault was not seen before the copy"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			d := newDisks()
			d.broken["lab:/out/"] = missing
			d.put("vault:/in/x", 5, 0)
			d.put("lab:/a/z", 5, 0)
			want(t, files(t, d, evidence.Options{Deletions: d.pruned("/none")}, tt.receipts...), tt.want...)
		})
	}
}

func TestDeletedFilesOfSeveralReceiptsComeInOrder(t *testing.T) {
	d := newDisks()
	d.put("lab:/out/m", 5, -60)
	d.put("vault:/in/b", 5, 0)
	d.put("vault:/in/m", 5, 0)
	const item = "item /out/ /in/"
	newer := receiptOf(t, run(2), item, "copied /out/b /in/b", "copied /out/y /in/y", "copied /out/m /in/m")
	older := receiptOf(t, run(1), item, "copied /out/a /in/a", "copied /out/b /in/b", "copied /out/z /in/z", "copied /out/s/t /in/s/t")
	want(
		t, files(t, d, evidence.Options{Deletions: d.pruned("/out/a", "/out/b", "/out/y", "/out/z", "/out/s/t")}, newer, older),
		"lab:/out/a | vault is gone at the destination", "lab:/out/b | vault 12:01", "lab:/out/m | vault 12:02",
		"lab:/out/y | vault is gone at the destination", "lab:/out/z | vault is gone at the destination", "lab:/out/s/t | vault is gone at the destination",
	)
}

func TestDeletedFilesBelongToTheirItems(t *testing.T) {
	const gone, unseen = " | vault is gone at the destination", " | vault was not seen before the copy"
	again := func(d *disks) { d.put("lab:/c", 5, 0) }
	only := func(chosen string) func(string) bool {
		return func(path string) bool { return path == chosen }
	}
	tests := map[string]struct {
		rows   []string
		pruned []string
		edit   func(*disks)
		sample func(string) bool
		want   []string
	}{
		"a file that is there again, of an item after a folder": {[]string{"item /b /in/b r", "item /c /in/c f", "landed /c /in/c"}, []string{"/c"}, again, nil, []string{"lab:/c | vault was looked at twice"}},
		"a file that no item is about":                          {[]string{"item /b/ /in/b/", "landed /z/x /in/x"}, []string{"/z/x"}, nil, nil, []string{"lab:/z/x" + gone}},
		"files of a sample":                                     {[]string{"item /c /in/c f", "item /d /in/d f", "landed /c /in/c", "landed /d /in/d"}, []string{"/c", "/d"}, nil, only("/d"), []string{"lab:/d" + gone}},
		"files of a folder of a sample":                         {[]string{"item /b/ /in/b/", "landed /b/x /in/b/x", "landed /b/s/x /in/b/s/x"}, []string{"/b/x", "/b/s/x"}, nil, only("/b/s/"), []string{"lab:/b/s/x" + gone}},
		"of items whose names begin alike":                      {[]string{"item /c /in/c", "item /cd /in/cd", "landed /c /in/c", "landed /cd /in/cd"}, []string{"/c", "/cd"}, again, nil, []string{"lab:/c" + unseen, "lab:/cd" + gone}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			d := newDisks()
			d.put("vault:/in/b/other", 5, 0)
			d.put("lab:/b/t/other", 5, 0)
			o := evidence.Options{Deletions: d.pruned(tt.pruned...), Sample: tt.sample}
			if tt.edit != nil {
				tt.edit(d)
			}
			var got []string
			for _, line := range files(t, d, o, receiptOf(t, nil, tt.rows...)) {
				if !strings.HasPrefix(line, "lab:/b/t/") {
					got = append(got, line)
				}
			}
			want(t, got, tt.want...)
		})
	}
}

func TestEachFolderOfAReceiptIsAskedFor(t *testing.T) {
	d := newDisks()
	rows := proof.NewSorter(nil)
	for _, r := range []proof.Row{
		{Item: &proof.Item{Source: "/a/", Destination: "/in/a/"}},
		{Item: &proof.Item{Source: "/b/", Destination: "/in/b/"}},
		{Found: &proof.Found{Path: "/a/x", Size: 5, Modified: noon}},
		{Found: &proof.Found{Path: "/b/y", Size: 5, Modified: noon}},
	} {
		if err := rows.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	r := write(t, proof.Receipt{Source: "lab", Destination: "vault", Listed: noon, Requested: noon, Completed: noon}, rows)
	d.broken["lab:/a/"], d.broken["lab:/b/"] = missing, missing
	want(
		t, files(t, d, evidence.Options{Deletions: d.pruned("/a/x")}, r),
		"lab:/b/ | vault does not exist, although a receipt says that it had files",
	)
}

func TestItemsThatAreGoneAreLookedForAtTheirDestination(t *testing.T) {
	d := newDisks()
	receipt := func(items string, names ...string) proof.Open {
		rows := proof.NewSorter(nil)
		add := func(r proof.Row) {
			if err := rows.Add(r); err != nil {
				t.Fatal(err)
			}
		}
		for item := range strings.FieldsSeq(items) {
			add(proof.Row{Item: &proof.Item{Source: item, Destination: "/in" + item}})
		}
		for _, name := range names {
			add(proof.Row{Found: &proof.Found{Path: name, Size: 5, Modified: noon.Add(-time.Hour)}})
			add(proof.Row{Copied: &proof.Copied{Source: name, Destination: "/in" + name, Size: 5}})
			add(proof.Row{Landed: &proof.Landed{Source: name, Destination: "/in" + name, Size: 5, Modified: noon}})
		}
		return write(t, proof.Receipt{
			Source: "lab", Destination: "vault", Files: int64(len(names)), Options: proof.Options{VerifyChecksum: true},
			Listed: noon, Requested: noon, Completed: noon.Add(time.Minute),
		}, rows)
	}
	d.put("vault:/in/dir/x", 5, 0)
	d.put("vault:/in/one", 5, 0)
	d.broken["vault:/in/hidden"] = refused
	want(
		t, files(t, d, evidence.Options{Deletions: d.pruned("/dir/x", "/dir/y", "/hidden", "/none", "/one")},
			receipt("/dir", "/dir/x", "/dir/y"), receipt("/hidden /none /one", "/hidden", "/none", "/one")),
		"lab:/hidden | vault cannot be seen at the destination", "lab:/none | vault is gone at the destination", "lab:/one | vault 12:01",
		"lab:/dir/x | vault 12:01", "lab:/dir/y | vault is gone at the destination",
	)
}

func TestTheLastDeletionOfAFileCounts(t *testing.T) {
	at, other := evidence.Place{Collection: "lab"}, evidence.Place{Collection: "lab", LocalUser: "ann"}
	all := evidence.NewDeletions()
	for _, minutes := range []int{3, 7, 5} {
		all.Add(at, "/a", noon.Add(time.Duration(minutes)*time.Minute))
		all.Add(at, "/b", noon)
	}
	if got := all.Last(at, "/a"); !got.Equal(noon.Add(7 * time.Minute)) {
		t.Errorf("got %v, want 12:07", got)
	}
	if got := all.Last(other, "/a"); !got.IsZero() {
		t.Errorf("of another account: got %v", got)
	}
	if got := all.Last(at, "/c"); !got.IsZero() {
		t.Errorf("of another file: got %v", got)
	}
}
