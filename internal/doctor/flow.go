package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/flows"
	"github.com/globus-runner/globus-runner/jobs"
)

// flowChecks returns a check for each flow that the next occurrence of a job starts.
// Templates that cannot be filled in are found by another check.
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
		return append([]Finding{Good("flow " + f.ID + " may be started with this input")}, g.withoutData(ctx, f, string(form))...)
	}
	if e, ok := errors.AsType[*auth.Error](err); ok && e.BadScope() {
		return []Finding{Bad(fault.Refused, "flow "+f.ID+" is not known to Globus Auth", "check the id of the flow")}
	}
	found := g.failed(err)
	found.Seen = "flow " + f.ID + ": " + found.Seen
	return []Finding{found}
}

// withoutData finds mapped collections in the input of a flow whose data the flow may not
// use. A run that uses their data waits for a consent.
func (g *Globus) withoutData(ctx context.Context, f *jobs.Flow, form string) (found []Finding) {
	const most = 20 // ids looked up
	ids := strings.FieldsFunc(strings.ToLower(form), func(r rune) bool { return !strings.ContainsRune("0123456789abcdef-", r) })
	ids = slices.DeleteFunc(ids, func(id string) bool { return uuid.Validate(id) != nil || slices.Contains(f.DataAccess, id) })
	slices.Sort(ids)
	ids = slices.Compact(ids)
	for _, id := range ids[:min(len(ids), most)] {
		if doc, err := g.Client.Endpoint(ctx, id); err == nil && doc.NeedsDataAccess() { // other ids in the input are not of collections
			found = append(found, Doubt(fmt.Sprintf("flow %s: the input names the mapped collection %q (%s), and data_access does not, so a run that uses its data waits for a consent",
				f.ID, doc.DisplayName, id), "name it in data_access of the step"))
		}
	}
	return found
}
