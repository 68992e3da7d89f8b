package clientcreds

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/globus-runner/globus-runner/auth"
)

const maxSecretFile = 64 << 10 // bytes

// Credentials are the id and the secret of a service account. They come from
// [Environment.Credentials].
type Credentials struct {
	id       string
	secret   auth.Secret
	file     string // holds the secret and may be written anew; empty if there is none
	warnings []string
}

// ID returns the client id, a UUID in lower case.
func (c Credentials) ID() string { return c.id }

// Warnings returns what is unsafe about the credentials, a sentence each.
func (c Credentials) Warnings() []string { return slices.Clone(c.warnings) }

// readSecret reads the secret that a file holds, without line ends at its end.
// The warning is empty unless everybody may read the file.
func readSecret(name string) (text, warning string, err error) {
	f, err := os.Open(name)
	if err != nil {
		return "", "", err
	}
	defer func() { _ = f.Close() }() // it was only read

	data, err := io.ReadAll(io.LimitReader(f, maxSecretFile+1))
	if err != nil {
		return "", "", err
	}
	text = strings.TrimRight(string(data), "\r\n")
	switch {
	case len(data) > maxSecretFile:
		return "", "", fmt.Errorf("%s is longer than %d bytes", name, maxSecretFile)
	case text == "":
		return "", "", errors.New(name + " is empty")
	}
	info, err := f.Stat() // of what links lead to
	if err != nil {
		return "", "", err
	}
	if mode := info.Mode().Perm(); mode&0o004 != 0 {
		warning = fmt.Sprintf("everybody may read %s (mode %#o); a secret should be readable by its user only", name, mode)
	}
	return text, warning, nil
}
