package transfer_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/transfer"
)

// Entries are read as by package json, however they are written.
func FuzzEntry(f *testing.F) {
	for _, doc := range []string{
		`{"DATA_TYPE": "file", "name": "frame-01 é.h5", "type": "file", "size": 4096, "last_modified": "2026-03-01 04:05:06+00:00",
			"permissions": "0644", "user": "ada", "group": null, "link_target": null, "link_size": null, "link_user": null,
			"link_group": null, "link_last_modified": null}`,
		`{"name":"a","link_target":"b","link_size":1,"link_user":"u","link_group":"g","link_last_modified":"2026-03-01","group":"h"}`,
		`{}`, ` { } `, `null`, `1`, `"{"`, `[]`, `{"a": "}"}`, `{"a": ",", "name": "b"}`, `{"size": -0}`, `{"size": 1.0}`, `{"size": 1e1}`, `{"size": "1"}`,
		`{"size": 99999999999999999999}`, `{"size": true}`, `{"name": 1}`, `{"name": true}`, `{"name": "a", "name": null}`, `{"size": 1, "size": null}`,
		`{"last_modified": "2026-03-01", "last_modified": null}`, `{"last_modified": "soon"}`, `{"last_modified": ""}`, `{"last_modified": 1}`,
		`{"NAME": "a"}`, `{"ſize": 1}`, `{"other": {"name": "b"}, "name": "a"}`, `{"other": [1, 2], "name": "a"}`, `{"other": [1], "name": "a"}`, `{"other": [{"name": "b"}]}`,
		`{"name": "a\n\"\\\u00e9"}`, "{\"name\": \"\xff\"}", `{"na\u006de": "a"}`, "{\"name\"\t:\r\n\"a\" ,\"size\" : 1 }",
	} {
		f.Add(doc)
	}
	f.Fuzz(func(t *testing.T, doc string) {
		if !json.Valid([]byte(doc)) {
			return
		}
		var want transfer.Entry
		wantErr := json.Unmarshal([]byte(doc), &want)
		if trimmed := strings.TrimSpace(doc); trimmed[0] != '{' {
			wantErr = errors.New("a row must be an object")
		}
		for got, err := range serve(reply(200, `{"total": 1, "DATA": [`+doc+`]}`)).Ls(t.Context(), "lab", transfer.LsQuery{}) {
			if (err == nil) != (wantErr == nil) {
				t.Fatalf("%s: got the error %v, want %v", doc, err, wantErr)
			}
			if err != nil {
				return
			}
			want.Raw = got.Raw
			if diff := cmp.Diff(&want, got); diff != "" {
				t.Errorf("%s: %s", doc, diff)
			}
		}
	})
}
