package globussim

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// A Condition is what can change about a collection while it is served: the
// fields of the same names of [Collection]. It is also a document of the
// control path, /_sim/collections/<id>.
type Condition struct {
	Access  []AccessRule `json:"access"` // null: everybody may read and write everywhere
	Offline bool         `json:"offline"`
	Quota   int64        `json:"quota"` // in bytes
	Roles   []Role       `json:"roles,omitempty"`
}

// rules returns the access rules. Without any, it returns one that lets everybody in.
func (c Condition) rules() []AccessRule {
	if c.Access == nil {
		return []AccessRule{{Principal: everybody, Permissions: "rw"}}
	}
	return c.Access
}

func (c Condition) check() error {
	for _, rule := range c.Access {
		if err := rule.check(); err != nil {
			return err
		}
	}
	if err := checkRoles(c.Roles); err != nil {
		return err
	}
	if c.Quota < 0 {
		return errors.New("the quota is negative")
	}
	return nil
}

// ChangeCollection changes the condition of the collection with this id, from the next step of
// every task on. Tasks that cannot reach an offline collection stay ACTIVE and try again. If
// the collection does not exist or the condition is not valid, nothing has changed.
func (s *Server) ChangeCollection(id string, change func(*Condition)) error {
	p, ok := s.transfer.byID[strings.ToLower(id)]
	if !ok {
		return fmt.Errorf("there is no collection %q", id)
	}
	_, err := s.transfer.changeCondition(p, func(c *Condition) error {
		change(c)
		return nil
	})
	return err
}

// changeCondition is ChangeCollection for a change that can fail.
func (sv *service) changeCondition(p *collection, change func(*Condition) error) (Condition, error) {
	sv.mu.Lock()
	defer sv.mu.Unlock()
	c := p.condition()
	c.Access, c.Roles = slices.Clone(c.Access), slices.Clone(c.Roles)
	if err := errors.Join(change(&c), c.check()); err != nil {
		return Condition{}, err
	}
	c.Access, c.Roles = slices.Clone(c.Access), slices.Clone(c.Roles) // the caller's from now on
	p.now.Store(&c)
	sv.changedCollection(p)
	return c, nil
}

// getCondition answers GET /_sim/collections/<id>.
func (sv *service) getCondition(q *request) (int, any, *apiError) {
	p, e := sv.find(q.PathValue("id"))
	if e != nil {
		return 0, nil, e
	}
	return http.StatusOK, p.condition(), nil
}

// postCondition answers POST /_sim/collections/<id>. Fields that the document does not have
// stay as they are.
func (sv *service) postCondition(q *request) (int, any, *apiError) {
	p, e := sv.find(q.PathValue("id"))
	if e != nil {
		return 0, nil, e
	}
	var given map[string]json.RawMessage
	if e := q.body(&given); e != nil {
		return 0, nil, e
	}
	c, err := sv.changeCondition(p, func(c *Condition) error {
		for name, value := range given {
			var err error
			switch name {
			case "access":
				c.Access = nil
				err = json.Unmarshal(value, &c.Access)
			case "roles":
				c.Roles = nil
				err = json.Unmarshal(value, &c.Roles)
			case "offline":
				err = json.Unmarshal(value, &c.Offline)
			case "quota":
				err = json.Unmarshal(value, &c.Quota)
			default:
				err = errors.New("there is no such field")
			}
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		return nil
	})
	if err != nil {
		return 0, nil, badOrder(err)
	}
	return http.StatusOK, c, nil
}
