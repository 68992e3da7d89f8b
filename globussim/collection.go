package globussim

import (
	"cmp"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

// Kinds of collections, as entity_type spells them.
const (
	MappedCollection    = "GCSv5_mapped_collection"
	GuestCollection     = "GCSv5_guest_collection"
	GCPMappedCollection = "GCP_mapped_collection"
	GCPGuestCollection  = "GCP_guest_collection"

	// ServerEndpoint is a server that hosts collections and is none itself.
	ServerEndpoint = "GCSv5_endpoint"
)

// A Collection is a folder that the simulated Transfer service can reach.
// Nothing outside the folder can be read or written through it.
type Collection struct {
	Name          string // short name, unique; also the display name
	ID            string // UUID; empty means [CollectionID] of Name
	Dir           string // the folder, which must exist
	EntityType    string // one of the kinds above; empty means [GuestCollection]
	HighAssurance bool
	// Home is the default directory, such as "/home/svc/"; empty means "/".
	// The path "/~/" stands for it.
	Home string
	// Access says who may read and write where. Nil means that every account
	// may read and write everywhere; an empty, non-nil list lets nobody in.
	// This, the next two and Roles can change later; see
	// [Server.ChangeCollection] and the calls of administrators.
	Access []AccessRule
	// Offline is a GCP collection whose machine is not connected, or with
	// Paused whose owner has paused it.
	Offline bool
	Paused  bool
	// Quota is the number of bytes the folder may hold; 0 means no quota.
	Quota int64
	// Ahead is how far the clock of the collection's machine, by which tasks
	// date the files that they write there, is ahead of the service's.
	Ahead time.Duration
	// Owner is the identity that owns the collection; empty means a person
	// who is none of the accounts.
	Owner string
	// Roles are the roles of others.
	Roles []Role
	// NonFunctional is a collection whose server does not work.
	NonFunctional bool
	// MaxAccess is how long an access rule may live, in whole minutes; 0 means
	// that it need not end.
	MaxAccess time.Duration
	// SubscriptionID is the subscription that pays for it; empty means none.
	SubscriptionID string
	// MFARequired asks every caller for a second factor.
	MFARequired bool
	// SessionPolicy is the id of an authentication policy that every caller
	// has to satisfy with a session. A service account has none, so its calls
	// that reach the collection are refused; a person satisfies it by a login
	// with session_required_policies.
	SessionPolicy string
	// Policies are what it demands of transfers.
	Policies Policies

	// What a search finds the collection by, besides its name.
	Description  string
	Organization string
	Keywords     []string
}

// collectionSpace is the UUID name space of collections known by their name.
var collectionSpace = uuid.MustParse("5f2c6c9e-61a5-4c0b-9c52-0d8f1a3e7b10")

// CollectionID returns the id that a collection gets from its name, the same
// in every simulator.
func CollectionID(name string) string {
	return uuid.NewSHA1(collectionSpace, []byte(name)).String()
}

// nobody owns the collections without an owner.
var nobody = uuid.NewSHA1(collectionSpace, []byte("owner")).String()

// A collection is a served [Collection], with its folder opened.
type collection struct {
	Collection // but what a Condition holds
	root       *os.Root
	now        atomic.Pointer[Condition] // what it points to never changes
	edits      atomic.Pointer[edits]     // the same; nil: none
	deleted    atomic.Bool
}

func openPlace(c Collection) (*collection, error) {
	root, err := os.OpenRoot(c.Dir)
	if err != nil {
		return nil, fmt.Errorf("collection %s: %w", c.Name, err)
	}
	p := &collection{Collection: c, root: root}
	p.now.Store(&Condition{c.Access, c.Offline, c.Quota, c.Roles})
	p.Access, p.Offline, p.Quota, p.Roles = nil, false, 0, nil
	p.Owner = cmp.Or(p.Owner, nobody)
	return p, nil
}

// condition returns the present condition of the collection.
func (p *collection) condition() Condition { return *p.now.Load() }

func (p *collection) guest() bool {
	return p.EntityType == GuestCollection || p.EntityType == GCPGuestCollection
}

func (p *collection) gcp() bool {
	return p.EntityType == GCPMappedCollection || p.EntityType == GCPGuestCollection
}

// needsConsent reports whether callers must have consented to data_access.
func (p *collection) needsConsent() bool {
	return p.EntityType == MappedCollection && !p.HighAssurance
}

// wantsSession returns the refusal of a caller whose session lacks something.
func (p *collection) wantsSession(lack, parameter string, value any) *apiError {
	message := "The collection " + p.Name + " requires a session " + lack
	return &apiError{
		Status: http.StatusForbidden, Code: "AuthorizationRequired", Message: message,
		AuthorizationParameters: map[string]any{"session_message": message, parameter: value},
	}
}

// fit refuses what is not a collection, or one that does not work. The codes are
// not confirmed.
func (p *collection) fit() *apiError {
	switch {
	case p.EntityType == ServerEndpoint:
		return &apiError{
			Status: http.StatusConflict, Code: "NotSupported",
			Message: p.Name + " is an endpoint that hosts collections, and has no files itself",
		}
	case p.NonFunctional:
		return &apiError{
			Status: http.StatusBadGateway, Code: "EndpointError",
			Message: "The collection " + p.Name + " is not functional",
		}
	}
	return nil
}

// canonical is the legacy name that task and endpoint documents carry.
func (p *collection) canonical() string { return "u_sim#" + p.ID }

// allows reports whether the identity may do op, "r" or "w", at the path.
func (p *collection) allows(identity, path, op string) bool {
	return p.lets(identity, func(rule AccessRule) bool {
		return strings.Contains(rule.Permissions, op) && strings.HasPrefix(strings.TrimSuffix(path, "/")+"/", rule.folder())
	})
}

// knows reports whether any rule lets the identity in somewhere.
func (p *collection) knows(identity string) bool {
	return p.lets(identity, func(AccessRule) bool { return true })
}

// lets reports whether one of the rules for which take returns true is now for the identity.
func (p *collection) lets(identity string, take func(AccessRule) bool) bool {
	now := time.Now()
	return slices.ContainsFunc(p.condition().rules(), func(rule AccessRule) bool {
		return rule.covers(identity, now) && take(rule)
	})
}

// find returns the collection with this id.
func (sv *service) find(id string) (*collection, *apiError) {
	if p, ok := sv.byID[strings.ToLower(id)]; ok {
		if p.deleted.Load() {
			return nil, &apiError{
				Status: http.StatusNotFound, Code: "EndpointDeleted",
				Message: fmt.Sprintf("Endpoint '%s' has been deleted", p.ID),
			}
		}
		return p, nil
	}
	return nil, &apiError{
		Status: http.StatusNotFound, Code: "EndpointNotFound",
		Message: fmt.Sprintf("No such endpoint '%s'", id),
	}
}

// admit checks that the caller may use these collections at all: its consents, its session
// and, for guest collections, that it has an access rule.
func (sv *service) admit(q *request, collections ...*collection) *apiError {
	var missing []string
	for _, p := range collections {
		if p.needsConsent() && !sv.server.consented(q.caller.party, q.via, p.ID) {
			missing = append(missing, "*https://auth.globus.org/scopes/"+p.ID+"/data_access")
		}
	}
	if missing != nil {
		const message = "Missing required data_access consent"
		scopes := []string{transferAll + "[" + strings.Join(missing, " ") + "]"}
		if q.via != "" {
			scopes[0] = q.via + "[" + scopes[0] + "]"
		}
		return &apiError{
			Status: http.StatusForbidden, Code: "ConsentRequired", Message: message,
			Resource:                belowVersion(q.Request), // as was reported
			RequiredScopes:          scopes,
			AuthorizationParameters: map[string]any{"session_message": message, "required_scopes": scopes},
		}
	}
	for _, p := range collections {
		if e := p.fit(); e != nil {
			return e
		}
		if p.SessionPolicy != "" && !slices.Contains(q.caller.policies, p.SessionPolicy) {
			return p.wantsSession("that satisfies its authentication policy", "session_required_policies", []string{p.SessionPolicy})
		}
		if p.MFARequired && !q.caller.mfa {
			return p.wantsSession("with a second factor", "session_required_mfa", true)
		}
		if p.guest() && !p.knows(q.owner) {
			return &apiError{
				Status: http.StatusForbidden, Code: "PermissionDenied",
				Message: "You do not have permission to access the collection " + p.Name,
			}
		}
	}
	return nil
}
