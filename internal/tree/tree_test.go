package tree_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/internal/tree"
	"github.com/globus-runner/globus-runner/transfer"
)

// A forest answers listings out of memory: names by folder, of folders with a
// slash, of links with an @ behind them.
type forest struct {
	folders map[string][]string
	errors  map[string]error
	mu      sync.Mutex
	asked   []string
	now     atomic.Int32 // requests under way
	most    atomic.Int32
}

func (f *forest) Ls(_ context.Context, _ string, q transfer.LsQuery) iter.Seq2[*transfer.Entry, error] {
	return func(yield func(*transfer.Entry, error) bool) {
		f.mu.Lock()
		f.asked = append(f.asked, q.Path)
		f.mu.Unlock()
		now := f.now.Add(1)
		defer f.now.Add(-1)
		for most := f.most.Load(); now > most && !f.most.CompareAndSwap(most, now); most = f.most.Load() {
		}
		if err := f.errors[q.Path]; err != nil {
			yield(nil, err)
			return
		}
		for _, name := range f.folders[q.Path] {
			if !yield(entry(name), nil) {
				return
			}
		}
	}
}

func entry(name string) *transfer.Entry {
	if name, ok := strings.CutSuffix(name, "/"); ok {
		return &transfer.Entry{Name: name, Type: "dir"}
	}
	if name, ok := strings.CutSuffix(name, "@"); ok {
		return &transfer.Entry{Name: name, Type: "dir", LinkTarget: "/"}
	}
	return &transfer.Entry{Name: name, Type: "file", Size: int64(len(name))}
}

// Stat finds what the listing of the folder above has.
func (f *forest) Stat(ctx context.Context, collection, path string, _ ...transfer.FileOption) (*transfer.Entry, error) {
	if err := f.errors[path]; err != nil {
		return nil, err
	}
	above, name := path[:strings.LastIndex(path, "/")+1], path[strings.LastIndex(path, "/")+1:]
	for e, err := range f.Ls(ctx, collection, transfer.LsQuery{Path: above}) {
		if err == nil && e.Name == name {
			return e, nil
		}
	}
	return nil, absent
}

func top(l tree.Lister) tree.Folder {
	return tree.Folder{Lister: l, Collection: "c", Path: "/top/"}
}

var absent = &transfer.Error{Status: http.StatusNotFound, Code: "ClientError.NotFound"}

var denied = &transfer.Error{Status: http.StatusForbidden, Code: "EndpointPermissionDenied"}

// compare returns what a comparison says, one line for each path.
func compare(t *testing.T, source, destination *forest, o tree.Options) []string {
	t.Helper()
	return lines(t, tree.Compare(t.Context(), top(source), top(destination), o))
}

// lines writes each pair as a line.
func lines(t *testing.T, pairs iter.Seq2[tree.Pair, error]) (lines []string) {
	t.Helper()
	show := func(e *tree.Entry) string {
		switch {
		case e == nil:
			return "-"
		case e.Rule != nil:
			return fmt.Sprintf("%s[%s]", e.Kind, e.Rule.Name)
		case e.Err != nil:
			return fmt.Sprintf("%s(%v)", e.Kind, e.Err)
		}
		return string(e.Kind)
	}
	for p, err := range pairs {
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, fmt.Sprintf("%s %s %s", p.Path, show(p.Source), show(p.Destination)))
	}
	return lines
}

func TestWalkGoesDepthFirstByName(t *testing.T) {
	f := &forest{folders: map[string][]string{
		"/top/": {"b", "é", "B/", "a/", "a-", "l@"}, "/top/a/": {"z", "y/"}, "/top/B/": {"1"}, "/top/a/y/": {"x"},
	}}
	var got []string
	for e, err := range tree.Walk(t.Context(), top(f), tree.Options{}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%s %s %d", e.Path, e.Kind, e.Size))
	}
	want := []string{
		" dir 0", "a- file 2", "b file 1", "l link 0", "é file 2", "B dir 0", "B/1 file 1", "a dir 0", "a/z file 1", "a/y dir 0", "a/y/x file 1",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("listing (-want +got):\n%s", diff)
	}
}

func TestCompare(t *testing.T) {
	tests := map[string]struct {
		source, destination map[string][]string
		options             tree.Options
		want                []string
	}{
		"what both have and one has": {
			source:      map[string][]string{"/top/": {"a", "c", "s/"}, "/top/s/": {"x"}},
			destination: map[string][]string{"/top/": {"b", "c", "d/"}, "/top/d/": {"x"}},
			want:        []string{" dir dir", "a file -", "b - file", "c file file", "d - dir", "d/x - file", "s dir -", "s/x file -"},
		},
		"a file against a folder": {
			source:      map[string][]string{"/top/": {"a", "b/"}, "/top/b/": {"x"}},
			destination: map[string][]string{"/top/": {"a/", "b"}, "/top/a/": {"y"}},
			want:        []string{" dir dir", "a file dir", "a/y - file", "b dir file", "b/x file -"},
		},
		"a file against a folder, among other files and folders": {
			source:      map[string][]string{"/top/": {"a/", "b", "c"}, "/top/a/": {"x"}},
			destination: map[string][]string{"/top/": {"a/", "b/", "c"}, "/top/b/": {"y"}},
			want:        []string{" dir dir", "b file dir", "c file file", "a dir dir", "a/x file -", "b/y - file"},
		},
		"a file and a folder of one name": {
			source:      map[string][]string{"/top/": {"a/", "a", "b/", "b"}},
			destination: map[string][]string{"/top/": {"a", "a", "a/", "b/"}, "/top/b/": {"y"}},
			want:        []string{" dir dir", "a file file", "b file -", "a dir dir", "b dir dir", "b/y - file"},
		},
		"links are not followed": {
			source:      map[string][]string{"/top/": {"a@", "b@", "c/"}, "/top/a/": {"x"}, "/top/c/": {"x"}},
			destination: map[string][]string{"/top/": {"a@", "b/", "c@"}, "/top/b/": {"x"}},
			want:        []string{" dir dir", "a link link", "b link dir", "c dir link", "c/x file -"},
		},
		"what rules leave out": {
			source:      map[string][]string{"/top/": {"lost+found/", "a.tmp"}, "/top/lost+found/": {"x"}},
			destination: map[string][]string{"/top/": {"lost+found/", "b.tmp", "d/"}, "/top/d/": {"c.tmp"}},
			options: tree.Options{Rules: tree.NewRules([]transfer.FilterRule{
				{Type: "dir", Name: "lost+found"}, {Method: "exclude", Name: "*.tmp"},
			})},
			want: []string{" dir dir", "d - dir", "d/c.tmp - file"},
		},
		"what rules leave out, shown at the source": {
			source:      map[string][]string{"/top/": {"lost+found/", "a.tmp", "b.tmp", "c"}, "/top/lost+found/": {"x"}},
			destination: map[string][]string{"/top/": {"lost+found/", "a.tmp", "b.tmp/", "d.tmp"}, "/top/b.tmp/": {"x"}, "/top/lost+found/": {"y"}},
			options: tree.Options{Excluded: true, Rules: tree.NewRules([]transfer.FilterRule{
				{Type: "dir", Name: "lost+found"}, {Method: "exclude", Type: "file", Name: "*.tmp"},
			})},
			want: []string{" dir dir", "a.tmp file[*.tmp] -", "b.tmp file[*.tmp] dir", "c file -", "lost+found dir[lost+found] -", "b.tmp/x - file"},
		},
		"a bound shows the upper levels": {
			source:  map[string][]string{"/top/": {"a/", "b/"}, "/top/a/": {"d/", "e/"}, "/top/a/d/": {"x"}, "/top/b/": {"x", "f/"}},
			options: tree.Options{Look: 4},
			want: []string{
				" dir dir", "a dir -", "b dir -", "b/x file -",
				"a/e dir(there are more folders than are looked at) -", "a/d dir(there are more folders than are looked at) -", "b/f dir -",
			},
		},
		"a bound, and folders that only the destination has": {
			source:      map[string][]string{"/top/": {"a/", "b/", "c/", "d/", "e/", "f/", "g/", "h/"}},
			destination: map[string][]string{"/top/": {"a/", "b/", "c/", "d/", "e/", "f/", "g/", "h/", "z/"}, "/top/z/": {"y/", "1"}, "/top/z/y/": {"1"}},
			options:     tree.Options{Look: 9},
			want: []string{
				" dir dir", "z - dir", "z/1 - file", "z/y - dir", "z/y/1 - file",
				"a dir(there are more folders than are looked at) dir(there are more folders than are looked at)",
				"e dir(there are more folders than are looked at) dir(there are more folders than are looked at)",
				"g dir dir", "c dir dir", "b dir dir", "f dir dir", "h dir dir", "d dir dir",
			},
		},
		"a bound that is just enough": {
			source:  map[string][]string{"/top/": {"a/"}, "/top/a/": {"d"}},
			options: tree.Options{Look: 2},
			want:    []string{" dir dir", "a dir -", "a/d file -"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := compare(t, &forest{folders: tt.source}, &forest{folders: tt.destination}, tt.options)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("comparison (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFolderThatCannotBeListedIsAnEntryWithItsError(t *testing.T) {
	whole := map[string][]string{"/top/": {"a/", "b/", "c/"}, "/top/a/": {"1"}, "/top/b/": {"2"}, "/top/c/": {"3"}}
	source := &forest{folders: whole, errors: map[string]error{"/top/a/": denied}}
	destination := &forest{folders: whole, errors: map[string]error{
		"/top/b/": denied, "/top/c/": absent,
	}}
	got := compare(t, source, destination, tree.Options{})
	if len(got) != 5 || !strings.HasPrefix(got[1], "a dir(") || !strings.HasPrefix(got[2], "b dir dir(") ||
		!strings.HasPrefix(got[3], "c dir dir(") || got[4] != "c/3 file -" {
		t.Errorf("got %q, want nothing below a and b, and c only at the source", got)
	}
}

func TestABoundWithinALevelIsSpreadOverTheTree(t *testing.T) {
	f := &forest{folders: map[string][]string{}}
	const years, days, looked = 20, 50, 100
	for year := range years {
		name := fmt.Sprintf("%02d/", year)
		f.folders["/top/"] = append(f.folders["/top/"], name)
		for day := range days {
			f.folders["/top/"+name] = append(f.folders["/top/"+name], fmt.Sprintf("%03d/", day))
		}
	}
	shown, cut := 0, 0
	for p, err := range tree.Compare(t.Context(), top(f), top(f), tree.Options{Look: 1 + years + looked}) {
		if err != nil {
			t.Fatal(err)
		}
		if shown++; errors.Is(p.Source.Err, tree.ErrCut) {
			cut++
		}
	}
	if shown != 1+years+years*days || cut != years*days-looked {
		t.Errorf("%d folders were yielded, and %d of them not looked at", shown, cut)
	}
	for year := range years {
		n := 0
		for _, path := range f.asked {
			if strings.HasPrefix(path, fmt.Sprintf("/top/%02d/0", year)) {
				n++
			}
		}
		if n /= 2; n < 1 || n > 3*looked/years { // both sides are the same
			t.Errorf("in folder %d, %d folders were looked at, want about %d", year, n, looked/years)
		}
	}
}

func TestFolderWithTooManyEntriesIsAnError(t *testing.T) {
	names := make([]string, tree.MaxEntries)
	for i := range names {
		names[i] = fmt.Sprint(i)
	}
	f := &forest{folders: map[string][]string{"/top/": {"full/", "more/"}, "/top/full/": names, "/top/more/": append(names, "x")}}
	count, errs := 0, map[string]error{}
	for e, err := range tree.Walk(t.Context(), top(f), tree.Options{}) {
		if err != nil {
			t.Fatal(err)
		}
		count++
		if e.Kind == tree.Dir {
			errs[e.Path] = e.Err
		}
	}
	if count != 3+len(names) || errs["full"] != nil || !errors.Is(errs["more"], tree.ErrTooMany) {
		t.Errorf("got %d entries and the errors %v", count, errs)
	}
}

func TestWalkEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	f := &forest{folders: map[string][]string{"/top/": {"a/", "b/"}, "/top/b/": {"x"}}}
	why := errors.New("enough")
	var last error
	for _, err := range tree.Walk(ctx, top(f), tree.Options{}) {
		last = err
		cancel(why)
	}
	if !errors.Is(last, why) {
		t.Errorf("got %v, want %v", last, why)
	}
}

func TestWalkListsEachFolderOnceAndFewAtATime(t *testing.T) {
	f := grove(30)
	n := 0
	for _, err := range tree.Walk(t.Context(), top(f), tree.Options{}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if want := 1 + 30 + 30*30 + 30*30*10; n != want {
		t.Errorf("got %d entries, want %d", n, want)
	}
	slices.Sort(f.asked)
	if asked := len(f.asked); asked != 1+30+30*30 || len(slices.Compact(f.asked)) != asked || f.most.Load() > 4 {
		t.Errorf("asked for %d folders, %d of them at once", asked, f.most.Load())
	}
}

// grove is n folders with n folders of ten files each.
func grove(n int) *forest {
	f := &forest{folders: map[string][]string{}}
	for i := range n {
		above := fmt.Sprintf("/top/%02d/", i)
		f.folders["/top/"] = append(f.folders["/top/"], fmt.Sprintf("%02d/", i))
		for j := range n {
			f.folders[above] = append(f.folders[above], fmt.Sprintf("%02d/", j))
			for k := range 10 {
				path := fmt.Sprintf("%s%02d/", above, j)
				f.folders[path] = append(f.folders[path], fmt.Sprint(k))
			}
		}
	}
	return f
}

// An endless lister has a tree that is the same everywhere, and holds nothing.
type endless struct{ dirs, files, depth int }

func (l endless) Ls(_ context.Context, _ string, q transfer.LsQuery) iter.Seq2[*transfer.Entry, error] {
	return func(yield func(*transfer.Entry, error) bool) {
		if strings.Count(q.Path, "/") < l.depth {
			for i := range l.dirs {
				if !yield(&transfer.Entry{Name: fmt.Sprintf("folder-%06d", i), Type: "dir"}, nil) {
					return
				}
			}
		}
		for i := range l.files {
			if !yield(&transfer.Entry{Name: fmt.Sprintf("a-rather-long-name-of-a-file-%06d.h5", i), Type: "file"}, nil) {
				return
			}
		}
	}
}

func TestMemoryDoesNotGrowWithTheNumberOfFiles(t *testing.T) {
	if testing.Short() {
		t.Skip("300 000 files")
	}
	const most = 16 << 20 // bytes
	l := endless{dirs: 60, files: 100, depth: 4}
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	files := 0
	for p, err := range tree.Compare(t.Context(), top(l), top(l), tree.Options{}) {
		if err != nil {
			t.Fatal(err)
		}
		if p.Source.Kind != tree.File {
			continue
		}
		if files++; files%50_000 == 0 {
			runtime.GC()
			runtime.ReadMemStats(&now)
			if grown := int64(now.HeapAlloc) - int64(before.HeapAlloc); grown > most {
				t.Fatalf("after %d files the heap has grown by %d bytes", files, grown)
			}
		}
	}
	if files != 100*(1+60+60*60) {
		t.Errorf("got %d files", files)
	}
}

func TestNothingIsGoneWithItsCollection(t *testing.T) {
	for code, want := range map[string]bool{"ClientError.NotFound": true, "EndpointNotFound": false, "EndpointDeleted": false} {
		if got := tree.Gone(&transfer.Error{Status: http.StatusNotFound, Code: code}); got != want {
			t.Errorf("%s: got %t, want %t", code, got, want)
		}
	}
}

func TestAFolderThatNamesItselfIsNotListed(t *testing.T) {
	f := &forest{folders: map[string][]string{"/top/": {"", "./", "../", ".git/", "a"}, "/top/.git/": {"/"}}}
	got := lines(t, tree.Compare(t.Context(), top(f), top(&forest{}), tree.Options{}))
	want := []string{" dir dir", " file -", ". other -", ".. other -", "a file -", ".git dir -", ".git/ other -"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if want := []string{"/top/", "/top/.git/"}; !slices.Equal(f.asked, want) {
		t.Errorf("asked for %q, want %q", f.asked, want)
	}
}
