package doctor_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/doctor"
)

func TestWhatIsFoundOfShares(t *testing.T) {
	const alice = "alice@example.edu"
	rule := func(end time.Time) globussim.AccessRule {
		return globussim.AccessRule{Principal: globussim.PersonID(alice), Path: "/out/", Permissions: "r", Expires: end}
	}
	day := func(n int) time.Time { return time.Date(2000, 1, n, 12, 0, 0, 0, time.UTC) } // it is the first
	const (
		step = `{share: {collection: vault, path: /out/, with: {user: alice@example.edu}`
		role = " → ask an administrator of the collection to give it the role access manager, under Roles at https://app.globus.org/file-manager/collections/" + vaultID + "/overview code PermissionDenied exit refused"
	)
	tests := map[string]struct {
		jobs   string
		rule   time.Time // when the one that is there ends; zero if there is none
		change func(*patient)
		want   []string
	}{
		"there is no rule yet": {jobs: `a: {steps: [` + step + `}}]}`},
		"it ends late":         {jobs: `a: {steps: [` + step + `, expires: 90d}}]}`, rule: day(20)},
		"it ends soon":         {jobs: `a: {steps: [` + step + `, expires: 90d}}]}`, rule: day(10), want: []string{"warning share vault: the access of user alice@example.edu to /out/ ends on 2000-01-10 (a) → runner run a gives it anew"}},
		"it has ended": {
			jobs: `a: {steps: [` + step + `, expires: 90d}}]}`, rule: day(1).Add(-24 * time.Hour),
			want: []string{"warning share vault: the access of user alice@example.edu to /out/ ended on 1999-12-31 (a) → runner run a gives it anew"},
		},
		"it ends soon, after the next run":  {jobs: `a: {schedule: "@daily", steps: [` + step + `, expires: 7d}}]}`, rule: day(5)},
		"it ends soon, before the next run": {jobs: `a: {schedule: "0 0 9 * *", steps: [` + step + `, expires: 7d}}]}`, rule: day(5), want: []string{"warning share vault: the access of user alice@example.edu to /out/ ends on 2000-01-05 (a) → runner run a gives it anew"}},
		"it ends soon, whenever it runs":    {jobs: `a: {schedule: "@daily", steps: [` + step + `, expires: 2000-01-10}}]}`, rule: day(5), want: []string{"warning share vault: the access of user alice@example.edu to /out/ ends on 2000-01-05 (a) → give a later date in expires"}},
		"each occurrence has its folder":    {jobs: `a: {steps: [{share: {collection: vault, path: '/{{ "out" }}/', with: {user: alice@example.edu}}}]}`, rule: day(5)},
		"the date is over":                  {jobs: `a: {steps: [` + step + `, expires: 1999-12-31}}]}`, want: []string{"error share vault: share /out/: the access would have ended on 1999-12-31T00:00:00Z (a) → give a later date or a longer duration in expires exit refused"}},
		"nobody knows the user": {
			jobs: `a: {steps: [{share: {collection: vault, path: /out/, with: {user: bob@example.edu}}}]}`,
			want: []string{"error share vault: Globus knows no user bob@example.edu (a) → check the spelling; if it is right, the person has to log in once at https://app.globus.org exit refused"},
		},
		"no role": {
			jobs: `a: {steps: [` + step + `}}]}`, change: func(p *patient) { p.vault.Roles = nil },
			want: []string{"error share vault: share /out/: " + robot + " may not manage who has access to the collection (a)" + role},
		},
		"a mapped collection": {
			jobs: `a: {steps: [` + step + `}}]}`, change: func(p *patient) {
				p.vault.EntityType = globussim.MappedCollection
				p.check = func(g *doctor.Globus) { g.Fix = true }
			},
			want: []string{`error share vault: share /out/: the collection "vault" (` + vaultID + `) is not a guest collection, so it has no access rules (a) → make a guest collection of the folder in the Globus web app, and share that exit refused`},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := examine(t, func(p *patient) {
				p.jobs = "\n  " + tt.jobs
				p.cfg.Persons = []globussim.Person{{Username: alice}}
				p.vault.Roles = []globussim.Role{{Principal: clientID, Role: globussim.AccessManager}}
				p.vault.Access = []globussim.AccessRule{{Principal: clientID, Permissions: "rw"}}
				if !tt.rule.IsZero() {
					p.vault.Access = append(p.vault.Access, rule(tt.rule))
				}
				if tt.change != nil {
					tt.change(p)
				}
			})
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

// Doctor warns of the same ends that serve sends notices about, with the jobs that need them.
func TestEndingFindsWhatEndsAndSaysWhatIsNotSeen(t *testing.T) {
	const rules = "/v0.10/endpoint/" + vaultID + "/access_list"
	const needs = `{"DATA": [{"principal_type": "identity", "principal": "` + clientID + `", "path": "/", "permissions": "rw", "expiration_date": "2000-01-11T00:00:00+00:00"}]}`
	tests := map[string]struct {
		fault  globussim.Fault
		want   []string
		unseen bool
	}{
		"it ends": {globussim.Fault{Path: rules, Body: needs}, []string{
			"vault: the access rule for /archive/ ends on 2000-01-11 [nightly other]",
		}, false},
		"without end":               {globussim.Fault{Path: rules, Body: strings.ReplaceAll(needs, `"2000-01-11T00:00:00+00:00"`, "null")}, nil, false},
		"the rules are not shown":   {globussim.Fault{Path: rules, Status: 500, Times: -1}, nil, true},
		"the collection is away":    {globussim.Fault{Path: "/v0.10/endpoint/" + vaultID, Status: 500, Times: -1}, nil, true},
		"the collection is no more": {globussim.Fault{Path: "/v0.10/endpoint/" + vaultID, Status: 404, Code: "EndpointNotFound", Times: -1}, nil, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPatient(t)
				p.jobs = `
  nightly: {transfer: {source: "lab:/data/", destination: "vault:/archive/"}}
  other: {transfer: {source: "lab:/data/", destination: "vault:/archive/"}}`
				p.vault.Roles = []globussim.Role{{Principal: clientID, Role: globussim.AccessManager}}
				p.ill = func(_ *testing.T, s *globussim.Server) { s.Fail(tt.fault) }
				list, g, now := p.admit(t)
				found, err := g.Ending(t.Context(), list, map[string]string{vaultID: "vault"}, now, time.Minute)
				var got []string
				for _, f := range found {
					got = append(got, fmt.Sprintf("%s: %s %v", f.Subject, f.Seen, f.Jobs))
					if f.Ends.Format(time.DateOnly) != "2000-01-11" {
						t.Errorf("it ends at %s", f.Ends)
					}
				}
				if diff := cmp.Diff(tt.want, got); diff != "" || (err != nil) != tt.unseen {
					t.Errorf("ending (-want +got), and %v; want an error: %t\n%s", err, tt.unseen, diff)
				}
			})
		})
	}
}
