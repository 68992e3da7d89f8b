// Package sharing gives people access to folders of guest collections, by access
// rules. Asking twice for the same rule gives one rule. Globus cannot recognize a
// repeated request, so [Sharer.Give] reads the rules before and after it.
package sharing

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/plain"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

// A Sharer gives access rules on behalf of one identity. Its methods may be called
// concurrently.
type Sharer struct {
	Globus *transfer.Client
	// User returns the id of the identity with a user name, or "" if there is
	// none. If it is nil, names are refused.
	User func(ctx context.Context, name string) (id string, err error)
	Who  string // the identity, in messages
	// KeepEnd keeps the end of an existing rule if the share does not set one.
	KeepEnd bool
}

// An Action is what was done about a rule.
type Action string

// The actions.
const (
	Created Action = "created"
	Updated Action = "updated" // its permissions or its end changed
	Kept    Action = "kept"    // it existed as wanted
)

// A Rule is an access rule that a share asks for.
type Rule struct {
	Action        Action    `json:"action"`
	ID            string    `json:"access_id"`
	Collection    string    `json:"collection"`
	Path          string    `json:"path"`
	PrincipalType string    `json:"principal_type"`
	Principal     string    `json:"principal"`      // id; empty for everybody
	User          string    `json:"user,omitempty"` // name, if the share has one
	Permissions   string    `json:"permissions"`
	Expires       time.Time `json:"expires,omitzero"`
	Before        string    `json:"before,omitempty"`  // the old state of an updated rule, in words
	Missing       bool      `json:"missing,omitempty"` // the folder does not exist yet
}

// String says in one line what was done.
func (r *Rule) String() string {
	with := r.User
	if with == "" {
		with = jobs.Principal{Kind: jobs.PrincipalKind(r.PrincipalType), Name: r.Principal}.String()
	}
	text := fmt.Sprintf("%s with %s, %s", r.Path, with, words(r.Permissions))
	if !r.Expires.IsZero() {
		text += ", until " + r.Expires.Format(time.RFC3339)
	}
	text += ": " + map[Action]string{Created: "shared", Updated: "changed from " + r.Before, Kept: "was shared already"}[r.Action]
	if r.Missing {
		text += ", but there is no such folder yet"
	}
	return text
}

// words returns permissions in words.
func words(permissions string) string {
	if permissions == "rw" {
		return "read and write"
	}
	return "read only"
}

// A Refusal says why something is not shared, and what to do.
type Refusal struct {
	Message string
	Advice  string
	Err     error // the cause; may be nil
}

func (r *Refusal) Error() string {
	text := r.Message + "; " + r.Advice
	if r.Err != nil {
		text += ": " + r.Err.Error()
	}
	return text
}

// Unwrap returns the cause.
func (r *Refusal) Unwrap() error { return r.Err }

// Means tells package fault what the Refusal means.
func (r *Refusal) Means() fault.Meaning { return fault.Meaning{Kind: fault.Refused} }

func refuse(advice, format string, args ...any) *Refusal {
	return &Refusal{Message: fmt.Sprintf(format, args...), Advice: advice}
}

// Give gives access to a folder. A duration after which the share ends counts from
// begin. If the principal already has a rule for the path, that is a success; the
// rule is changed if its permissions or its end differ. The error is a [*Refusal] if
// it says what to do, and otherwise that of a client.
func (s *Sharer) Give(ctx context.Context, sh *jobs.Share, begin time.Time) (*Rule, error) {
	want, err := s.wanted(ctx, sh, begin)
	if err != nil {
		return nil, err
	}
	rule, err := s.give(ctx, want, transfer.NewAccessRule{
		PrincipalType: want.PrincipalType, Principal: want.Principal, Path: want.Path, Permissions: want.Permissions,
		ExpirationDate: transfer.Time{Time: want.Expires}, NotifyEmail: sh.Notify, NotifyMessage: sh.Message,
	})
	if err == nil {
		rule.Missing = s.missing(ctx, sh)
	}
	return rule, err
}

// missing reports whether a folder certainly does not exist. Globus gives access to it
// nevertheless.
func (s *Sharer) missing(ctx context.Context, sh *jobs.Share) bool {
	_, err := s.Globus.Stat(ctx, sh.Collection, sh.Path)
	e, ok := errors.AsType[*transfer.Error](err)
	return ok && e.NotFound()
}

// Look returns the rule that [Sharer.Give] would establish, and the existing one for
// the same principal and path, or nil. It changes nothing. Its errors are those of
// Give.
func (s *Sharer) Look(ctx context.Context, sh *jobs.Share, begin time.Time) (want *Rule, is *transfer.AccessRule, err error) {
	if want, err = s.wanted(ctx, sh, begin); err != nil {
		return nil, nil, err
	}
	is, err = s.look(ctx, want)
	return want, is, err
}

// wanted returns the rule that a share asks for, if the collection can have it.
func (s *Sharer) wanted(ctx context.Context, sh *jobs.Share, begin time.Time) (*Rule, error) {
	end := sh.Expires.End(begin)
	now := time.Now()
	if !end.IsZero() && !end.After(now) {
		return nil, refuse("give a later date or a longer duration in expires", "share %s: the access would have ended on %s", sh.Path, end.Format(time.RFC3339))
	}
	want := &Rule{Collection: sh.Collection, Path: sh.Path, Permissions: cmp.Or(sh.Permissions, "r"), Expires: end}
	if sh.With.Kind == jobs.User {
		want.User = sh.With.Name
	}
	var err error
	if want.PrincipalType, want.Principal, err = s.Principal(ctx, sh.With); err != nil {
		return nil, err
	}
	doc, err := s.Globus.Endpoint(ctx, sh.Collection)
	if err != nil {
		return nil, fmt.Errorf("share %s: %w", sh.Path, err)
	}
	if !doc.IsGuest() {
		return nil, refuse("make a guest collection of the folder in the Globus web app, and share that",
			"share %s: the collection %s is not a guest collection, so it has no access rules", sh.Path, named(doc))
	}
	return want, checkEnd(sh, end, now, doc)
}

// Principal returns the type and the id of a principal in access rules.
func (s *Sharer) Principal(ctx context.Context, p jobs.Principal) (kind, id string, err error) {
	if p.Kind != jobs.User {
		return string(p.Kind), p.Name, nil
	}
	if s.User == nil {
		return "", "", refuse("give the id of the identity", "the user %s cannot be looked up here", p.Name)
	}
	switch id, err = s.User(ctx, p.Name); {
	case err != nil && fault.Transient(err):
		return "", "", err
	case err != nil:
		return "", "", &Refusal{fmt.Sprintf("the user %s cannot be looked up", p.Name), "the id of the identity would need no look-up", err}
	case id == "":
		return "", "", refuse("check the spelling; if it is right, the person has to log in once at https://app.globus.org", "Globus knows no user %s", p.Name)
	}
	return string(jobs.Identity), id, nil
}

// checkEnd refuses an access that lasts longer than the collection allows.
func checkEnd(sh *jobs.Share, end, now time.Time, doc *transfer.Endpoint) error {
	if doc.ACLMaxExpirationMins == nil || *doc.ACLMaxExpirationMins <= 0 {
		return nil
	}
	const grain = time.Minute // tolerance, because the clocks may differ
	life := time.Duration(*doc.ACLMaxExpirationMins) * time.Minute
	if !end.IsZero() && end.Sub(now) <= life+grain {
		return nil
	}
	return refuse("write expires: "+jobs.FormatDuration(life), "share %s: the collection %s allows access for %s at most, not %s",
		sh.Path, named(doc), jobs.FormatDuration(life), ends(end))
}

// maxNamed is how many characters of a name from the service a message shows.
const maxNamed = 80

// named names a collection in a sentence.
func named(doc *transfer.Endpoint) string {
	return fmt.Sprintf("%q (%s)", plain.Short(doc.DisplayName, maxNamed), plain.Short(doc.ID, maxNamed))
}

// give creates or updates the rule.
func (s *Sharer) give(ctx context.Context, want *Rule, rule transfer.NewAccessRule) (*Rule, error) {
	is, err := s.look(ctx, want)
	if err != nil {
		return nil, err
	}
	if is == nil {
		made, err := s.Globus.CreateAccessRule(ctx, want.Collection, rule)
		if err == nil {
			return s.created(ctx, want, made.AccessID)
		}
		// An earlier try of the same request, or an earlier start, may have
		// created it.
		if is, _ = s.look(ctx, want); is == nil {
			return nil, s.explain(want, err)
		}
	}
	if s.KeepEnd && want.Expires.IsZero() {
		want.Expires = is.ExpirationDate.Truncate(time.Second)
	}
	if want.met(is) {
		return want.done(Kept, is.ID), nil
	}
	want.Before = words(is.Permissions) + ", " + ends(is.ExpirationDate.Time)
	_, err = s.Globus.UpdateAccessRule(ctx, want.Collection, is.ID, want.Permissions, transfer.Time{Time: want.Expires})
	switch now, wrong := s.look(ctx, want); {
	case now != nil && want.met(now):
		return want.done(Updated, now.ID), nil
	case err == nil && wrong == nil:
		return nil, other(want, cmp.Or(now, is), "changed")
	case err == nil:
		err = wrong
	}
	return nil, s.explain(want, err)
}

// created checks the rule that Globus says it created, which may differ from the
// wanted one, such as by an earlier end.
func (s *Sharer) created(ctx context.Context, want *Rule, id transfer.ID) (*Rule, error) {
	is, err := s.look(ctx, want)
	if err == nil && is != nil && !want.met(is) {
		return nil, other(want, is, "made")
	}
	return want.done(Created, id), nil
}

// other returns the refusal for a rule that is not as wanted although Globus says
// that it was created or changed.
func other(want *Rule, is *transfer.AccessRule, done string) *Refusal {
	id := plain.Short(string(is.ID), maxNamed)
	if end := is.ExpirationDate.Time; !end.IsZero() && (want.Expires.IsZero() || end.Before(want.Expires)) {
		return refuse("write an end in expires that the collection allows",
			"share %s: Globus %s the access rule %s so that it lasts %s, not %s", want.Path, done, id, ends(end), ends(want.Expires))
	}
	return refuse("look at it with runner endpoint permission list "+want.Collection,
		"share %s: Globus answers that it %s the access rule %s, but the rule is not what was asked for", want.Path, done, id)
}

// ends says in words when an access ends.
func ends(at time.Time) string {
	if at.IsZero() {
		return "without an end"
	}
	return "until " + at.UTC().Format(time.RFC3339)
}

// look returns the rule of the wanted principal and path, or nil.
func (s *Sharer) look(ctx context.Context, want *Rule) (found *transfer.AccessRule, err error) {
	for rule, err := range s.Globus.AccessRules(ctx, want.Collection) {
		if err != nil {
			return nil, s.explain(want, err)
		}
		if !rule.FromRole() && found == nil && want.about(rule) {
			found = rule
		}
	}
	return found, nil
}

// about reports whether a rule is for the same principal and path.
func (r *Rule) about(rule *transfer.AccessRule) bool {
	return rule.PrincipalType == r.PrincipalType && strings.EqualFold(rule.Principal, r.Principal) && rule.Path == r.Path
}

// met reports whether a rule is as wanted.
func (r *Rule) met(rule *transfer.AccessRule) bool {
	return rule.Permissions == r.Permissions && rule.ExpirationDate.Truncate(time.Second).Equal(r.Expires)
}

// done returns the rule as it exists now.
func (r *Rule) done(a Action, id transfer.ID) *Rule {
	r.Action, r.ID = a, plain.Short(string(id), maxNamed)
	return r
}

// explain returns the error of a share that was caused by err.
func (s *Sharer) explain(want *Rule, err error) error {
	e, ok := errors.AsType[*transfer.Error](err)
	switch {
	case ok && e.Status == http.StatusConflict && !e.Paused(): // but the rule does not exist
		return &Refusal{
			fmt.Sprintf("share %s: Globus makes no further access rule", want.Path),
			"if the collection has 1000 of them, which is the most, delete what nobody needs (runner endpoint permission list " + want.Collection + ")", err,
		}
	case !ok || !e.PermissionDenied():
		return fmt.Errorf("share %s: %w", want.Path, err)
	}
	return &Refusal{
		fmt.Sprintf("share %s: %s may not manage who has access to the collection", want.Path, cmp.Or(s.Who, "the identity")),
		"ask an administrator of the collection to give it the role access manager, " +
			"under Roles at https://app.globus.org/file-manager/collections/" + want.Collection + "/overview", err,
	}
}
