package evidence_test

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"time"

	"github.com/globus-runner/globus-runner/internal/evidence"
	"github.com/globus-runner/globus-runner/internal/proof"
	"github.com/globus-runner/globus-runner/transfer"
)

// two are the collections lab and vault, as a transfer.Client lists them.
type two struct{ when time.Time }

func (w two) Ls(_ context.Context, collection string, _ transfer.LsQuery) iter.Seq2[*transfer.Entry, error] {
	names := map[string][]string{"lab": {"frame.h5", "new.h5"}, "vault": {"frame.h5"}}
	return func(yield func(*transfer.Entry, error) bool) {
		for _, name := range names[collection] {
			if !yield(&transfer.Entry{Name: name, Type: "file", Size: 42, LastModified: transfer.Time{Time: w.when}}, nil) {
				return
			}
		}
	}
}

func (two) Stat(context.Context, string, string, ...transfer.FileOption) (*transfer.Entry, error) {
	return nil, &transfer.Error{Status: http.StatusNotFound}
}

// A file of the source is proven if a receipt says that it was copied and both sides
// show what they had then.
func Example() {
	when := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	head := proof.Receipt{
		Run: 12, Source: "lab", Destination: "vault", Options: proof.Options{VerifyChecksum: true, PreserveTimestamp: true},
		Files: 1, Listed: when.Add(time.Hour), Requested: when.Add(time.Hour), Completed: when.Add(2 * time.Hour),
	}
	receipt, err := kept(
		head,
		proof.Row{Item: &proof.Item{Source: "/out/", Destination: "/in/"}},
		proof.Row{Copied: &proof.Copied{Source: "/out/frame.h5", Destination: "/in/frame.h5", Size: 42}},
		proof.Row{Found: &proof.Found{Path: "/out/frame.h5", Size: 42, Modified: when}},
		proof.Row{Landed: &proof.Landed{Source: "/out/frame.h5", Destination: "/in/frame.h5", Size: 42, Modified: when}},
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	found, err := evidence.Gather([]proof.Open{receipt}, evidence.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for f, err := range found.Files(context.Background(), two{when}) {
		switch {
		case err != nil:
			fmt.Println(err)
		case f.Reason() == "":
			fmt.Println(f.Path, "is proven since", f.Proven()[0].Since.Format(time.TimeOnly))
		default:
			fmt.Println(f.Path, f.Reason())
		}
	}
	// Output:
	// /out/frame.h5 is proven since 14:00:00
	// /out/new.h5 was not seen before the copy
}
