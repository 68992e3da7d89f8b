package main

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"fmt"

	"github.com/globus-runner/globus-runner/internal/engine"
)

// readKeys returns the keys in a file in PEM form, at least one, each of which parse reads.
// Want says which keys they should be, and how to make one.
func readKeys[K any](file string, parse func(der []byte) (any, error), want string) (keys []K, err error) {
	text, err := readBounded(file)
	if err != nil {
		return nil, err
	}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		parsed, err := parse(block.Bytes)
		key, ok := parsed.(K)
		if err != nil || !ok {
			return nil, fmt.Errorf("%s is not %s", file, want)
		}
		keys = append(keys, key)
	}
	if keys == nil {
		return nil, fmt.Errorf("%s has no key in PEM form: openssl genpkey -algorithm ed25519 makes one, and openssl pkey -pubout its public key", file)
	}
	return keys, nil
}

// publicKeys reads the keys that signatures are checked with.
func publicKeys(files []string) (keys []ed25519.PublicKey, err error) {
	for _, file := range files {
		more, err := readKeys[ed25519.PublicKey](file, x509.ParsePKIXPublicKey, "a public Ed25519 key: openssl pkey -pubout makes the public key of a private one")
		if err != nil {
			return nil, err
		}
		keys = append(keys, more...)
	}
	return keys, nil
}

// signing returns what signs receipts, with RUNNER_SIGNING_KEY_FILE.
func (a *app) signing() (engine.Option, error) {
	file := a.env.SigningKeyFile
	if file == "" {
		return engine.WithSigningKey(nil), nil
	}
	keys, err := readKeys[ed25519.PrivateKey](file, x509.ParsePKCS8PrivateKey, "a private Ed25519 key: openssl genpkey -algorithm ed25519 makes one")
	if err != nil {
		return nil, usageError{fmt.Errorf("RUNNER_SIGNING_KEY_FILE: %w", err)}
	}
	return engine.WithSigningKey(keys[0]), nil
}
