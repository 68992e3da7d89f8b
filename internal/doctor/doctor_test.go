package doctor_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/doctor"
)

// Nothing is found about a patient in good health, whatever it is made of.
func TestNothingIsFoundWhereAllIsWell(t *testing.T) {
	tests := map[string]func(*patient){
		"guest collections": func(*patient) {},
		"no jobs":           func(p *patient) { p.jobs = "" },
		"own collections":   func(p *patient) { p.lab.Owner, p.vault.Owner = clientID, clientID },
		"openid":            func(p *patient) { p.openid = true },
		"a mapped collection with its consent": func(p *patient) {
			p.lab.EntityType = globussim.MappedCollection
			p.check = func(g *doctor.Globus) { g.Fix = true }
		},
		"personal computers": func(p *patient) {
			p.lab.EntityType, p.vault.EntityType = globussim.GCPMappedCollection, globussim.GCPGuestCollection
			p.vault.SubscriptionID = person
		},
		"high assurance that lets in": func(p *patient) {
			p.lab.EntityType, p.lab.HighAssurance = globussim.MappedCollection, true
		},
		"access rules": func(p *patient) {
			p.vault.Access = []globussim.AccessRule{{Principal: clientID, Path: "/archive/", Permissions: "rw"}}
			p.vault.Roles = []globussim.Role{{Principal: clientID, Role: globussim.AccessManager}}
		},
		"an identity that is not known": func(p *patient) {
			p.vault.Roles = []globussim.Role{{Principal: clientID, Role: globussim.Administrator}}
			p.check = func(g *doctor.Globus) { g.Who.Name = "the person behind a token" }
		},
		"a file to a file": func(p *patient) {
			p.jobs = `
  one: {transfer: {source: "lab:/data/a.txt", destination: "vault:/b.txt"}}`
		},
		"several jobs on the same paths": func(p *patient) {
			p.jobs = `
  a: {schedule: "0 3 * * *", transfer: {source: "lab:/data/", destination: "vault:/a/"}}
  b: {after: a, transfer: {source: "lab:/data/", destination: "vault:/b/", delete_destination_extra: true}}
  c: {schedule: "@daily", steps: [mkdir: {collection: vault, path: "/c/{{ .Time | date }}/"}]}
  d: {delete: {collection: lab, paths: ["/old/*"], interpret_globs: true, ignore_missing: true}}
  e: {delete: {collection: lab, paths: ["/data/"], recursive: true, unproven: true}}`
		},
		"a source that may be missing": func(p *patient) {
			p.jobs = `
  a: {transfer: {source: "lab:/missing/", destination: "vault:/a/", skip_source_errors: true}, allow_skipped: true}`
		},
		"a rule that holds nothing of the jobs": func(p *patient) {
			p.ill = func(t *testing.T, s *globussim.Server) {
				mustPause(t, s, globussim.PauseRule{Collection: labID, Write: true})
			}
		},
		"a write probe": func(p *patient) {
			p.check = func(g *doctor.Globus) { g.Write = true }
		},
		"a fault that passes": func(p *patient) {
			p.ill = func(t *testing.T, s *globussim.Server) {
				s.Fail(globussim.Fault{Path: "/v0.10/endpoint/*", Status: 401, Code: "AuthenticationFailed"})
			}
		},
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			if bad := examine(t, change); bad != nil {
				t.Errorf("found:\n%s", strings.Join(bad, "\n"))
			}
		})
	}
}

func mustPause(t *testing.T, s *globussim.Server, rule globussim.PauseRule) {
	t.Helper()
	if _, err := s.Pause(rule); err != nil {
		t.Fatal(err)
	}
}

func TestAllChecksAreMadeOnceWithoutChangingAnything(t *testing.T) {
	var sim *globussim.Server
	examine(t, func(p *patient) {
		p.jobs = `
  a: {transfer: {source: "lab:/data/", destination: "vault:/archive/"}}
  b: {transfer: {source: "lab:/data/", destination: "vault:/archive/"}}`
		p.ill = func(t *testing.T, s *globussim.Server) { sim = s }
	})
	for route, n := range sim.State().Routes {
		method, _, _ := strings.Cut(route, " ")
		if method != http.MethodGet && route != "POST /v2/oauth2/token" {
			t.Errorf("%s was sent", route)
		}
		if n > 3 {
			t.Errorf("%s was sent %d times", route, n)
		}
	}
}
