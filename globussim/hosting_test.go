package globussim_test

import (
	"net/http"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/globussim"
)

// hosted adds a server and what is on it, and a laptop.
func hosted(cfg *globussim.Config) {
	dir := cfg.Collections[0].Dir
	cfg.Persons = []globussim.Person{{Username: "ada@sim.example"}}
	cfg.Collections[0].Owner = globussim.PersonID("ada@sim.example")
	cfg.Collections = append(cfg.Collections,
		globussim.Collection{Name: "mapped", Dir: dir, EntityType: globussim.MappedCollection, Owner: robot},
		globussim.Collection{Name: "server", Dir: dir, EntityType: globussim.ServerEndpoint},
		globussim.Collection{Name: "laptop", Dir: dir, EntityType: globussim.GCPMappedCollection, Owner: robot, Paused: true},
	)
}

func TestAServerOwnsItselfAndItsMappedCollections(t *testing.T) {
	l := newLab(t, hosted)
	server := globussim.CollectionID("server")
	for name, want := range map[string]doc{
		"lab":    {"owner_id": globussim.PersonID("ada@sim.example"), "owner_string": "ada@sim.example"},
		"mapped": {"owner_id": server, "owner_string": server + "@clients.auth.globus.org"},
		"server": {"owner_id": server, "owner_string": server + "@clients.auth.globus.org"},
		"laptop": {"owner_id": robot, "owner_string": robot + "@clients.auth.globus.org"},
	} {
		l.call(http.MethodGet, "/endpoint/"+globussim.CollectionID(name), nil).want(t, want)
	}
	found := l.call(http.MethodGet, "/endpoint_search?filter_fulltext=mapped&filter_owner_id="+server, nil)
	if diff := cmp.Diff([]string{"mapped"}, found.column("display_name")); diff != "" {
		t.Errorf("found by that owner (-want +got):\n%s", diff)
	}
}

func TestTheServersOfACollectionAreListed(t *testing.T) {
	l := newLab(t, hosted)
	for name, want := range map[string]doc{
		"lab":    nil,
		"mapped": {"hostname": globussim.CollectionID("mapped") + ".sim.invalid", "port": 2811, "scheme": "gsiftp", "is_connected": true},
		"laptop": {"hostname": nil, "port": nil, "is_connected": true, "is_paused": true},
	} {
		path := "/endpoint/" + globussim.CollectionID(name)
		list := l.call(http.MethodGet, path+"/server_list", nil)
		list.want(t, doc{"DATA_TYPE": "endpoint_server_list"})
		rows := list.rows()
		if diff := cmp.Diff(l.call(http.MethodGet, path, nil).doc["DATA"], list.doc["DATA"]); diff != "" {
			t.Errorf("%s: the document and the list differ (-document +list):\n%s", name, diff)
		}
		if want == nil {
			if len(rows) > 0 {
				t.Errorf("%s has the servers %v, want none", name, rows)
			}
			continue
		}
		rows[0].want(t, want)
		id := strconv.Itoa(rows[0].number("id"))
		l.call(http.MethodGet, path+"/server/"+id, nil).want(t, doc{"DATA_TYPE": "server", "id": rows[0].number("id")})
		if a := l.call(http.MethodGet, path+"/server/1", nil); a.status != http.StatusNotFound || a.text("code") != "ClientError.NotFound.ServerNotFound" {
			t.Errorf("%s: an unknown server answers %d %s", name, a.status, a.body)
		}
	}
}
