package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/sharing"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

// endsSoon is how long before its end an access is reported.
const endsSoon = 14 * 24 * time.Hour

// A sharedFolder is what a step of a job shares.
type sharedFolder struct {
	share *jobs.Share // of the next occurrence
	job   string
	next  time.Time // when the job runs again; zero if not known
	fixed bool      // each occurrence shares the same folder
}

// share collects the folders that a step shares.
func (s *surveyor) share(j *jobs.Job, raw, share *jobs.Share, next time.Time) {
	c := s.collection(share.Collection)
	if j.Schedule == nil {
		next = time.Time{}
	}
	c.shares = append(c.shares, &sharedFolder{share, j.Name, next, j.Literal || !strings.Contains(raw.Path, "{{")})
}

// shared checks whether the folder can be shared, and when the access to it ends.
func (c *collection) shared(ctx context.Context, f *sharedFolder) []Finding {
	g := c.globus
	s := sharing.Sharer{Globus: g.Client, User: auth.IDOf(g.Account.Identities), Who: g.Who.Name}
	now := time.Now()
	want, is, err := s.Look(ctx, f.share, now)
	switch r, ok := errors.AsType[*sharing.Refusal](err); {
	case ok:
		m := fault.Of(err)
		finding := Bad(m.Kind, fmt.Sprintf("%s (%s)", r.Message, f.job), r.Advice)
		finding.Code = m.Code
		return []Finding{finding}
	case err != nil:
		return []Finding{g.failed(err)}
	}
	access := fmt.Sprintf("the access of %s to %s", f.share.With, want.Path)
	if is == nil || !f.fixed {
		return []Finding{Good(want.Path + " can be shared with " + f.share.With.String())}
	}
	return []Finding{f.ending(access, is, now)}
}

// ending returns the finding about the end of an access.
func (f *sharedFolder) ending(access string, is *transfer.AccessRule, now time.Time) Finding {
	end := is.ExpirationDate.Time
	longer := "give a later date in expires"
	if f.share.Expires.At.IsZero() {
		longer = "runner run " + f.job + " gives it anew"
	}
	verb, day := "ends", end.UTC().Format(time.DateOnly)
	switch {
	case end.IsZero():
		return Good(access + " does not end")
	case !end.After(now):
		verb = "ended"
	case end.Sub(now) >= endsSoon || f.prolonged(end):
		return Good(access + " ends on " + day)
	}
	doubt := Doubt(fmt.Sprintf("%s %s on %s (%s)", access, verb, day, f.job), longer)
	doubt.Ends, doubt.Jobs = end, []string{f.job}
	return doubt
}

// prolonged reports whether the job extends the access before that end.
func (f *sharedFolder) prolonged(end time.Time) bool {
	return f.share.Expires.At.IsZero() && !f.next.IsZero() && f.next.Before(end)
}
