// Package channel sends notices: to webhooks, to chats, as mail, and as pings to
// services that wait for a sign of life. Which notices there are, and when one is
// sent again, is decided by package notify.
//
// What names, labels and services say is foreign: in each format it is text, never
// markup, a mention, a link or a header. Addresses and passwords are read again
// for each notice, so that they can be replaced while the program runs, and are in
// no error.
package channel

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/internal/notify"
	"github.com/globus-runner/globus-runner/jobs"
)

// timeout is how long a receiver has to take a notice.
const timeout = 10 * time.Second

// Options are what the channels of a jobs file do not say themselves. The zero
// value is enough for all but mail.
type Options struct {
	Version string // of the program, for the header User-Agent

	// SMTP returns the address of the mail server, such as
	// smtp://user:password@mail.example.org:587, or smtps:// for TLS from the
	// beginning. It is called for each mail. Nil means that there is none.
	SMTP func() (auth.Secret, error)
	From string // the sender of mails, such as "Runner <runner@example.org>"

	// PageLink returns the address of what is at a path of the page, such as
	// /runs/17. Nil means that notices have no link.
	PageLink func(path ...string) string

	// Network is the way to receivers over HTTP. Nil means the real one, with the
	// proxy that the environment names.
	Network http.RoundTripper
	// Dial connects to mail servers, and to the receivers that [Reach] looks for. Nil
	// means over the network.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Roots are the certificates that receivers are checked against. Nil means
	// those of the system.
	Roots *x509.CertPool
}

// Open returns the channel that c describes. It sends nothing, but reads the files
// that Send will read again, so that a mistake is known before there is a notice.
func Open(c jobs.Channel, o Options) (notify.Channel, error) {
	opened, err := open(c, o)
	if err == nil {
		err = opened.check()
	}
	if err != nil {
		return nil, fmt.Errorf("channel %s: %w", c.Name, err)
	}
	if o.PageLink == nil {
		return opened, nil
	}
	return linking{opened, o.PageLink}, nil
}

// A linking channel gives each notice the link to what it is about. The ledger keeps
// notices without it, so that they lead to where the page is when they are sent.
type linking struct {
	notify.Channel
	page func(path ...string) string
}

// Send implements [notify.Channel].
func (l linking) Send(ctx context.Context, n *notify.Notice) error {
	linked := *n
	switch {
	case n.Run != 0:
		linked.Link = l.page("runs", strconv.FormatInt(n.Run, 10))
	case n.Job != "":
		linked.Link = l.page("jobs", n.Job)
	default:
		linked.Link = l.page("/")
	}
	return l.Channel.Send(ctx, &linked)
}

// An Answer is what there is at the other end of a channel.
type Answer struct {
	Host string    // such as "hooks.example.org", or "mail server mail.example.org"
	Ends time.Time // when its certificate ends; zero if it has shown none

	begins time.Time
}

// EndsSoon reports whether the certificate ends within two weeks, and should have been
// renewed by now: one that is made for a few days is renewed later.
func (a Answer) EndsSoon(now time.Time) bool {
	left := a.Ends.Sub(now)
	return !a.Ends.IsZero() && left < 14*24*time.Hour && left < a.Ends.Sub(a.begins)/5
}

// certified is the answer of a host over a connection.
func certified(host string, state tls.ConnectionState) Answer {
	a := Answer{Host: host}
	if len(state.PeerCertificates) > 0 {
		a.begins, a.Ends = state.PeerCertificates[0].NotBefore, state.PeerCertificates[0].NotAfter
	}
	return a
}

// Reach opens the channel that c describes, and connects to its receiver without
// sending a notice. A mail server sees the password of the channel.
func Reach(ctx context.Context, c jobs.Channel, o Options) (Answer, error) {
	opened, err := open(c, o)
	if err == nil {
		err = opened.check()
	}
	if err != nil {
		return Answer{}, err
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	return opened.reach(ctx)
}

// checked is a channel that can say why it would not send anything.
type checked interface {
	notify.Channel
	check() error
	reach(ctx context.Context) (Answer, error)
}

func open(c jobs.Channel, o Options) (checked, error) {
	switch {
	case c.Webhook != nil:
		return &webhook{poster: newPoster(c.Webhook.Hook, o), keyFile: c.Webhook.SecretFile}, nil
	case c.Slack != nil:
		return &chat{newPoster(*c.Slack, o), slackMessage}, nil
	case c.Teams != nil:
		return &chat{newPoster(*c.Teams, o), teamsMessage}, nil
	case c.Ping != nil:
		return &ping{newPoster(*c.Ping, o)}, nil
	case c.Mail != nil:
		return newMail(*c.Mail, o)
	}
	return nil, errors.New("it has no receiver")
}

// An Error says why a receiver did not take a notice. Its text holds no secret and
// no more of an address than the host.
type Error struct {
	Reason error

	lasting bool
	partly  bool
	after   time.Duration
}

// Error returns the reason.
func (e *Error) Error() string { return e.Reason.Error() }

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Reason }

// Lasting reports whether sending again is of no use.
func (e *Error) Lasting() bool { return e.lasting }

// Partly reports whether others have got the notice.
func (e *Error) Partly() bool { return e.partly }

// RetryAfter returns how long the receiver wants to be left alone, or zero.
func (e *Error) RetryAfter() time.Duration { return e.after }

// passing returns an error that may be gone at the next try.
func passing(format string, args ...any) error { return &Error{Reason: fmt.Errorf(format, args...)} }

// lasting returns an error that will be the same at each try.
func lasting(format string, args ...any) error {
	return &Error{Reason: fmt.Errorf(format, args...), lasting: true}
}

// bounded returns a context that ends when the receiver has had its time.
func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, timeout, fmt.Errorf("no answer within %s", timeout))
}

// unanswered returns why there was no answer: why ctx has ended, or else err.
func unanswered(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}
