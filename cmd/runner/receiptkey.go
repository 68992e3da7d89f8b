package main

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"fmt"

	"github.com/globus-runner/globus-runner/internal/engine"
)

// readKey returns the key in a file in PEM form, which parse reads. Want says which
// key it should be, and how to make one.
func readKey[K any](file string, parse func(der []byte) (any, error), want string) (key K, err error) {
	text, err := readBounded(file)
	if err != nil {
		return key, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return key, fmt.Errorf("%s has no key in PEM form: openssl genpkey -algorithm ed25519 makes one, and openssl pkey -pubout its public key", file)
	}
	parsed, err := parse(block.Bytes)
	key, ok := parsed.(K)
	if err != nil || !ok {
		return key, fmt.Errorf("%s is not %s", file, want)
	}
	return key, nil
}

// publicKey reads the key that signatures are checked with; nil if there is no
// file.
func publicKey(file string) (ed25519.PublicKey, error) {
	if file == "" {
		return nil, nil
	}
	return readKey[ed25519.PublicKey](file, x509.ParsePKIXPublicKey, "a public Ed25519 key: openssl pkey -pubout makes the public key of a private one")
}

// signing returns what signs receipts, with RUNNER_SIGNING_KEY_FILE.
func (a *app) signing() (engine.Option, error) {
	file := a.env.SigningKeyFile
	if file == "" {
		return engine.WithSigningKey(nil), nil
	}
	key, err := readKey[ed25519.PrivateKey](file, x509.ParsePKCS8PrivateKey, "a private Ed25519 key: openssl genpkey -algorithm ed25519 makes one")
	if err != nil {
		return nil, usageError{fmt.Errorf("RUNNER_SIGNING_KEY_FILE: %w", err)}
	}
	return engine.WithSigningKey(key), nil
}
