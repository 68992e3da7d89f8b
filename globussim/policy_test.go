package globussim_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/globussim"
)

// under is a lab whose collection "vault" has policies.
func under(policies globussim.Policies) func(*globussim.Config) {
	return func(cfg *globussim.Config) { cfg.Collections[1].Policies = policies }
}

func TestATransferDoesWhatPoliciesDemandOrIsRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		policies globussim.Policies
		wish     doc // what the transfer asks for
		task     doc // what its task does
	}{
		"checksums":              {globussim.Policies{ForceVerify: true}, doc{"verify_checksum": false}, doc{"verify_checksum": true}},
		"no checksums":           {globussim.Policies{DisableVerify: true}, doc{"verify_checksum": true}, doc{"verify_checksum": false}},
		"times":                  {globussim.Policies{KeepTimes: globussim.AllWays}, doc{"preserve_timestamp": false}, doc{"preserve_timestamp": true}},
		"times of what comes in": {globussim.Policies{KeepTimes: globussim.Inbound}, doc{"preserve_timestamp": false}, doc{"preserve_timestamp": true}},
	} {
		t.Run(name, func(t *testing.T) {
			inLab(t, func(t *testing.T, l *lab) {
				plant(t, l.lab, map[string]string{"f": "1"})
				l.do(l.transfer("/f", "/g", tt.wish)).want(t, tt.task)
				l.order("answers", `{"refuse_policies": true, "policy_code": "Policy"}`)
				if a := l.call(http.MethodPost, "/transfer", l.transfer("/f", "/h", tt.wish)); a.status != http.StatusForbidden || a.text("code") != "Policy" {
					t.Errorf("got %d %s, want a refusal", a.status, a.body)
				}
				l.do(l.transfer("/f", "/i", tt.task)).want(t, tt.task) // as is demanded
			}, under(tt.policies))
		})
	}
}

func TestAPolicyForOneDirectionLeavesTheOtherAlone(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		plant(t, l.lab, map[string]string{"f": "1"})
		l.do(l.transfer("/f", "/g")).want(t, doc{"preserve_timestamp": false, "status": "SUCCEEDED"})
	}, under(globussim.Policies{KeepTimes: globussim.Outbound, AssuredOnly: globussim.Outbound, FlowOut: robot}))
}

func TestATransferThatPoliciesForbidIsRefused(t *testing.T) {
	flow := globussim.FlowID("Transfer")
	for name, policies := range map[string]globussim.Policies{
		"the other end is not high assurance": {AssuredOnly: globussim.Inbound},
		"only a flow may":                     {FlowIn: flow},
	} {
		t.Run(name, func(t *testing.T) {
			inFlowLab(t, func(t *testing.T, l *lab) {
				if a := l.call(http.MethodPost, "/transfer", l.transfer("/f", "/g")); a.status != http.StatusForbidden || a.text("code") != "PermissionDenied" {
					t.Errorf("got %d %s, want a refusal", a.status, a.body)
				}
				l.submit(l.deletion("/f")) // is free
			}, under(policies))
		})
	}
	inFlowLab(t, func(t *testing.T, l *lab) { // the flow may
		run := l.runFlow("x", "/f", "/g")
		time.Sleep(time.Hour)
		l.flows(http.MethodGet, run, bearer(t, l.Server, flowsScope), nil).want(t, doc{"status": "SUCCEEDED"})
	}, under(globussim.Policies{FlowIn: flow}))
}

func TestPoliciesStandInTheDocumentOfACollection(t *testing.T) {
	l := newLab(t, under(globussim.Policies{
		ForceVerify: true, DisableVerify: true, KeepTimes: globussim.Inbound, AssuredOnly: globussim.AllWays, FlowOut: robot, NoAnonymousWrites: true,
	}))
	a := l.call(http.MethodGet, "/endpoint/"+l.vaultID, nil)
	a.want(t, doc{
		"force_verify": true, "disable_verify": true, "preserve_modtime": "inbound",
		"restrict_transfers_to_high_assurance": "all", "disable_anonymous_writes": true,
	})
	if got := first(a.doc, "associated_flow_policy.transfer.source.flow"); got != robot {
		t.Errorf("the flow is %s, want %s", got, robot)
	}
	l.call(http.MethodGet, "/endpoint/"+l.labID, nil).want(t, doc{"force_verify": false, "preserve_modtime": nil, "associated_flow_policy": nil})
}

func TestNobodyMayLetEverybodyWriteWhereAPolicyForbidsIt(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		all := doc{"principal_type": "anonymous", "principal": ""}
		l.owner("POST", "/access", rule(all, doc{"permissions": "rw"}), http.StatusForbidden, "PermissionDenied")
		at := "/access/" + l.owner("POST", "/access", rule(all), http.StatusCreated, "Created").text("access_id")
		l.owner("PUT", at, doc{"permissions": "rw"}, http.StatusForbidden, "PermissionDenied")
		l.call(http.MethodGet, "/endpoint/"+l.labID+at, nil).want(t, doc{"permissions": "r"})
		l.owner("POST", "/access", rule(doc{"permissions": "rw"}), http.StatusCreated, "Created")
	}, owned, func(cfg *globussim.Config) { cfg.Collections[0].Policies.NoAnonymousWrites = true })
}

func TestADirectionThatThereIsNotIsRefused(t *testing.T) {
	cfg := world(t.TempDir())
	cfg.Collections[0].Policies.KeepTimes = "up"
	if _, err := globussim.New(cfg); err == nil {
		t.Error("a configuration with an unknown direction is taken")
	}
}
