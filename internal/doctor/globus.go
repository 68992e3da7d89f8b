package doctor

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

// An Account gets tokens and records consents for an identity.
type Account interface {
	Token(ctx context.Context, resourceServer string) (auth.Token, error)
	Consent(ctx context.Context, scopes []string) error
	Userinfo(ctx context.Context) (*auth.Userinfo, error)
	Identities(ctx context.Context, q auth.IdentityQuery) ([]*auth.Identity, error)
}

// A FlowValidator says whether a flow may be started, see [flows.Client].
type FlowValidator interface {
	Validate(ctx context.Context, flow string, form []byte, dataAccess []string) error
}

// A Globus is the services as one identity sees them, and what the checks may
// do there.
type Globus struct {
	AuthURL *url.URL
	Web     *http.Client // without credentials
	Account Account
	Client  *transfer.Client // without WithConsent
	Flows   FlowValidator    // nil: flows are not checked

	Who    fault.Identity
	Fix    bool // give consents that are missing
	Person bool // a person: Consent gives none, but says how to give it in a browser
	Write  bool // create and remove a folder in each destination

	id string // of the identity; set by the check "identity", empty if it is not known
}

// Headings of findings.
const (
	authGroup     = "Globus Auth"
	transferGroup = "Globus Transfer"
	flowsGroup    = "Globus Flows"
	jobsGroup     = "jobs"
)

// Checks returns the checks of the identity, and of the collections that the
// jobs use in their next occurrence after now. names has short names of
// collections by id; a collection without one is shown by its id. The checks
// depend on those in needs.
func (g *Globus) Checks(list []*jobs.Job, names map[string]string, now time.Time, needs ...*Check) []*Check {
	reach := &Check{Group: authGroup, Name: "reachable", Needs: needs, Look: g.reach}
	login := &Check{Group: authGroup, Name: "login", Needs: []*Check{reach}, Look: g.login}
	identity := &Check{Group: authGroup, Name: "identity", Needs: []*Check{login}, Look: g.identity}
	tasks := &Check{Group: transferGroup, Name: "tasks", Needs: []*Check{login}, Look: g.tasks}
	checks := []*Check{reach, login, identity, tasks}

	uses, broken := survey(list, names, now)
	docs := map[string]*collection{}
	opened := map[string]*Check{}
	for _, c := range uses {
		c.globus = g
		docs[c.id] = c
		more := c.checks(identity, tasks)
		opened[c.id] = more[0]
		checks = append(checks, more...)
	}
	checks = append(checks, g.flowChecks(list, now, login)...)
	checks = append(checks, nextRuns(list, now)...)
	checks = append(checks, broken...)
	return append(checks, subscriptions(list, docs, opened)...)
}

// reach asks Globus Auth for a public document, and compares the clocks.
func (g *Globus) reach(ctx context.Context) []Finding {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.AuthURL.JoinPath(".well-known/openid-configuration").String(), http.NoBody)
	if err != nil {
		return []Finding{Bad(fault.Usage, err.Error(), "").Stopping()}
	}
	begin := time.Now()
	resp, err := g.Web.Do(req)
	if err != nil {
		return []Finding{g.failed(err).Stopping()}
	}
	defer func() { _ = resp.Body.Close() }() // it was only read
	took := time.Since(begin)
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	kind, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
	switch {
	case err != nil:
		return []Finding{Bad(fault.Temporary, "the reply of "+req.URL.Hostname()+" was cut off: "+err.Error(), fault.CheckNetwork).Stopping()}
	case resp.StatusCode >= 500:
		return []Finding{Bad(fault.Temporary, fmt.Sprintf("%s answers HTTP %d", req.URL.Hostname(), resp.StatusCode), fault.RunAgain).Stopping()}
	case resp.StatusCode != http.StatusOK || !json.Valid(body) || !bytes.Contains(body, []byte("issuer")):
		return []Finding{Bad(fault.Temporary, fmt.Sprintf("%s answers HTTP %d %s, so it does not seem to be Globus Auth", req.URL.Hostname(), resp.StatusCode, kind),
			"check the address, and whether a proxy or a login page of the network answers in its place").Stopping()}
	}
	found := []Finding{Good(req.URL.Hostname() + " answers")}
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		f := clock(begin.Add(took / 2).Sub(date.Add(500 * time.Millisecond))) // Date has whole seconds
		f.Check = "clock"
		found = append(found, f)
	}
	return found
}

// Differences between this machine's clock and the service's.
const (
	smallSkew = 5 * time.Second // not reported
	largeSkew = 5 * time.Minute // signed documents are refused from here on
)

// clock judges how far this machine's clock is ahead.
func clock(ahead time.Duration) Finding {
	off := ahead.Abs()
	if off <= smallSkew {
		return Good("agrees with the service's")
	}
	way := "ahead of"
	if ahead < 0 {
		way = "behind"
	}
	seen := fmt.Sprintf("the clock of this machine is %s %s the service's", span(off), way)
	const advice = "set the clock, preferably by NTP: jobs start by it"
	if off > largeSkew {
		return Bad(fault.Usage, seen, advice)
	}
	return Doubt(seen, advice)
}

// span prints a duration without what is too small to matter.
func span(d time.Duration) string {
	unit := time.Second
	if d >= 2*time.Minute {
		unit = time.Minute
	}
	return jobs.FormatDuration(d.Round(unit))
}

// login gets the token for Transfer, and checks its scopes.
func (g *Globus) login(ctx context.Context) []Finding {
	token, err := g.Account.Token(ctx, auth.TransferServer)
	if err != nil {
		return []Finding{g.failed(err).Stopping()}
	}
	if !slices.Contains(strings.Fields(token.Scope), auth.TransferAll) {
		return []Finding{Bad(fault.Credentials, fmt.Sprintf("the token for %s lacks the scope %s", auth.TransferServer, auth.TransferAll),
			"get tokens with that scope").Stopping()}
	}
	if token.Expires().IsZero() { // a given token, which no service has seen yet
		return []Finding{Good("there is a token for " + auth.TransferServer + "; when it expires is not known")}
	}
	return []Finding{Good(fmt.Sprintf("accepted; the token for %s is good for %s", auth.TransferServer, span(time.Until(token.Expires()))))}
}

// serviceDomain is the domain in the usernames of service accounts, after their ids.
const serviceDomain = "clients.auth.globus.org"

// identity asks Globus Auth who the identity is, if there is a token for that.
func (g *Globus) identity(ctx context.Context) []Finding {
	if id, ok := strings.CutSuffix(g.Who.Name, "@"+serviceDomain); ok {
		g.id = id
	}
	_, err := g.Account.Token(ctx, auth.Server)
	if err != nil && fault.Of(err).Kind == fault.Failed {
		return []Finding{Good(g.Who.Name)} // there is no token to ask with
	}
	if err == nil {
		var user *auth.Userinfo
		if user, err = g.Account.Userinfo(ctx); err == nil {
			g.id = user.Sub
			return []Finding{Good(user.PreferredUsername)}
		}
	}
	f := g.failed(err)
	f.Level = Warning // jobs do not need it
	return []Finding{f}
}

// How many unfinished tasks one identity may have, and how many raise a doubt.
const (
	maxPending  = 100
	manyPending = 80
)

// tasks asks Transfer for the tasks that are not finished.
func (g *Globus) tasks(ctx context.Context) []Finding {
	pending, inactive := 0, 0
	query := transfer.TaskQuery{
		Statuses: []string{string(transfer.Active), string(transfer.Inactive)}, Fields: []string{"task_id", "status"},
	}
	for task, err := range g.Client.Tasks(ctx, query) {
		if err != nil {
			return []Finding{g.failed(err).Stopping()}
		}
		pending++
		if task.Status == transfer.Inactive {
			inactive++
		}
	}
	f := Good(fmt.Sprintf("%d of at most %d are unfinished", pending, maxPending))
	switch {
	case pending >= maxPending:
		f = Bad(fault.Temporary, f.Seen+", so new ones are refused", "wait, or cancel some: runner task list --filter-status ACTIVE,INACTIVE")
	case pending >= manyPending:
		f = Doubt(f.Seen, "see what they wait for: runner task list --filter-status ACTIVE,INACTIVE")
	}
	found := []Finding{f}
	if inactive > 0 {
		found = append(found, Doubt(fmt.Sprintf("%d of them are suspended and do not continue by themselves", inactive),
			"find out why, and cancel them or remove the cause: runner task list --filter-status INACTIVE"))
	}
	return found
}
