package audit_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/internal/audit"
	"github.com/globus-runner/globus-runner/internal/evidence"
	"github.com/globus-runner/globus-runner/internal/proof"
	"github.com/globus-runner/globus-runner/transfer"
)

// disks are collections in memory: folders such as "lab:/s/" with their entries.
type disks struct {
	folders map[string][]*transfer.Entry
	refuse  map[string]int // status by folder
}

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// put puts entries into a folder, each by name, size and minutes after noon; a
// name with a slash is a folder, one with an @ a link, one with a | a pipe.
func (d *disks) put(folder string, entries ...string) {
	if d.folders == nil {
		d.folders = map[string][]*transfer.Entry{}
	}
	for _, text := range entries {
		var size int64
		name, rest, _ := strings.Cut(text, " ")
		e := &transfer.Entry{Name: strings.TrimRight(name, "/@|"), Type: "file"}
		switch name[len(name)-1] {
		case '/':
			e.Type = "dir"
		case '@':
			e.LinkTarget = "x"
		case '|':
			e.Type = "pipe"
		}
		var minutes int
		if n, _ := fmt.Sscan(rest, &size, &minutes); n == 2 {
			e.LastModified = transfer.Time{Time: noon.Add(time.Duration(minutes) * time.Minute)}
		}
		e.Size = size
		d.folders[folder] = append(d.folders[folder], e)
	}
}

func (d *disks) Ls(_ context.Context, collection string, q transfer.LsQuery) iter.Seq2[*transfer.Entry, error] {
	return func(yield func(*transfer.Entry, error) bool) {
		at := collection + ":" + q.Path
		status := d.refuse[at]
		if _, ok := d.folders[at]; !ok && status == 0 {
			status = http.StatusNotFound
		}
		if status != 0 {
			yield(nil, &transfer.Error{Status: status})
			return
		}
		for _, e := range d.folders[at] {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func (d *disks) Stat(_ context.Context, collection, path string, _ ...transfer.FileOption) (*transfer.Entry, error) {
	folder, name := path[:strings.LastIndexByte(path, '/')+1], path[strings.LastIndexByte(path, '/')+1:]
	if status := d.refuse[collection+":"+path]; status != 0 {
		return nil, &transfer.Error{Status: status}
	}
	for _, e := range d.folders[collection+":"+folder] {
		if e.Name == name {
			return e, nil
		}
	}
	return nil, &transfer.Error{Status: http.StatusNotFound}
}

// told is a document without a receipt: it copies item, such as "/s/ /d/", from
// the lab.
func told(t testing.TB, to, item string, o proof.Options) proof.Open {
	t.Helper()
	from, dest, _ := strings.Cut(item, " ")
	open, err := proof.Blank(proof.Receipt{Source: "lab", Destination: to, Options: o}, slices.Values([]proof.Item{{Source: from, Destination: dest}}))
	if err != nil {
		t.Fatal(err)
	}
	return open
}

// findings writes each finding as a line.
func findings(t *testing.T, d *disks, flights []audit.Flight, told ...proof.Open) (lines []string) {
	t.Helper()
	found, err := evidence.Gather(told, evidence.Options{})
	if err != nil {
		t.Fatal(err)
	}
	q := audit.Inquiry{Found: found, Flights: flights}
	for f, err := range q.Files(t.Context(), d) {
		if err != nil {
			t.Fatal(err)
		}
		line := fmt.Sprintf("%s %s", f.Verdict, f.Source)
		if f.Why != "" {
			line += ": " + f.Why
		}
		lines = append(lines, line)
	}
	return lines
}

func TestWithoutAReceiptBothSidesAreCompared(t *testing.T) {
	var d disks
	d.put("lab:/s/", "equal 5 0", "newer 5 0", "older 5 0", "size 5 0", "none 5 0", "folder 5 0", "timeless 5", "linked 5 0", "l@ 5 0", "p|", "x.tmp 5 0", "skip/", "sub/")
	d.put("lab:/s/sub/", "a 5 0")
	d.put("vault:/d/", "equal 5 0", "newer 5 1", "older 5 -1", "size 6 1", "folder/", "timeless 5 -1", "linked@ 5 0", "x.tmp 5 0")
	rules := []transfer.FilterRule{{Name: "*.tmp"}, {Name: "skip", Type: "dir"}}
	common := []string{
		"missing /s/folder: has something that is not a file in its place", "link /s/l", "missing /s/linked: has something that is not a file in its place", "", "missing /s/none: is not at the destination",
		"", "other /s/p", "missing /s/size: has a file of another size in its place", `excluded /s/skip: is excluded by the rule "skip"`, "present /s/timeless",
		`excluded /s/x.tmp: is excluded by the rule "*.tmp"`, "missing /s/sub/a: is not at the destination",
	}
	want := func(newer, older string) []string {
		all := slices.Concat([]string{"present /s/equal"}, common)
		all[4], all[6] = newer, older
		return all
	}
	got := findings(t, &d, nil, told(t, "vault", "/s/ /d/", proof.Options{FilterRules: rules}))
	if diff := cmp.Diff(want("present /s/newer", "missing /s/older: has an older file in its place"), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	got = findings(t, &d, nil, told(t, "vault", "/s/ /d/", proof.Options{FilterRules: rules, PreserveTimestamp: true}))
	if diff := cmp.Diff(want("missing /s/newer: has a file of another time in its place", "missing /s/older: has an older file in its place"), got); diff != "" {
		t.Errorf("with times that are kept (-want +got):\n%s", diff)
	}
}

func TestTheGravestOfSeveralDestinationsCounts(t *testing.T) {
	var d disks
	d.put("lab:/s/", "both 5 0", "one 5 0", "x 5 0")
	d.put("vault:/d/", "both 5 0", "one 5 0", "x 5 0")
	d.put("tape:/d/", "both 5 0")
	rules := proof.Options{FilterRules: []transfer.FilterRule{{Name: "x"}}}
	want := []string{"present /s/both", "missing /s/one: is not at the destination", "present /s/x"}
	for range 2 {
		got := findings(t, &d, nil, told(t, "vault", "/s/ /d/", proof.Options{}), told(t, "tape", "/s/ /d/", rules))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		d.folders["vault:/d/"], d.folders["tape:/d/"] = d.folders["tape:/d/"], d.folders["vault:/d/"]
		want[2] = "missing /s/x: is not at the destination"
	}
}

func TestFolderThatCannotBeListedIsNotEmpty(t *testing.T) {
	var d disks
	d.put("lab:/s/", "a/", "b/", "c/", "f 5 0")
	d.put("lab:/s/b/", "x 5 0")
	d.put("lab:/s/c/", "x 5 0")
	d.put("vault:/d/", "b/", "c/", "f 5 0")
	d.put("vault:/d/c/", "x 5 0")
	d.refuse = map[string]int{"lab:/s/a/": http.StatusForbidden, "vault:/d/b/": http.StatusForbidden}
	got := findings(t, &d, nil, told(t, "vault", "/s/ /d/", proof.Options{}))
	for i, want := range []string{"present /s/f", "unlisted /s/a/: ", "unlisted /s/b/: ", "present /s/c/x"} {
		if len(got) != 4 || !strings.HasPrefix(got[i], want) {
			t.Fatalf("got %q, want %s", got, want)
		}
	}
	d.refuse = map[string]int{"vault:/d/f": http.StatusForbidden}
	got = findings(t, &d, nil, told(t, "vault", "/s/f /d/f", proof.Options{}))
	if len(got) != 1 || !strings.HasPrefix(got[0], "unlisted /s/f: ") {
		t.Errorf("got %q of a file that cannot be seen", got)
	}
	// What may pass says nothing about a folder.
	d.refuse = map[string]int{"vault:/d/b/": http.StatusBadGateway}
	found, err := evidence.Gather([]proof.Open{told(t, "vault", "/s/ /d/", proof.Options{})}, evidence.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var last error
	for _, err := range (&audit.Inquiry{Found: found}).Files(t.Context(), &d) {
		last = err
	}
	if e, ok := errors.AsType[*transfer.Error](last); !ok || e.Status != http.StatusBadGateway || !strings.Contains(last.Error(), "list /s/b/: ") {
		t.Errorf("got %v", last)
	}
}

func TestWhatARunIsToCopyIsInFlight(t *testing.T) {
	var d disks
	d.put("lab:/s/", "a 5 0", "b 5 0")
	d.put("vault:/d/", "b 5 0")
	all := told(t, "vault", "/s/ /d/", proof.Options{})
	flight := func(from, to, source, destination string) []audit.Flight {
		doc := &transfer.Transfer{SourceEndpoint: from, DestinationEndpoint: to, Items: []transfer.Item{{SourcePath: "/none", DestinationPath: "/none"}, {SourcePath: source, DestinationPath: destination}}}
		return []audit.Flight{{Run: 7, Doc: doc}}
	}
	const missing, flying = "missing /s/a: is not at the destination", "in_flight /s/a: is to be copied by run 7, which has not ended"
	for name, tt := range map[string]struct {
		flights []audit.Flight
		want    string
	}{
		"none":                         {nil, missing},
		"of the folder":                {flight("LAB", "vault", "/s/", "/d/"), flying},
		"of the folder above":          {flight("lab", "vault", "/", "/"), missing},
		"of the file":                  {flight("lab", "vault", "/s/a", "/d/a"), flying},
		"of another file":              {flight("lab", "vault", "/s/", "/e/"), missing},
		"of a name that is longer":     {flight("lab", "vault", "/s", "/d"), flying},
		"of a name that begins so":     {flight("lab", "vault", "/s/a/", "/d/a/"), flying},
		"to another collection":        {flight("lab", "tape", "/s/", "/d/"), missing},
		"from another collection":      {flight("tape", "vault", "/s/", "/d/"), missing},
		"from a folder of like a name": {flight("lab", "vault", "/", "/d"), missing},
	} {
		if got := findings(t, &d, tt.flights, all); !slices.Equal(got, []string{tt.want, "present /s/b"}) {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

func TestAFolderWithALongerNameIsNotInFlight(t *testing.T) {
	var d disks
	d.put("lab:/s2/", "a 5 0")
	doc := &transfer.Transfer{SourceEndpoint: "lab", DestinationEndpoint: "vault", Items: []transfer.Item{{SourcePath: "/s/", DestinationPath: "/d/"}}}
	got := findings(t, &d, []audit.Flight{{Run: 7, Doc: doc}}, told(t, "vault", "/s2/ /d2/", proof.Options{}))
	if !slices.Equal(got, []string{"missing /s2/a: is not at the destination"}) {
		t.Errorf("got %q", got)
	}
}

func TestSentence(t *testing.T) {
	for want, count := range map[string]map[audit.Verdict]int64{
		"": {audit.Delivered: 3, audit.Changed: 2},
		"audit of nightly: 1 file was copied, but the copy is gone or changed, 1 file is not at the destination, 1 folder cannot be listed":         {audit.Lost: 1, audit.Missing: 1, audit.Unseen: 1},
		"audit of nightly: 2 files were copied, but the copies are gone or changed, 3 files are not at the destination, 4 folders cannot be listed": {audit.Lost: 2, audit.Missing: 3, audit.Unseen: 4},
	} {
		if got := audit.Sentence(count, "nightly"); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// record is the receipt of a task that copied /s/f to /d/f a minute after noon,
// where it landed with a time some minutes after noon.
func record(t testing.TB, landed int, o proof.Options, more ...proof.Row) proof.Open {
	t.Helper()
	at := noon.Add(time.Minute)
	head := proof.Receipt{Run: 3, Source: "lab", Destination: "vault", Options: o, Files: 1, Listed: noon.Add(30 * time.Second), Requested: at, Completed: at.Add(time.Minute)}
	rows := proof.NewSorter(nil)
	for _, r := range append(
		more,
		proof.Row{Item: &proof.Item{Source: "/s/", Destination: "/d/"}},
		proof.Row{Copied: &proof.Copied{Source: "/s/f", Destination: "/d/f", Size: 5}},
		proof.Row{Found: &proof.Found{Path: "/s/f", Size: 5, Modified: noon}},
		proof.Row{Landed: &proof.Landed{Source: "/s/f", Destination: "/d/f", Size: 5, Modified: noon.Add(time.Duration(landed) * time.Minute)}},
	) {
		if err := rows.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	return receiptOf(t, head, rows.Rows())
}

// receiptOf is a receipt of rows, which are in order.
func receiptOf(t testing.TB, head proof.Receipt, rows iter.Seq2[proof.Row, error]) proof.Open {
	t.Helper()
	var text strings.Builder
	w, err := proof.NewWriter(&text, head)
	if err != nil {
		t.Fatal(err)
	}
	for r, err := range rows {
		if err = errors.Join(err, w.Write(r)); err != nil {
			t.Fatal(err)
		}
	}
	counts, content := w.Sum()
	seal := proof.NewSeal(counts, content, 1, "", nil)
	end, err := seal.Line()
	if err != nil {
		t.Fatal(err)
	}
	text.Write(end)
	return func() (*proof.Reader, error) { return proof.NewReader(strings.NewReader(text.String())) }
}

func TestWithAReceipt(t *testing.T) {
	verified, kept := proof.Options{VerifyChecksum: true}, proof.Options{VerifyChecksum: true, PreserveTimestamp: true}
	alike := proof.Row{Found: &proof.Found{Path: "/s/F", Size: 1, Modified: noon}}
	tests := map[string]struct {
		source, there string // what both sides have under the name f now; empty is nothing
		receipt       proof.Open
		want          string
	}{
		"both as they were":               {"5 0", "5 1", record(t, 1, verified), "delivered /s/f"},
		"the copy is gone":                {"5 0", "", record(t, 1, verified), "lost /s/f: is gone at the destination"},
		"another file is there":           {"5 0", "6 9", record(t, 1, verified), "lost /s/f: is not the same at the destination any more"},
		"copied again by somebody":        {"5 0", "5 9", record(t, 1, verified), "present /s/f"},
		"an older file is there":          {"5 0", "5 -9", record(t, 1, verified), "lost /s/f: is not the same at the destination any more"},
		"the source changed":              {"7 9", "5 1", record(t, 1, verified), "changed /s/f: changed since it was copied"},
		"the source changed in time only": {"5 9", "5 1", record(t, 1, verified), "changed /s/f: changed since it was copied"},
		"both changed":                    {"7 9", "7 20", record(t, 1, verified), "changed /s/f: changed since it was copied"},
		"both changed to the same time":   {"7 9", "7 9", record(t, 0, kept), "present /s/f"},
		"changed, and the copy is gone":   {"7 9", "", record(t, 1, verified), "lost /s/f: is gone at the destination"},
		"a clock that is behind":          {"5 0", "5 -60", record(t, -60, verified), "present /s/f"},
		"a clock that is ahead":           {"5 0", "5 60", record(t, 60, verified), "present /s/f"},
		"behind, and another size":        {"5 0", "6 -60", record(t, -60, verified), "lost /s/f: has a time at the destination that is not that of the copy"},
		"not verified":                    {"5 0", "5 1", record(t, 1, proof.Options{}), "present /s/f"},
		"not verified, and gone":          {"5 0", "", record(t, 1, proof.Options{}), "lost /s/f: was copied without verification"},
		"two names that may be one":       {"5 0", "5 1", record(t, 1, verified, alike), "present /s/f"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var d disks
			d.put("lab:/s/", "f "+tt.source)
			d.put("vault:/d/")
			if tt.there != "" {
				d.put("vault:/d/", "f "+tt.there)
			}
			if got := findings(t, &d, nil, tt.receipt); !slices.Equal(got, []string{tt.want}) {
				t.Errorf("got %q, want %s", got, tt.want)
			}
		})
	}
}

func TestWhichVerdictsSomebodyHasToHearOf(t *testing.T) {
	alarms, settled := []audit.Verdict{}, []audit.Verdict{}
	for _, v := range audit.Verdicts() {
		if v.Alarms() {
			alarms = append(alarms, v)
		}
		if v.Settled() {
			settled = append(settled, v)
		}
	}
	if diff := cmp.Diff([]audit.Verdict{audit.Lost, audit.Missing, audit.Vanished, audit.Unseen}, alarms); diff != "" {
		t.Errorf("alarms (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]audit.Verdict{audit.Present, audit.Delivered, audit.Pruned, audit.Linked, audit.Device}, settled); diff != "" {
		t.Errorf("settled (-want +got):\n%s", diff)
	}
	for _, v := range alarms {
		if audit.Sentence(map[audit.Verdict]int64{v: 1}, "x") == "" {
			t.Errorf("%s has no sentence", v)
		}
	}
}
