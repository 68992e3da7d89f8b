package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/flows"
	"github.com/globus-runner/globus-runner/jobs"
)

// flowChecks returns a check for each flow that the next occurrence of a job starts.
// A job whose templates cannot be filled in has a check of its own.
func (g *Globus) flowChecks(list []*jobs.Job, now time.Time, needs ...*Check) (checks []*Check) {
	if g.Flows == nil {
		return nil
	}
	for _, j := range list {
		at := now
		if j.Schedule != nil {
			at = j.Schedule.Next(now)
		}
		steps, err := j.Render(jobs.ScheduledKey(at), at, j.SampleItem())
		if err != nil {
			continue
		}
		for _, step := range steps {
			if step.Flow != nil {
				checks = append(checks, &Check{
					Group: flowsGroup, Name: "flow", Subject: j.Name, Needs: needs,
					Look: func(ctx context.Context) []Finding { return g.mayStart(ctx, step.Flow) },
				})
			}
		}
	}
	return checks
}

// mayStart asks whether the identity may start a flow with this input. Nothing is
// started, and no consent for the data of collections is given.
func (g *Globus) mayStart(ctx context.Context, f *jobs.Flow) []Finding {
	form, err := json.Marshal(flows.Form{Body: f.Body, Label: "runner doctor"})
	if err != nil {
		return []Finding{Bad(fault.Usage, err.Error(), "")}
	}
	err = g.Flows.Validate(ctx, f.ID, form, nil)
	if err == nil {
		return []Finding{Good("flow " + f.ID + " may be started with this input")}
	}
	if e, ok := errors.AsType[*auth.Error](err); ok && e.BadScope() {
		return []Finding{Bad(fault.Refused, "flow "+f.ID+" is not known to Globus Auth", "check the id of the flow")}
	}
	found := g.failed(err)
	found.Seen = "flow " + f.ID + ": " + found.Seen
	return []Finding{found}
}
