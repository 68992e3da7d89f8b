package auth

import (
	"errors"
	"log/slog"
)

// A Secret is a text that nothing prints by accident: no verb of fmt, no slog
// handler and no encoder shows more of it than that it is there. The zero
// Secret is empty. Secrets cannot be compared with ==; compare what they
// reveal.
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

// masked is what is shown in place of a secret.
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

// MarshalText returns an error, so that a document which would lack the secret
// is not written at all. To write one on purpose, reveal the secret, or use
// [Token.Document].
func (s Secret) MarshalText() ([]byte, error) {
	return nil, errors.New("a secret is not written by an encoder: reveal it on purpose")
}

// UnmarshalText makes text the secret.
func (s *Secret) UnmarshalText(text []byte) error {
	*s = NewSecret(string(text))
	return nil
}
