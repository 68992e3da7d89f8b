package channel

import (
	"context"
	"errors"
	"fmt"
	"maps"
	netmail "net/mail"
	"net/textproto"
	"slices"
	"strconv"
	"strings"

	"github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"

	"github.com/globus-runner/globus-runner/internal/notify"
	"github.com/globus-runner/globus-runner/internal/plain"
)

// maxOpen is how many deliveries are remembered that are not complete. Without its
// delivery, a mail that is sent again goes to all recipients once more.
const maxOpen = 1000

// A delivery is what the server has said about the recipients of one mail, however
// often it was tried.
type delivery struct {
	taken   map[string]bool
	refused map[string]string // for good: what the server said, by address
}

// deliver gives the mail about a notice to the server, for each recipient that has
// not got it yet. A recipient that is refused does not keep it from the others. It is
// not called twice at a time for one notice.
func (m *mailbox) deliver(ctx context.Context, server *mailServer, conn *smtp.Client, n *notify.Notice) error {
	d := m.delivery(n.ID)
	taken, later, err := m.envelope(server, conn, d)
	if err == nil && len(taken) > 0 {
		err = hand(conn, m.message(n))
	}
	if err != nil {
		e := server.failed(ctx, err)
		e.lasting = refusedForGood(err)
		return e
	}
	for _, to := range taken {
		d.taken[to] = true
	}
	if len(later) > 0 {
		m.remember(n.ID, d)
		return passing("mail server %s: %s", server.host, strings.Join(later, "; "))
	}
	m.remember(n.ID, nil)
	return d.end(server)
}

// envelope names the sender and each recipient to the server. It returns whom the
// server takes the mail for, and whom it may take it for later, with what it says.
func (m *mailbox) envelope(server *mailServer, conn *smtp.Client, d *delivery) (taken, later []string, err error) {
	if err := conn.Mail(bare(m.from)); err != nil {
		return nil, nil, err
	}
	for _, to := range slices.Concat(m.to, m.cc) {
		if d.taken[to.Address] || d.refused[to.Address] != "" {
			continue
		}
		err := conn.Rcpt(bare(to))
		if _, answered := errors.AsType[*textproto.Error](err); err != nil && !answered {
			return nil, nil, err
		}
		switch {
		case err == nil:
			taken = append(taken, to.Address)
		case refusedForGood(err):
			d.refused[to.Address] = said(words(err), server.password)
		default:
			later = append(later, to.Address+": "+said(words(err), server.password))
		}
	}
	return taken, later, nil
}

// bare returns an address without the name of the person.
func bare(a *netmail.Address) string { return (&netmail.Address{Address: a.Address}).String() }

// refusedForGood reports whether the server says that another try is of no use.
func refusedForGood(err error) bool {
	reply, ok := errors.AsType[*textproto.Error](err)
	return ok && reply.Code/100 == 5
}

// words returns the text of an error, with what a server said as it was said: without
// the quotes that package textproto puts around it.
func words(err error) string {
	text := err.Error()
	if reply, ok := errors.AsType[*textproto.Error](err); ok {
		text = strings.Replace(text, reply.Error(), strconv.Itoa(reply.Code)+" "+reply.Msg, 1)
	}
	return text
}

// hand sends the text of a mail.
func hand(conn *smtp.Client, msg *mail.Msg) error {
	w, err := conn.Data()
	if err != nil {
		return err
	}
	if _, err := msg.WriteTo(w); err != nil {
		return err
	}
	return w.Close()
}

// end returns the error about the recipients that are refused for good, or nil if
// all have got the mail.
func (d *delivery) end(server *mailServer) error {
	if len(d.refused) == 0 {
		return nil
	}
	var parts []string
	for _, to := range slices.Sorted(maps.Keys(d.refused)) {
		parts = append(parts, to+" is refused: "+d.refused[to])
	}
	if len(d.taken) > 0 {
		parts = append(parts, "it was sent to "+plain.Count(len(d.taken), "other recipient"))
	}
	return &Error{Reason: fmt.Errorf("mail server %s: %s", server.host, strings.Join(parts, "; ")), lasting: true, partly: len(d.taken) > 0}
}

// delivery returns what is known of the mail about a notice.
func (m *mailbox) delivery(id string) *delivery {
	m.mu.Lock()
	defer m.mu.Unlock()
	if d := m.open[id]; d != nil {
		return d
	}
	return &delivery{taken: map[string]bool{}, refused: map[string]string{}}
}

// remember keeps what is known of the mail about a notice, or forgets it if d is nil.
func (m *mailbox) remember(id string, d *delivery) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.open) >= maxOpen {
		clear(m.open)
	}
	delete(m.open, id)
	if d != nil {
		m.open[id] = d
	}
}
