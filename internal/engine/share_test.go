package engine_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/clientcreds"
	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/retry"
)

const (
	alice     = "alice@example.edu"
	usersPath = "/v2/api/identities"
)

// ofVault is the path of what Transfer has of the vault.
func ofVault(what string) string { return "/v0.10/endpoint/" + globussim.CollectionID("vault") + what }

// user looks user names up at Globus Auth, over a way to the services.
func (b *bench) user(wire http.RoundTripper) func(context.Context, string) (string, error) {
	account := clientcreds.New(clientID, secret, clientcreds.WithClient(
		auth.New(&http.Client{Transport: retry.New(wire, retry.Policy{}, b.logger())})))
	return auth.IDOf(account.Identities)
}

// sharing makes the vault a guest collection whose access the service account
// manages, and lets Globus Auth know alice.
func sharing(c *globussim.Config) {
	c.Persons = []globussim.Person{{Username: alice}}
	c.Collections[1].EntityType = globussim.GuestCollection
	c.Collections[1].Roles = []globussim.Role{{Principal: clientID, Role: globussim.AccessManager}}
	c.Collections[1].Access = []globussim.AccessRule{{Principal: clientID, Permissions: "rw"}}
}

// handOut copies to the vault and shares what is there with alice, for 90 days.
func handOut(edits ...func(*jobs.Share)) func(*jobs.Job) {
	sh := &jobs.Share{
		Collection: globussim.CollectionID("vault"), Path: "/inbox/", With: jobs.Principal{Kind: jobs.User, Name: alice},
		Permissions: "r", Expires: jobs.Expiry{After: 90 * 24 * time.Hour},
	}
	for _, edit := range edits {
		edit(sh)
	}
	return func(j *jobs.Job) {
		j.Steps = []jobs.Step{{Transfer: copyOf("/data/", "/inbox/")}, {Share: sh}}
	}
}

// wantRules compares the access rules of the vault with what is wanted.
func (b *bench) wantRules(want ...string) {
	b.t.Helper()
	b.wantRulesOf("vault", want...)
}

// wantRulesOf compares the access rules of a collection, but for that of the service
// account, with what is wanted, in any order.
func (b *bench) wantRulesOf(collection string, want ...string) {
	b.t.Helper()
	var got []string
	for rule, err := range b.client().AccessRules(b.t.Context(), globussim.CollectionID(collection)) {
		if err != nil {
			b.t.Fatal(err)
		}
		if rule.Principal == clientID {
			continue
		}
		who := strings.Replace(rule.PrincipalType+" "+rule.Principal, globussim.PersonID(alice), "alice", 1)
		ends := "never"
		if !rule.ExpirationDate.IsZero() {
			ends = rule.ExpirationDate.Format(time.RFC3339)
		}
		got = append(got, strings.Join([]string{who, rule.Path, rule.Permissions, ends}, " "))
	}
	slices.Sort(want)
	slices.Sort(got)
	if d := cmp.Diff(want, got); d != "" {
		b.t.Errorf("access rules (-want +got):\n%s", d)
	}
}

func TestShareIsGivenOnceWhereverTheRunIsCutOff(t *testing.T) {
	tests := map[string]cut{
		"while it copies":                    {method: "GET", path: taskPath},
		"before the user is looked up":       {method: "GET", path: usersPath},
		"the user is known":                  {method: "GET", path: usersPath, after: true},
		"before the collection is looked at": {method: "GET", path: ofVault("")},
		"before the rules are looked at":     {method: "GET", path: ofVault("/access_list")},
		"before the rule is given":           {method: "POST", path: ofVault("/access")},
		"answer to the rule is lost":         {method: "POST", path: ofVault("/access"), after: true},
		"the rule is given, and not written": {method: "POST", path: ofVault("/access"), unrecorded: true},
	}
	for name, cut := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				job := b.job("nightly", "0 2 * * *", handOut())
				b.cutOff(job, cut, 2*time.Hour)
				b.wantRuns("nightly 2000-01-01T02:00:00Z succeeded")
				b.wantRules("identity alice /inbox/ r 2000-03-31T02:00:00Z")
				b.wantTasks("SUCCEEDED nightly 2000-01-01T02:00:00Z s1")
			}, sharing)
		})
	}
}

// TestTheExampleOfSharingShares lets the example work for two days.
func TestTheExampleOfSharingShares(t *testing.T) {
	f := newFacility(t, "share-results.yaml")
	onBench(t, func(t *testing.T, b *bench) {
		f.write("cluster", "results/1999-12-31/a.csv")
		f.write("cluster", "results/2000-01-01/b.csv")
		p := b.process("one").serve(f.file.Jobs...)
		until(30 * time.Hour)
		p.stop()
		b.wantRuns("share-results 2000-01-01T05:00:00Z succeeded", "share-results 2000-01-02T05:00:00Z succeeded")
		const group = "group 7b1c8f2e-0000-4000-8000-000000000009 "
		b.wantRulesOf("shared", group+"/results/1999/12/31/ r 2000-03-31T05:00:00Z", group+"/results/2000/01/01/ r 2000-04-01T05:00:00Z")
		if d := cmp.Diff([]string{"1999/12/31/a.csv", "2000/01/01/b.csv"}, f.files("shared", "results")); d != "" {
			t.Errorf("what is shared (-want +got):\n%s", d)
		}
	}, f.collections, func(c *globussim.Config) {
		for i := range c.Collections {
			if at := &c.Collections[i]; at.Name == "shared" {
				at.Roles = []globussim.Role{{Principal: clientID, Role: globussim.AccessManager}}
				at.Access = []globussim.AccessRule{{Principal: clientID, Permissions: "rw"}}
			}
		}
	})
}

// Each item has a rule of its own.
func TestShareOfEachItemIsGivenOnce(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.plant("runs/run_1/f", "1")
		b.plant("runs/run_2/f", "2")
		job := b.itemJob(func(j *jobs.Job) {
			j.Steps = append(j.Steps, jobs.Step{Share: &jobs.Share{
				Collection: globussim.CollectionID("vault"), Path: "/raw/{{ .Item.Name }}/",
				With: jobs.Principal{Kind: jobs.User, Name: alice}, Permissions: "r",
			}})
		})
		b.Fail(globussim.Fault{Method: "POST", Path: ofVault("/access"), Drop: globussim.DropAfter})
		one := b.process("one").serve(job)
		until(10 * time.Minute)
		one.stop()
		two := b.process("two").serve(job)
		until(20 * time.Minute)
		two.stop()
		b.wantCopies("run_1", "run_2")
		b.wantRules("identity alice /raw/run_1/ r never", "identity alice /raw/run_2/ r never")
	}, sharing)
}

// What was taken back by hand is not given again by the same occurrence, but by the
// next one.
func TestShareThatWasTakenBackIsGivenByTheNextOccurrence(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		job := b.job("nightly", "0 2 * * *", handOut())
		p := b.process("one").serve(job)
		until(3 * time.Hour)
		b.wantRules("identity alice /inbox/ r 2000-03-31T02:00:00Z")
		for rule, err := range b.client().AccessRules(t.Context(), globussim.CollectionID("vault")) {
			if err != nil {
				t.Fatal(err)
			}
			if rule.Path == "/inbox/" {
				if _, err := b.client().DeleteAccessRule(t.Context(), globussim.CollectionID("vault"), rule.ID); err != nil {
					t.Fatal(err)
				}
			}
		}
		p.stop()
		p = b.process("two").serve(job)
		until(4 * time.Hour)
		b.wantRules()
		until(27 * time.Hour)
		p.stop()
		b.wantRules("identity alice /inbox/ r 2000-04-01T02:00:00Z")
		b.wantRuns("nightly 2000-01-01T02:00:00Z succeeded", "nightly 2000-01-02T02:00:00Z succeeded")
	}, sharing)
}

// Without a ledger the next start does the same again.
func TestShareIsGivenOnceWithoutALedger(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		for _, action := range []string{"created", "kept"} {
			r := b.run(t.Context(), b.order(handOut()))
			if r.Err != nil || len(r.Shared) != 1 || string(r.Shared[0].Action) != action {
				t.Fatalf("got %+v, want a share that was %s", r, action)
			}
			b.wantRules("identity alice /inbox/ r 2027-02-19T02:00:00Z")
		}
		if n := b.requests("POST /v0.10/endpoint/{id}/access"); n != 1 {
			t.Errorf("%d rules were asked for, want 1", n)
		}
	}, sharing)
}

func TestShareChangesARuleThatSaysSomethingElse(t *testing.T) {
	everybody := func(s *jobs.Share) { s.With = jobs.Principal{Kind: jobs.Everybody} }
	tests := map[string]struct {
		first, second func(*jobs.Share)
		want          []string
	}{
		"more rights": {func(*jobs.Share) {}, func(s *jobs.Share) { s.Permissions = "rw" }, []string{"identity alice /inbox/ rw 2027-02-19T02:00:00Z"}},
		"a later end": {
			func(*jobs.Share) {}, func(s *jobs.Share) { s.Expires.After += 24 * time.Hour },
			[]string{"identity alice /inbox/ r 2027-02-20T02:00:00Z"},
		},
		"no end":         {func(*jobs.Share) {}, func(s *jobs.Share) { s.Expires = jobs.Expiry{} }, []string{"identity alice /inbox/ r never"}},
		"another folder": {func(*jobs.Share) {}, func(s *jobs.Share) { s.Path = "/inbox/b/" }, []string{"identity alice /inbox/ r 2027-02-19T02:00:00Z", "identity alice /inbox/b/ r 2027-02-19T02:00:00Z"}},
		"somebody else":  {func(*jobs.Share) {}, everybody, []string{"identity alice /inbox/ r 2027-02-19T02:00:00Z", "all_authenticated_users  /inbox/ r 2027-02-19T02:00:00Z"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				for _, edit := range []func(*jobs.Share){tt.first, tt.second, tt.second} {
					if r := b.run(t.Context(), b.order(handOut(edit))); r.Err != nil {
						t.Fatal(r.Err)
					}
				}
				b.wantRules(tt.want...)
			}, sharing)
		})
	}
}

func TestShareSurvivesAnswersThatAreLost(t *testing.T) {
	tests := map[string]struct {
		fault globussim.Fault
		edit  func(*jobs.Share)
		want  string
	}{
		"to a new rule":           {globussim.Fault{Method: "POST", Path: ofVault("/access"), Status: 502, AfterEffect: true, Times: -1}, func(s *jobs.Share) { s.Path = "/new/" }, "identity alice /new/ r 2027-02-19T02:00:00Z"},
		"to a change":             {globussim.Fault{Method: "PUT", Path: ofVault("/access/*"), Status: 502, AfterEffect: true, Times: -1}, func(s *jobs.Share) { s.Permissions = "rw" }, "identity alice /inbox/ rw 2027-02-19T02:00:00Z"},
		"to a change, with a 404": {globussim.Fault{Method: "PUT", Path: ofVault("/access/*"), Status: 404, AfterEffect: true}, func(s *jobs.Share) { s.Permissions = "rw" }, "identity alice /inbox/ rw 2027-02-19T02:00:00Z"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				if r := b.run(t.Context(), b.order(handOut())); r.Err != nil {
					t.Fatal(r.Err)
				}
				b.Fail(tt.fault)
				if r := b.run(t.Context(), b.order(handOut(tt.edit))); r.Err != nil {
					t.Fatal(r.Err)
				}
				b.ClearFaults()
				if tt.fault.Method == http.MethodPost {
					b.wantRules("identity alice /inbox/ r 2027-02-19T02:00:00Z", tt.want)
				} else {
					b.wantRules(tt.want)
				}
			}, sharing)
		})
	}
}

func TestWhatCannotBeSharedEndsTheRun(t *testing.T) {
	forAMonth := func(c *globussim.Config) { c.Collections[1].MaxAccess = 30 * 24 * time.Hour }
	silent := globussim.Fault{
		Method: "GET", Path: ofVault(""), Times: -1,
		Body: `{"id": "v", "display_name": "vault", "entity_type": "GCSv5_guest_collection", "acl_max_expiration_period_mins": null}`,
	}
	full := func(code string) func(*globussim.Config) {
		return func(c *globussim.Config) {
			c.Answers.RulesFull = code
			for i := range 999 { // and that of the service account
				c.Collections[1].Access = append(c.Collections[1].Access, globussim.AccessRule{Principal: globussim.PersonID(alice), Path: fmt.Sprintf("/%d/", i), Permissions: "r"})
			}
		}
	}
	const tooMany = "share /inbox/: Globus makes no further access rule; if the collection has 1000 of them, which is the most, delete what nobody needs (runner endpoint permission list "
	tests := map[string]struct {
		config func(*globussim.Config)
		fault  globussim.Fault // none if it has no path
		edit   func(*jobs.Share)
		want   string
	}{
		"unknown user": {
			edit: func(s *jobs.Share) { s.With.Name = "bob@example.edu" },
			want: "Globus knows no user bob@example.edu; check the spelling; if it is right, the person has to log in once at https://app.globus.org",
		},
		"no guest collection": {
			config: func(c *globussim.Config) { c.Collections[1].EntityType = globussim.MappedCollection },
			want:   `share /inbox/: the collection "vault" (` + globussim.CollectionID("vault") + `) is not a guest collection, so it has no access rules; make a guest collection of the folder in the Globus web app, and share that`,
		},
		"no role": {
			config: func(c *globussim.Config) { c.Collections[1].Roles = nil },
			want: "share /inbox/: robot may not manage who has access to the collection; ask an administrator of the collection to give it the role access manager, " +
				"under Roles at https://app.globus.org/file-manager/collections/" + globussim.CollectionID("vault") + "/overview",
		},
		"role that only sees": {
			fault: globussim.Fault{Method: "POST", Path: ofVault("/access"), Status: 403, Code: "PermissionDenied"},
			want:  "give it the role access manager",
		},
		"for longer than the collection allows": {
			config: forAMonth,
			want:   `the collection "vault" (` + globussim.CollectionID("vault") + `) allows access for 30d at most, not until 2027-02-19T02:00:00Z; write expires: 30d`,
		},
		"without an end, which the collection does not allow": {
			config: forAMonth,
			edit:   func(s *jobs.Share) { s.Expires = jobs.Expiry{} },
			want:   `not without an end; write expires: 30d`,
		},
		"for longer than the collection allows, as only the answer says": {
			config: forAMonth, fault: silent,
			want: "ClientError.BadRequest: expiration_date must be at most 43200 minutes from now",
		},
		"for longer than the collection allows, which cuts it": {
			config: func(c *globussim.Config) { forAMonth(c); c.Answers.CutAccess = true }, fault: silent,
			want: "so that it lasts until 2000-01-31T00:00:00Z, not until 2027-02-19T02:00:00Z; write an end in expires that the collection allows",
		},
		"until yesterday": {
			edit: func(s *jobs.Share) { s.Expires = jobs.Expiry{At: time.Date(1999, 12, 31, 0, 0, 0, 0, time.UTC)} },
			want: "share /inbox/: the access would have ended on 1999-12-31T00:00:00Z; give a later date or a longer duration in expires",
		},
		"without an end, which the rule keeps": {
			config: func(c *globussim.Config) {
				c.Answers.KeepEnd = true
				c.Collections[1].Access = append(c.Collections[1].Access, globussim.AccessRule{
					Principal: globussim.PersonID(alice), Path: "/inbox/", Permissions: "r", Expires: time.Date(2999, 1, 31, 0, 0, 0, 0, time.UTC),
				})
			},
			edit: func(s *jobs.Share) { s.Expires = jobs.Expiry{} },
			want: "so that it lasts until 2999-01-31T00:00:00Z, not without an end; write an end in expires that the collection allows",
		},
		"more rules than there may be":                  {config: full("LimitExceeded"), want: tooMany},
		"more rules than there may be, by another word": {config: full("Exists"), want: tooMany},
		"change that is not made": {
			config: func(c *globussim.Config) {
				c.Collections[1].Access = append(c.Collections[1].Access, globussim.AccessRule{Principal: globussim.PersonID(alice), Path: "/inbox/", Permissions: "r"})
			},
			fault: globussim.Fault{Method: "PUT", Path: ofVault("/access/*"), Status: 200, Body: `{"code": "Updated"}`},
			want:  "but the rule is not what was asked for; look at it with runner endpoint permission list " + globussim.CollectionID("vault"),
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				if tt.fault.Path != "" {
					b.Fail(tt.fault)
				}
				edit := tt.edit
				if edit == nil {
					edit = func(*jobs.Share) {}
				}
				r, err := b.process("one").record(t.Context(), b.order(handOut(edit)))
				if err != nil || r.State != ledger.Failed || r.Err == nil || fault.Of(r.Err).Kind != fault.Refused {
					t.Fatalf("got %+v, %v; want a refused run", r, err)
				}
				contains(t, r.Err.Error(), tt.want)
				b.wantTasks("SUCCEEDED nightly 2026-11-21T02:00:00Z s1")
			}, sharing, func(c *globussim.Config) {
				if tt.config != nil {
					tt.config(c)
				}
			})
		})
	}
}
