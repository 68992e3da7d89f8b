package transfer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/globus-runner/globus-runner/internal/plain"
)

// A Time is an instant in the service's format. It is read from RFC 3339, also
// with a space for the T, without a zone (UTC), or as a date alone (midnight).
// It is written in UTC and whole seconds, such as 2026-03-01T04:05:06+00:00.
// The zero Time is null in JSON and empty in text.
type Time struct{ time.Time }

const timeLayout = "2006-01-02T15:04:05-07:00"

// UnmarshalText reads an instant in one of the forms above.
func (t *Time) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*t = Time{}
		return nil
	}
	s := string(text)
	iso := s
	if len(s) > len(time.DateOnly) && s[len(time.DateOnly)] == ' ' {
		iso = s[:len(time.DateOnly)] + "T" + s[len(time.DateOnly)+1:]
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", time.DateOnly} {
		if at, err := time.Parse(layout, iso); err == nil {
			*t = Time{at.UTC()}
			return nil
		}
	}
	return fmt.Errorf("%q is not a time such as 2026-03-01T04:05:06Z", plain.Short(s, maxQuote))
}

// UnmarshalJSON reads an instant from a string, and the zero Time from null.
func (t *Time) UnmarshalJSON(doc []byte) error {
	if bytes.Equal(doc, []byte("null")) {
		*t = Time{}
		return nil
	}
	var s string
	if err := json.Unmarshal(doc, &s); err != nil {
		return err
	}
	return t.UnmarshalText([]byte(s))
}

// MarshalText writes t in UTC. A year outside 0 to 9999 is an error.
func (t Time) MarshalText() ([]byte, error) {
	if t.IsZero() {
		return nil, nil
	}
	at := t.UTC()
	if y := at.Year(); y < 0 || y > 9999 {
		return nil, fmt.Errorf("year %d is outside 0 to 9999", y)
	}
	return at.AppendFormat(nil, timeLayout), nil
}

// MarshalJSON writes t in UTC as a string, or null. A year outside 0 to 9999
// is an error.
func (t Time) MarshalJSON() ([]byte, error) {
	if t.IsZero() {
		return []byte("null"), nil
	}
	text, err := t.MarshalText()
	if err != nil {
		return nil, err
	}
	return json.Marshal(string(text))
}
