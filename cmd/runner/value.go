package main

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/internal/spelling"
)

// A serviceURL is the address of a service, or nothing.
type serviceURL struct{ url *url.URL }

// UnmarshalText reads an address. One that may hold a password is not shown.
func (s *serviceURL) UnmarshalText(text []byte) error {
	const want = "an address such as https://transfer.api.globus.org/"
	u, err := url.Parse(string(text))
	switch {
	case bytes.ContainsAny(text, "@?#"):
		return errors.New("there is an @, ? or # in the address, as before a host or a query (it is not shown, since it may hold a password): want " + want)
	case err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "":
		return fmt.Errorf("%q is not %s", text, want)
	}
	s.url = u
	return nil
}

func (s serviceURL) or(fallback string) *url.URL {
	if s.url != nil {
		return s.url
	}
	u, err := url.Parse(fallback)
	if err != nil {
		panic(err) // the fallbacks are constants
	}
	return u
}

// An httpTimeout is a number of seconds; negative means no limit.
type httpTimeout time.Duration

func (t *httpTimeout) UnmarshalText(text []byte) error {
	s, err := strconv.ParseFloat(string(text), 64)
	if err != nil || s == 0 || s != s || s > 1e6 || (s < 0 && s != -1) {
		return fmt.Errorf("%q is not a number of seconds above 0, or -1", text)
	}
	*t = httpTimeout(s * float64(time.Second))
	return nil
}

// verifySSL says whether certificates are checked, and against which bundle.
type verifySSL struct {
	off    bool
	bundle string // file; empty means the system's
}

func (v *verifySSL) UnmarshalText(text []byte) error {
	switch strings.ToLower(string(text)) {
	case "y", "yes", "t", "true", "on", "1":
		return nil
	case "n", "no", "f", "false", "off", "0":
		v.off = true
		return nil
	}
	if info, err := os.Stat(string(text)); err != nil || info.IsDir() {
		return fmt.Errorf("%q is neither true nor false nor the file of a CA bundle%s", text, spelling.Hint(string(text), "true", "false"))
	}
	v.bundle = string(text)
	return nil
}

// A logFormat is one of the formats below.
type logFormat string

const (
	logAuto logFormat = ""
	logText logFormat = "text"
	logJSON logFormat = "json"
)

func (f *logFormat) UnmarshalText(text []byte) (err error) {
	*f, err = oneOf(string(text), logJSON, logText)
	return err
}

// A logLevel is the least grave level that is logged.
type logLevel slog.Level

func (l *logLevel) UnmarshalText(text []byte) error {
	word, err := oneOf(string(text), "debug", "info", "warn", "error")
	if err != nil {
		return err
	}
	return (*slog.Level)(l).UnmarshalText([]byte(word))
}

// A retryCount is how often a request is sent again.
type retryCount int

func (r *retryCount) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 10, 16)
	if err != nil {
		return fmt.Errorf("%q is not a whole number from 0 to 65535", text)
	}
	*r = retryCount(n)
	return nil
}
