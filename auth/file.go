package auth

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

const maxSecretFile = 64 << 10 // bytes

// ReadSecret reads a secret from a file of at most 64 KiB, and drops line ends
// at its end. The warning is empty unless everybody may read the file.
func ReadSecret(name string) (secret Secret, warning string, err error) {
	f, err := os.Open(name)
	if err != nil {
		return Secret{}, "", err
	}
	defer func() { _ = f.Close() }() // it was only read

	data, err := io.ReadAll(io.LimitReader(f, maxSecretFile+1))
	if err != nil {
		return Secret{}, "", err
	}
	text := strings.TrimRight(string(data), "\r\n")
	switch {
	case len(data) > maxSecretFile:
		return Secret{}, "", fmt.Errorf("%s is longer than %d bytes", name, maxSecretFile)
	case text == "":
		return Secret{}, "", errors.New(name + " is empty")
	}
	info, err := f.Stat() // follows links
	if err != nil {
		return Secret{}, "", err
	}
	if mode := info.Mode().Perm(); mode&0o004 != 0 {
		warning = fmt.Sprintf("everybody may read %s (mode %#o); a secret should be readable by its user only", name, mode)
	}
	return NewSecret(text), warning, nil
}
