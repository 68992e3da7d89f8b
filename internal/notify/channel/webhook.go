package channel

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/internal/notify"
)

// leastKey is the length in bytes from which on the specification of Standard
// Webhooks lets a key sign.
const leastKey = 24

// A Message is the body of a webhook's request.
type Message struct {
	Type      MessageType   `json:"type"`
	Timestamp time.Time     `json:"timestamp"` // of the event
	Data      notify.Notice `json:"data"`
}

// A MessageType is what a message is about and what has happened, such as run.failed.
type MessageType string

// Words returns the words for all types.
func (MessageType) Words() []string {
	var all []string
	for _, e := range notify.Events() {
		all = append(all, string(typeOf(e)))
	}
	return all
}

func typeOf(e notify.Event) MessageType { return MessageType(subject(e) + "." + string(e)) }

// NewMessage returns the message about a notice.
func NewMessage(n *notify.Notice) Message {
	return Message{Type: typeOf(n.Event), Timestamp: n.Time.UTC(), Data: *n}
}

// subject is what an event is about.
func subject(e notify.Event) string {
	switch e {
	case notify.Late, notify.Overdue, notify.Recovered:
		return "job"
	case notify.Digest, notify.Access, notify.Test:
		return "runner"
	}
	return "run"
}

// A webhook sends notices as JSON, as the Standard Webhooks specification has it:
// https://github.com/standard-webhooks/standard-webhooks.
type webhook struct {
	*poster
	keyFile string // empty: requests are not signed
}

func (w *webhook) check() error {
	_, err := w.keys()
	return cmp.Or(w.poster.check(), err)
}

// Send implements [notify.Channel].
func (w *webhook) Send(ctx context.Context, n *notify.Notice) error {
	to, err := w.address("")
	if err != nil {
		return err
	}
	body, err := json.Marshal(NewMessage(n))
	if err != nil {
		return lasting("write the message as JSON: %w", err)
	}
	header, err := w.header(n.ID, time.Now(), body)
	if err != nil {
		return err
	}
	return w.post(ctx, to, header, body)
}

// header returns what is sent with a body: its type, its id, when it is sent, and
// a signature of the three.
func (w *webhook) header(id string, now time.Time, body []byte) (http.Header, error) {
	stamp := strconv.FormatInt(now.Unix(), 10)
	header := http.Header{}
	header.Set("Content-Type", "application/json")
	header.Set("Webhook-Id", id)
	header.Set("Webhook-Timestamp", stamp)
	keys, err := w.keys()
	if err != nil || len(keys) == 0 {
		return header, err
	}
	var signatures []string
	for _, key := range keys {
		mac := hmac.New(sha256.New, key)
		fmt.Fprintf(mac, "%s.%s.%s", id, stamp, body)
		signatures = append(signatures, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	header.Set("Webhook-Signature", strings.Join(signatures, " "))
	return header, nil
}

// keys reads the keys that sign, one a line of the file; without a file there are
// none. More than one makes a signature each, so that a receiver can go over to a
// new key.
func (w *webhook) keys() ([][]byte, error) {
	if w.keyFile == "" {
		return nil, nil
	}
	secret, _, err := auth.ReadSecret(w.keyFile)
	if err != nil {
		return nil, passing("read the key that signs requests: %w", err)
	}
	var keys [][]byte
	for line := range strings.FieldsSeq(secret.Reveal()) {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(line, "whsec_"))
		if err != nil || len(key) < leastKey {
			return nil, passing("key %d in %s is not whsec_ with at least %d bytes in base64 after it, as openssl rand -base64 32 makes them",
				len(keys)+1, w.keyFile, leastKey)
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, passing("%s holds no key", w.keyFile)
	}
	return keys, nil
}
