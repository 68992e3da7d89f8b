package tree_test

import (
	"context"
	"fmt"
	"iter"

	"github.com/globus-runner/globus-runner/internal/tree"
	"github.com/globus-runner/globus-runner/transfer"
)

// shelf lists two folders, as a transfer.Client lists those of a collection.
type shelf struct{}

func (shelf) Ls(_ context.Context, _ string, q transfer.LsQuery) iter.Seq2[*transfer.Entry, error] {
	return func(yield func(*transfer.Entry, error) bool) {
		if q.Path == "/data/" {
			_ = yield(&transfer.Entry{Name: "a.h5", Type: "file", Size: 3}, nil) &&
				yield(&transfer.Entry{Name: "run1", Type: "dir"}, nil)
			return
		}
		yield(&transfer.Entry{Name: "b.h5", Type: "file", Size: 4}, nil)
	}
}

// A walk yields a folder, what is in it, and then its subfolders.
func Example() {
	folder := tree.Folder{Lister: shelf{}, Collection: "0b6c8f2e-0000-4000-8000-000000000001", Path: "/data/"}
	for entry, err := range tree.Walk(context.Background(), folder, tree.Options{}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%q %s %d\n", entry.Path, entry.Kind, entry.Size)
	}
	// Output:
	// "" dir 0
	// "a.h5" file 3
	// "run1" dir 0
	// "run1/b.h5" file 4
}
