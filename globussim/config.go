package globussim

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Config describes a simulated Globus. The zero value of each field but
// Collections and Accounts has a working default.
type Config struct {
	Collections []Collection
	Accounts    []Account // at least one
	Persons     []Person  // who can log in through a native app
	Flows       []Flow    // what can be run

	// Rate is how many bytes per second one task moves; 0 means as fast as
	// the disk allows.
	Rate int64
	// TokenLifetime is how long an access token is good; 0 means 48 hours.
	TokenLifetime time.Duration
	// RotateRefreshTokens makes a refresh token good for one refresh, which
	// brings the next one.
	RotateRefreshTokens bool
	// FaultInterval is how long a task waits between two tries of a path that
	// failed; 0 means one second. (The service waits minutes.)
	FaultInterval time.Duration
	// MaxActive is how many transfers, and how many deletes, of one identity
	// are worked on at once; 0 means 3, as the service has it.
	MaxActive int
	// MaxPending is how many tasks of one identity may be unfinished; 0 means
	// 100, as the service has it.
	MaxPending int
	// RequestRate is how many requests a second, metered over 10 s, one
	// identity may send to Transfer before it is answered 429; 0 means no
	// limit.
	RequestRate int

	// State is a file in which the simulator keeps what the services have
	// acknowledged, so that another process can go on after this one: tasks with
	// their events and files, what was changed about collections, pause rules,
	// bookmarks, consents, clients and identities that were made, timers and runs
	// of flows. Tokens and logins end with the process, and so do the orders and
	// counts of the control path but for what they have done already. An
	// unfinished task goes on behind the last file that it has copied. Empty
	// means that everything ends with the process.
	State string

	// Answers choose between answers that nobody has confirmed.
	Answers Answers

	// Hosts are names by which the simulator is reached besides addresses,
	// localhost, names without a dot, and those of Kubernetes services. Other
	// names are refused, as a web page may have made one point here.
	Hosts []string

	// Log receives one debug line for each request, without any token; nil
	// discards.
	Log *slog.Logger
}

// complete returns the configuration with its defaults filled in, or all that
// is wrong with it.
func (cfg Config) complete() (Config, error) {
	cfg.Collections = slices.Clone(cfg.Collections)
	cfg.Accounts = slices.Clone(cfg.Accounts)
	cfg.Persons = slices.Clone(cfg.Persons)
	cfg.Flows = slices.Clone(cfg.Flows)
	cfg.Hosts = slices.Clone(cfg.Hosts)
	for i, host := range cfg.Hosts {
		cfg.Hosts[i] = strings.ToLower(host)
	}
	cfg.TokenLifetime = cmp.Or(cfg.TokenLifetime, 48*time.Hour)
	cfg.FaultInterval = cmp.Or(cfg.FaultInterval, time.Second)
	cfg.MaxActive = cmp.Or(cfg.MaxActive, 3)
	cfg.MaxPending = cmp.Or(cfg.MaxPending, 100)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}

	var errs []error
	if cfg.Rate < 0 || cfg.TokenLifetime < 0 || cfg.FaultInterval < 0 || cfg.MaxActive < 0 || cfg.MaxPending < 0 || cfg.RequestRate < 0 {
		errs = append(errs, errors.New("a rate, a limit or a duration is negative"))
	}
	var err error
	if cfg.Answers, err = cfg.Answers.complete(); err != nil {
		errs = append(errs, err)
	}
	errs = append(errs, completeAccounts(cfg.Accounts)...)
	errs = append(errs, completePersons(cfg.Persons)...)
	errs = append(errs, completeFlows(cfg.Flows)...)
	errs = append(errs, completeCollections(cfg.Collections)...)
	return cfg, errors.Join(errs...)
}

func completeAccounts(accounts []Account) (errs []error) {
	if len(accounts) == 0 {
		errs = append(errs, errors.New("there is no account"))
	}
	seen := make(map[string]bool)
	for i := range accounts {
		a := &accounts[i]
		a.ID = strings.ToLower(a.ID)
		a.Name = cmp.Or(a.Name, "service account")
		switch {
		case uuid.Validate(a.ID) != nil:
			errs = append(errs, fmt.Errorf("account %q: the id is not a UUID", a.ID))
		case seen[a.ID]:
			errs = append(errs, fmt.Errorf("account %s occurs twice", a.ID))
		case a.Secret == "" && !a.NativeApp:
			errs = append(errs, fmt.Errorf("account %s has no secret", a.ID))
		}
		seen[a.ID] = true
	}
	return errs
}

func completeCollections(collections []Collection) (errs []error) {
	kinds := []string{MappedCollection, GuestCollection, GCPMappedCollection, GCPGuestCollection, ServerEndpoint}
	names, ids := make(map[string]bool), make(map[string]bool)
	for i := range collections {
		c := &collections[i]
		c.ID = strings.ToLower(cmp.Or(c.ID, CollectionID(c.Name)))
		c.EntityType = cmp.Or(c.EntityType, GuestCollection)
		c.Home = cmp.Or(c.Home, "/")
		problem := func(format string, args ...any) {
			errs = append(errs, fmt.Errorf("collection %q: "+format, append([]any{c.Name}, args...)...))
		}
		switch {
		case c.Name == "":
			problem("it has no name")
		case names[c.Name]:
			problem("the name occurs twice")
		case uuid.Validate(c.ID) != nil:
			problem("the id %q is not a UUID", c.ID)
		case ids[c.ID]:
			problem("the id %s occurs twice", c.ID)
		}
		if !slices.Contains(kinds, c.EntityType) {
			problem("there is no entity type %q", c.EntityType)
		}
		if !strings.HasPrefix(c.Home, "/") || !strings.HasSuffix(c.Home, "/") {
			problem("the home %q does not begin and end with a slash", c.Home)
		}
		if err := (Condition{c.Access, c.Offline, c.Quota, c.Roles}).check(); err != nil {
			problem("%w", err)
		}
		if err := c.Policies.check(); err != nil {
			problem("%w", err)
		}
		c.Offline = c.Offline || c.Paused
		if info, err := os.Stat(c.Dir); err != nil {
			problem("%w", err)
		} else if !info.IsDir() {
			problem("%s is not a folder", c.Dir)
		}
		names[c.Name], ids[c.ID] = true, true
	}
	return errs
}
