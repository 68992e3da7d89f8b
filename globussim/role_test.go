package globussim_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/globussim"
)

func TestAnAccessManagerSeesTheAccessListOfAnother(t *testing.T) {
	l := newLab(t, func(cfg *globussim.Config) {
		c := &cfg.Collections[0]
		c.Access = []globussim.AccessRule{{Principal: other, Permissions: "rw"}}
		c.Roles = []globussim.Role{{Principal: robot, Role: globussim.AccessManager}}
		cfg.Collections[1].Roles = []globussim.Role{{Principal: robot, Role: globussim.ActivityMonitor}}
	})
	a := l.call(http.MethodGet, "/endpoint/"+l.labID, nil)
	a.want(t, doc{"acl_editable": true})
	if diff := cmp.Diff([]any{"access_manager"}, a.doc["my_effective_roles"]); diff != "" {
		t.Errorf("my_effective_roles (-want +got):\n%s", diff)
	}
	l.call(http.MethodGet, "/endpoint/"+l.labID+"/access_list", nil).rows()[0].want(t, doc{"principal": other})
	if rows := l.call(http.MethodGet, "/endpoint/"+l.labID+"/role_list", nil).rows(); len(rows) != 2 {
		t.Errorf("there are %d roles, want the owner's and the manager's", len(rows))
	}
	if a := l.call(http.MethodGet, "/operation/endpoint/"+l.labID+"/ls", nil); a.text("code") != "PermissionDenied" {
		t.Errorf("a role lets its holder read: %d %s", a.status, a.body)
	}
	if a := l.call(http.MethodGet, "/endpoint/"+l.vaultID+"/access_list", nil); a.text("code") != "PermissionDenied" {
		t.Errorf("an activity monitor sees the access list: %d %s", a.status, a.body)
	}
}

func TestARoleThatDoesNotExistIsRefused(t *testing.T) {
	_, err := globussim.New(globussim.Config{
		Accounts:    []globussim.Account{{ID: robot, Secret: "x"}},
		Collections: []globussim.Collection{{Name: "lab", Dir: t.TempDir(), Roles: []globussim.Role{{Principal: robot, Role: "king"}}}},
	})
	if err == nil {
		t.Error("the role king was accepted")
	}
}

func TestACollectionTellsWhyItCannotBeUsed(t *testing.T) {
	tests := map[string]struct {
		collection globussim.Collection
		shows      doc
		code       string // of a listing
	}{
		"server":         {globussim.Collection{EntityType: globussim.ServerEndpoint}, doc{"entity_type": "GCSv5_endpoint"}, "NotSupported"},
		"not functional": {globussim.Collection{NonFunctional: true}, doc{"non_functional": true}, "EndpointError"},
		"offline": {
			globussim.Collection{EntityType: globussim.GCPMappedCollection, Offline: true},
			doc{"gcp_connected": false, "gcp_paused": false},
			"ExternalError.DirListingFailed.GCDisconnected",
		},
		"paused": {
			globussim.Collection{EntityType: globussim.GCPMappedCollection, Paused: true},
			doc{"gcp_connected": true, "gcp_paused": true},
			"ExternalError.DirListingFailed.GCDisconnected",
		},
		"second factor": {globussim.Collection{MFARequired: true}, doc{"mfa_required": true}, "AuthorizationRequired"},
		"subscription":  {globussim.Collection{SubscriptionID: other}, doc{"subscription_id": other}, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, func(cfg *globussim.Config) {
				tt.collection.Name, tt.collection.Dir = "lab", cfg.Collections[0].Dir
				cfg.Collections[0] = tt.collection
			})
			l.call(http.MethodGet, "/endpoint/"+l.labID, nil).want(t, tt.shows)
			if a := l.call(http.MethodGet, "/operation/endpoint/"+l.labID+"/ls?path=/", nil); a.text("code") != tt.code {
				t.Errorf("a listing answers %d %s, want the code %q", a.status, a.body, tt.code)
			}
		})
	}
}

func TestAClockCanBeWrong(t *testing.T) {
	l := newLab(t)
	l.Fail(globussim.Fault{Clock: time.Hour})
	a := l.call(http.MethodGet, "/submission_id", nil)
	date, err := http.ParseTime(a.header.Get("Date"))
	if ahead := time.Until(date); err != nil || a.status != http.StatusOK || ahead < 59*time.Minute || ahead > 61*time.Minute {
		t.Errorf("the service's clock is %v ahead (%v, status %d), want 1h", ahead, err, a.status)
	}
}
