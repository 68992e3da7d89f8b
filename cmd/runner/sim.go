package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/jobs"
)

const aboutSim = `Serve a simulated Globus over local folders, until stopped.

It prints its address, the ids of its collections, a service account, and a
native app for "runner login", as export lines for a shell:

  runner sim --collection lab=/tmp/a --collection vault=/tmp/b >sim.env &
  . ./sim.env
  runner ls $COLLECTION_LAB:/

A collection is NAME=FOLDER with options after commas:
  type=guest (the default), mapped (needs a data_access consent),
  mapped-ha (high assurance), gcp, gcp-guest, server (not a collection)
  home=/path/       the default directory
  access=r|none     read only, or no access; default: read and write
  quota=10MiB       how much it may hold
  max-access=90d    how long an access rule may live
  offline, paused   a personal computer that is switched off, or has paused
  broken            its server does not work
  policy=ID, mfa    needs a session, which only a person can have
  force-verify, disable-verify, keep-times=all, assured-only=all, flow-in=ID,
  flow-out=ID, no-anonymous-writes
                    policies for transfers and access rules
  role=ROLE         the service account is access_manager, activity_monitor, ...
  subscription=ID   it is under this subscription
  owner=person      it belongs to the person who can log in; default: to the
                    service account, unless access is restricted

With --state FILE, the simulator can be killed, and the next one with the same
file goes on after it. Tokens end with the process. Give both a fixed --listen
address and the same --client-secret.

POST /_sim/faults orders faults, and GET /_sim/state shows what happened.`

func (a *app) simCommand() *cobra.Command {
	var listen string
	var collections, hosts []string
	var rate byteSize
	var account globussim.Account
	var lifetime time.Duration
	var rotate bool
	var state string
	c := &cobra.Command{
		Use:   "sim",
		Short: "Serve a simulated Globus over local folders",
		Long:  aboutSim,
		Args:  arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			cfg := globussim.Config{Rate: int64(rate), TokenLifetime: lifetime, Log: a.log}
			for _, text := range collections {
				collection, err := parseCollection(text)
				if err != nil {
					return usageError{fmt.Errorf("--collection %s: %w", text, err)}
				}
				cfg.Collections = append(cfg.Collections, collection)
			}
			if state != "" && account.Secret == "" {
				return usageError{errors.New("--state needs --client-secret: with a new secret at each start, nobody who used the simulator before could log in")}
			}
			account.Secret = cmp.Or(account.Secret, rand.Text())
			cfg.Accounts = []globussim.Account{account, {ID: simAppID(), Name: "globus-runner", NativeApp: true}}
			cfg.Persons = []globussim.Person{{Username: simPerson, Name: "Ada Lovelace"}}
			cfg.Flows = []globussim.Flow{{Title: simFlow}}
			cfg.RotateRefreshTokens, cfg.Hosts, cfg.State = rotate, hosts, state
			own(cfg.Collections, account.ID)
			return a.serveSim(c.Context(), listen, cfg)
		},
	}
	flags := c.Flags()
	flags.StringVar(&listen, "listen", "127.0.0.1:0", "address to listen on; port 0: any free port")
	flags.StringArrayVar(&collections, "collection", nil, "NAME=FOLDER[,OPTION...]; may be given several times")
	flags.Var(&rate, "rate", "how fast one task moves data, such as 50MiB/s; default: as fast as possible")
	flags.DurationVar(&lifetime, "token-lifetime", 48*time.Hour, "how long a token is valid")
	flags.StringSliceVar(&hosts, "host", nil, "a name by which other machines reach the simulator; other names are refused, to keep web pages out")
	flags.BoolVar(&rotate, "rotate-refresh-tokens", false, "let a refresh token be used only once; each refresh brings a new one")
	flags.StringVar(&state, "state", "", "file in which it keeps what it has acknowledged, so that it can be killed and started again; needs --client-secret")
	flags.StringVar(&account.ID, "client-id", simClientID(), "client id of the service account")
	flags.StringVar(&account.Secret, "client-secret", "", "its secret, simulated too; default: a new one")
	return c
}

// own gives collections that nobody else owns to the service account, so that
// they are among "my endpoints", and the roles that were named.
func own(collections []globussim.Collection, account string) {
	for i := range collections {
		c := &collections[i]
		for i := range c.Roles {
			c.Roles[i].Principal = account
		}
		switch {
		case c.Owner == somebody:
			c.Owner = globussim.PersonID(simPerson)
		case c.Access == nil:
			c.Owner = account
		}
	}
}

// somebody is the value of the option owner for a person.
const somebody = "person"

// simFlow is the title of the flow that can be run.
const simFlow = "Transfer"

// simPerson is the username of the person who can log in to the simulator.
const simPerson = "ada@sim.example"

// simAppID is the id of the native app through which persons log in to the
// simulator, always the same.
func simAppID() string {
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte("https://github.com/globus-runner/globus-runner/sim/app")).String()
}

// simClientID is the id of the simulated service account, always the same.
func simClientID() string {
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte("https://github.com/globus-runner/globus-runner/sim")).String()
}

// A simulation is a simulator at an address.
type simulation struct {
	*globussim.Server
	listener net.Listener
}

// newSimulation makes a simulator that can be reached, and answers as soon as serve
// is called.
func newSimulation(ctx context.Context, listen string, cfg globussim.Config) (*simulation, error) {
	sim, err := globussim.New(cfg)
	if err != nil {
		return nil, usageError{err}
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", listen)
	if err != nil {
		_ = sim.Close() // nobody has used it
		return nil, usageError{fmt.Errorf("--listen: %w", err)}
	}
	return &simulation{sim, l}, nil
}

// url is the address of all services. It ends in a slash, as the addresses of the
// real ones do in official clients, some of which put a path right behind it.
func (s *simulation) url() string { return "http://" + s.listener.Addr().String() + "/" }

// serve answers until ctx ends.
func (s *simulation) serve(ctx context.Context) error {
	server := &http.Server{Handler: s, ReadHeaderTimeout: 30 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() }) // Serve returns what there is to say
	defer stop()
	err := server.Serve(s.listener)
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	if err := errors.Join(err, s.Close()); err != nil {
		return fmt.Errorf("serve the simulator: %w", err)
	}
	return nil
}

// serveSim says what a simulator has, and serves it until ctx ends.
func (a *app) serveSim(ctx context.Context, listen string, cfg globussim.Config) error {
	sim, err := newSimulation(ctx, listen, cfg)
	if err != nil {
		return err
	}
	a.warnOfStrangers(sim.listener.Addr().String())
	doc := describeSim(sim.url(), cfg)
	if err := a.print(doc, doc.text); err != nil {
		_, _ = sim.listener.Close(), sim.Close() // nobody has used it
		return err
	}
	return sim.serve(ctx)
}

// warnOfStrangers warns if other machines may reach the simulator.
func (a *app) warnOfStrangers(address string) {
	if host, _, err := net.SplitHostPort(address); err != nil || !jobs.Loopback(host) {
		a.log.Warn("other machines may reach the simulator, and read and change its folders; --listen 127.0.0.1:0 keeps them out", "address", address)
	}
}

// A simDocument is what a simulator says of itself.
type simDocument struct {
	URL          string            `json:"url"`
	ClientID     string            `json:"client_id"`
	ClientSecret string            `json:"client_secret"` // of a simulated account
	NativeApp    string            `json:"native_app"`    // client id, for runner login
	Person       string            `json:"person"`        // username, for the same
	Flow         string            `json:"flow"`          // id of one that transfers
	Collections  map[string]string `json:"collections"`   // id by name

	names []string // in the order they were given
}

func describeSim(url string, cfg globussim.Config) *simDocument {
	d := &simDocument{
		URL: url, ClientID: cfg.Accounts[0].ID, ClientSecret: cfg.Accounts[0].Secret,
		NativeApp: simAppID(), Person: simPerson, Flow: globussim.FlowID(simFlow), Collections: map[string]string{},
	}
	for _, c := range cfg.Collections {
		d.Collections[c.Name] = globussim.CollectionID(c.Name)
		d.names = append(d.names, c.Name)
	}
	return d
}

func (d *simDocument) text(w io.Writer) {
	export := func(name, value string) { fmt.Fprintf(w, "export %s='%s'\n", name, value) }
	for _, service := range []string{"AUTH", "TRANSFER", "TIMER", "TIMERS", "FLOWS"} { // TIMERS for the JavaScript SDK
		export("GLOBUS_SDK_SERVICE_URL_"+service, d.URL)
	}
	export("CLIENT_ID", d.ClientID)
	export("CLIENT_SECRET", d.ClientSecret)
	export("GLOBUS_CLI_CLIENT_ID", d.ClientID)
	export("GLOBUS_CLI_CLIENT_SECRET", d.ClientSecret)
	export("NATIVE_APP", d.NativeApp)
	export("PERSON", d.Person)
	export("FLOW", d.Flow)
	for _, name := range d.names {
		export("COLLECTION_"+strings.ToUpper(strings.ReplaceAll(name, "-", "_")), d.Collections[name])
	}
}

// parseCollection reads NAME=FOLDER[,OPTION...].
func parseCollection(text string) (globussim.Collection, error) {
	valid := regexp.MustCompile(`^[A-Za-z0-9][-A-Za-z0-9_]*$`)
	name, rest, ok := strings.Cut(text, "=")
	if !ok || !valid.MatchString(name) || rest == "" {
		return globussim.Collection{}, errors.New("want NAME=FOLDER, where NAME has letters, digits, - and _")
	}
	parts := strings.Split(rest, ",")
	c := globussim.Collection{Name: name, Dir: parts[0]}
	for _, option := range parts[1:] {
		key, value, _ := strings.Cut(option, "=")
		if err := collectionOption(&c, key, value); err != nil {
			return c, err
		}
	}
	return c, nil
}

func collectionOption(c *globussim.Collection, key, value string) error {
	switch key {
	case "type":
		types := map[string]string{
			"guest": globussim.GuestCollection, "mapped": globussim.MappedCollection, "mapped-ha": globussim.MappedCollection,
			"gcp": globussim.GCPMappedCollection, "gcp-guest": globussim.GCPGuestCollection, "server": globussim.ServerEndpoint,
		}
		if c.EntityType = types[value]; c.EntityType == "" {
			return fmt.Errorf("type %q is none of guest, mapped, mapped-ha, gcp, gcp-guest, server", value)
		}
		c.HighAssurance = value == "mapped-ha"
	case "access":
		switch value {
		case "none":
			c.Access = []globussim.AccessRule{}
		case "r", "rw":
			c.Access = []globussim.AccessRule{{Principal: "all_authenticated_users", Path: "/", Permissions: value}}
		default:
			return fmt.Errorf("access %q is none of r, rw, none", value)
		}
	case "quota":
		var n byteSize
		if err := n.Set(value); err != nil {
			return err
		}
		c.Quota = int64(n)
	case "max-access":
		life, err := jobs.ParseDuration(value)
		if err != nil || life < time.Minute {
			return fmt.Errorf("max-access %q is not a duration of a minute or more, such as 90d", value)
		}
		c.MaxAccess = life
	case "owner":
		if value != somebody {
			return fmt.Errorf("owner %q is not %s", value, somebody)
		}
		c.Owner = value
	case "role":
		c.Roles = append(c.Roles, globussim.Role{Role: value}) // of whom, own says
	default:
		return simpleOption(c, key, value)
	}
	return nil
}

// simpleOption sets what is a text or a truth value.
func simpleOption(c *globussim.Collection, key, value string) error {
	texts := map[string]*string{
		"home": &c.Home, "subscription": &c.SubscriptionID, "policy": &c.SessionPolicy,
		"keep-times": (*string)(&c.Policies.KeepTimes), "assured-only": (*string)(&c.Policies.AssuredOnly),
		"flow-in": &c.Policies.FlowIn, "flow-out": &c.Policies.FlowOut,
	}
	flags := map[string]*bool{
		"offline": &c.Offline, "paused": &c.Paused, "broken": &c.NonFunctional, "mfa": &c.MFARequired,
		"force-verify": &c.Policies.ForceVerify, "disable-verify": &c.Policies.DisableVerify, "no-anonymous-writes": &c.Policies.NoAnonymousWrites,
	}
	switch {
	case texts[key] != nil:
		*texts[key] = value
	case flags[key] != nil:
		*flags[key] = true
	default:
		return fmt.Errorf("unknown option %q", key)
	}
	return nil
}

// A byteSize is a number of bytes such as 50MiB, or as many a second.
type byteSize int64

func (b *byteSize) String() string {
	if *b == 0 {
		return ""
	}
	return strconv.FormatInt(int64(*b), 10)
}
func (b *byteSize) Type() string { return "SIZE" }

// Set takes a number with kB, MB, GB, TB or KiB, MiB, GiB, TiB.
func (b *byteSize) Set(text string) error {
	m := regexp.MustCompile(`^([0-9]{1,12})([kKMGT]?)(i?)(B?)(/s)?$`).FindStringSubmatch(text)
	if m == nil || (m[3] != "" && m[2] == "") {
		return fmt.Errorf("%q is not a size such as 10MiB", text)
	}
	n, err := strconv.ParseInt(m[1], 10, 64)
	if err != nil {
		return err
	}
	step := int64(1000)
	if m[3] != "" {
		step = 1024
	}
	for range strings.Index(" KMGT", strings.ToUpper(cmp.Or(m[2], " "))) {
		if n > (1<<62)/step {
			return fmt.Errorf("%q is too large", text)
		}
		n *= step
	}
	if n == 0 {
		return fmt.Errorf("%q is zero", text)
	}
	*b = byteSize(n)
	return nil
}
