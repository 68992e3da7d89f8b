package engine_test

import (
	"encoding/json"
	"testing"

	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/transfer"
)

// FuzzDecode checks that a recorded submission is read as the kind of document
// that it is, or not at all: what is read is sent.
func FuzzDecode(f *testing.F) {
	for _, doc := range []string{
		`{"DATA_TYPE": "transfer", "source_endpoint": "a", "destination_endpoint": "b", "DATA": [{"DATA_TYPE": "transfer_item", "source_path": "/a", "destination_path": "/b"}]}`,
		`{"DATA_TYPE": "delete", "endpoint": "a", "DATA": [{"DATA_TYPE": "delete_item", "path": "/a"}], "recursive": true}`,
		`{"DATA_TYPE": "Delete", "endpoint": "a"}`, `{}`, `null`, `[]`, `{"DATA_TYPE": "transfer", "DATA_TYPE": "delete"}`, `{"DATA_TYPE": "tran`, "\x00",
	} {
		f.Add([]byte(doc))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		got, err := engine.Decode(ledger.Submission{ID: "s", Document: doc})
		if (err == nil) == (got == nil) {
			t.Fatalf("got %v and %v", got, err)
		}
		if err != nil {
			return
		}
		var kind struct {
			Type string `json:"DATA_TYPE"`
		}
		if err := json.Unmarshal(doc, &kind); err != nil {
			t.Fatal(err)
		}
		_, isDelete := got.(*transfer.Delete)
		if want := map[string]bool{"delete": true, "transfer": false}; kind.Type == "" || isDelete != want[kind.Type] {
			t.Errorf("%q is read as a %T", kind.Type, got)
		}
		again, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := engine.Decode(ledger.Submission{ID: "s", Document: again}); err != nil {
			t.Errorf("%s cannot be read again: %v", again, err)
		}
	})
}
