package sharing_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/internal/sharing"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

// A service answers requests by method and the end of their path.
type service map[string]string

func (s service) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	if reply, ok := s[r.Method+" "+r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]]; ok {
		_, _ = io.WriteString(w, reply) // a recorder takes all
	} else {
		w.WriteHeader(http.StatusNotFound)
	}
	resp := w.Result()
	resp.Request = r
	return resp, nil
}

func (s service) sharer() *sharing.Sharer {
	return &sharing.Sharer{
		Globus: transfer.New(&http.Client{Transport: s}),
		User:   func(context.Context, string) (string, error) { return "i1", nil },
	}
}

func share() *jobs.Share {
	return &jobs.Share{
		Collection: "c1", Path: "/out/", With: jobs.Principal{Kind: jobs.User, Name: "ada@example.edu"},
		Expires: jobs.Expiry{At: time.Date(2999, 1, 31, 0, 0, 0, 0, time.UTC)},
	}
}

func Example() {
	globus := service{
		"GET c1":          `{"id": "c1", "display_name": "shared", "entity_type": "GCSv5_guest_collection"}`,
		"GET stat":        `{"type": "dir", "name": "out"}`,
		"GET access_list": `{"DATA": [{"id": "r1", "principal_type": "identity", "principal": "i1", "path": "/out/", "permissions": "r", "expiration_date": "2999-01-31T00:00:00+00:00"}]}`,
	}
	rule, err := globus.sharer().Give(context.Background(), share(), time.Now())
	fmt.Println(rule, err)
	// Output: /out/ with ada@example.edu, read only, until 2999-01-31T00:00:00Z: was shared already <nil>
}

// A role brings rules that have no id and cannot be changed; nor is the rule of
// another folder or of another kind of principal the one that is wanted.
func TestRulesOfRolesAreNotTaken(t *testing.T) {
	for _, row := range []string{
		`{"id": null, "role_id": "o1", "role_type": "access_manager", "principal_type": "identity", "principal": "i1", "path": "/out/", "permissions": "rw"}`,
		`{"id": "r1", "role_id": "o1", "principal_type": "identity", "principal": "i1", "path": "/out/", "permissions": "rw"}`,
		`{"id": "r1", "principal_type": "group", "principal": "i1", "path": "/out/", "permissions": "rw"}`,
		`{"id": "r1", "principal_type": "identity", "principal": "i1", "path": "/", "permissions": "rw"}`,
	} {
		globus := service{
			"GET c1":          `{"id": "c1", "entity_type": "GCSv5_guest_collection"}`,
			"GET access_list": `{"DATA": [` + row + `]}`,
			"POST access":     `{"access_id": "new"}`,
		}
		if rule, err := globus.sharer().Give(t.Context(), share(), time.Now()); err != nil || rule.Action != sharing.Created || rule.ID != "new" {
			t.Errorf("%s: got %v, %v; want a new rule", row, rule, err)
		}
	}
}

func TestNamesOfTheServiceAreCut(t *testing.T) {
	long := strings.Repeat("x", 10_000)
	globus := service{
		"GET c1":          `{"id": "` + long + `", "display_name": "` + long + `", "entity_type": "GCSv5_mapped_collection"}`,
		"GET access_list": `{"DATA": []}`,
		"POST access":     `{"access_id": "` + long + `"}`,
	}
	if _, err := globus.sharer().Give(t.Context(), share(), time.Now()); err == nil || len(err.Error()) > 1000 {
		t.Errorf("got %v, want a short refusal", err)
	}
	globus["GET c1"] = `{"id": "c1", "entity_type": "GCSv5_guest_collection"}`
	if rule, err := globus.sharer().Give(t.Context(), share(), time.Now()); err != nil || len(rule.ID) > 100 {
		t.Errorf("got %v, %v; want a rule with a short id", rule, err)
	}
}
