package globussim_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

func TestBookmarksAreKeptForTheirOwner(t *testing.T) {
	l := newLab(t)
	made := l.call(http.MethodPost, "/bookmark", doc{"name": "in", "endpoint_id": l.labID, "path": "/in/"})
	if made.status != http.StatusCreated {
		t.Fatalf("got %d %s", made.status, made.body)
	}
	l.call(http.MethodPost, "/bookmark", doc{"name": "out", "endpoint_id": l.vaultID, "path": "/out/"})
	bookmark := "/bookmark/" + made.text("id")
	made.want(t, doc{"DATA_TYPE": "bookmark", "name": "in", "endpoint_id": l.labID, "path": "/in/", "pinned": false})

	l.call(http.MethodPut, bookmark, doc{"name": "inbox"}).want(t, doc{"name": "inbox", "path": "/in/"})
	l.call(http.MethodPut, bookmark, doc{"pinned": true}).want(t, doc{"name": "inbox", "pinned": true})
	l.call(http.MethodGet, bookmark, nil).want(t, doc{"name": "inbox", "pinned": true})
	names := func() []string { return l.call(http.MethodGet, "/bookmark_list", nil).column("name") }
	if diff := cmp.Diff([]string{"inbox", "out"}, names()); diff != "" {
		t.Errorf("names differ (-want +got):\n%s", diff)
	}

	l.call(http.MethodDelete, bookmark, nil).want(t, doc{"DATA_TYPE": "result", "code": "Deleted"})
	if diff := cmp.Diff([]string{"out"}, names()); diff != "" {
		t.Errorf("names after the deletion differ (-want +got):\n%s", diff)
	}
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		if a := l.call(method, bookmark, doc{}); a.status != http.StatusNotFound || a.text("code") != "BookmarkNotFound" {
			t.Errorf("%s of a bookmark that is gone answers %d %s", method, a.status, a.body)
		}
	}
	l.becomeOther()
	if diff := cmp.Diff([]string{}, names()); diff != "" {
		t.Errorf("another account sees (-want +got):\n%s", diff)
	}
}

func TestABookmarkNeedsANameAPathAndACollection(t *testing.T) {
	l := newLab(t)
	tests := map[string]struct {
		doc    doc
		status int
		code   string
	}{
		"no name":    {doc{"endpoint_id": l.labID, "path": "/"}, 400, "ClientError.BadRequest"},
		"no path":    {doc{"endpoint_id": l.labID, "name": "x"}, 400, "ClientError.BadRequest"},
		"no such id": {doc{"endpoint_id": uuid.NewString(), "name": "x", "path": "/"}, 404, "EndpointNotFound"},
	}
	for name, tt := range tests {
		if a := l.call(http.MethodPost, "/bookmark", tt.doc); a.status != tt.status || a.text("code") != tt.code {
			t.Errorf("%s: got %d %s", name, a.status, a.body)
		}
	}
}
