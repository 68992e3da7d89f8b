package globussim

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
)

// resume restores what a file has, and continues the work.
func (s *Server) resume(name string) error {
	k, was, err := openKeeper(name)
	if err != nil {
		return err
	}
	err = errors.Join(s.auth.restore(was), s.transfer.restoreCollections(was))
	if err == nil {
		err = s.transfer.restore(was)
	}
	if err == nil {
		err = s.flows.restore(was)
	}
	if err == nil {
		err = s.timers.restore(was)
	}
	if err == nil {
		err = k.flush() // the first line, if the file is new
	}
	if err != nil {
		shut(k.file)
		return fmt.Errorf("state file %s: %w", name, err)
	}
	s.keeper, s.auth.keeper = k, k
	s.transfer.begin()
	s.flows.begin()
	s.timers.begin()
	return nil
}

// keptID returns an id that is the same each time that something is tried. A process that did
// it, and died before it could record that, does not do it twice.
func keptID(of ...string) string {
	data, _ := json.Marshal(of) // of texts there is always one
	return uuid.NewSHA1(collectionSpace, data).String()
}

// A keptCollection is what was changed about a collection.
type keptCollection struct {
	Condition
	Rules    []keptRule `json:"rules"` // those of Access, with their ids
	Staff    []keptRole `json:"staff"` // those of Roles, likewise
	Edits    edits      `json:"edits,omitempty"`
	Deleted  bool       `json:"deleted,omitempty"`
	Everyone bool       `json:"everyone,omitempty"` // Access is nil
}

type keptRule struct {
	AccessRule
	ID      string    `json:"id,omitempty"`
	Created time.Time `json:"created,omitzero"`
}

type keptRole struct {
	Role
	ID string `json:"id,omitempty"`
}

// changedCollection has the keeper write how a collection is.
func (sv *service) changedCollection(p *collection) {
	sv.server.keeper.changed("collection/"+p.ID, func() any {
		c := p.condition()
		k := keptCollection{Condition: c, Edits: p.changes(), Deleted: p.deleted.Load(), Everyone: c.Access == nil}
		for _, r := range c.Access {
			k.Rules = append(k.Rules, keptRule{r, r.id, r.created})
		}
		for _, r := range c.Roles {
			k.Staff = append(k.Staff, keptRole{r, r.id})
		}
		k.Access, k.Roles = nil, nil
		return k
	})
}

// restoreCollections brings back what was changed about collections, and the
// bookmarks and pause rules. A collection that is not served any more is not
// missed.
func (sv *service) restoreCollections(was *kept) error {
	err := errors.Join(was.last("bookmarks", &sv.bookmarks), was.last("pauses", &sv.pauses))
	for _, p := range sv.collections {
		key := "collection/" + p.ID
		if was.values[key] == nil {
			continue
		}
		var k keptCollection
		if bad := was.last(key, &k); bad != nil {
			err = errors.Join(err, bad)
			continue
		}
		c := k.Condition
		if !k.Everyone {
			c.Access = []AccessRule{}
		}
		for _, r := range k.Rules {
			r.id, r.created = r.ID, r.Created
			c.Access = append(c.Access, r.AccessRule)
		}
		for _, r := range k.Staff {
			r.id = r.ID
			c.Roles = append(c.Roles, r.Role)
		}
		p.now.Store(&c)
		if k.Edits != nil {
			p.edits.Store(&k.Edits)
		}
		p.deleted.Store(k.Deleted)
	}
	return err
}

// changedBookmarks has the keeper write down the bookmarks.
func (sv *service) changedBookmarks() {
	sv.server.keeper.changed("bookmarks", func() any {
		sv.mu.Lock()
		defer sv.mu.Unlock()
		all := make(map[string][]bookmark, len(sv.bookmarks))
		for owner, list := range sv.bookmarks {
			for _, b := range list {
				all[owner] = append(all[owner], *b)
			}
		}
		return all
	})
}

// changedPauses has the keeper write down the pause rules.
func (sv *service) changedPauses() {
	sv.server.keeper.changed("pauses", func() any {
		sv.mu.Lock()
		defer sv.mu.Unlock()
		return slices.Clone(sv.pauses)
	})
}

// A keptAuth is what Auth knows besides its configuration and the tokens.
type keptAuth struct {
	Clients     []keptClient        `json:"clients,omitempty"`
	Identities  map[string]identity `json:"identities,omitempty"` // by username
	Consents    []keptConsents      `json:"consents,omitempty"`
	LastConsent int                 `json:"last_consent"`
}

// A keptClient is one that was made from a native app.
type keptClient struct {
	ID       string `json:"id"`
	Secret   string `json:"secret"` // simulated, too
	Name     string `json:"name"`
	Template string `json:"template"`
}

type keptConsents struct {
	Client   string        `json:"client"`
	Identity string        `json:"identity"`
	Consents []keptConsent `json:"consents"`
}

type keptConsent struct {
	Path     []string  `json:"path"`
	IDs      []int     `json:"ids"`
	Optional bool      `json:"optional,omitempty"`
	Created  time.Time `json:"created"`
	Used     time.Time `json:"used"`
}

// changed has the keeper write down what Auth knows.
func (a *authority) changed() {
	a.keeper.changed("auth", func() any {
		a.mu.Lock()
		defer a.mu.Unlock()
		k := keptAuth{Identities: maps.Clone(a.provisioned), LastConsent: a.lastConsent}
		for _, account := range a.accounts {
			if account.template != "" {
				k.Clients = append(k.Clients, keptClient{account.ID, account.Secret, account.Name, account.template})
			}
		}
		for p, consents := range a.consents {
			of := keptConsents{Client: p.client, Identity: p.identity}
			for _, c := range consents {
				of.Consents = append(of.Consents, keptConsent{c.path, c.ids, c.optional, c.created, c.used})
			}
			k.Consents = append(k.Consents, of)
		}
		return k
	})
}

func (a *authority) restore(was *kept) error {
	var k keptAuth
	if err := was.last("auth", &k); err != nil {
		return err
	}
	a.lastConsent = k.LastConsent
	maps.Copy(a.provisioned, k.Identities)
	for _, c := range k.Clients {
		a.accounts[c.ID] = Account{ID: c.ID, Secret: c.Secret, Name: c.Name, template: c.Template}
	}
	for _, of := range k.Consents {
		p := party{of.Client, of.Identity}
		for _, c := range of.Consents {
			a.consents[p] = append(a.consents[p], &consent{c.Path, c.IDs, c.Optional, c.Created, c.Used})
		}
	}
	return nil
}
