package globussim

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"
)

// A Person is an identity with a browser, who logs in on the simulator's pages
// through a native app. No password is asked for.
type Person struct {
	Username string // such as "ada@sim.example"
	ID       string // identity id, a UUID; empty means [PersonID] of Username
	Name     string // empty means Username
	Email    string // empty means Username
}

// PersonID returns the id that a person gets from the username, the same in
// every simulator.
func PersonID(username string) string {
	return uuid.NewSHA1(collectionSpace, []byte("person "+strings.ToLower(username))).String()
}

func completePersons(persons []Person) (errs []error) {
	seen := make(map[string]bool)
	for i := range persons {
		p := &persons[i]
		p.Username = strings.ToLower(p.Username)
		p.ID = strings.ToLower(cmp.Or(p.ID, PersonID(p.Username)))
		p.Name, p.Email = cmp.Or(p.Name, p.Username), cmp.Or(p.Email, p.Username)
		switch user, domain, _ := strings.Cut(p.Username, "@"); {
		case user == "" || domain == "" || domain == clientDomain:
			errs = append(errs, fmt.Errorf("person %q: the username is not of the form user@domain", p.Username))
		case uuid.Validate(p.ID) != nil:
			errs = append(errs, fmt.Errorf("person %s: the id %q is not a UUID", p.Username, p.ID))
		case seen[p.Username] || seen[p.ID]:
			errs = append(errs, errors.New("person "+p.Username+" occurs twice"))
		}
		seen[p.Username], seen[p.ID] = true, true
	}
	return errs
}

// domain is that of the username.
func (p Person) domain() string {
	_, domain, _ := strings.Cut(p.Username, "@")
	return domain
}

func (p Person) identity() identity {
	return identity{
		ID: p.ID, Username: p.Username, Name: &p.Name, Email: &p.Email, Status: "used",
		IdentityProvider: nameID(p.domain()), IdentityType: "login",
	}
}
