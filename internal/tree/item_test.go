package tree_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/internal/tree"
)

func TestCompareItem(t *testing.T) {
	globus := &forest{
		folders: map[string][]string{"/s/": {"file", "dir/", "link@"}, "/s/dir/": {"x"}, "/d/": {"file", "x/"}},
		errors:  map[string]error{"/s/hidden": denied, "/d/hidden": denied},
	}
	yes, no := true, false
	tests := map[string]struct {
		source, destination string
		recursive           *bool
		want                []string
	}{
		"a folder by its path":       {"/s/dir/", "/d/", nil, []string{" dir dir", "file - file", "x file dir"}},
		"a folder that is found out": {"/s/dir", "/d/y", nil, []string{" dir dir", "x file -"}},
		"a folder that is asked for": {"/s/dir", "/d/y", &yes, []string{" dir dir", "x file -"}},
		"a file":                     {"/s/file", "/d/file", nil, []string{" file file"}},
		"a file that is asked for":   {"/s/file", "/d/none", &no, []string{" file -"}},
		"a folder instead of a file": {"/s/dir", "/d/y", &no, []string{" dir(it is a folder, and a file is asked for) -"}},
		"a folder in its place":      {"/s/file", "/d/x", nil, []string{" file dir"}},
		"a link":                     {"/s/link", "/d/link", nil, []string{" link -"}},
		"none":                       {"/s/none", "/d/file", nil, []string{" other(" + absent.Error() + ") -"}},
		"one that cannot be seen":    {"/s/hidden", "/d/file", nil, []string{" other(" + denied.Error() + ") -"}},
		"a place that cannot be seen": {
			"/s/file", "/d/hidden", nil,
			[]string{" file other(" + denied.Error() + ")"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := lines(t, tree.CompareItem(t.Context(), globus, tree.Folder{Path: tt.source}, tree.Folder{Path: tt.destination}, tt.recursive, tree.Options{}))
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("comparison (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAFolderInThePlaceOfAFileThatCannotBeListedComesOnceMore(t *testing.T) {
	globus := &forest{
		folders: map[string][]string{"/s/": {"a/", "b", "c"}, "/s/a/": {}, "/d/": {"b/", "c"}},
		errors:  map[string]error{"/d/b/": denied},
	}
	got := lines(t, tree.CompareItem(t.Context(), globus, tree.Folder{Path: "/s/"}, tree.Folder{Path: "/d/"}, nil, tree.Options{}))
	want := []string{" dir dir", "b file dir", "c file file", "a dir -", "b - dir(" + denied.Error() + ")"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("comparison (-want +got):\n%s", diff)
	}
}

func TestCompareItemEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	cancel(why)
	globus := &forest{errors: map[string]error{"/s/a": context.Canceled}}
	for _, err := range tree.CompareItem(ctx, globus, tree.Folder{Path: "/s/a"}, tree.Folder{Path: "/d/a"}, nil, tree.Options{}) {
		if !errors.Is(err, why) {
			t.Errorf("got %v, want %v", err, why)
		}
	}
}

func TestASampleComparesSomeFolders(t *testing.T) {
	source := &forest{folders: map[string][]string{
		"/top/": {"1", "a/", "b/", "c/"}, "/top/a/": {"1", "deep/"}, "/top/a/deep/": {"1", "2"}, "/top/b/": {"1"}, "/top/c/": {"deep/"}, "/top/c/deep/": {"1"},
	}}
	destination := &forest{
		folders: map[string][]string{"/top/": {"1", "a/", "b/"}, "/top/a/": {"1", "deep/"}, "/top/a/deep/": {"1", "3"}, "/top/b/": {"1"}},
		errors:  map[string]error{"/top/c/": absent, "/top/c/deep/": absent},
	}
	chosen := tree.Options{Sample: func(path string) bool { return strings.HasSuffix(path, "deep") }}
	want := []string{
		" dir dir", "a dir dir", "a/deep dir dir", "a/deep/1 file file", "a/deep/2 file -", "a/deep/3 - file", "b dir dir", "c dir dir",
		"c/deep dir dir(" + absent.Error() + ")", "c/deep/1 file -",
	}
	if diff := cmp.Diff(want, compare(t, source, destination, chosen)); diff != "" {
		t.Errorf("comparison (-want +got):\n%s", diff)
	}
	slices.Sort(destination.asked)
	if want := []string{"/top/a/deep/", "/top/c/deep/"}; !slices.Equal(destination.asked, want) {
		t.Errorf("%q were listed at the destination, want %q", destination.asked, want)
	}
}
