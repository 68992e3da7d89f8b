package settings

import (
	"errors"
	"net/mail"

	"github.com/globus-runner/globus-runner/auth"
)

// A Mail holds the variables for notices by mail.
type Mail struct {
	URL     auth.Secret `env:"RUNNER_SMTP_URL" desc:"mail server of notices: smtp://user:password@host:587, or smtps://user:password@host:465"`
	URLFile string      `env:"RUNNER_SMTP_URL_FILE" desc:"file that holds the address of the mail server, instead of RUNNER_SMTP_URL; read for each mail"`
	From    string      `env:"RUNNER_SMTP_FROM" desc:"sender of notices by mail, such as runner@example.org"`
}

// Server returns a function that reads the address of the mail server, or nil if none
// is set.
func (m *Mail) Server() func() (auth.Secret, error) {
	switch {
	case m.URLFile != "":
		return func() (auth.Secret, error) {
			address, _, err := auth.ReadSecret(m.URLFile)
			return address, err
		}
	case !m.URL.IsZero():
		return func() (auth.Secret, error) { return m.URL, nil }
	}
	return nil
}

// check returns what is wrong with the variables, except the server's address, which
// the mail channel checks.
func (m *Mail) check() []error {
	var problems []error
	if !m.URL.IsZero() && m.URLFile != "" {
		problems = append(problems, errors.New("RUNNER_SMTP_URL and RUNNER_SMTP_URL_FILE are both set: unset one of them"))
	}
	if _, err := mail.ParseAddress(m.From); m.From != "" && err != nil {
		problems = append(problems, errors.New("RUNNER_SMTP_FROM is not an address such as runner@example.org"))
	}
	return problems
}
