package proof_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/internal/proof"
	"github.com/globus-runner/globus-runner/test/long"
	"github.com/globus-runner/globus-runner/transfer"
)

// sealed returns a receipt with another head.
func sealed(t testing.TB, h proof.Receipt, rows ...proof.Row) proof.Open {
	t.Helper()
	s := proof.NewSorter(nil)
	for _, r := range rows {
		if err := s.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	var b strings.Builder
	w, err := proof.NewWriter(&b, h)
	if err != nil {
		t.Fatal(err)
	}
	for r, err := range s.Rows() {
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
	b.Write(end)
	return opener(b.String())
}

func TestJudgeTellsWhyAFileIsNotProven(t *testing.T) {
	written, during := noon.Add(-time.Hour), noon.Add(30*time.Second)
	row := func(edit func(*proof.Copied)) proof.Row {
		r := copied("/out/a", "/in/a", 5)
		edit(r.Copied)
		return r
	}
	skipped := proof.Row{Skipped: &proof.Skipped{Source: "/out/z", Code: "PERMISSION_DENIED"}}
	same := copied("/out/a", "/in/a", 5)
	at := func(t time.Time) func(*proof.Landed) { return func(l *proof.Landed) { l.Modified = t } }
	tests := map[string]struct {
		head  func(*proof.Receipt)
		rows  []proof.Row
		after func(*proof.Landed)
		found time.Time // that the file had before; zero is written
		sight func(*proof.Sight)
		want  proof.Reason
	}{
		"copied":                       {rows: []proof.Row{same}},
		"copied, with the time":        {head: preserved, rows: []proof.Row{same}, after: at(written)},
		"equal by checksum":            {after: at(noon.Add(-9 * time.Hour))},
		"copied twice, to one path":    {rows: []proof.Row{same, row(func(c *proof.Copied) { c.Checksum = "other" })}},
		"copied while others were not": {rows: []proof.Row{same, skipped}},
		"at the last moment":           {rows: []proof.Row{same}, after: at(head.Completed)},
		"by a clock that is behind":    {rows: []proof.Row{same}, after: at(head.Requested.Add(-2 * time.Second))},
		"written by a clock that is ahead": {
			rows: []proof.Row{same}, after: at(during), found: during, sight: func(s *proof.Sight) { s.Source.Modified = during },
		},
		"no snapshot":                     {head: func(r *proof.Receipt) { r.Listed = time.Time{} }, rows: []proof.Row{same}, want: proof.NotBefore},
		"not in the snapshot":             {rows: []proof.Row{copied("/out/b", "/in/b", 5)}, sight: func(s *proof.Sight) { s.Path, s.Destination = "/out/b", "/in/b" }, want: proof.NotBefore},
		"twice in the snapshot":           {rows: []proof.Row{same, found("/out/a", 6)}, want: proof.NoTime},
		"a task that goes on":             {head: func(r *proof.Receipt) { r.Completed = time.Time{} }, rows: []proof.Row{same}, want: proof.NotFinished},
		"a task that never began":         {head: func(r *proof.Receipt) { r.Requested = time.Time{} }, rows: []proof.Row{same}, want: proof.NotFinished},
		"not in the list":                 {head: func(r *proof.Receipt) { r.Options.SyncLevel = nil }, want: proof.NotCopied},
		"away during the task":            {head: func(r *proof.Receipt) { r.Equal = 0 }, want: proof.Missed},
		"one of two away":                 {rows: []proof.Row{found("/out/0", 5)}, want: proof.Missed},
		"copied while others were away":   {head: func(r *proof.Receipt) { r.Equal = 0 }, rows: []proof.Row{same}},
		"equal by time":                   {head: func(r *proof.Receipt) { r.Options.SyncLevel = new(2) }, want: proof.NotCopied},
		"perhaps equal, perhaps skipped":  {rows: []proof.Row{skipped}, want: proof.NotCopied},
		"perhaps equal, the list is cut":  {head: func(r *proof.Receipt) { r.Files = 1 }, want: proof.ListCut},
		"copied, the list is cut":         {head: func(r *proof.Receipt) { r.Files = 2 }, rows: []proof.Row{same}, want: proof.ListCut},
		"two places after the task":       {rows: []proof.Row{same, landed("/out/a", "/in/b", 5, during)}, want: proof.NeverThere},
		"two sources, one name":           {rows: []proof.Row{same, copied("/out/z", "/in/A", 5)}, want: proof.Ambiguous},
		"two sources, one path":           {rows: []proof.Row{same, copied("/out/b", "/in/a", 5)}, want: proof.Ambiguous},
		"two sources, one of two paths":   {rows: []proof.Row{copied("/out/0", "/in/0", 5), copied("/out/0", "/in/a", 5), same}, want: proof.Ambiguous},
		"two cases, one came later":       {rows: []proof.Row{copied("/out/A", "/in/A", 5)}, want: proof.Ambiguous},
		"not verified":                    {head: func(r *proof.Receipt) { r.Options.VerifyChecksum = false }, rows: []proof.Row{same}, want: proof.NotVerified},
		"to another path":                 {rows: []proof.Row{row(func(c *proof.Copied) { c.Destination = "/in/b" })}, want: proof.Otherwise},
		"to a path that is not shown":     {rows: []proof.Row{row(func(c *proof.Copied) { c.Destination = "" })}, want: proof.Otherwise},
		"with another size":               {rows: []proof.Row{row(func(c *proof.Copied) { c.Size = 6 })}, want: proof.WhileCopied},
		"twice, once with another size":   {rows: []proof.Row{same, row(func(c *proof.Copied) { c.Size = 6 })}, want: proof.WhileCopied},
		"another size now":                {rows: []proof.Row{same}, sight: func(s *proof.Sight) { s.Source.Size = 6 }, want: proof.Since},
		"another time now":                {rows: []proof.Row{same}, sight: func(s *proof.Sight) { s.Source.Modified = noon }, want: proof.Since},
		"an older time now":               {rows: []proof.Row{same}, sight: func(s *proof.Sight) { s.Source.Modified = written.Add(-time.Second) }, want: proof.Since},
		"a folder now":                    {rows: []proof.Row{same}, sight: func(s *proof.Sight) { s.Source.File = false }, want: proof.Since},
		"not there after the task":        {rows: []proof.Row{same}, after: func(l *proof.Landed) { l.Source = "/out/b" }, want: proof.NeverThere},
		"elsewhere after the task":        {rows: []proof.Row{same}, after: func(l *proof.Landed) { l.Destination = "/in/b" }, want: proof.NeverThere},
		"another size after the task":     {rows: []proof.Row{same}, after: func(l *proof.Landed) { l.Size = 6 }, want: proof.NeverThere},
		"no time after the task":          {rows: []proof.Row{same}, after: at(time.Time{}), want: proof.NeverThere},
		"overwritten before the listing":  {rows: []proof.Row{same}, after: at(head.Completed.Add(time.Second)), want: proof.NotOurs},
		"the same, and was equal":         {after: at(head.Completed.Add(time.Second)), want: proof.NotOurs},
		"overwritten with an old time":    {rows: []proof.Row{same}, after: at(written), want: proof.NotOurs},
		"overwritten, times are kept":     {head: preserved, rows: []proof.Row{same}, after: at(written.Add(-time.Second)), want: proof.NotOurs},
		"a destination that is not shown": {rows: []proof.Row{same}, sight: func(s *proof.Sight) { s.Blind = true }, want: proof.Unreadable},
		"gone":                            {rows: []proof.Row{same}, sight: func(s *proof.Sight) { s.Copy = nil }, want: proof.Gone},
		"a folder is there":               {rows: []proof.Row{same}, sight: func(s *proof.Sight) { s.Copy.File = false }, want: proof.OtherThere},
		"another size is there":           {rows: []proof.Row{same}, sight: func(s *proof.Sight) { s.Copy.Size = 6 }, want: proof.OtherThere},
		"overwritten since":               {rows: []proof.Row{same}, sight: func(s *proof.Sight) { s.Copy.Modified = s.Copy.Modified.Add(time.Second) }, want: proof.OtherThere},
		"an older one is there":           {rows: []proof.Row{same}, sight: func(s *proof.Sight) { s.Copy.Modified = s.Copy.Modified.Add(-time.Second) }, want: proof.OtherThere},
		"another case":                    {rows: []proof.Row{same, copied("/out/A", "/in/A", 5)}, want: proof.Ambiguous},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h := head
			h.Equal = 1
			sources := map[string]bool{}
			for _, r := range tt.rows {
				if r.Copied != nil {
					sources[r.Copied.Source] = true
					h.Files = int64(len(sources))
				}
			}
			if tt.head != nil {
				tt.head(&h)
			}
			after := landed("/out/a", "/in/a", 5, during)
			if tt.after != nil {
				tt.after(after.Landed)
			}
			before := found("/out/a", 5)
			if !tt.found.IsZero() {
				before.Found.Modified = tt.found
			}
			s := proof.Sight{
				Path: "/out/a", Source: proof.State{File: true, Size: 5, Modified: written},
				Destination: "/in/a", Copy: &proof.State{File: true, Size: 5, Modified: after.Landed.Modified},
			}
			if tt.sight != nil {
				tt.sight(&s)
			}
			if got := judge(t, sealed(t, h, append(tt.rows, before, after)...), s); got[0] != tt.want {
				t.Errorf("got %q, want %q", got[0], tt.want)
			}
		})
	}
}

func TestJudgeAcceptsWhatWasComparedLess(t *testing.T) {
	written := noon.Add(-time.Hour)
	level := func(n int) func(*proof.Receipt) { return func(r *proof.Receipt) { r.Options.SyncLevel = new(n) } }
	unverified := func(r *proof.Receipt) { r.Options.VerifyChecksum = false }
	same := copied("/out/a", "/in/a", 5)
	tests := map[string]struct {
		head  func(*proof.Receipt)
		rows  []proof.Row
		at    time.Time // of the copy, after the task
		least [3]proof.Reason
	}{ // by size, mtime and checksum
		"copied":                 {level(2), []proof.Row{same}, noon.Add(30 * time.Second), [3]proof.Reason{}},
		"copied without a check": {unverified, []proof.Row{same}, noon.Add(30 * time.Second), [3]proof.Reason{"", "", proof.NotVerified}},
		"equal by checksum":      {level(3), nil, written.Add(time.Second), [3]proof.Reason{}},
		"equal by time":          {level(2), nil, written.Add(time.Second), [3]proof.Reason{"", "", proof.NotCopied}},
		"perhaps the same file":  {level(3), nil, written, [3]proof.Reason{proof.MaybeSame, proof.MaybeSame, proof.MaybeSame}},
		"equal, and times are kept": {
			func(r *proof.Receipt) { r.Options.SyncLevel, r.Options.PreserveTimestamp = new(3), true }, nil, written, [3]proof.Reason{},
		},
		"equal by time, but older": {level(2), nil, written.Add(-time.Second), [3]proof.Reason{proof.NotOurs, proof.NotOurs, proof.NotCopied}},
		"equal by size":            {level(1), nil, written.Add(-time.Hour), [3]proof.Reason{"", proof.NotCopied, proof.NotCopied}},
		"was there":                {level(0), nil, written, [3]proof.Reason{proof.NotCopied, proof.NotCopied, proof.NotCopied}},
		"overwritten since, by size": {
			level(1), nil, noon.Add(2 * time.Minute), [3]proof.Reason{proof.NotOurs, proof.NotCopied, proof.NotCopied},
		},
		"perhaps skipped": {
			level(2),
			[]proof.Row{{Skipped: &proof.Skipped{Source: "/out/z", Code: "PERMISSION_DENIED"}}},
			written,
			[3]proof.Reason{proof.NotCopied, proof.NotCopied, proof.NotCopied},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h := head
			h.Equal = 1
			if len(tt.rows) > 0 && tt.rows[0].Copied != nil {
				h.Files = 1
			}
			tt.head(&h)
			open := sealed(t, h, append(tt.rows, found("/out/a", 5), landed("/out/a", "/in/a", 5, tt.at))...)
			s := proof.Sight{
				Path: "/out/a", Source: proof.State{File: true, Size: 5, Modified: written},
				Destination: "/in/a", Copy: &proof.State{File: true, Size: 5, Modified: tt.at},
			}
			for i, level := range []transfer.SyncLevel{transfer.SyncSize, transfer.SyncMtime, transfer.SyncChecksum} {
				j, err := proof.NewJudge(open, level)
				if err != nil {
					t.Fatal(err)
				}
				if got, err := j.File(s); err != nil || got != tt.least[i] {
					t.Errorf("%v: got %q, %v, want %q", level, got, err, tt.least[i])
				}
			}
		})
	}
}

func landed(source, destination string, size int64, modified time.Time) proof.Row {
	return proof.Row{Landed: &proof.Landed{Source: source, Destination: destination, Size: size, Modified: modified}}
}

func preserved(r *proof.Receipt) { r.Options.PreserveTimestamp = true }

// judge returns the reasons of files by a receipt.
func judge(t testing.TB, open proof.Open, sights ...proof.Sight) (reasons []proof.Reason) {
	t.Helper()
	j, err := proof.NewJudge(open, transfer.SyncChecksum)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range sights {
		reason, err := j.File(s)
		if err != nil {
			t.Fatal(err)
		}
		reasons = append(reasons, reason)
	}
	return reasons
}

func TestJudgeOfAFileWithoutATime(t *testing.T) {
	h := head
	h.Files = 1
	timeless := proof.Row{Found: &proof.Found{Path: "/out/a", Size: 5}}
	open := sealed(t, h, copied("/out/a", "/in/a", 5), timeless, landed("/out/a", "/in/a", 5, noon.Add(30*time.Second)))
	s := proof.Sight{
		Path: "/out/a", Source: proof.State{File: true, Size: 5},
		Destination: "/in/a", Copy: &proof.State{File: true, Size: 5, Modified: noon.Add(30 * time.Second)},
	}
	if got := judge(t, open, s); got[0] != proof.NoTime {
		t.Errorf("got %q, want %q", got[0], proof.NoTime)
	}
}

func TestJudgeOfNamesThatDisksTakeForTheSame(t *testing.T) {
	for name, pair := range map[string][2]string{
		"upper case": {"/in/a", "/in/A"}, "composed": {"/in/\u00e9", "/in/e\u0301"}, "a folder": {"/in/d/x", "/in/D/x"}, "ligature": {"/in/ﬁ", "/in/FI"},
	} {
		t.Run(name, func(t *testing.T) {
			var rows []proof.Row
			var sights []proof.Sight
			for _, p := range pair {
				rows = append(rows, copied("/out"+p, p, 5), found("/out"+p, 5), landed("/out"+p, p, 5, noon.Add(30*time.Second)))
				sights = append(sights, proof.Sight{
					Path: "/out" + p, Source: proof.State{File: true, Size: 5, Modified: noon.Add(-time.Hour)},
					Destination: p, Copy: &proof.State{File: true, Size: 5, Modified: noon.Add(30 * time.Second)},
				})
			}
			slices.SortFunc(sights, func(a, b proof.Sight) int { return proof.ComparePaths(a.Path, b.Path) })
			two := head
			two.Files = 2
			if got := judge(t, sealed(t, two, rows...), sights...); got[0] != proof.Ambiguous || got[1] != proof.Ambiguous {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestJudgeFindsNamesThatAreAlikeAmongOthers(t *testing.T) {
	for name, paths := range map[string]func(name string) (source, destination string){
		"at the source":      func(name string) (string, string) { return "/out/" + name, "/in/" + fmt.Sprintf("%x", name) },
		"at the destination": func(name string) (string, string) { return "/out/" + fmt.Sprintf("%x", name), "/in/" + name },
	} {
		t.Run(name, func(t *testing.T) {
			var rows []proof.Row
			var sights []proof.Sight
			var want []proof.Reason
			for _, name := range []string{"A", "B", "C", "D", "a", "c", "e"} {
				source, destination := paths(name)
				rows = append(rows, copied(source, destination, 5), found(source, 5), landed(source, destination, 5, noon.Add(30*time.Second)))
				sights = append(sights, proof.Sight{
					Path: source, Source: proof.State{File: true, Size: 5, Modified: noon.Add(-time.Hour)},
					Destination: destination, Copy: &proof.State{File: true, Size: 5, Modified: noon.Add(30 * time.Second)},
				})
				want = append(want, map[bool]proof.Reason{true: proof.Ambiguous}[slices.Contains([]string{"A", "C", "a", "c"}, name)])
			}
			seven := head
			seven.Files = 7
			if got := judge(t, sealed(t, seven, rows...), sights...); !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestJudgeOfWhatIsLookedAtTwice(t *testing.T) {
	s := proof.Sight{
		Path: "/out/a", Source: proof.State{File: true, Size: 5, Modified: noon.Add(-time.Hour)},
		Destination: "/in/a", Copy: &proof.State{File: true, Size: 5, Modified: noon.Add(30 * time.Second)},
	}
	one := head
	one.Files = 1
	open := sealed(t, one, copied("/out/a", "/in/a", 5), found("/out/a", 5), landed("/out/a", "/in/a", 5, noon.Add(30*time.Second)))
	if got := judge(t, open, s, s); got[0] != "" || got[1] != proof.LookedTwice {
		t.Errorf("got %q", got)
	}
}

func TestJudgeRefusesAReceiptThatWasChanged(t *testing.T) {
	text, _ := write(t, some(), 1, "", nil)
	if _, err := proof.NewJudge(opener(strings.Replace(text, `"size":2,"checksum"`, `"size":4,"checksum"`, 1)), transfer.SyncChecksum); !errors.Is(err, proof.ErrChanged) {
		t.Errorf("got %v", err)
	}
}

// A disk is a side of the model: what its files hold, by path.
type disk struct {
	files    map[string]thing
	skew     float64 // seconds that its clock is ahead
	caseless bool
}

// A thing is a file: what it holds and what a listing shows of it.
type thing struct {
	holds    int // content; each write makes a new one
	size     int64
	modified time.Time
	name     string // as it was made
}

func (d *disk) key(path string) string {
	if d.caseless {
		return strings.ToLower(path)
	}
	return path
}

func (d *disk) put(path string, f thing) {
	f.name = path
	if old, ok := d.files[d.key(path)]; ok {
		f.name = old.name
	}
	d.files[d.key(path)] = f
}

// look is what a listing shows under exactly this name.
func (d *disk) look(path string) *proof.State {
	if f, ok := d.files[d.key(path)]; ok && f.name == path {
		return &proof.State{File: true, Size: f.size, Modified: f.modified}
	}
	return nil
}

// A world is the model of a source, a destination, tasks and whoever else is at
// work there. Time is in quarters of a second.
type world struct {
	t           testing.TB
	rand        *rand.Rand
	now         float64
	contents    int
	source      disk
	destination disk
	away        map[string]thing // what was at the source and may be again
	receipts    []proof.Open
	proven      int
	log         []string
}

var modelNames = []string{"a", "A", "b", "d/c", "d/e"}

func (w *world) tick(most float64) { w.now += float64(w.rand.IntN(int(4*most)+1)) / 4 }

func (w *world) time(skew float64) time.Time {
	return noon.Add(time.Duration((w.now + skew) * float64(time.Second))).Truncate(time.Second)
}

func (w *world) note(format string, args ...any) {
	w.log = append(w.log, fmt.Sprintf("%8.2f "+format, append([]any{w.now}, args...)...))
}

func (w *world) fresh(d *disk) thing {
	w.contents++
	return thing{holds: w.contents, size: int64(1 + w.rand.IntN(2)), modified: w.time(d.skew)}
}

// outside is what people do at the source.
func (w *world) outside() {
	path := "/out/" + modelNames[w.rand.IntN(len(modelNames))]
	switch w.rand.IntN(7) {
	case 0, 1:
		here, from, to := w.source.files[path], w.source.files, w.away
		if here.holds == 0 {
			here, from, to = w.away[path], to, from
		}
		if here.holds != 0 && to[path].holds == 0 {
			w.note("somebody moves %s away, or back: content %d", path, here.holds)
			delete(from, path)
			to[path] = here
		}
		return
	case 2:
		delete(w.source.files, path)
		w.note("somebody deletes %s", path)
		return
	}
	f := w.fresh(&w.source)
	if away, ok := w.away[path]; ok { // who moves it back then replaces one of another size
		f.size = 3 - away.size
	}
	w.source.put(path, f)
	w.note("somebody writes %s: content %d, size %d, time %v", path, f.holds, f.size, f.modified)
}

// meddle is what others do at the destination while no task is at work there.
func (w *world) meddle() {
	path := "/in/" + modelNames[w.rand.IntN(len(modelNames))]
	if w.rand.IntN(2) == 0 {
		delete(w.destination.files, w.destination.key(path))
		w.note("somebody deletes %s", path)
		return
	}
	w.destination.put(path, w.fresh(&w.destination))
	w.note("somebody overwrites %s", path)
}

// task copies, and keeps a receipt.
func (w *world) task() {
	h := head
	h.Options.FilterRules = nil
	h.Options.VerifyChecksum = w.rand.IntN(6) > 0
	h.Options.PreserveTimestamp = w.rand.IntN(2) == 0
	if h.Options.SyncLevel = nil; w.rand.IntN(2) == 0 {
		h.Options.SyncLevel = new(w.rand.IntN(4))
	}
	h.Listed = w.time(0)
	var rows []proof.Row
	listing := maps.Clone(w.source.files) // some of it may be older than it seems
	for range w.rand.IntN(2) {
		w.outside()
	}
	for path, f := range listing {
		if w.rand.IntN(12) > 0 {
			rows = append(rows, proof.Row{Found: &proof.Found{Path: path, Size: f.size, Modified: f.modified}})
		}
	}
	w.now += 3 // settling
	h.Requested = w.time(0)
	w.note("a task begins: %+v", h.Options)
	for _, path := range slices.Sorted(maps.Keys(w.source.files)) {
		for range w.rand.IntN(2) {
			w.outside()
		}
		w.tick(2)
		f, ok := w.source.files[path]
		to := "/in/" + strings.TrimPrefix(path, "/out/")
		switch {
		case !ok || w.rand.IntN(8) == 0: // a file that a rule leaves out
			rows = slices.DeleteFunc(rows, func(r proof.Row) bool { return r.Found != nil && r.Found.Path == path })
			continue
		case w.rand.IntN(8) == 0:
			rows = append(rows, proof.Row{Skipped: &proof.Skipped{Source: path, Destination: to, Code: "PERMISSION_DENIED"}})
			continue
		}
		if there, ok := w.destination.files[w.destination.key(to)]; ok && w.equal(h.Options.SyncLevel, f, there) {
			h.Equal++
			continue
		}
		made := thing{holds: f.holds, size: f.size, modified: w.time(w.destination.skew)}
		if h.Options.PreserveTimestamp {
			made.modified = f.modified
		}
		if !h.Options.VerifyChecksum && !h.Options.PreserveTimestamp && w.rand.IntN(3) == 0 {
			w.contents++
			made.holds = w.contents // broken on the way
		}
		w.destination.put(to, made)
		h.Files++
		row := proof.Row{Copied: &proof.Copied{Source: path, Destination: to, Size: f.size}}
		if w.rand.IntN(60) > 0 { // else the list is cut
			rows = append(rows, row)
		}
		w.note("the task copies %s: content %d", path, made.holds)
	}
	h.Completed = w.time(0)
	w.note("the task ends")
	w.now += 1.25 // nobody else writes before the listing
	for _, name := range modelNames {
		if s := w.destination.look("/in/" + name); s != nil && w.rand.IntN(12) > 0 {
			rows = append(rows, landed("/out/"+name, "/in/"+name, s.Size, s.Modified))
		}
	}
	w.receipts = append(w.receipts, sealed(w.t, h, rows...))
}

// equal reports whether a sync level leaves a file out.
func (w *world) equal(level *int, f, there thing) bool {
	if level == nil {
		return false
	}
	switch *level {
	case 0:
		return true
	case 1:
		return f.size == there.size
	case 2:
		return f.size == there.size && !f.modified.After(there.modified)
	}
	return f.holds == there.holds
}

// prune deletes what a receipt proves.
func (w *world) prune() {
	if len(w.receipts) == 0 {
		return
	}
	var sights []proof.Sight
	paths := slices.SortedFunc(maps.Keys(w.source.files), proof.ComparePaths)
	for _, path := range paths {
		to := "/in/" + strings.TrimPrefix(path, "/out/")
		sights = append(sights, proof.Sight{Path: path, Source: *w.source.look(path), Destination: to, Copy: w.destination.look(to)})
	}
	n := w.rand.IntN(len(w.receipts))
	for i, reason := range judge(w.t, w.receipts[n], sights...) {
		if reason != "" {
			continue
		}
		w.proven++
		lost := w.source.files[paths[i]]
		w.note("receipt %d proves %s: content %d", n, paths[i], lost.holds)
		delete(w.source.files, paths[i])
		if !slices.ContainsFunc(slices.Collect(maps.Values(w.destination.files)), func(f thing) bool { return f.holds == lost.holds }) {
			w.t.Fatalf("content %d of %s was deleted, and is nowhere else:\n%s", lost.holds, paths[i], strings.Join(w.log, "\n"))
		}
	}
}

func TestWhatHasNoCopyIsNeverProven(t *testing.T) {
	histories := uint64(long.Or(100_000, 3_000))
	proven := 0
	for seed := range histories {
		r := rand.New(rand.NewPCG(seed, 0))
		w := &world{t: t, rand: r, away: map[string]thing{}, log: []string{fmt.Sprint("seed ", seed)}}
		w.source = disk{files: map[string]thing{}, skew: []float64{0, 0, -7200.25, 3600.5, 1.75}[r.IntN(5)]}
		w.destination = disk{files: map[string]thing{}, skew: []float64{0, 0, -1.5, -600, 0.5}[r.IntN(5)], caseless: r.IntN(4) == 0}
		for range 4 {
			w.outside()
			w.tick(5)
		}
		for range 4 + r.IntN(8) {
			switch r.IntN(8) {
			case 0, 1:
				w.outside()
			case 2:
				w.meddle()
			case 3, 4:
				w.task()
			case 5, 6:
				w.prune()
			default:
				w.tick(100)
			}
			w.tick(3)
		}
		w.prune()
		proven += w.proven
	}
	if proven < int(histories)/10 {
		t.Errorf("only %d files were proven in %d histories", proven, histories)
	}
	t.Logf("%d files were proven in %d histories", proven, histories)
}
