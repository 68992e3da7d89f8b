package proof_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/internal/proof"
)

func TestBlankReceiptSaysWhatATaskWasTold(t *testing.T) {
	items := []proof.Item{{Source: "/b/", Destination: "/x/b/"}, {Source: "/a", Destination: "/x/a"}, {Source: "/b/", Destination: "/x/b/"}}
	open, err := proof.Blank(proof.Receipt{Job: "nightly", Source: "lab"}, slices.Values(items))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // each time from its beginning
		r, err := open()
		if err != nil {
			t.Fatal(err)
		}
		var got []proof.Item
		for row, err := range r.Rows() {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, *row.Item)
		}
		if diff := cmp.Diff([]proof.Item{items[1], items[0]}, got); diff != "" || r.Receipt.Job != "nightly" {
			t.Errorf("items, in their order and each once (-want +got):\n%s", diff)
		}
	}
}
