package doctor_test

import (
	"testing"
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
