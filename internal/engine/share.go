package engine

import (
	"context"
	"time"

	"github.com/globus-runner/globus-runner/jobs"
)

// share lets somebody into a folder. It is done again by a start that does not know
// that it was done; the rule is there once all the same.
func (r *run) share(ctx context.Context, sh *jobs.Share) error {
	rule, err := r.engine.sharer.Give(ctx, sh, r.begins())
	if err != nil {
		return err
	}
	r.log.Info("folder shared", "path", rule.Path, "with", sh.With.String(), "permissions", rule.Permissions, "access_id", rule.ID, "action", string(rule.Action))
	if rule.Missing {
		r.log.Warn("the folder that is shared does not exist yet: check its path", "path", rule.Path, "collection", rule.Collection)
	}
	r.result.Shared = append(r.result.Shared, rule)
	r.journal.note(ctx, "shared", rule.String()+" (access rule "+rule.ID+")")
	return nil
}

// begins is the instant that the occurrence is about: when it was due, else when its
// first start began, as far as that is known. It is the same for each of its starts
// then, so that none changes when a share ends.
func (r *run) begins() time.Time {
	switch due := r.order.Key.Due(); {
	case !due.IsZero():
		return due
	case r.journal != nil:
		return r.journal.run.Claimed
	case !r.order.At.IsZero():
		return r.order.At
	}
	return r.result.Started
}
