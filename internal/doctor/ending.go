package doctor

import (
	"context"
	"errors"
	"time"

	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/jobs"
)

// Ending returns the findings of [Globus.Checks] about accesses of the jobs that end
// soon; each has Ends and Jobs. No other checks are made, and each takes at most the time
// each. The error says what could not be checked.
func (g *Globus) Ending(ctx context.Context, list []*jobs.Job, names map[string]string, now time.Time, each time.Duration) (ending []Finding, err error) {
	identity := &Check{Group: authGroup, Name: "identity", Look: g.identity}
	checks := []*Check{identity}
	uses, _ := survey(list, names, now)
	for _, c := range uses {
		c.globus = g
		open := c.check("collection", c.open)
		checks = append(checks, open, c.check("access", c.access, open, identity))
		checks = append(checks, c.sharings(open, identity)...)
	}
	var unseen []error
	for _, f := range Run(ctx, checks, each, nil) {
		switch {
		case !f.Ends.IsZero():
			ending = append(ending, f)
		case f.Unseen != nil:
			unseen = append(unseen, f.Unseen)
		case f.Level == Error && f.Kind != fault.Refused, f.Check == identity.Name && f.Level != OK: // a refusal does not go away by itself
			unseen = append(unseen, errors.New(f.Subject+": "+f.Seen))
		}
	}
	return ending, errors.Join(unseen...)
}
