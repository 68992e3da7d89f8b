package auth

import (
	"errors"
	"log/slog"
)

// A Secret is a text that is not printed by accident: verbs of fmt, slog
// handlers and encoders show only that it is set. The zero Secret is empty.
// Secrets cannot be compared with ==; compare what Reveal returns.
type Secret struct{ reveal func() string }

// NewSecret returns a Secret that holds text.
func NewSecret(text string) Secret { return Secret{func() string { return text }} }

// Reveal returns the text.
func (s Secret) Reveal() string {
	if s.reveal == nil {
		return ""
	}
	return s.reveal()
}

// IsZero reports whether the text is empty.
func (s Secret) IsZero() bool { return s.Reveal() == "" }

// masked is shown in place of a secret.
const masked = "[secret]"

// String returns a mask, or "" for an empty secret.
func (s Secret) String() string {
	if s.IsZero() {
		return ""
	}
	return masked
}

// LogValue returns the mask.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText returns an error, so that a document that would lack the secret
// is not written. To write it on purpose, use [Secret.Reveal] or
// [Token.Document].
func (s Secret) MarshalText() ([]byte, error) {
	return nil, errors.New("a secret is not written by an encoder: reveal it on purpose")
}

// UnmarshalText makes text the secret.
func (s *Secret) UnmarshalText(text []byte) error {
	*s = NewSecret(string(text))
	return nil
}
