package globussim_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAnAdministratorChangesTheDocumentOfACollection(t *testing.T) {
	l := newLab(t, owned)
	plant(t, l.lab, map[string]string{"a/home/f": ""})
	l.owner("PUT", "", doc{
		"DATA_TYPE": "endpoint", "display_name": "Cryo store", "keywords": "electron,grid", "default_directory": "/a/home/", "public": false,
		"id": other, "owner_id": other, "entity_type": "x",
	}, http.StatusOK, "Updated").want(t, doc{"message": "Endpoint updated successfully", "resource": "/v0.10/endpoint/" + l.labID})
	l.call(http.MethodGet, "/endpoint/"+l.labID, nil).want(t, doc{
		"display_name": "Cryo store", "keywords": "electron,grid", "default_directory": "/a/home/", "public": false,
		"id": l.labID, "owner_id": robot, "entity_type": "GCSv5_guest_collection",
	})
	for _, word := range []string{"cryo", "grid"} {
		if diff := cmp.Diff([]string{l.labID}, l.call(http.MethodGet, "/endpoint_search?filter_fulltext="+word, nil).column("id")); diff != "" {
			t.Errorf("found by %s (-want +got):\n%s", word, diff)
		}
	}
	if diff := cmp.Diff([]string{"f"}, l.ls().column("name")); diff != "" {
		t.Errorf("the default directory has (-want +got):\n%s", diff)
	}
	for _, wrong := range []doc{{"DATA_TYPE": "x"}, {"public": "yes"}, {"display_name": ""}, {"default_directory": "home"}, {"description": 1}, {"max_concurrency": "4"}} {
		l.owner("PUT", "", wrong, http.StatusBadRequest, "ClientError.BadRequest")
	}
}

func TestACollectionThatIsDeletedIsGone(t *testing.T) {
	l := newLab(t, owned)
	l.owner("DELETE", "", nil, http.StatusOK, "Deleted").want(t, doc{"message": "Endpoint deleted successfully"})
	l.owner("GET", "", nil, http.StatusNotFound, "EndpointDeleted")
	if a := l.call(http.MethodPost, "/transfer", l.transfer("/a", "/b")); a.status != http.StatusNotFound || a.text("code") != "EndpointDeleted" {
		t.Errorf("a submission answers %d %s", a.status, a.body)
	}
	if ids := l.call(http.MethodGet, "/endpoint_search?filter_scope=my-endpoints", nil).column("id"); len(ids) > 0 {
		t.Errorf("a search finds %v", ids)
	}
}
