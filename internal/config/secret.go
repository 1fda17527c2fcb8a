package config

import (
	"fmt"
	"io"
	"log/slog"
)

// Secret is text that shows itself as [redacted] wherever it is printed,
// logged or encoded; only Reveal tells it. An unset one shows as empty text.
type Secret struct {
	// A pointer, so that a print of a struct that holds the secret in an
	// unexported field, where fmt calls no methods, shows an address.
	text *string
}

// NewSecret hides s.
func NewSecret(s string) Secret {
	if s == "" {
		return Secret{}
	}
	return Secret{text: &s}
}

// Reveal returns the secret itself.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// String hides the secret.
func (s Secret) String() string {
	if s.text == nil {
		return ""
	}
	return "[redacted]"
}

// GoString hides the secret from %#v.
func (s Secret) GoString() string { return "config.Secret(" + s.String() + ")" }

// Format hides the secret from every verb, %x and %d included.
func (s Secret) Format(f fmt.State, verb rune) {
	shown := s.String()
	switch {
	case verb == 'q':
		shown = fmt.Sprintf("%q", shown)
	case verb == 'v' && f.Flag('#'):
		shown = s.GoString()
	}
	// fmt.State offers no way to report a failed write, and fmt drops it too.
	_, _ = io.WriteString(f, shown)
}

// MarshalText hides the secret from JSON, YAML and other encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText takes the secret in.
func (s *Secret) UnmarshalText(text []byte) error {
	*s = NewSecret(string(text))
	return nil
}

// LogValue hides the secret from slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }
