package clientcreds

import (
	"slices"

	"github.com/globus-runner/globus-runner/auth"
)

// Credentials are the id and the secret of a service account. They come from
// [Environment.Credentials].
type Credentials struct {
	id       string
	secret   auth.Secret
	file     string // holds the secret and may be replaced; empty if no file does
	warnings []string
}

// ID returns the client id, a UUID in lower case.
func (c Credentials) ID() string { return c.id }

// Warnings says what is unsafe about the credentials, one sentence each.
func (c Credentials) Warnings() []string { return slices.Clone(c.warnings) }
