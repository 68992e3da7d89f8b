package settings

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

// A ServiceURL is the address of a service, or nothing.
type ServiceURL struct{ url *url.URL }

// UnmarshalText reads an address. Its error does not show one that may contain a
// password.
func (s *ServiceURL) UnmarshalText(text []byte) error {
	const want = "an address such as https://transfer.api.globus.org/"
	u, err := url.Parse(string(text))
	switch {
	case bytes.ContainsAny(text, "@?#"):
		return errors.New("there is an @, ? or # in the address, as before a host or a query (it is not shown, since it may hold a password): want " + want)
	case err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "":
		return fmt.Errorf("%q is not %s", text, want)
	case strings.HasSuffix(strings.TrimRight(u.Path, "/"), "/v0.10"):
		return fmt.Errorf("%q ends in the version of the interface, which each request adds: want %s", text, want)
	}
	s.url = u
	return nil
}

func (s ServiceURL) or(fallback string) *url.URL {
	if s.url != nil {
		return s.url
	}
	u, err := url.Parse(fallback)
	if err != nil {
		panic(err) // the fallbacks are constants
	}
	return u
}

// Seconds is a duration that is written as a number of seconds; negative means no
// limit.
type Seconds time.Duration

// UnmarshalText reads a number of seconds.
func (t *Seconds) UnmarshalText(text []byte) error {
	s, err := strconv.ParseFloat(string(text), 64)
	if err != nil || s == 0 || s != s || s > 1e6 || (s < 0 && s != -1) {
		return fmt.Errorf("%q is not a number of seconds above 0, or -1", text)
	}
	*t = Seconds(s * float64(time.Second))
	return nil
}

// A Verification says whether certificates are checked, and against which CA bundle.
type Verification struct {
	Off    bool
	Bundle string // file; empty means the system's
}

// UnmarshalText reads the forms that the official SDKs accept.
func (v *Verification) UnmarshalText(text []byte) error {
	switch strings.ToLower(string(text)) {
	case "y", "yes", "t", "true", "on", "1":
		return nil
	case "n", "no", "f", "false", "off", "0":
		v.Off = true
		return nil
	}
	if info, err := os.Stat(string(text)); err != nil || info.IsDir() {
		return fmt.Errorf("%q is neither true nor false nor the file of a CA bundle%s", text, spelling.Hint(string(text), "true", "false"))
	}
	v.Bundle = string(text)
	return nil
}

// A LogFormat is one of the formats below.
type LogFormat string

// The formats. LogAuto is text on a terminal and JSON elsewhere.
const (
	LogAuto LogFormat = ""
	LogText LogFormat = "text"
	LogJSON LogFormat = "json"
)

// UnmarshalText reads a format, in upper or lower case.
func (f *LogFormat) UnmarshalText(text []byte) (err error) {
	*f, err = spelling.OneOf(string(text), LogJSON, LogText)
	return err
}

// A LogLevel is the lowest level that is logged.
type LogLevel slog.Level

// UnmarshalText reads the name of a level, in upper or lower case.
func (l *LogLevel) UnmarshalText(text []byte) error {
	word, err := spelling.OneOf(string(text), "debug", "info", "warn", "error")
	if err != nil {
		return err
	}
	return (*slog.Level)(l).UnmarshalText([]byte(word))
}

// A Count is a number from 0 to 65535.
type Count int

// UnmarshalText reads a whole number.
func (r *Count) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 10, 16)
	if err != nil {
		return fmt.Errorf("%q is not a whole number from 0 to 65535", text)
	}
	*r = Count(n)
	return nil
}
