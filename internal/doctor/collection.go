package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/transfer"
)

// A collection is a collection that jobs use.
type collection struct {
	globus *Globus
	id     string
	name   string
	uses   []*use
	shares []*sharedFolder

	verified []string // jobs that want checksums compared

	doc *transfer.Endpoint // set by the first check
}

func (c *collection) group() string { return "collection " + c.name }

// checks returns the checks of a collection; the first one opens it.
func (c *collection) checks(identity, tasks *Check) []*Check {
	open := c.check("collection", c.open, tasks)
	pause := c.check("pause_rules", c.pauseRules, open)
	access := c.check("access", c.access, open, identity)
	entry := c.check("consent", c.entry, open)
	all := []*Check{open, access, pause, entry}
	for _, u := range c.uses {
		all = append(all, c.check(string(u.role), func(ctx context.Context) []Finding { return c.look(ctx, u) }, entry))
	}
	all = append(all, c.sharings(open, identity)...)
	if c.globus.Write {
		for _, dir := range c.targets() {
			probe := c.check("write_probe", func(ctx context.Context) []Finding { return c.probe(ctx, dir) }, entry)
			probe.Slow, probe.Grace = slowProbe, cleanUp
			all = append(all, probe)
		}
	}
	return all
}

func (c *collection) check(name string, look func(context.Context) []Finding, needs ...*Check) *Check {
	return &Check{Group: c.group(), Name: name, Subject: c.name, Needs: needs, Look: look}
}

// sharings returns the checks of the folders that jobs share.
func (c *collection) sharings(needs ...*Check) (all []*Check) {
	for _, f := range c.shares {
		all = append(all, c.check("share", func(ctx context.Context) []Finding { return c.shared(ctx, f) }, needs...))
	}
	return all
}

// kind returns the words for an entity type.
func kind(entityType string) string {
	switch entityType {
	case "GCSv5_mapped_collection":
		return "mapped collection"
	case "GCSv5_guest_collection":
		return "guest collection"
	case "GCP_mapped_collection":
		return "personal computer"
	case "GCP_guest_collection":
		return "guest collection on a personal computer"
	case "":
		return "collection"
	}
	return entityType
}

func isGCP(e *transfer.Endpoint) bool { return strings.HasPrefix(e.EntityType, "GCP_") }

// open looks the collection up, and checks whether it works at all.
func (c *collection) open(ctx context.Context) []Finding {
	doc, err := c.globus.Client.Endpoint(ctx, c.id)
	if err != nil {
		return []Finding{c.globus.failed(err).Stopping()}
	}
	c.doc = doc
	what := fmt.Sprintf("%s %q (%s)", kind(doc.EntityType), doc.DisplayName, doc.ID)
	if doc.HighAssurance {
		what += " of high assurance"
	}
	owner := doc.OwnerString
	switch {
	case doc.EntityType == "GCSv5_endpoint":
		return []Finding{Bad(fault.Refused, fmt.Sprintf("%q (%s) is an endpoint: a server with collections on it, and not a collection itself", doc.DisplayName, doc.ID),
			"use the id of one of its collections: runner endpoints finds them by name").Stopping()}
	case strings.HasPrefix(doc.EntityType, "GCSv4_"):
		return []Finding{Bad(fault.Refused, what+" is of version 4 of Globus Connect Server, which is no longer in service",
			"use the id of the collection that took its place: runner endpoints finds it by name").Stopping()}
	case doc.NonFunctional:
		return []Finding{Bad(fault.Temporary, what+" is not functional", fault.Ask(owner, "get its server going")).Stopping()}
	case doc.GCPConnected != nil && !*doc.GCPConnected:
		return []Finding{Bad(fault.Temporary, what+" is not connected", fault.StartPersonal).Stopping()}
	case doc.GCPPaused != nil && *doc.GCPPaused:
		return []Finding{Bad(fault.Temporary, what+" is paused", "resume Globus Connect Personal on that computer, or ask its owner to").Stopping()}
	}
	if isGCP(doc) {
		what += " that is connected"
	}
	if doc.DisableVerify && len(c.verified) > 0 {
		seen := what + " makes no checksums, so Globus may copy without comparing them (" + strings.Join(c.verified, ", ") + ")"
		return []Finding{Doubt(seen, "keep the sources, because a prune does not count such copies as proven, or ask its owner to allow checksums")}
	}
	return []Finding{Good(what)}
}

// entry finds out whether the identity is let in at all, or a consent or a
// session is needed. It lists a path of the collection, which need not exist.
func (c *collection) entry(ctx context.Context) []Finding {
	doc := c.doc
	policy := doc.HighAssurance || doc.MFARequired || doc.AuthenticationPolicyID != ""
	if !doc.NeedsDataAccess() && !policy {
		return nil
	}
	given, err := "given", c.knock(ctx)
	if e, ok := errors.AsType[*transfer.Error](err); ok && e.NeedsConsent() {
		if refusal := c.consent(ctx, e); refusal != nil {
			return []Finding{refusal.Stopping()}
		}
		given, err = "given now", c.knock(ctx)
	}
	e, ok := errors.AsType[*transfer.Error](err)
	switch {
	case ok && e.NeedsSession():
		f := c.globus.failed(err).Stopping()
		f.Check = "session"
		return []Finding{f}
	case ok && e.NeedsConsent(), err != nil && fault.Of(err).Kind == fault.Temporary:
		return []Finding{c.globus.failed(err).Stopping()}
	}
	var found []Finding
	if doc.NeedsDataAccess() {
		found = append(found, Good("data_access is needed and "+given))
	}
	if policy && err == nil {
		f := Good("its policy lets " + c.globus.Who.Name + " in")
		f.Check = "session"
		found = append(found, f)
	}
	return found // other errors are found again at the paths
}

// consent gives the consent that the error asks for, if that is allowed, or
// returns why it did not.
func (c *collection) consent(ctx context.Context, e *transfer.Error) *Finding {
	g := c.globus
	var f Finding
	switch {
	case g.Fix && len(e.RequiredScopes) == 0:
		f = g.failed(e)
	case !g.Fix && !g.Person:
		f = Doubt("data_access is needed and not given yet", "run the same command with --fix to give it now; otherwise the first run gives it")
		f.Code = e.Code
	default:
		err := g.Account.Consent(ctx, e.RequiredScopes)
		if err == nil {
			return nil
		}
		f = g.failed(err)
		if g.Person {
			f = Bad(fault.Credentials, "data_access is needed and not given", err.Error())
			f.Code = e.Code
		}
	}
	return &f
}

// knock lists a folder of the collection, only to see whether it is let in.
func (c *collection) knock(ctx context.Context) error {
	q := transfer.LsQuery{Path: "/", Limit: 1}
	if len(c.uses) > 0 {
		q.Path, q.LocalUser = c.uses[0].path, c.uses[0].localUser
		if !c.uses[0].isFolder {
			q.Path = parent(q.Path)
		}
	}
	for _, err := range c.globus.Client.Ls(ctx, c.id, q) {
		if e, ok := errors.AsType[*transfer.Error](err); ok && e.NotFound() {
			return nil // the collection looked for it, so the identity was let in
		}
		return err
	}
	return nil
}
