package doctor_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/doctor"
)

func TestWhatIsFoundOfACollection(t *testing.T) {
	const (
		guest = `guest collection "lab" (` + labID + `)`
		mine  = "access, pause rules, consent, source"
	)
	computer := func(change func(*globussim.Collection)) func(*patient) {
		return func(p *patient) {
			p.lab.EntityType = globussim.GCPMappedCollection
			change(p.lab)
		}
	}
	session := " → " + robot + " is a service account and has no session, so it can never meet this: ask the collection's owner to exempt it, or to share a guest collection with it code AuthorizationRequired exit credentials not looked at: source"
	tests := map[string]struct {
		change func(*patient)
		want   []string
	}{
		"no such collection": {
			func(p *patient) { p.jobs = strings.Replace(p.jobs, "lab:", "nowhere:", 1) },
			[]string{"error collection 11111111-1111-4111-8111-111111111111: EndpointNotFound: No such endpoint '11111111-1111-4111-8111-111111111111' → check the collection id: runner endpoints finds collections by name code EndpointNotFound exit refused not looked at: " + mine},
		},
		"a server": {
			func(p *patient) { p.lab.EntityType = globussim.ServerEndpoint },
			[]string{`error collection lab: "lab" (` + labID + ") is an endpoint: a server with collections on it, and not a collection itself → use the id of one of its collections: runner endpoints finds them by name exit refused not looked at: " + mine},
		},
		"not functional": {
			func(p *patient) { p.lab.NonFunctional = true },
			[]string{"error collection lab: " + guest + " is not functional → ask the collection's owner (" + owner + ") to get its server going exit temporary not looked at: " + mine},
		},
		"no checksums": {
			func(p *patient) { p.lab.Policies.DisableVerify = true },
			[]string{"warning collection lab: " + guest + " makes no checksums, so Globus may copy without comparing them (nightly) → keep the sources, because a prune does not count such copies as proven, or ask its owner to allow checksums"},
		},
		"no checksums, and nobody wants any": {
			func(p *patient) {
				p.lab.Policies.DisableVerify = true
				p.jobs = strings.Replace(p.jobs, "{source", "{verify_checksum: false, source", 1)
			},
			nil,
		},
		"a computer that is switched off": {
			computer(func(c *globussim.Collection) { c.Offline = true }),
			[]string{`error collection lab: personal computer "lab" (` + labID + ") is not connected → start Globus Connect Personal on that computer, or ask its owner to exit temporary not looked at: " + mine},
		},
		"a computer that is paused": {
			computer(func(c *globussim.Collection) { c.Paused = true }),
			[]string{`error collection lab: personal computer "lab" (` + labID + ") is paused → resume Globus Connect Personal on that computer, or ask its owner to exit temporary not looked at: " + mine},
		},
		"a hang": {
			func(p *patient) {
				p.ill = func(t *testing.T, s *globussim.Server) {
					s.Fail(globussim.Fault{Path: "/v0.10/operation/endpoint/" + labID + "/ls", Delay: time.Hour})
				}
			},
			[]string{"error source lab: gave no answer within 10s → run the same command again later, or with a longer --timeout if this check is known to be slow exit temporary"},
		},
		"a consent that is missing": {
			func(p *patient) { p.lab.EntityType = globussim.MappedCollection },
			[]string{"warning consent lab: data_access is needed and not given yet → run the same command with --fix to give it now; otherwise the first run gives it code ConsentRequired not looked at: source"},
		},
		"a consent that cannot be given": {
			func(p *patient) {
				p.lab.EntityType = globussim.MappedCollection
				p.openid = true // the one request for tokens brings all of them
				p.check = func(g *doctor.Globus) { g.Fix = true }
				p.ill = func(t *testing.T, s *globussim.Server) {
					s.Fail(globussim.Fault{Path: "/v2/oauth2/token", Skip: 1, Status: 400, Code: "UNKNOWN_SCOPE_ERROR", Message: "no such scope"})
				}
			},
			[]string{"error consent lab: Globus Auth: HTTP 400: unknown_scope_error: Bad Request: no such scope code unknown_scope_error exit credentials not looked at: source"},
		},
		"a consent that does not help": {
			func(p *patient) {
				p.lab.EntityType = globussim.MappedCollection
				p.check = func(g *doctor.Globus) { g.Fix = true }
				p.ill = func(t *testing.T, s *globussim.Server) {
					s.Fail(globussim.Fault{Path: "/v0.10/operation/...", Times: -1, Status: 403, Body: `{"code": "ConsentRequired", "message": "Missing", "required_scopes": ["urn:globus:auth:scope:transfer.api.globus.org:all"]}`})
				}
			},
			[]string{
				"error consent lab: ConsentRequired: Missing → the consent could not be obtained for " + robot + ": ask the collection's owner whether service accounts are allowed code ConsentRequired exit credentials not looked at: source",
				"error destination vault: /archive/: ConsentRequired: Missing (nightly) → the consent could not be obtained for " + robot + ": ask the collection's owner whether service accounts are allowed code ConsentRequired exit credentials",
			},
		},
		"a policy about sessions": {
			func(p *patient) { p.lab.SessionPolicy = person },
			[]string{"error session lab: AuthorizationRequired: The collection lab requires a session that satisfies its authentication policy" + session},
		},
		"a second factor": {
			func(p *patient) { p.lab.MFARequired = true },
			[]string{"error session lab: AuthorizationRequired: The collection lab requires a session with a second factor" + session},
		},
		"no way in": {
			func(p *patient) { p.lab.Access = []globussim.AccessRule{} },
			[]string{"error source lab: /data/: PermissionDenied: You do not have permission to access the collection lab (nightly) → ask the collection's owner (" + owner + ") to give " + robot + " read access to /data/ code PermissionDenied exit refused"},
		},
		"an owner without a rule": {
			func(p *patient) { p.lab.Owner, p.lab.Access = clientID, []globussim.AccessRule{} },
			[]string{"error source lab: /data/: PermissionDenied: You do not have permission to access the collection lab (nightly) → " + robot + " owns the collection, but no access rule lets it in: runner share " + labID + ":/data/ --with-identity " + clientID + " --permissions r code PermissionDenied exit refused"},
		},
		"another folder": {
			func(p *patient) {
				p.lab.Access = []globussim.AccessRule{{Principal: clientID, Path: "/else/", Permissions: "r"}}
				p.lab.EntityType = globussim.MappedCollection
				p.check = func(g *doctor.Globus) { g.Fix = true }
			},
			[]string{"error source lab: /data/: EndpointPermissionDenied: /data on lab: Path not allowed (nightly) → ask the collection's owner (" + server + "@clients.auth.globus.org) to map " + robot + " to a local account that may read /data/ code EndpointPermissionDenied exit refused"},
		},
		"no mapping": {
			func(p *patient) {
				p.ill = func(t *testing.T, s *globussim.Server) {
					s.Fail(globussim.Fault{Path: "/v0.10/operation/endpoint/" + labID + "/ls", Status: 502, Code: "ExternalError.DirListingFailed.LoginFailed", Message: "no local account"})
				}
			},
			[]string{"error source lab: /data/: ExternalError.DirListingFailed.LoginFailed: no local account (nightly) → ask the collection's owner (" + owner + ") to map " + robot + " to a local account that may read /data/ code ExternalError.DirListingFailed.LoginFailed exit refused"},
		},
		"no rule for writing": {
			func(p *patient) {
				p.vault.Access = []globussim.AccessRule{{Principal: clientID, Permissions: "r"}, {Principal: person, Permissions: "rw"}}
				p.vault.Roles = []globussim.Role{{Principal: clientID, Role: globussim.Administrator}}
			},
			[]string{"warning access vault: no access rule lets it write /archive/ (nightly) → ask the collection's owner (" + owner + ") to give " + robot + " write access to /archive/"},
		},
		"no rule for a prune": {
			func(p *patient) {
				p.jobs = `
  nightly: {transfer: {source: "lab:/data/", destination: "vault:/archive/"}}
  expire: {prune: {of: [nightly]}}
  move: {steps: [transfer: {source: "lab:/data/", destination: "vault:/moved/"}, prune: {}]}`
				p.lab.Access = []globussim.AccessRule{{Principal: clientID, Permissions: "r"}, {Principal: person, Permissions: "rw"}}
				p.lab.Roles = []globussim.Role{{Principal: clientID, Role: globussim.Administrator}}
			},
			[]string{"warning access lab: no access rule lets it write /data/ (expire, move) → ask the collection's owner (" + owner + ") to give " + robot + " write access to /data/"},
		},
		"a rule that ends soon": {
			func(p *patient) {
				p.vault.Roles = []globussim.Role{{Principal: clientID, Role: globussim.AccessManager}}
				p.ill = func(_ *testing.T, s *globussim.Server) {
					s.Fail(globussim.Fault{Path: "/v0.10/endpoint/" + vaultID + "/access_list", Body: `{"DATA": [
						{"principal_type": "identity", "principal": "` + clientID + `", "path": "/", "permissions": "rw", "expiration_date": "2000-01-11T00:00:00+00:00"}]}`})
				}
			},
			[]string{"warning access vault: the access rule for /archive/ ends on 2000-01-11 → ask the collection's owner (" + owner + ") to give " + robot + " write access to /archive/ for longer"},
		},
		"pause rules that are not shown": {
			func(p *patient) {
				p.ill = func(_ *testing.T, s *globussim.Server) {
					s.Fail(globussim.Fault{Path: "/v0.10/endpoint/" + vaultID + "/my_effective_pause_rule_list", Status: 403, Code: "PermissionDenied", Message: "no"})
				}
			},
			[]string{"warning pause_rules vault: cannot be seen: PermissionDenied: no"},
		},
		"a server of an old version": {
			func(p *patient) {
				p.ill = func(_ *testing.T, s *globussim.Server) {
					s.Fail(globussim.Fault{Path: "/v0.10/endpoint/" + labID, Body: `{"id": "` + labID + `", "display_name": "lab", "entity_type": "GCSv4_share"}`})
				}
			},
			[]string{`error collection lab: GCSv4_share "lab" (` + labID + ") is of version 4 of Globus Connect Server, which is no longer in service → use the id of the collection that took its place: runner endpoints finds it by name exit refused not looked at: " + mine},
		},
		"a consent that only a person can give": {
			func(p *patient) {
				p.lab.EntityType = globussim.MappedCollection
				p.check = func(g *doctor.Globus) {
					g.Person, g.Account = true, browser{g.Account}
				}
			},
			[]string{"error consent lab: data_access is needed and not given → ada has to consent in a browser code ConsentRequired exit credentials not looked at: source"},
		},
		"held transfers": {
			func(p *patient) {
				p.ill = func(t *testing.T, s *globussim.Server) {
					mustPause(t, s, globussim.PauseRule{Collection: labID, Message: "new disks", Read: true, Delete: true})
				}
			},
			[]string{"error pause_rules lab: transfers from it are held by its managers: new disks → ask the collection's managers until when; tasks wait as long exit temporary"},
		},
		"held listings": {
			func(p *patient) {
				p.ill = func(t *testing.T, s *globussim.Server) {
					mustPause(t, s, globussim.PauseRule{Collection: labID, Message: "new disks", Ls: true})
				}
			},
			[]string{"warning source lab: /data/: cannot be looked at: The operation is paused on the collection lab: new disks (nightly) code OperationPaused"},
		},
		"two personal computers": {
			func(p *patient) {
				p.lab.EntityType, p.vault.EntityType = globussim.GCPMappedCollection, globussim.GCPMappedCollection
			},
			[]string{"warning subscription nightly: lab and vault are both personal computers, and neither is under a subscription, without which Globus may refuse transfers between them → put one of them under your institution's subscription, or use a collection on a server"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, examine(t, tt.change)); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestACollectionThatAsksForMoreSaysThatItWasMet(t *testing.T) {
	tests := map[string]struct {
		change func(*patient)
		want   map[string]string // what is seen, by check
	}{
		"high assurance": {
			func(p *patient) { p.lab.EntityType, p.lab.HighAssurance = globussim.MappedCollection, true },
			map[string]string{
				"collection": `mapped collection "lab" (` + labID + ") of high assurance",
				"session":    "its policy lets " + robot + " in",
			},
		},
		"consent": {
			func(p *patient) {
				p.lab.EntityType = globussim.MappedCollection
				p.check = func(g *doctor.Globus) { g.Fix = true }
			},
			map[string]string{"consent": "data_access is needed and given now"},
		},
		"access rules": {
			func(p *patient) {
				p.lab.Roles = []globussim.Role{{Principal: clientID, Role: globussim.AccessManager}}
				p.lab.Access = []globussim.AccessRule{
					{Principal: clientID, Path: "/data/", Permissions: "rw"},
					{Principal: person, Path: "/", Permissions: "rw"},
					{Principal: "all_authenticated_users", Path: "/", Permissions: "r"},
				}
			},
			map[string]string{"access": "access manager, with rw on /data/, r on /"},
		},
		"a role of another kind": {
			func(p *patient) {
				p.lab.Roles = []globussim.Role{{Principal: clientID, Role: globussim.ActivityMonitor}}
			},
			map[string]string{"access": "activity monitor, so its access rules cannot be seen"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := map[string]string{}
			for _, f := range findings(t, tt.change) {
				if f.Subject == "lab" && tt.want[f.Check] != "" {
					got[f.Check] = f.Seen
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("seen (-want +got):\n%s", diff)
			}
		})
	}
}

// A browser is needed for the consents of this account.
type browser struct{ doctor.Account }

func (browser) Consent(context.Context, []string) error {
	return errors.New("ada has to consent in a browser")
}
