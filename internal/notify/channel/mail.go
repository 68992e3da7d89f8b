package channel

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"

	"github.com/globus-runner/globus-runner/internal/notify"
	"github.com/globus-runner/globus-runner/jobs"
)

// A mailbox sends notices as mail, in plain text.
type mailbox struct {
	options Options
	from    *netmail.Address
	to, cc  []*netmail.Address

	mu   sync.Mutex
	open map[string]*delivery // by the id of the notice, of those that some recipient has yet to get
}

func newMail(c jobs.Mail, o Options) (*mailbox, error) {
	if o.SMTP == nil {
		return nil, errors.New("mail needs a server: set RUNNER_SMTP_URL or RUNNER_SMTP_URL_FILE")
	}
	from, err := netmail.ParseAddress(o.From)
	if err != nil {
		return nil, errors.New("mail needs a sender: set RUNNER_SMTP_FROM to an address such as runner@example.org")
	}
	m := &mailbox{options: o, from: from, open: map[string]*delivery{}}
	for _, list := range []struct {
		texts     []string
		addresses *[]*netmail.Address
	}{{c.To, &m.to}, {c.Cc, &m.cc}} {
		for _, text := range list.texts {
			a, err := netmail.ParseAddress(text)
			if err != nil {
				return nil, fmt.Errorf("%q is not an address such as pi@example.edu", text)
			}
			*list.addresses = append(*list.addresses, a)
		}
	}
	return m, nil
}

// server reads the address of the mail server.
func (m *mailbox) server() (*mailServer, error) {
	secret, err := m.options.SMTP()
	if err != nil {
		return nil, passing("read the address of the mail server: %w", err)
	}
	server, err := parseSMTP(secret.Reveal())
	if err != nil {
		return nil, passing("the address of the mail server: %w", err)
	}
	return server, nil
}

func (m *mailbox) check() error {
	_, err := m.server()
	return err
}

// Send implements [notify.Channel].
func (m *mailbox) Send(ctx context.Context, n *notify.Notice) error {
	server, err := m.server()
	if err != nil {
		return err
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	conn, err := m.connect(ctx, server)
	if err != nil {
		return server.failed(ctx, err)
	}
	defer quit(conn)
	return m.deliver(ctx, server, conn, n)
}

// reach signs in at the server, and leaves.
func (m *mailbox) reach(ctx context.Context) (Answer, error) {
	server, err := m.server()
	if err != nil {
		return Answer{}, err
	}
	conn, err := m.connect(ctx, server)
	if err != nil {
		return Answer{}, server.failed(ctx, err)
	}
	defer quit(conn)
	state, _ := conn.TLSConnectionState() // without TLS there is no certificate
	return certified("mail server "+server.host, state), nil
}

// failed returns the error for err, without a secret in it. It may pass: even a
// password that is refused may yet be replaced.
func (s *mailServer) failed(ctx context.Context, err error) *Error {
	return &Error{Reason: fmt.Errorf("mail server %s: %s", s.host, said(words(unanswered(ctx, err)), s.password))}
}

// message returns the mail about a notice. Its Message-ID is the same however often
// it is sent.
func (m *mailbox) message(n *notify.Notice) *mail.Msg {
	msg := mail.NewMsg()
	msg.FromMailAddress(m.from)
	msg.ToMailAddress(m.to...)
	msg.CcMailAddress(m.cc...)
	// "=?" would begin an encoded word, which a reader decodes to any character.
	msg.Subject(strings.ReplaceAll(title(n), "=?", "= ?"))
	msg.SetDate()
	_, domain, _ := strings.Cut(m.from.Address, "@")
	msg.SetMessageIDWithValue(messageID(n.ID) + "@" + domain)
	msg.SetUserAgent("globus-runner/" + m.options.Version)
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // no reply of a person who is away
	msg.SetBodyString(mail.TypeTextPlain, text(n))
	return msg
}

// messageID returns the id of a notice with the characters that a Message-ID may have.
func messageID(id string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' {
			return r
		}
		return '-'
	}, id)
}

// connect signs in at the server. The connection ends with ctx, which the caller
// ends.
func (m *mailbox) connect(ctx context.Context, server *mailServer) (*smtp.Client, error) {
	dial := dialer{m.options.Dial, m.options.Roots}
	client, err := mail.NewClient(server.host, append(server.options(),
		mail.WithTimeout(2*timeout), // ctx ends before
		mail.WithTLSConfig(dial.tls(server.host)),
		mail.WithDialContextFunc(func(dialing context.Context, _, _ string) (net.Conn, error) {
			conn, err := dial.to(dialing, server.host, strconv.Itoa(server.port), server.implicit)
			if err == nil {
				context.AfterFunc(ctx, func() { _ = conn.Close() }) // who waits for the server sees it
			}
			return conn, err
		}),
	)...)
	if err != nil {
		return nil, err
	}
	return client.DialToSMTPClientWithContext(ctx)
}

// quit ends a connection. The mail has been taken or not by now, so that an error
// has no meaning.
func quit(conn *smtp.Client) {
	if conn.Quit() != nil {
		_ = conn.Close() // it is of no use any more
	}
}

// A mailServer is where mails are handed in.
type mailServer struct {
	host           string
	port           int
	implicit       bool // TLS from the beginning, not by STARTTLS
	user, password string
}

// parseSMTP reads the address of a mail server, smtp://[user:password@]host[:587] or
// smtps://[user:password@]host[:465]. No error repeats it.
func parseSMTP(address string) (*mailServer, error) {
	const want = "want smtp://user:password@mail.example.org:587, or smtps:// for TLS from the beginning"
	u, err := url.Parse(strings.TrimSpace(address))
	if err != nil || u.Hostname() == "" {
		return nil, errors.New("it cannot be read; in the password, # / ? @ and % must be written as %23 %2F %3F %40 %25; " + want)
	}
	s := &mailServer{host: u.Hostname(), implicit: u.Scheme == "smtps"}
	if !s.implicit && u.Scheme != "smtp" {
		return nil, errors.New("it does not begin with smtp:// or smtps://; " + want)
	}
	if strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("there is something after the host; " + want)
	}
	standard := "587"
	if s.implicit {
		standard = "465"
	}
	if s.port, err = strconv.Atoi(cmp.Or(u.Port(), standard)); err != nil || s.port < 1 || s.port > 65535 {
		return nil, errors.New("the port is not a number from 1 to 65535; " + want)
	}
	s.user = u.User.Username()
	s.password, _ = u.User.Password()
	if (s.user == "") != (s.password == "") {
		return nil, errors.New("there is a user without a password, or a password without a user; " + want)
	}
	return s, nil
}

// options are those of go-mail. A password never goes over a network in plain text:
// with one, STARTTLS is a must unless the server is on this computer. Without one,
// as for a relay within a house, it is used if the server offers it.
func (s *mailServer) options() []mail.Option {
	policy := mail.TLSOpportunistic
	if s.password != "" && !s.implicit && !jobs.Loopback(s.host) {
		policy = mail.TLSMandatory
	}
	options := []mail.Option{mail.WithPort(s.port), mail.WithTLSPolicy(policy)}
	if s.password != "" {
		options = append(options, mail.WithUsername(s.user), mail.WithPassword(s.password),
			mail.WithOpportunisticSMTPAuth(mail.SMTPAuthSCRAMSHA256, mail.SMTPAuthPlain, mail.SMTPAuthLogin))
	}
	return options
}
