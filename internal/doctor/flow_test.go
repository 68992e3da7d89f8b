package doctor_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/automate"
	"github.com/globus-runner/globus-runner/internal/doctor"
	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/jobs"
)

// A validator plays the part of Globus Flows, and keeps the last request.
type validator struct {
	err  error
	form string
	data []string
}

func (v *validator) Validate(_ context.Context, _ string, form []byte, dataAccess []string) error {
	v.form, v.data = string(form), dataAccess
	return v.err
}

// A mapped collection in the input of a flow must be in data_access, or a run waits.
func TestAMappedCollectionThatAFlowMayNotUseIsADoubt(t *testing.T) {
	lab, vault := globussim.CollectionID("lab"), globussim.CollectionID("vault")
	for name, tt := range map[string]struct {
		body, data []string
		want       string
	}{
		"not in data_access": {[]string{lab, vault, "c2d5a3c2-0000-4000-8000-00000000000b"}, nil, `the input names the mapped collection "lab" (` + lab + "), and data_access does not"},
		"in data_access":     {[]string{lab, vault}, []string{lab}, ""},
		"a guest collection": {[]string{vault}, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPatient(t)
			p.lab.EntityType = globussim.MappedCollection
			_, g, now := p.admit(t)
			g.Flows = &validator{}
			job := &jobs.Job{Name: "ingest", Steps: []jobs.Step{{Flow: &jobs.Flow{
				ID: "c2d5a3c2-0000-4000-8000-00000000000a", Body: map[string]any{"paths": strings.Join(tt.body, ":/x ")}, DataAccess: tt.data,
			}}}}
			checks := g.Checks([]*jobs.Job{job}, nil, now)
			i := slices.IndexFunc(checks, func(c *doctor.Check) bool { return c.Name == "flow" })
			found := checks[i].Look(t.Context())[1:]
			if (len(found) == 0) != (tt.want == "") || len(found) > 0 && (len(found) > 1 || !strings.Contains(found[0].Seen, tt.want)) {
				t.Errorf("got %+v, want %q", found, tt.want)
			}
		})
	}
}

func TestWhatIsFoundOfAFlow(t *testing.T) {
	const id = "c2d5a3c2-0000-4000-8000-00000000000a"
	for name, tt := range map[string]struct {
		err  error
		kind fault.Kind
		want string
	}{
		"good":          {nil, "", "flow " + id + " may be started with this input"},
		"not a starter": {&automate.Error{Service: automate.Flows, Status: 403, Code: "FORBIDDEN", Message: "Missing permissions: RUN."}, fault.Refused, "FORBIDDEN: Missing permissions: RUN. → ask the flow's owner to add robot to its starters"},
		"input":         {&automate.Error{Service: automate.Flows, Status: 400, Code: "FLOW_INPUT_ERROR", Message: "'x' is not a number"}, fault.Refused, "FLOW_INPUT_ERROR: 'x' is not a number"},
		"no such flow":  {&auth.Error{Status: 400, Code: "invalid_scope"}, fault.Refused, "is not known to Globus Auth → check the id of the flow"},
		"out of reach":  {errors.New("no route"), fault.Credentials, "no route"},
	} {
		t.Run(name, func(t *testing.T) {
			v := &validator{err: tt.err}
			g := &doctor.Globus{Flows: v, Who: fault.Identity{Name: "robot"}}
			job := &jobs.Job{Name: "ingest", Steps: []jobs.Step{{Flow: &jobs.Flow{
				ID: id, Body: map[string]any{"day": "{{ .Time | date }}"}, DataAccess: []string{"lab"},
			}}}}
			checks := g.Checks([]*jobs.Job{job}, nil, time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC))
			i := slices.IndexFunc(checks, func(c *doctor.Check) bool { return c.Name == "flow" })
			if i < 0 {
				t.Fatal("there is no check of the flow")
			}
			found := checks[i].Look(t.Context())
			if len(found) != 1 || found[0].Kind != tt.kind {
				t.Fatalf("got %+v, want one finding of kind %q", found, tt.kind)
			}
			said := found[0].Seen
			if found[0].Advice != "" {
				said += " → " + found[0].Advice
			}
			if !strings.Contains(said, tt.want) {
				t.Errorf("got %q, want %q", said, tt.want)
			}
			if !strings.Contains(v.form, `"day":"2026-11-21"`) || v.data != nil {
				t.Errorf("asked with %s and the data of %v, want the filled-in input and no data", v.form, v.data)
			}
		})
	}
}
