package channel_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/http/httptest"
	"net/mail"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/internal/notify"
	"github.com/globus-runner/globus-runner/internal/notify/channel"
	"github.com/globus-runner/globus-runner/internal/plain"
	"github.com/globus-runner/globus-runner/jobs"
)

const mailPassword = "PASSWORD-CANARY"

// A delivery is a mail that a server has taken.
type delivery struct {
	user, from string
	to         []string
	encrypted  bool
	text       []byte
}

// A mailServer takes mails for example.com.
type mailServer struct {
	address string
	roots   *x509.CertPool
	refuse  func(command string) error // of RCPT, with the recipient behind it, and DATA; nil: all are taken

	mu  sync.Mutex
	got []delivery
}

// how says what a mail server offers.
type how struct{ starttls, implicit bool }

func newMailServer(t testing.TB, h how) *mailServer {
	t.Helper()
	certified := httptest.NewUnstartedServer(nil) // it has a certificate for example.com
	certified.Config.ErrorLog = log.New(io.Discard, "", 0)
	certified.StartTLS()
	t.Cleanup(certified.Close)
	s := &mailServer{roots: x509.NewCertPool()}
	s.roots.AddCert(certified.Certificate())
	server := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) { return &mailSession{server: s, conn: c}, nil }))
	server.AllowInsecureAuth = true
	server.ErrorLog = log.New(io.Discard, "", 0)
	if h.starttls {
		server.TLSConfig = certified.TLS
	}
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.address = l.Addr().String()
	if h.implicit {
		l = tls.NewListener(l, certified.TLS)
	}
	go server.Serve(l)                       //nolint:errcheck // it ends with Close
	t.Cleanup(func() { _ = server.Close() }) // it was the test's
	return s
}

// dial reaches the server by every name.
func (s *mailServer) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, network, s.address)
}

func (s *mailServer) deliveries() []delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.got)
}

type mailSession struct {
	server *mailServer
	conn   *smtp.Conn
	now    delivery
}

func (s *mailSession) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *mailSession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if password != mailPassword {
			return &smtp.SMTPError{Code: 535, EnhancedCode: smtp.EnhancedCode{5, 7, 8}, Message: "the password is not " + password}
		}
		s.now.user = user
		return nil
	}), nil
}

func (s *mailSession) Mail(from string, _ *smtp.MailOptions) error {
	s.now.from = from
	return nil
}

func (s *mailSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	if err := s.judge("RCPT " + to); err != nil {
		return err
	}
	s.now.to = append(s.now.to, to)
	return nil
}

func (s *mailSession) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if err := s.judge("DATA"); err != nil {
		return err
	}
	_, s.now.encrypted = s.conn.TLSConnectionState()
	s.now.text = text
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	s.server.got = append(s.server.got, s.now)
	return nil
}

func (s *mailSession) judge(command string) error {
	if s.server.refuse == nil {
		return nil
	}
	return s.server.refuse(command)
}

func (s *mailSession) Reset()        {}
func (s *mailSession) Logout() error { return nil }

// mailTo is a channel to two people, by the server at an address.
func mailTo(t testing.TB, address string, o channel.Options) notify.Channel {
	t.Helper()
	o.SMTP = func() (auth.Secret, error) { return auth.NewSecret(address), nil }
	o.From = "Night Watch <runner@facility.example>"
	c, err := channel.Open(jobs.Channel{Mail: &jobs.Mail{To: []string{"pi@example.edu"}, Cc: []string{"Ops <ops@example.edu>"}}}, o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestMailsAreEncryptedAsTheAddressSays(t *testing.T) {
	const login = "runner:" + mailPassword + "@"
	tests := map[string]struct {
		how       how
		address   string
		fails     string // a part of the error
		encrypted bool
		user      string
	}{
		"STARTTLS with a password":           {how{starttls: true}, "smtp://" + login + "example.com", "", true, "runner"},
		"STARTTLS without a password":        {how{starttls: true}, "smtp://example.com:25", "", true, ""},
		"implicit with a password":           {how{implicit: true}, "smtps://" + login + "example.com", "", true, "runner"},
		"implicit without a password":        {how{implicit: true}, "smtps://example.com", "", true, ""},
		"a relay in plain text":              {how{}, "smtp://example.com:25", "", false, ""},
		"this computer in plain text":        {how{}, "smtp://" + login + "127.0.0.1:25", "", false, "runner"},
		"a password is not sent in plain":    {how{}, "smtp://" + login + "example.com", "STARTTLS", false, ""},
		"the certificate is of another":      {how{starttls: true}, "smtp://" + login + "mail.facility.example", "certificate", false, ""},
		"implicit, certificate of another":   {how{implicit: true}, "smtps://" + login + "mail.facility.example", "certificate", false, ""},
		"plain text where TLS is expected":   {how{}, "smtps://example.com", "tls", false, ""},
		"a password with special characters": {how{starttls: true}, "smtp://me:p%40ss%2Fw@example.com", "not shown", false, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			server := newMailServer(t, tt.how)
			err := mailTo(t, tt.address, channel.Options{Roots: server.roots, Dial: server.dial}).Send(t.Context(), failedNotice())
			got := server.deliveries()
			if tt.fails != "" {
				if err == nil || !strings.Contains(err.Error(), tt.fails) || len(got) > 0 {
					t.Errorf("got %v and %d mails, want an error with %q", err, len(got), tt.fails)
				}
				return
			}
			if err != nil || len(got) != 1 {
				t.Fatalf("got %v and %d mails, want one", err, len(got))
			}
			if got[0].encrypted != tt.encrypted || got[0].user != tt.user {
				t.Errorf("encrypted: %t, user %q; want %t, %q", got[0].encrypted, got[0].user, tt.encrypted, tt.user)
			}
			if want := []string{"pi@example.edu", "ops@example.edu"}; got[0].from != "runner@facility.example" || !slices.Equal(got[0].to, want) {
				t.Errorf("from %s to %v, want from runner@facility.example to %v", got[0].from, got[0].to, want)
			}
		})
	}
}

// readMail parses a mail, and returns its header and text.
func readMail(t *testing.T, text []byte) (mail.Header, string) {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(text))
	if err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	body, err := io.ReadAll(quotedprintable.NewReader(m.Body))
	if err != nil {
		t.Fatal(err)
	}
	return m.Header, string(body)
}

func TestAMailIsPlainText(t *testing.T) {
	server := newMailServer(t, how{})
	ch := mailTo(t, "smtp://example.com", channel.Options{Dial: server.dial, Version: "1.2.3"})
	for range 2 {
		if err := ch.Send(t.Context(), failedNotice()); err != nil {
			t.Fatal(err)
		}
	}
	got := server.deliveries()
	header, body := readMail(t, got[0].text)
	for name, want := range map[string]string{
		"From": `"Night Watch" <runner@facility.example>`, "To": "<pi@example.edu>", "Cc": `"Ops" <ops@example.edu>`,
		"Subject": "nightly failed: the disk of vault is full", "Auto-Submitted": "auto-generated", "User-Agent": "globus-runner/1.2.3",
		"Message-Id":   "<0d2a6ad4-5f5c-4f5e-9d0f-0a3c1ef5a001@facility.example>",
		"Content-Type": "text/plain; charset=UTF-8",
	} {
		if header.Get(name) != want {
			t.Errorf("got %s: %s, want %s", name, header.Get(name), want)
		}
	}
	want := strings.ReplaceAll(`nightly failed: the disk of vault is full

Globus says: No space left on device.

Free space on vault, then: runner runs retry 17

Request ID for Globus support: AbC123

Open in runner: https://runner.example.org/runs/17
Task 4d2d8b4a-1b1c-4f0e-8d1a-6f2f3f4f5f6f: https://app.globus.org/activity/4d2d8b4a-1b1c-4f0e-8d1a-6f2f3f4f5f6f
`, "\n", "\r\n")
	if body != want {
		t.Errorf("got the text\n%s\nwant\n%s", body, want)
	}
	if again, _ := readMail(t, got[1].text); again.Get("Message-Id") != header.Get("Message-Id") {
		t.Errorf("sent again, it has the id %s instead of %s", again.Get("Message-Id"), header.Get("Message-Id"))
	}
}

// checkMail holds a mail against what a notice may put into it.
func checkMail(t *testing.T, n *notify.Notice, d delivery) {
	t.Helper()
	header, _ := readMail(t, d.text)
	want := []string{
		"Auto-Submitted", "Cc", "Content-Transfer-Encoding", "Content-Type", "Date", "From", "Message-Id", "Mime-Version",
		"Subject", "To", "User-Agent", "X-Mailer",
	}
	if got := slices.Sorted(maps.Keys(header)); !slices.Equal(got, want) {
		t.Errorf("got the header fields %q, want %q", got, want)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(header.Get("Subject"))
	if want := strings.ReplaceAll(plain.Short(n.Title, 150), "=?", "= ?"); err != nil || subject != want {
		t.Errorf("got the subject %q (%v), want %q", subject, err, want)
	}
	if len(d.to) != 2 {
		t.Errorf("it went to %q", d.to)
	}
	if id, err := mail.ParseAddress(header.Get("Message-Id")); err != nil || !strings.HasSuffix(id.Address, "@facility.example") {
		t.Errorf("got the Message-ID %q (%v)", header.Get("Message-Id"), err)
	}
	if header.Get("Content-Type") != "text/plain; charset=UTF-8" {
		t.Errorf("got the content type %q", header.Get("Content-Type"))
	}
}

func FuzzMail(f *testing.F) {
	server := newMailServer(f, how{})
	ch := mailTo(f, "smtp://example.com", channel.Options{Dial: server.dial})
	f.Add(hostile, hostile, "a\r\nBcc: victim@example.org")
	f.Add("x\nBcc: victim@example.org\n\n<html>", "\r\n.\r\nMAIL FROM:<x@y>\r\n", "<1@2>")
	f.Add("=?utf-8?q?=0D=0ABcc:_v@example.org?=", ".", "id")
	f.Add(strings.Repeat("日本 ", 60), strings.Repeat("x", 2000), "id")
	f.Fuzz(func(t *testing.T, title, line, id string) {
		if title == "" || id == "" || len(id) > 100 {
			return // every notice has both, and ids are ours
		}
		n := &notify.Notice{ID: id, Event: notify.Failed, Job: "nightly", Title: title, Lines: []string{line}}
		if err := ch.Send(t.Context(), n); err != nil {
			t.Fatal(err)
		}
		all := server.deliveries()
		checkMail(t, n, all[len(all)-1])
		server.mu.Lock()
		server.got = nil
		server.mu.Unlock()
	})
}

func TestRefusalsOfMailServers(t *testing.T) {
	tests := map[string]struct {
		command string
		code    int
		lasting bool
	}{
		"no such person":    {"RCPT", 550, true},
		"greylisted":        {"RCPT", 451, false},
		"taken for spam":    {"DATA", 554, true},
		"the disk is full":  {"DATA", 452, false},
		"nobody is refused": {},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			server := newMailServer(t, how{})
			server.refuse = func(command string) error {
				if word, _, _ := strings.Cut(command, " "); word != tt.command {
					return nil
				}
				return &smtp.SMTPError{Code: tt.code, EnhancedCode: smtp.EnhancedCode{tt.code / 100, 1, 1}, Message: "words of the server"}
			}
			err := mailTo(t, "smtp://example.com", channel.Options{Dial: server.dial}).Send(t.Context(), failedNotice())
			if tt.command == "" {
				if err != nil {
					t.Errorf("got %v", err)
				}
				return
			}
			e, ok := errors.AsType[judged](err)
			if !ok || e.Lasting() != tt.lasting || !strings.Contains(err.Error(), fmt.Sprint(tt.code)) || !strings.Contains(err.Error(), "words of the server") {
				t.Errorf("got %v, want an error with %d that is lasting: %t", err, tt.code, tt.lasting)
			}
		})
	}
}

// A recipient that a server refuses does not keep the mail from the others, and none
// of them gets it twice.
func TestEachRecipientGetsAMailOnce(t *testing.T) {
	const pi, ops = "pi@example.edu", "ops@example.edu"
	type answers map[string]int // by recipient
	tests := map[string]struct {
		tries []answers
		want  []string // what came of each try; empty: all is well
		got   [][]string
	}{
		"one does not exist": {
			[]answers{{ops: 550}},
			[]string{"partly: mail server example.com: ops@example.edu is refused: 550 5.1.1 words of the server; it was sent to 1 other recipient"},
			[][]string{{pi}},
		},
		"one is to be tried again": {
			[]answers{{ops: 451}, {ops: 451}, {}},
			[]string{"passing: mail server example.com: ops@example.edu: 451", "passing: mail server example.com: ops@example.edu: 451", ""},
			[][]string{{pi}, {ops}},
		},
		"one does not exist, and the other is to be tried again": {
			[]answers{{pi: 451, ops: 550}, {}},
			[]string{"passing: mail server example.com: pi@example.edu: 451", "partly: mail server example.com: ops@example.edu is refused: 550"},
			[][]string{{pi}},
		},
		"all are refused": {
			[]answers{{pi: 550, ops: 551}},
			[]string{"lasting: mail server example.com: ops@example.edu is refused: 551 5.1.1 words of the server; pi@example.edu is refused: 550"},
			nil,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			server := newMailServer(t, how{})
			ch := mailTo(t, "smtp://example.com", channel.Options{Dial: server.dial})
			for i, codes := range tt.tries {
				server.refuse = func(command string) error {
					_, to, _ := strings.Cut(command, " ")
					if code := codes[to]; code != 0 {
						return &smtp.SMTPError{Code: code, EnhancedCode: smtp.EnhancedCode{code / 100, 1, 1}, Message: "words of the server"}
					}
					return nil
				}
				if got := outcome(ch.Send(t.Context(), failedNotice())); got != tt.want[i] && (tt.want[i] == "" || !strings.HasPrefix(got, tt.want[i])) {
					t.Errorf("try %d: got %q, want %q", i+1, got, tt.want[i])
				}
			}
			var got [][]string
			for _, d := range server.deliveries() {
				got = append(got, d.to)
			}
			if !slices.EqualFunc(got, tt.got, slices.Equal) {
				t.Errorf("got mails to %q, want %q", got, tt.got)
			}
		})
	}
}

// outcome says what came of sending.
func outcome(err error) string {
	e, ok := errors.AsType[judged](err)
	switch {
	case err == nil:
		return ""
	case ok && e.Lasting() && e.Partly():
		return "partly: " + err.Error()
	case ok && e.Lasting():
		return "lasting: " + err.Error()
	}
	return "passing: " + err.Error()
}

// A password that is refused may be replaced while the notice waits.
func TestPasswordsAreReadForEachMail(t *testing.T) {
	server := newMailServer(t, how{starttls: true})
	password := "OLD-CANARY"
	c, err := channel.Open(jobs.Channel{Mail: &jobs.Mail{To: []string{"pi@example.edu"}}}, channel.Options{
		From: "runner@facility.example", Roots: server.roots, Dial: server.dial,
		SMTP: func() (auth.Secret, error) { return auth.NewSecret("smtp://runner:" + password + "@example.com"), nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	err = c.Send(t.Context(), failedNotice())
	if e, ok := errors.AsType[judged](err); !ok || e.Lasting() {
		t.Errorf("got %v, want an error that may pass", err)
	}
	if err != nil && strings.Contains(err.Error(), "CANARY") {
		t.Errorf("the password is in the error: %v", err)
	}
	password = mailPassword
	if err := c.Send(t.Context(), failedNotice()); err != nil {
		t.Errorf("with the new password: %v", err)
	}
}

// script answers SMTP commands, until it has nothing to say.
func script(conn net.Conn, answers map[string]string) {
	r := bufio.NewReader(conn)
	_, _ = io.WriteString(conn, answers["greeting"])
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		command, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		answer, ok := answers[command]
		switch {
		case answer == "close":
			_ = conn.Close()
			return
		case ok:
			_, _ = io.WriteString(conn, answer)
		}
	}
}

func scripted(answers map[string]string) channel.Options {
	return channel.Options{Dial: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go script(theirs, answers)
		return ours, nil
	}}
}

func TestMailServersHaveTenSeconds(t *testing.T) {
	all := map[string]string{
		"greeting": "220 x\r\n", "EHLO": "250 x\r\n", "NOOP": "250 x\r\n", "MAIL": "250 x\r\n", "RCPT": "250 x\r\n", "DATA": "354 x\r\n",
		".": "250 x\r\n", "RSET": "250 x\r\n", "QUIT": "221 x\r\n",
	}
	for _, silent := range []string{"greeting", "EHLO", "MAIL", "RCPT", "DATA", "."} {
		synctest.Test(t, func(t *testing.T) {
			answers := maps.Clone(all)
			delete(answers, silent)
			begin := time.Now()
			err := mailTo(t, "smtp://example.com", scripted(answers)).Send(t.Context(), failedNotice())
			if took := time.Since(begin); took != 10*time.Second {
				t.Errorf("silent at %q: it took %s, want 10s", silent, took)
			}
			if e, ok := errors.AsType[judged](err); !ok || e.Lasting() || !strings.Contains(err.Error(), "no answer within 10s") {
				t.Errorf("silent at %q: got %v, want an error that may pass", silent, err)
			}
		})
	}
	for _, lost := range []string{"RSET", "QUIT"} {
		synctest.Test(t, func(t *testing.T) {
			answers := maps.Clone(all)
			answers[lost] = "close"
			if err := mailTo(t, "smtp://example.com", scripted(answers)).Send(t.Context(), failedNotice()); err != nil {
				t.Errorf("the mail was taken, but with the connection lost at %s got %v", lost, err)
			}
		})
	}
}

func TestMailNeedsAServerAndASender(t *testing.T) {
	server := func() (auth.Secret, error) { return auth.NewSecret("smtp://example.com"), nil }
	tests := map[string]struct {
		to   string
		o    channel.Options
		want string
	}{
		"no server":    {"pi@example.edu", channel.Options{From: "runner@example.org"}, "RUNNER_SMTP_URL"},
		"no sender":    {"pi@example.edu", channel.Options{SMTP: server}, "RUNNER_SMTP_FROM"},
		"bad sender":   {"pi@example.edu", channel.Options{SMTP: server, From: "runner\r\nBcc: x@example.org"}, "RUNNER_SMTP_FROM"},
		"bad receiver": {"pi@example.edu\r\nBcc: x@example.org", channel.Options{SMTP: server, From: "runner@example.org"}, "is not an address"},
	}
	for name, tt := range tests {
		if _, err := channel.Open(jobs.Channel{Mail: &jobs.Mail{To: []string{tt.to}}}, tt.o); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want an error with %q", name, err, tt.want)
		}
	}
}

// checkSMTP returns what is wrong with the address of a mail server.
func checkSMTP(address string) error {
	_, err := channel.Open(jobs.Channel{Mail: &jobs.Mail{To: []string{"pi@example.edu"}}}, channel.Options{
		From: "runner@example.org",
		SMTP: func() (auth.Secret, error) { return auth.NewSecret(address), nil },
	})
	return err
}

func TestAddressesOfMailServers(t *testing.T) {
	for address, want := range map[string]string{
		"smtp://mail.example.org":                  "",
		"smtps://mail.example.org:465/":            "",
		"smtp://me%40example.org:CANARY@[::1]:587": "",
		"https://me:CANARY@mail.example.org":       "does not begin with smtp://",
		"mail.example.org":                         "cannot be read",
		"smtp://me:CANARY/x@mail.example.org":      "cannot be read",
		"smtp://me:CANARY%zz@mail.example.org":     "cannot be read",
		"smtp://me@mail.example.org":               "a user without a password",
		"smtp://:CANARY@mail.example.org":          "a password without a user",
		"smtp://me:CANARY@mail.example.org:0":      "port",
		"smtp://me:CANARY@mail.example.org:99999":  "port",
		"smtp://me:CANARY@mail.example.org?tls=no": "something after the host",
		"smtp://me:x@mail.example.org/CANARY":      "something after the host",
		"smtp://me:x@mail.example.org/#CANARY":     "something after the host",
		"smtp://me:secret#CANARY@mail.example.org": "cannot be read",
	} {
		err := checkSMTP(address)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "CANARY")) {
			t.Errorf("%s: got %v, want an error with %q that does not repeat the address", address, err, want)
		}
	}
}

func FuzzSMTPAddress(f *testing.F) {
	f.Add("smtp://me:", "@mail.example.org:587")
	f.Add("smtps://me:", "@[::1]:0/")
	f.Add("://", "#%zz")
	f.Fuzz(func(t *testing.T, before, after string) {
		const password = "p4ssw0rdCANARY"
		if err := checkSMTP(before + password + after); err != nil && strings.Contains(err.Error(), password) {
			t.Errorf("the password is in the error: %v", err)
		}
	})
}
