package doctor

import (
	"context"
	"fmt"
	"time"

	"github.com/globus-runner/globus-runner/jobs"
)

// farAway is how far in the future the next run of a job raises a doubt.
const farAway = 366 * 24 * time.Hour

// nextRuns returns a check for each job that says when it is next due after
// now.
func nextRuns(list []*jobs.Job, now time.Time) []*Check {
	var checks []*Check
	for _, j := range list {
		checks = append(checks, &Check{
			Group: jobsGroup, Name: "next_run", Subject: j.Name,
			Look: func(context.Context) []Finding { return []Finding{nextRun(j, now)} },
		})
	}
	return checks
}

func nextRun(j *jobs.Job, now time.Time) Finding {
	switch {
	case j.Suspend:
		return Doubt("suspended: it does not start", "set suspend to false to let it start")
	case j.After != "":
		return Good("after " + j.After)
	case j.Schedule == nil:
		return Good("started by hand")
	}
	next := j.Schedule.Next(now)
	what := ""
	if j.ForEach != nil {
		what = "looks for items "
	}
	seen := what + next.In(j.Schedule.Location()).Format("Mon 2006-01-02 15:04 MST") + ", in " + distance(next.Sub(now))
	if next.Sub(now) > farAway {
		return Doubt(seen+", which is more than a year", "check whether the schedule is as intended: runner next "+j.Name)
	}
	return Good(seen)
}

// distance writes the time until a future instant for people.
func distance(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < time.Minute:
		return "less than a minute"
	case d >= 2*day:
		return fmt.Sprintf("%d days", d/day)
	}
	return span(d.Round(time.Minute))
}

// subscriptions returns the checks of transfers between two personal computers,
// which only a subscription allows.
func subscriptions(list []*jobs.Job, docs map[string]*collection, opened map[string]*Check) []*Check {
	var checks []*Check
	for _, j := range list {
		for i := range j.Steps {
			t := j.Steps[i].Transfer
			if t == nil || docs[t.SourceEndpoint] == nil || docs[t.DestinationEndpoint] == nil || t.SourceEndpoint == t.DestinationEndpoint {
				continue
			}
			src, dst := docs[t.SourceEndpoint], docs[t.DestinationEndpoint]
			checks = append(checks, &Check{
				Group: jobsGroup, Name: "subscription", Subject: j.Name, Quiet: true,
				Needs: []*Check{opened[src.id], opened[dst.id]},
				Look: func(context.Context) []Finding {
					if a, b := src.doc, dst.doc; !isGCP(a) || !isGCP(b) || a.SubscriptionID != "" || b.SubscriptionID != "" {
						return nil
					}
					return []Finding{Doubt(fmt.Sprintf("%s and %s are both personal computers, and neither is under a subscription, without which Globus may refuse transfers between them", src.name, dst.name),
						"put one of them under your institution's subscription, or use a collection on a server")}
				},
			})
		}
	}
	return checks
}
