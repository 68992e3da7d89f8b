package jobs

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/globus-runner/globus-runner/internal/pattern"
	"github.com/globus-runner/globus-runner/schedule"
)

// A Channel is a way to tell people or machines what happens to jobs. Exactly one
// of Webhook, Slack, Teams, Mail and Ping is set.
type Channel struct {
	Name    string
	Webhook *Webhook
	Slack   *Hook
	Teams   *Hook
	Mail    *Mail
	Ping    *Hook // its address is a template, see [PingAddress]

	// Digest says when the channel gets a summary of the jobs that want one. Nil
	// means every day at 07:00.
	Digest *schedule.Schedule
}

// A Webhook is an HTTP service that takes notices as JSON.
type Webhook struct {
	Hook
	SecretFile string // file with the key that signs each request; empty means that they are not signed
}

// A Hook is the address of an HTTP service. Exactly one of URL and URLFile is set.
type Hook struct {
	URL     string // without a secret; [CheckAddress] holds
	URLFile string // file that holds the URL, on one line
}

// A Mail is a list of people who get notices as mail.
type Mail struct {
	To []string // addresses, at least one
	Cc []string
}

// CheckAddress returns what is wrong with the address of an HTTP service. What goes
// over a network must be encrypted. No error repeats the address, which may hold
// a secret.
func CheckAddress(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return errors.New("want a URL such as https://hooks.example.org/in")
	}
	switch {
	case u.User != nil:
		return errors.New("the URL has a user name in it, which services of this kind do not use")
	case u.Scheme == "https":
	case u.Scheme == "http" && Loopback(u.Hostname()):
	case u.Scheme == "http":
		return errors.New("http is not encrypted; want https, or a service on this computer")
	default:
		return fmt.Errorf("the scheme is %.20q, want https", u.Scheme)
	}
	return nil
}

// Loopback reports whether a host is this computer, by its address or as localhost.
func Loopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

var jobAction = pattern.Lazy(`\{\{\s*\.Job\s*\}\}`)

// PingAddress returns the address of a ping for a job: template, with the job's
// name for each {{ .Job }}.
func PingAddress(template, job string) string {
	return jobAction().ReplaceAllLiteralString(template, job)
}
