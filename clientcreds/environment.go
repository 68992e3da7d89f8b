package clientcreds

import (
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/internal/spelling"
)

// ErrNoCredentials says that no variable of an [Environment] is set.
var ErrNoCredentials = errors.New("no service account")

// An Environment holds the variables that name a service account, as
// caarlos0/env fills it; the tag desc says what a variable means. An empty
// variable counts as not set. See [Environment.Credentials] for the rules.
type Environment struct {
	ClientID         string      `env:"CLIENT_ID" desc:"client UUID of the service account"`
	ClientSecret     auth.Secret `env:"CLIENT_SECRET" desc:"its client secret"`
	ClientSecretFile string      `env:"CLIENT_SECRET_FILE" desc:"file that holds the secret, instead of CLIENT_SECRET"`

	GlobusClientID     string      `env:"GLOBUS_CLIENT_ID" desc:"in place of CLIENT_ID"`
	GlobusClientSecret auth.Secret `env:"GLOBUS_CLIENT_SECRET" desc:"in place of CLIENT_SECRET"`

	CLIClientID     string      `env:"GLOBUS_CLI_CLIENT_ID" desc:"in place of CLIENT_ID, as in globus-cli"`
	CLIClientSecret auth.Secret `env:"GLOBUS_CLI_CLIENT_SECRET" desc:"in place of CLIENT_SECRET, as in globus-cli"`
}

// Credentials returns the service account that the environment names.
//
// There are three pairs of variables: CLIENT_ID and CLIENT_SECRET (or
// CLIENT_SECRET_FILE), GLOBUS_CLIENT_ID and its secret, GLOBUS_CLI_CLIENT_ID
// and its secret. The first pair with a variable that is set is used, and must
// be complete; other pairs must not contradict it. An id must be a UUID, and is
// returned in lower case. A secret must not have line ends in it or blanks
// around it, but line ends at the end of the file are dropped. If nothing is
// set, the error is [ErrNoCredentials]. Errors do not contain values of
// variables, except the file's name.
//
// A file of more than 64 KiB is an error. If everybody may read the file,
// [Credentials.Warnings] says so. That includes Kubernetes secrets with their
// default mode of 0644; a defaultMode of 0440 and an fsGroup make them private.
func (e Environment) Credentials() (Credentials, error) {
	pairs, warnings, err := e.pairs()
	if err != nil {
		return Credentials{}, err
	}
	var used pair
	for _, p := range pairs {
		if p.id.value == "" && p.secret.value == "" {
			continue
		}
		if err := p.check(); err != nil {
			return Credentials{}, err
		}
		if used == (pair{}) {
			if err := p.complete(); err != nil {
				return Credentials{}, err
			}
			used = p
		}
		if err := errors.Join(used.id.conflict(p.id), used.secret.conflict(p.secret)); err != nil {
			return Credentials{}, err
		}
	}
	if used == (pair{}) {
		return Credentials{}, fmt.Errorf("%w: CLIENT_ID and CLIENT_SECRET must both be set. "+
			"To get them, open %s, choose \"Register a service account or application credential for automation\", "+
			"copy the client UUID into CLIENT_ID, add a client secret and copy it into CLIENT_SECRET",
			ErrNoCredentials, auth.Developers)
	}
	c := Credentials{id: used.id.value, secret: auth.NewSecret(used.secret.value), warnings: warnings}
	if used.secret.name == "CLIENT_SECRET_FILE" {
		c.file = e.ClientSecretFile
	}
	return c, nil
}

// ID returns the client id in lower case, and the variable that holds it. Both
// are empty if none is set.
func (e Environment) ID() (id, variable string, err error) {
	for _, p := range []pair{
		{id: newID("CLIENT_ID", e.ClientID)},
		{id: newID("GLOBUS_CLIENT_ID", e.GlobusClientID)},
		{id: newID("GLOBUS_CLI_CLIENT_ID", e.CLIClientID)},
	} {
		if p.id.value == "" {
			continue
		}
		if err := p.check(); err != nil {
			return "", "", err
		}
		return p.id.value, p.id.name, nil
	}
	return "", "", nil
}

// Secret returns the name of the first variable that is set to a secret or to a
// file of one, or "".
func (e Environment) Secret() (variable string) {
	switch {
	case !e.ClientSecret.IsZero():
		return "CLIENT_SECRET"
	case e.ClientSecretFile != "":
		return "CLIENT_SECRET_FILE"
	case !e.GlobusClientSecret.IsZero():
		return "GLOBUS_CLIENT_SECRET"
	case !e.CLIClientSecret.IsZero():
		return "GLOBUS_CLI_CLIENT_SECRET"
	}
	return ""
}

// pairs returns the variables in the order of their precedence, with the
// content of the file in place of its name.
func (e Environment) pairs() (pairs []pair, warnings []string, err error) {
	secret := variable{"CLIENT_SECRET", e.ClientSecret.Reveal()}
	if e.ClientSecretFile != "" {
		if secret.value != "" {
			return nil, nil, errors.New("CLIENT_SECRET and CLIENT_SECRET_FILE are both set: unset one of them")
		}
		text, warning, err := auth.ReadSecret(e.ClientSecretFile)
		if err != nil {
			return nil, nil, fmt.Errorf("CLIENT_SECRET_FILE: %w; name a readable file that holds only the secret", err)
		}
		if warning != "" {
			warnings = append(warnings, "CLIENT_SECRET_FILE: "+warning)
		}
		secret = variable{"CLIENT_SECRET_FILE", text.Reveal()}
	}
	return []pair{
		{newID("CLIENT_ID", e.ClientID), secret},
		{
			newID("GLOBUS_CLIENT_ID", e.GlobusClientID),
			variable{"GLOBUS_CLIENT_SECRET", e.GlobusClientSecret.Reveal()},
		},
		{
			newID("GLOBUS_CLI_CLIENT_ID", e.CLIClientID),
			variable{"GLOBUS_CLI_CLIENT_SECRET", e.CLIClientSecret.Reveal()},
		},
	}, warnings, nil
}

// A pair is an id and its secret. Its values must not get into errors: what is
// not a UUID may be a secret in the wrong variable.
type pair struct{ id, secret variable }

type variable struct{ name, value string }

func newID(name, id string) variable { return variable{name, strings.ToLower(id)} }

// check checks the form of the values that are set.
func (p pair) check() error {
	for _, v := range []variable{p.id, p.secret} {
		if around := spelling.Around(v.value); around != "" {
			return fmt.Errorf("%s: %s, which docker run --env-file and some editors leave: write the value without", v.name, around)
		}
	}
	if p.id.value != "" && (len(p.id.value) != 36 || uuid.Validate(p.id.value) != nil) {
		return fmt.Errorf("%s is not a UUID: copy the client UUID from %s, "+
			"36 characters such as 01234567-89ab-cdef-0123-456789abcdef", p.id.name, auth.Developers)
	}
	if v := p.secret.value; v != strings.TrimSpace(v) || strings.ContainsAny(v, "\r\n") {
		return fmt.Errorf("%s has a line end in it or a blank at one end: copy the secret again", p.secret.name)
	}
	return nil
}

// complete returns an error unless both halves of the pair are set.
func (p pair) complete() error {
	const both = "%s is set, but %s is not: %s and %s must both be set"
	switch {
	case p.secret.value == "":
		return fmt.Errorf(both, p.id.name, p.secret.name, p.id.name, p.secret.name)
	case p.id.value == "":
		return fmt.Errorf(both, p.secret.name, p.id.name, p.id.name, p.secret.name)
	}
	return nil
}

// conflict returns an error if w is set to another value than v.
func (v variable) conflict(w variable) error {
	if w.value == "" || v.value == w.value {
		return nil
	}
	return fmt.Errorf("%s and %s have different values, and only one of them can be meant: correct %[1]s, or unset %[2]s", v.name, w.name)
}
