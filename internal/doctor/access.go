package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/transfer"
)

// access returns what the identity may do, as far as it is allowed to see that.
func (c *collection) access(ctx context.Context) []Finding {
	doc, g := c.doc, c.globus
	what := "no role"
	switch {
	case g.id != "" && doc.OwnerID == g.id:
		what = "owner"
	case len(doc.MyEffectiveRoles) > 0:
		what = Title(strings.Join(doc.MyEffectiveRoles, ", "))
	}
	manages := slices.ContainsFunc([]string{"administrator", "access_manager"}, func(r string) bool { return slices.Contains(doc.MyEffectiveRoles, r) })
	if !doc.IsGuest() || what == "owner" {
		return []Finding{Good(what)}
	}
	switch {
	case !manages:
		return []Finding{Good(what + ", so its access rules cannot be seen")}
	case g.id == "": // it is not known whose rules to look for
		return []Finding{Good(what)}
	}
	var rules []*transfer.AccessRule // about the identity
	var may []string
	for rule, err := range g.Client.AccessRules(ctx, c.id) {
		if err != nil {
			f := Good(what + ", but its access rules cannot be seen: " + describe(err))
			f.Unseen = err
			return []Finding{f}
		}
		if g.concerns(rule) {
			rules = append(rules, rule)
			may = append(may, rule.Permissions+" on "+rule.Path)
		}
	}
	const most = 5 // rules shown
	if len(may) > most {
		may = append(may[:most], fmt.Sprintf("%d more", len(may)-most))
	}
	if may != nil {
		what += ", with " + strings.Join(may, ", ")
	}
	found := []Finding{Good(what)}
	for _, u := range c.uses {
		found = append(found, g.permission(u, rules, doc.OwnerString)...)
	}
	return found
}

// concerns reports whether a rule may apply to the identity. A rule for a group
// may, because its members are not known.
func (g *Globus) concerns(rule *transfer.AccessRule) bool {
	return rule.PrincipalType != "identity" || strings.EqualFold(rule.Principal, g.id)
}

// permission looks for a rule that lets the identity do what a job does.
func (g *Globus) permission(u *use, rules []*transfer.AccessRule, owner string) []Finding {
	want, verb := "r", "read"
	if u.role.writes() {
		want, verb = "w", "write"
	}
	var expires time.Time
	for _, rule := range rules {
		if !strings.Contains(rule.Permissions, want) || !within(u.path, rule.Path) {
			continue
		}
		if rule.ExpirationDate.IsZero() {
			return nil
		}
		if end := rule.ExpirationDate.Time; end.After(expires) {
			expires = end
		}
	}
	favour := fmt.Sprintf("give %s %s access to %s", g.Who.Name, verb, u.path)
	switch {
	case expires.IsZero():
		return []Finding{Doubt(fmt.Sprintf("no access rule lets it %s %s (%s)", verb, u.path, strings.Join(u.jobs, ", ")), fault.Ask(owner, favour))}
	case time.Until(expires) < 30*24*time.Hour:
		f := Doubt(fmt.Sprintf("the access rule for %s ends on %s", u.path, expires.UTC().Format(time.DateOnly)), fault.Ask(owner, favour+" for longer"))
		f.Ends, f.Jobs = expires, u.jobs
		return []Finding{f}
	}
	return nil
}
