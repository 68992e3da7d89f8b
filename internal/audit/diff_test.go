package audit_test

import (
	"context"
	"fmt"
	"io/fs"
	"iter"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/clientcreds"
	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/audit"
	"github.com/globus-runner/globus-runner/retry"
	"github.com/globus-runner/globus-runner/test/long"
	"github.com/globus-runner/globus-runner/transfer"
)

const (
	clientID = "0c5b4a7e-2f0d-4c1e-9d6b-1a2b3c4d5e6f"
	secret   = "canary+of/the=secret"
)

// A bench is a Globus with the collections lab and vault.
type bench struct {
	*globussim.Server
	t          *testing.T
	lab, vault string // folders
	globus     *transfer.Client
	refuse     map[string]int // the status with which a folder is refused
}

// Ls refuses some folders.
func (b *bench) Ls(ctx context.Context, collection string, q transfer.LsQuery) iter.Seq2[*transfer.Entry, error] {
	if status := b.refuse[q.Path]; status != 0 {
		return func(yield func(*transfer.Entry, error) bool) { yield(nil, &transfer.Error{Status: status}) }
	}
	return b.globus.Ls(ctx, collection, q)
}

// Stat looks at a path.
func (b *bench) Stat(ctx context.Context, collection, path string, opts ...transfer.FileOption) (*transfer.Entry, error) {
	return b.globus.Stat(ctx, collection, path, opts...)
}

// onBench runs a test in a bubble, where waiting costs no time.
func onBench(t *testing.T, test func(b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bench{t: t, lab: t.TempDir(), vault: t.TempDir()}
		var err error
		b.Server, err = globussim.New(globussim.Config{
			Collections: []globussim.Collection{{Name: "lab", Dir: b.lab}, {Name: "vault", Dir: b.vault}},
			Accounts:    []globussim.Account{{ID: clientID, Secret: secret}},
		})
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close() //nolint:errcheck // it returns nil
		log := slog.New(slog.DiscardHandler)
		account := clientcreds.New(clientID, secret, clientcreds.WithClient(auth.New(b.Client(), auth.WithLogger(log))))
		b.globus = transfer.New(&http.Client{Transport: account.Transport(auth.TransferServer, retry.Limit(b.Client().Transport, 200, 10*time.Second))})
		test(b)
	})
}

// doc is a transfer of items of the lab, each a path there and one in the vault.
func doc(items ...string) *transfer.Transfer {
	d := &transfer.Transfer{SourceEndpoint: globussim.CollectionID("lab"), DestinationEndpoint: globussim.CollectionID("vault")}
	for _, item := range items {
		from, to, _ := strings.Cut(item, " ")
		d.Items = append(d.Items, transfer.Item{SourcePath: from, DestinationPath: to})
	}
	return d
}

// plant makes what words say, below a folder: a path and a content, which make a
// file that is so many hours old as the digits at the end of the content say, or
// a path with a slash, a folder, or a path with an @, a link.
func (b *bench) plant(dir string, files ...string) {
	b.t.Helper()
	for _, f := range files {
		name, content, _ := strings.Cut(f, "=")
		full := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			b.t.Fatal(err)
		}
		var err error
		switch {
		case strings.HasSuffix(name, "/"):
			err = os.MkdirAll(full, 0o755)
		case strings.HasSuffix(name, "@"):
			err = os.Symlink(content, strings.TrimSuffix(full, "@"))
		default:
			err = os.WriteFile(full, []byte(content), 0o644)
			var hours int
			_, _ = fmt.Sscanf(strings.TrimLeft(content, "abcdefghijklmnopqrstuvwxyz"), "%d", &hours) // none is 0
			at := time.Now().Add(-time.Duration(hours) * time.Hour).Truncate(time.Second)
			if err == nil {
				err = os.Chtimes(full, at, at)
			}
		}
		if err != nil {
			b.t.Fatal(err)
		}
	}
}

// diff writes each change as a line.
func (b *bench) diff(doc transfer.Document) (lines []string) {
	b.t.Helper()
	for c, err := range audit.Diff(b.t.Context(), b, doc) {
		if err != nil {
			b.t.Fatal(err)
		}
		line := fmt.Sprintf("%s %s > %s", c.Action, c.Source, c.Destination)
		if c.Size > 0 {
			line += fmt.Sprint(" ", c.Size)
		}
		if c.Action == audit.Block {
			line += fmt.Sprint(": ", c.Why)
		}
		lines = append(lines, line)
	}
	return lines
}

// submit has a document done, to its end.
func (b *bench) submit(doc transfer.Document) *transfer.Task {
	b.t.Helper()
	id, err := b.globus.SubmissionID(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	doc.Head().SubmissionID = id
	receipt, err := b.globus.Submit(b.t.Context(), doc)
	if err != nil {
		b.t.Fatal(err)
	}
	for {
		task, err := b.globus.Task(b.t.Context(), receipt.TaskID)
		if err != nil {
			b.t.Fatal(err)
		}
		if task.Status.Final() {
			return task
		}
		time.Sleep(time.Second)
	}
}

func TestDiffOfATransfer(t *testing.T) {
	level := func(l transfer.SyncLevel) func(*transfer.Transfer) {
		return func(d *transfer.Transfer) { d.SyncLevel = &l }
	}
	source := []string{"s/new=1", "s/same=11", "s/newer=11", "s/size=111", "s/older=55"}
	there := []string{"d/same=11", "d/newer=22", "d/size=1", "d/older=22", "d/extra=9", "d/old/extra=9"}
	tests := map[string]struct {
		lab, vault []string
		item       string
		edit       func(*transfer.Transfer)
		want       []string
	}{
		"all are copied": {
			lab: source, vault: there, item: "/s/ /d/", edit: func(*transfer.Transfer) {},
			want: []string{
				"copy /s/new > /d/new 1", "replace /s/newer > /d/newer 2", "replace /s/older > /d/older 2",
				"replace /s/same > /d/same 2", "replace /s/size > /d/size 3",
			},
		},
		"that exist": {
			lab: source, vault: there, item: "/s/ /d/", edit: level(transfer.SyncExists),
			want: []string{
				"copy /s/new > /d/new 1", "same /s/newer > /d/newer 2", "same /s/older > /d/older 2",
				"same /s/same > /d/same 2", "same /s/size > /d/size 3",
			},
		},
		"by size": {
			lab: source, vault: there, item: "/s/ /d/", edit: level(transfer.SyncSize),
			want: []string{
				"copy /s/new > /d/new 1", "same /s/newer > /d/newer 2", "same /s/older > /d/older 2",
				"same /s/same > /d/same 2", "replace /s/size > /d/size 3",
			},
		},
		"by time, and a size that differs is not sure": {
			lab: append(source, "s/odd=33"), vault: append(there, "d/odd=1"), item: "/s/ /d/", edit: level(transfer.SyncMtime),
			want: []string{
				"copy /s/new > /d/new 1", "replace /s/newer > /d/newer 2", "compare /s/odd > /d/odd 2", "same /s/older > /d/older 2",
				"same /s/same > /d/same 2", "compare /s/size > /d/size 3",
			},
		},
		"by checksum": {
			lab: source, vault: there, item: "/s/ /d/", edit: level(transfer.SyncChecksum),
			want: []string{
				"copy /s/new > /d/new 1", "compare /s/newer > /d/newer 2", "compare /s/older > /d/older 2",
				"compare /s/same > /d/same 2", "replace /s/size > /d/size 3",
			},
		},
		"a mirror": {
			lab: []string{"s/a=1", "s/sub/b=1", "s/l@=a"}, vault: []string{"d/sub=1", "d/a/x=1", "d/gone/y=11", "d/l=1", "d/keep.tmp=1"}, item: "/s/ /d/",
			edit: func(d *transfer.Transfer) {
				d.DeleteDestinationExtra = true
				d.FilterRules = []transfer.FilterRule{{Method: "exclude", Name: "*.tmp"}}
			},
			want: []string{
				"copy /s/a > /d/a 1", "leave_link /s/l > ", "delete  > /d/a/x 1", "delete  > /d/gone/y 2", "delete  > /d/sub 1", "copy /s/sub/b > /d/sub/b 1",
			},
		},
		"what rules leave out": {
			lab: []string{"s/a.tmp=1", "s/a=1", "s/skip/b=1"}, item: "/s/ /d/",
			edit: func(d *transfer.Transfer) {
				d.FilterRules = []transfer.FilterRule{{Method: "exclude", Name: "*.tmp"}, {Method: "exclude", Type: "dir", Name: "skip"}}
			},
			want: []string{"copy /s/a > /d/a 1", "exclude /s/a.tmp >  1", "exclude /s/skip > "},
		},
		"links that are kept": {
			lab: []string{"s/a=1", "s/l@=a"}, item: "/s/ /d/", edit: func(d *transfer.Transfer) { d.RecursiveSymlinks = "keep" },
			want: []string{"copy /s/a > /d/a 1", "copy_link /s/l > /d/l"},
		},
		"links that are followed": {
			lab: []string{"s/a=1", "s/l@=a"}, item: "/s/ /d/", edit: func(d *transfer.Transfer) { d.RecursiveSymlinks = "copy" },
			want: []string{"copy /s/a > /d/a 1", "follow_link /s/l > /d/l"},
		},
		"something stands in the way": {
			lab: []string{"s/a=1", "s/b/c=1", "s/b/d/e=1", "s/b-=1"}, vault: []string{"d/a/x=1", "d/b=1"}, item: "/s/ /d/", edit: func(*transfer.Transfer) {},
			want: []string{
				"block /s/a > /d/a 1: a folder stands at /d/a", "copy /s/b- > /d/b- 1", "block /s/b > /d/b: a file stands at /d/b",
				"block /s/b/c > /d/b/c 1: a file stands at /d/b", "block /s/b/d/e > /d/b/d/e 1: a file stands at /d/b",
			},
		},
		"a file":                   {lab: source, vault: there, item: "/s/size /d/same", edit: level(transfer.SyncSize), want: []string{"replace /s/size > /d/same 3"}},
		"a folder without a slash": {lab: source[:1], item: "/s /d", edit: func(*transfer.Transfer) {}, want: []string{"copy /s/new > /d/new 1"}},
		"a link that is named":     {lab: []string{"s/a=1", "s/l@=a"}, item: "/s/l /d/l", edit: func(*transfer.Transfer) {}, want: []string{"follow_link /s/l > /d/l"}},
		"a folder as a file": {
			lab: source, item: "/s /d", edit: func(d *transfer.Transfer) { d.Items[0].Recursive = new(false) },
			want: []string{"block /s > : it is a folder, and a file is asked for"},
		},
		"no source":                {item: "/s/ /d/", edit: func(*transfer.Transfer) {}, want: []string{"absent /s/ > "}},
		"a name with lines in it":  {lab: []string{"s/a\nb=1"}, item: "/s/ /d/", edit: func(*transfer.Transfer) {}, want: []string{"copy /s/a\nb > /d/a\nb 1"}},
		"a destination to be made": {lab: []string{"s/a/b=1"}, vault: []string{"x=1"}, item: "/s/ /d/", edit: func(*transfer.Transfer) {}, want: []string{"copy /s/a/b > /d/a/b 1"}},
		"an empty one of a mirror": {lab: []string{"s/"}, vault: []string{"d/a=1"}, item: "/s/ /d/", edit: func(d *transfer.Transfer) { d.DeleteDestinationExtra = true }, want: []string{"delete  > /d/a 1"}},
		"a folder that is excluded": {lab: []string{"s/skip/b=1"}, vault: []string{"d/skip/old=1"}, item: "/s/ /d/", edit: func(d *transfer.Transfer) {
			d.DeleteDestinationExtra = true
			d.FilterRules = []transfer.FilterRule{{Name: "skip"}}
		}, want: []string{"exclude /s/skip > "}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(b *bench) {
				b.plant(b.lab, tt.lab...)
				b.plant(b.vault, tt.vault...)
				d := doc(tt.item)
				tt.edit(d)
				if diff := cmp.Diff(tt.want, b.diff(d)); diff != "" {
					b.t.Errorf("changes (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestDiffOfADelete(t *testing.T) {
	tests := map[string]struct {
		doc  transfer.Delete
		path string
		want []string
	}{
		"a file":                    {path: "/s/a.tmp", want: []string{"delete  > /s/a.tmp 1"}},
		"a folder":                  {doc: transfer.Delete{Recursive: true}, path: "/s/", want: []string{"delete  > /s/a.tmp 1", "delete  > /s/b 2", "delete  > /s/l", "delete  > /s/sub.tmp/c 3"}},
		"a folder that must be one": {path: "/s", want: []string{"block  > /s: /s is a folder, and recursive is false"}},
		"a link":                    {doc: transfer.Delete{Recursive: true}, path: "/s/l", want: []string{"delete  > /s/l"}},
		"none":                      {path: "/none", want: []string{"absent  > /none"}},
		"a pattern": {
			doc: transfer.Delete{Recursive: true, InterpretGlobs: true}, path: "/s/*.tmp",
			want: []string{"delete  > /s/a.tmp 1", "delete  > /s/sub.tmp/c 3"},
		},
		"a pattern that is none":    {path: "/s/*.tmp", want: []string{"absent  > /s/*.tmp"}},
		"a pattern without matches": {doc: transfer.Delete{InterpretGlobs: true}, path: "/s/*.h5", want: []string{"absent  > /s/*.h5"}},
		"a pattern below none":      {doc: transfer.Delete{InterpretGlobs: true}, path: "/none/*", want: []string{"absent  > /none"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(b *bench) {
				b.plant(b.lab, "s/a.tmp=1", "s/b=11", "s/sub.tmp/c=111", "s/l@=a.tmp", "other=1")
				tt.doc.Endpoint, tt.doc.Items = globussim.CollectionID("lab"), []transfer.DeleteItem{{Path: tt.path}}
				if diff := cmp.Diff(tt.want, b.diff(&tt.doc)); diff != "" {
					b.t.Errorf("changes (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestDiffNamesFoldersThatCannotBeListed(t *testing.T) {
	onBench(t, func(b *bench) {
		b.plant(b.lab, "s/a/x=1", "s/b/x=1", "s/c/x=1")
		b.plant(b.vault, "d/b/x=1")
		b.refuse = map[string]int{"/s/a/": http.StatusForbidden, "/d/b/": http.StatusForbidden}
		want := []string{"unlisted /s/a > ", "unlisted  > /d/b", "copy /s/c/x > /d/c/x 1"}
		if diff := cmp.Diff(want, b.diff(doc("/s/ /d/"))); diff != "" {
			b.t.Errorf("changes (-want +got):\n%s", diff)
		}
		b.refuse = map[string]int{"/d/b/": http.StatusBadGateway}
		for _, err := range audit.Diff(b.t.Context(), b, doc("/s/ /d/")) {
			if err != nil {
				return
			}
		}
		b.t.Error("a folder of a collection that does not answer is taken for one that may not be listed")
	})
}

// content reads all files below a folder.
func content(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		at, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		if e.Type()&fs.ModeSymlink != 0 {
			all["/"+at] = "@"
			return nil
		}
		text, err := os.ReadFile(name)
		all["/"+at] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestDiffSaysWhatATaskDoes holds a diff of random trees against what the
// simulator makes of the destination then.
func TestDiffSaysWhatATaskDoes(t *testing.T) {
	for seed := range long.Or(100, 30) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			onBench(t, func(b *bench) {
				r := rand.New(rand.NewPCG(uint64(seed), 1))
				d := doc("/s/ /d/")
				d.DeleteDestinationExtra = r.IntN(2) == 0
				d.RecursiveSymlinks = []string{"", "ignore", "keep"}[r.IntN(3)]
				if level := r.IntN(5); level < 4 {
					d.SyncLevel = new(transfer.SyncLevel(level))
				}
				if r.IntN(3) == 0 {
					d.FilterRules = []transfer.FilterRule{{Method: "exclude", Type: []string{"", "file", "dir"}[r.IntN(3)], Name: "b*"}}
				}
				names := []string{"a", "b", "c", "x/a", "x/b", "x/y/a", "bb/a", "z/c"}
				for _, side := range []struct{ dir, top string }{{b.lab, "s/"}, {b.vault, "d/"}} {
					b.plant(side.dir, side.top)
					for _, name := range names {
						switch r.IntN(5) {
						case 0, 1, 2:
							b.plant(side.dir, fmt.Sprintf("%s%s=%c%d", side.top, name, 'a'+rune(r.IntN(3)), []int{1, 2, 3, 11}[r.IntN(4)]))
						case 3:
							if side.top == "s/" {
								b.plant(side.dir, side.top+name+"@=c")
							}
						}
					}
				}
				source, before := content(b.t, b.lab), content(b.t, b.vault)
				want, unsure := maps.Clone(before), map[string]string{}
				for c, err := range audit.Diff(b.t.Context(), b, d) {
					if err != nil {
						b.t.Fatal(err)
					}
					switch c.Action {
					case audit.Copy, audit.Replace:
						want[c.Destination] = source[c.Source]
					case audit.CopyLink:
						want[c.Destination] = "@"
					case audit.Compare:
						unsure[c.Destination] = source[c.Source]
					case audit.Delete:
						delete(want, c.Destination)
					case audit.Same, audit.Exclude, audit.LeaveLink:
					default:
						b.t.Fatalf("%v: %v", c, c.Why)
					}
				}
				if task := b.submit(d); task.Status != transfer.Succeeded {
					b.t.Fatalf("the task is %s", task.Status)
				}
				after := content(b.t, b.vault)
				for path, text := range unsure {
					checked := d.SyncLevel != nil && *d.SyncLevel == transfer.SyncChecksum
					if after[path] != text && (checked || after[path] != before[path]) {
						b.t.Errorf("%s is neither as it was nor as the source", path)
					}
					want[path] = after[path]
				}
				if diff := cmp.Diff(want, after); diff != "" {
					b.t.Errorf("destination (-want +got):\n%s\nsource %v\nbefore %v\n%+v", diff, source, before, d)
				}
			})
		})
	}
}

func TestDiffEndsWithItsContext(t *testing.T) {
	onBench(t, func(b *bench) {
		b.plant(b.lab, "s/a/x=1", "s/b/x=1")
		ctx, cancel := context.WithCancel(b.t.Context())
		defer cancel()
		var last error
		n := 0
		for _, err := range audit.Diff(ctx, b, doc("/s/ /d/", "/s/ /e/")) {
			cancel()
			last = err
			n++
		}
		if last == nil || n != 2 {
			b.t.Errorf("got %v after %d changes, want one change and the end", last, n)
		}
	})
}

func TestActionsAreAllDifferent(t *testing.T) {
	all := audit.Actions()
	slices.Sort(all)
	if n := len(all); n != 14 || len(slices.Compact(all)) != n {
		t.Errorf("got %d actions", n)
	}
}
