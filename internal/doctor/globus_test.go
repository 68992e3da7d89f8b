package doctor_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/globus-runner/globus-runner/globussim"
)

func TestWhatIsFoundOfGlobusAuthAndTransfer(t *testing.T) {
	const rest = " not looked at: identity, Globus Transfer, collection lab, collection vault"
	fault := func(f globussim.Fault) func(*patient) {
		return func(p *patient) { p.ill = func(t *testing.T, s *globussim.Server) { f.Times = -1; s.Fail(f) } }
	}
	tests := map[string]struct {
		change func(*patient)
		want   []string
	}{
		"no connection": {
			fault(globussim.Fault{Drop: globussim.DropBefore}),
			[]string{"error reachable : globus.test: connection dropped: unexpected EOF → check the network, the proxy and the address, or run again later exit temporary not looked at: login, identity, Globus Transfer, collection lab, collection vault"},
		},
		"a login page of the network": {
			fault(globussim.Fault{Path: "/.well-known/*", Status: 200, Body: "<html>welcome</html>"}),
			[]string{"error reachable : globus.test answers HTTP 200 text/html, so it does not seem to be Globus Auth → check the address, and whether a proxy or a login page of the network answers in its place exit temporary not looked at: login, identity, Globus Transfer, collection lab, collection vault"},
		},
		"Auth is down": {
			fault(globussim.Fault{Path: "/.well-known/*", Status: 503}),
			[]string{"error reachable : globus.test answers HTTP 503 → run again later exit temporary not looked at: login, identity, Globus Transfer, collection lab, collection vault"},
		},
		"the clock is a little wrong": {
			fault(globussim.Fault{Path: "/.well-known/*", Clock: -time.Minute}),
			[]string{"warning clock : the clock of this machine is 1m ahead of the service's → set the clock, preferably by NTP: jobs start by it"},
		},
		"the clock is wrong": {
			fault(globussim.Fault{Path: "/.well-known/*", Clock: 2 * time.Hour}),
			[]string{"error clock : the clock of this machine is 2h behind the service's → set the clock, preferably by NTP: jobs start by it exit usage"},
		},
		"a wrong secret": {
			func(p *patient) { p.secret = "wrong" },
			[]string{"error login : Globus Auth: HTTP 401: invalid_client: Client authentication failed: UNAUTHORIZED: Basic auth failed → client " + clientID + " was refused: check that the secret was copied whole, that the id is of a service account and not of a native app, and that the secret was not deleted on https://app.globus.org/settings/developers code invalid_client exit credentials" + rest},
		},
		"a native app with a secret": {
			func(p *patient) { p.client = nativeApp },
			[]string{"error login : Globus Auth: HTTP 400: unauthorized_client: A native app may not use this grant_type: Bad Request → client " + nativeApp + " was refused: its id is of a native app or another kind that cannot log in by itself; register a service account on https://app.globus.org/settings/developers and use its id and secret code unauthorized_client exit credentials" + rest},
		},
		"Auth is out of order": {
			fault(globussim.Fault{Path: "/v2/oauth2/token", Status: 503, Message: "maintenance"}),
			[]string{"error login : Globus Auth: HTTP 503: service_unavailable: Service Unavailable: maintenance → run again later code service_unavailable exit temporary" + rest},
		},
		"the identity is not told": {
			func(p *patient) {
				p.openid = true
				fault(globussim.Fault{Path: "/v2/oauth2/userinfo", Status: 403, Message: "no"})(p)
			},
			[]string{"warning identity : Globus Auth: HTTP 403: forbidden: no code forbidden exit credentials"},
		},
		"Transfer takes no token": {
			fault(globussim.Fault{Path: "/v0.10/...", Status: 401, Code: "AuthenticationFailed", Message: "Token is not active"}),
			[]string{"error tasks : AuthenticationFailed: Token is not active → the service does not accept the token of " + robot + " code AuthenticationFailed exit credentials not looked at: collection lab, collection vault"},
		},
		"Transfer is down": {
			fault(globussim.Fault{Path: "/v0.10/...", Status: 503, Message: "maintenance"}),
			[]string{"error tasks : ServiceUnavailable: maintenance → run again later code ServiceUnavailable exit temporary not looked at: collection lab, collection vault"},
		},
		"Transfer hangs": {
			fault(globussim.Fault{Path: "/v0.10/task_list", Delay: time.Hour}),
			[]string{"error tasks : gave no answer within 10s → run the same command again later, or with a longer --timeout if this check is known to be slow exit temporary not looked at: collection lab, collection vault"},
		},
		"many tasks": {
			func(p *patient) { p.ill = func(t *testing.T, s *globussim.Server) { submit(t, s, 80) } },
			[]string{"warning tasks : 80 of at most 100 are unfinished → see what they wait for: runner task list --filter-status ACTIVE,INACTIVE"},
		},
		"too many tasks": {
			func(p *patient) { p.ill = func(t *testing.T, s *globussim.Server) { submit(t, s, 100) } },
			[]string{"error tasks : 100 of at most 100 are unfinished, so new ones are refused → wait, or cancel some: runner task list --filter-status ACTIVE,INACTIVE exit temporary"},
		},
		"a suspended task": {
			func(p *patient) {
				p.ill = func(t *testing.T, s *globussim.Server) {
					if err := s.Disturb(globussim.Disturbance{Action: "inactive"}); err != nil {
						t.Fatal(err)
					}
					submit(t, s, 1)
				}
			},
			[]string{"warning tasks : 1 of them are suspended and do not continue by themselves → find out why, and cancel them or remove the cause: runner task list --filter-status INACTIVE"},
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

// submit leaves so many tasks that do not end.
func submit(t *testing.T, s *globussim.Server, n int) {
	t.Helper()
	c := client(t, s)
	for range n {
		if _, err := c.Submit(t.Context(), endless(uuid.NewString())); err != nil {
			t.Fatal(err)
		}
	}
}
