package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/globus-runner/globus-runner/internal/doctor"
	"github.com/globus-runner/globus-runner/internal/notify"
	"github.com/globus-runner/globus-runner/internal/notify/channel"
	"github.com/globus-runner/globus-runner/jobs"
)

// findEndings returns a function that finds which access of jobs ends soon: access rules
// that Globus shows to this identity, and the certificates of the receivers of notices.
func (a *app) findEndings(globus *session) func(context.Context, *jobs.File, []*jobs.Job) ([]notify.Ending, error) {
	return func(ctx context.Context, file *jobs.File, list []*jobs.Job) ([]notify.Ending, error) {
		now := time.Now()
		g := &doctor.Globus{
			Account: globus.account, Client: globus.transfer, Who: globus.who.Fault(), Person: globus.who.Person(),
		}
		found, unseen := g.Ending(ctx, list, collectionNames(file), now, time.Minute)
		all, unreached := a.endingCertificates(ctx, file.Channels, now)
		for _, f := range found {
			for _, job := range f.Jobs {
				all = append(all, notify.Ending{Job: job, At: f.Ends, What: f.Subject + ": " + f.Seen, Next: f.Advice})
			}
		}
		return all, errors.Join(unseen, unreached)
	}
}

// endingCertificates finds out which certificates of receivers end soon.
func (a *app) endingCertificates(ctx context.Context, described map[string]*jobs.Channel, now time.Time) (all []notify.Ending, err error) {
	for _, name := range slices.Sorted(maps.Keys(described)) {
		answer, unreached := channel.Reach(ctx, *described[name], a.channelOptions())
		if unreached != nil {
			err = errors.Join(err, fmt.Errorf("channel %s: %w", name, unreached))
		}
		if answer.EndsSoon(now) {
			all = append(all, notify.Ending{What: certificateEnds(answer), At: answer.Ends, Next: renewCertificate(name)})
		}
	}
	return all, err
}

func certificateEnds(a channel.Answer) string {
	return fmt.Sprintf("the certificate of %s ends on %s", a.Host, a.Ends.UTC().Format(time.DateOnly))
}

func renewCertificate(name string) string {
	return "have it renewed there: from then on, nobody hears of anything on channel " + name
}
