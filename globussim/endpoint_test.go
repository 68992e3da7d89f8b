package globussim_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/globus-runner/globus-runner/globussim"
)

func TestAnEndpointDocumentTellsWhatItIs(t *testing.T) {
	l := newLab(t, home, func(cfg *globussim.Config) {
		dir := cfg.Collections[0].Dir
		cfg.Collections = append(cfg.Collections,
			globussim.Collection{Name: "mapped", Dir: dir, EntityType: globussim.MappedCollection, Owner: robot},
			globussim.Collection{Name: "assured", Dir: dir, EntityType: globussim.MappedCollection, HighAssurance: true},
			globussim.Collection{Name: "laptop", Dir: dir, EntityType: globussim.GCPMappedCollection, Offline: true},
		)
	})
	tests := map[string]doc{
		"lab":     {"entity_type": "GCSv5_guest_collection", "high_assurance": false, "gcp_connected": nil, "default_directory": "/home/svc/", "acl_available": true},
		"mapped":  {"entity_type": "GCSv5_mapped_collection", "high_assurance": false, "default_directory": nil},
		"assured": {"entity_type": "GCSv5_mapped_collection", "high_assurance": true, "force_encryption": true},
		"laptop":  {"entity_type": "GCP_mapped_collection", "gcp_connected": false, "gcp_paused": false, "is_globus_connect": true},
	}
	for name, want := range tests {
		a := l.call(http.MethodGet, "/endpoint/"+globussim.CollectionID(name), nil)
		a.want(t, want)
		a.want(t, doc{"DATA_TYPE": "endpoint", "id": globussim.CollectionID(name), "display_name": name, "non_functional": false, "subscription_admin_verified": false})
		roles := []any{}
		if name == "mapped" {
			roles = []any{"administrator"}
		}
		if diff := cmp.Diff(roles, a.doc["my_effective_roles"]); diff != "" {
			t.Errorf("%s: roles differ (-want +got):\n%s", name, diff)
		}
		for _, key := range []string{
			"acl_max_expiration_period_mins", "auto_delete_timeout", "guest_collection_activity_notification_policy", "preserve_modtime",
			"restrict_transfers_to_high_assurance", "skip_auto_delete", "associated_flow_policy",
		} {
			a.want(t, doc{key: nil})
		}
		// Every field that real documents have is there, with its kind of value
		// unless one of both is null.
		for key, known := range fixture(t, "testdata/endpoint.json")[0] {
			got, ok := a.doc[key]
			if !ok || known != nil && got != nil && fmt.Sprintf("%T", got) != fmt.Sprintf("%T", known) {
				t.Errorf("%s: %s is %#v, of another kind than %#v", name, key, got, known)
			}
		}
	}
	if a := l.call(http.MethodGet, "/endpoint/no-uuid", nil); a.status != http.StatusNotFound || a.text("code") != "EndpointNotFound" {
		t.Errorf("a malformed id answers %d %s", a.status, a.body)
	}
}

func TestEndpointsAreFoundByWordsAndScopes(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.submit(l.transfer("/missing", "/x"))
		tests := map[string]struct {
			query []string
			want  []string
		}{
			"a word":                  {[]string{"filter_fulltext", "vault"}, []string{"vault"}},
			"the beginning of a word": {[]string{"filter_fulltext", "Micro", "filter_scope", "all"}, []string{"mine"}},
			"all words":               {[]string{"filter_fulltext", "data cryo"}, []string{"mine"}},
			"a keyword":               {[]string{"filter_fulltext", "genom"}, []string{"shared"}},
			"the middle of a word":    {[]string{"filter_fulltext", "roscope"}, []string{}},
			"mine":                    {[]string{"filter_scope", "my-endpoints"}, []string{"mine", "laptop"}},
			"administered":            {[]string{"filter_scope", "administered-by-me"}, []string{"mine", "laptop"}},
			"my laptop":               {[]string{"filter_scope", "my-gcp-endpoints"}, []string{"laptop"}},
			"shared by me":            {[]string{"filter_scope", "shared-by-me"}, []string{"mine"}},
			"shared with me":          {[]string{"filter_scope", "shared-with-me"}, []string{"shared"}},
			"recently used":           {[]string{"filter_scope", "recently-used"}, []string{"lab", "vault"}},
			"in use":                  {[]string{"filter_scope", "in-use"}, []string{"lab", "vault"}},
			"in use, and a word":      {[]string{"filter_scope", "in-use", "filter_fulltext", "la"}, []string{"lab"}},
			"with permissions":        {[]string{"filter_scope", "hide-no-permissions"}, []string{"lab", "vault", "mine", "laptop", "shared"}},
			"an owner":                {[]string{"filter_owner_id", robot, "filter_fulltext", "m"}, []string{"mine"}},
			"a type":                  {[]string{"filter_entity_type", "GCP_mapped_collection", "filter_scope", "my-endpoints"}, []string{"laptop"}},
			"a host":                  {[]string{"filter_host_endpoint", uuid.NewString(), "filter_scope", "my-endpoints"}, []string{}},
			"those that do not work":  {[]string{"filter_non_functional", "1", "filter_scope", "my-endpoints"}, []string{}},
			"those that work":         {[]string{"filter_non_functional", "0", "filter_scope", "my-endpoints"}, []string{"mine", "laptop"}},
		}
		for name, tt := range tests {
			a := l.call(http.MethodGet, query("/endpoint_search", tt.query...), nil)
			a.want(t, doc{"DATA_TYPE": "endpoint_list", "has_next_page": false, "limit": 100, "offset": 0})
			if diff := cmp.Diff(tt.want, a.column("display_name")); diff != "" {
				t.Errorf("%s: names differ (-want +got):\n%s", name, diff)
			}
		}
		for _, bad := range [][]string{
			nil,
			{"filter_scope", "all"},
			{"filter_scope", "theirs"},
			{"filter_scope", "my-endpoints", "filter_owner_id", robot},
			{"filter_fulltext", "x", "filter_host_endpoint", "x"},
			{"filter_fulltext", "x", "filter_non_functional", "1", "filter_entity_type", "GCP_mapped_collection"},
		} {
			if a := l.call(http.MethodGet, query("/endpoint_search", bad...), nil); a.status != http.StatusBadRequest {
				t.Errorf("%v answers %d %s, want 400", bad, a.status, a.body)
			}
		}
	}, func(cfg *globussim.Config) {
		dir := cfg.Collections[0].Dir
		cfg.Collections = append(cfg.Collections,
			globussim.Collection{Name: "mine", Dir: dir, Owner: robot, Description: "Microscope data (cryo)"},
			globussim.Collection{Name: "laptop", Dir: dir, Owner: robot, EntityType: globussim.GCPMappedCollection},
			globussim.Collection{
				Name: "shared", Dir: dir, Keywords: []string{"genomes"},
				Access: []globussim.AccessRule{{Principal: robot, Path: "/", Permissions: "r"}},
			},
			globussim.Collection{Name: "shut", Dir: dir, Access: []globussim.AccessRule{}},
		)
	})
}

func TestASearchHasPagesOfAHundred(t *testing.T) {
	l := newLab(t, func(cfg *globussim.Config) {
		for i := range 250 {
			cfg.Collections = append(cfg.Collections, globussim.Collection{Name: fmt.Sprint("many", i), Dir: cfg.Collections[0].Dir})
		}
	})
	var names []string
	for offset := 0; ; {
		a := l.call(http.MethodGet, query("/endpoint_search", "filter_fulltext", "many", "limit", "1000", "offset", fmt.Sprint(offset)), nil)
		names = append(names, a.column("display_name")...)
		if n := len(a.rows()); n > 100 {
			t.Fatalf("a page has %d rows", n)
		}
		if a.doc["has_next_page"] != true {
			break
		}
		offset = len(names)
	}
	if len(names) != 250 || len(slices.Compact(slices.Sorted(slices.Values(names)))) != 250 {
		t.Errorf("%d names came, want 250", len(names))
	}
}

func TestListsOfWhatIsNotSimulatedAreEmpty(t *testing.T) {
	l := newLab(t)
	for path, key := range map[string]string{"server_list": "DATA", "my_shared_endpoint_list": "DATA", "shared_endpoint_list": "shared_endpoints"} {
		a := l.call(http.MethodGet, "/endpoint/"+l.labID+"/"+path, nil)
		if list, ok := a.doc[key].([]any); a.status != http.StatusOK || !ok || len(list) != 0 {
			t.Errorf("%s answers %d %s", path, a.status, a.body)
		}
	}
}

func TestActivationIsNotNeeded(t *testing.T) {
	l := newLab(t)
	a := l.call(http.MethodPost, "/endpoint/"+l.labID+"/autoactivate?if_expires_in=60", nil)
	a.want(t, doc{"DATA_TYPE": "activation_result", "code": "AlreadyActivated", "expires_in": -1})
	if a := l.call(http.MethodPost, "/endpoint/"+uuid.NewString()+"/autoactivate", nil); a.status != http.StatusNotFound || a.text("code") != "EndpointNotFound" {
		t.Errorf("an unknown collection answers %d %s", a.status, a.body)
	}
}
