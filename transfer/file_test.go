package transfer_test

import (
	"io"
	"net/http"
	"testing"

	"github.com/globus-runner/globus-runner/transfer"
)

func TestFileOperationsSendTheirPaths(t *testing.T) {
	tests := map[string]struct {
		call func(*transfer.Client) error
		want string // method, path, query, body
	}{
		"stat": {
			func(c *transfer.Client) error { _, err := c.Stat(t.Context(), "c1", "/a b+c%20é"); return err },
			"GET /v0.10/operation/endpoint/c1/stat path=/a b+c%20é ",
		},
		"mkdir": {
			func(c *transfer.Client) error { _, err := c.Mkdir(t.Context(), "c1", "/a/b/"); return err },
			`POST /v0.10/operation/endpoint/c1/mkdir {"DATA_TYPE":"mkdir","path":"/a/b/"}`,
		},
		"rename": {
			func(c *transfer.Client) error { _, err := c.Rename(t.Context(), "c1", "/a", "/b"); return err },
			`POST /v0.10/operation/endpoint/c1/rename {"DATA_TYPE":"rename","old_path":"/a","new_path":"/b"}`,
		},
		"stat as somebody": {
			func(c *transfer.Client) error {
				_, err := c.Stat(t.Context(), "c1", "/a", transfer.AsLocalUser("ann"))
				return err
			},
			"GET /v0.10/operation/endpoint/c1/stat local_user=ann path=/a ",
		},
		"mkdir as somebody": {
			func(c *transfer.Client) error {
				_, err := c.Mkdir(t.Context(), "c1", "/a/", transfer.AsLocalUser("ann"))
				return err
			},
			`POST /v0.10/operation/endpoint/c1/mkdir {"DATA_TYPE":"mkdir","path":"/a/","local_user":"ann"}`,
		},
		"rename as somebody": {
			func(c *transfer.Client) error {
				_, err := c.Rename(t.Context(), "c1", "/a", "/b", transfer.AsLocalUser("ann"))
				return err
			},
			`POST /v0.10/operation/endpoint/c1/rename {"DATA_TYPE":"rename","old_path":"/a","new_path":"/b","local_user":"ann"}`,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := serve(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				if got := r.Method + " " + r.URL.Path + printed(r.URL.Query()) + " " + string(body); got != tt.want {
					t.Errorf("got  %s\nwant %s", got, tt.want)
				}
				reply(200, updated)(w, r)
			})
			if err := tt.call(c); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestDataAccessIsNeededOnPlainMappedCollections(t *testing.T) {
	tests := map[string]struct {
		endpoint transfer.Endpoint
		want     bool
	}{
		"mapped":                {transfer.Endpoint{EntityType: "GCSv5_mapped_collection"}, true},
		"mapped high assurance": {transfer.Endpoint{EntityType: "GCSv5_mapped_collection", HighAssurance: true}, false},
		"guest":                 {transfer.Endpoint{EntityType: "GCSv5_guest_collection"}, false},
		"personal":              {transfer.Endpoint{EntityType: "GCP_mapped_collection"}, false},
		"unknown":               {transfer.Endpoint{}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := tt.endpoint.NeedsDataAccess(); got != tt.want {
				t.Errorf("got %t, want %t", got, tt.want)
			}
		})
	}
}
