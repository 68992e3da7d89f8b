package globussim_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// v2 calls the newer API of Transfer.
func (l *lab) v2(method, path, body string) answer {
	l.t.Helper()
	return ask(l.t, l.Client(), method, transferBase+path, l.token, "application/json", body)
}

func TestBookmarksAreTheSameInBothAPIs(t *testing.T) {
	l := newLab(t)
	of := func(id string) map[string]any {
		return map[string]any{"collection": map[string]any{"data": map[string]any{"type": "Collection", "id": id}}}
	}
	made := l.v2(http.MethodPost, "/v2/bookmarks", `{"data": {"type": "Bookmark", "attributes": {"name": "in", "path": "/in/"},
		"relationships": {"collection": {"data": {"type": "Collection", "id": "`+l.labID+`"}}}}}`)
	data, _ := made.doc["data"].(map[string]any)
	id, _ := data["id"].(string)
	want := map[string]any{"type": "Bookmark", "id": id, "attributes": map[string]any{"name": "in", "path": "/in/"}, "relationships": of(l.labID)}
	if diff := cmp.Diff(want, data); made.status != http.StatusCreated || diff != "" {
		t.Fatalf("the bookmark made (%d, -want +got):\n%s", made.status, diff)
	}
	l.call(http.MethodGet, "/bookmark/"+id, nil).want(t, doc{"name": "in", "endpoint_id": l.labID})

	l.v2(http.MethodPatch, "/v2/bookmarks/"+id, `{"data": {"type": "Bookmark", "attributes": {"path": "/inbox/"}}}`)
	want["attributes"] = map[string]any{"name": "in", "path": "/inbox/"}
	included := []any{map[string]any{"type": "Collection", "id": l.labID, "attributes": map[string]any{"display_name": "lab", "high_assurance": false}}}
	got := l.v2(http.MethodGet, "/v2/bookmarks/"+id, "").doc
	if diff := cmp.Diff([]any{want, included}, []any{got["data"], got["included"]}); diff != "" {
		t.Errorf("the bookmark (-want +got):\n%s", diff)
	}
	list := l.v2(http.MethodGet, "/v2/bookmarks", "").doc
	if diff := cmp.Diff([]any{[]any{want}, included}, []any{list["data"], list["included"]}); diff != "" {
		t.Errorf("the list (-want +got):\n%s", diff)
	}
	if a := l.v2(http.MethodDelete, "/v2/bookmarks/"+id, ""); a.status != http.StatusOK || a.doc["meta"] == nil {
		t.Errorf("the deletion answers %d %s", a.status, a.body)
	}
	gone := l.v2(http.MethodGet, "/v2/bookmarks/"+id, "")
	problems, _ := gone.doc["errors"].([]any)
	if gone.status != http.StatusNotFound || len(problems) != 1 || problems[0].(map[string]any)["code"] != "BookmarkNotFound" {
		t.Errorf("a bookmark that is gone answers %d %s", gone.status, gone.body)
	}
}
