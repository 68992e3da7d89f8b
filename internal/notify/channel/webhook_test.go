package channel_test

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/globus-runner/globus-runner/internal/notify"
	"github.com/globus-runner/globus-runner/internal/notify/channel"
	"github.com/globus-runner/globus-runner/jobs"
)

const (
	oldKey = "whsec_b2xkb2xkb2xkb2xkb2xkb2xkb2xkb2xkb2xkb2xk"
	newKey = "whsec_bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3"
)

func TestWebhooksAreSignedAsTheReferenceHasIt(t *testing.T) {
	keys := fileOf(t, oldKey)
	to := &receiver{}
	hook := open(t, jobs.Channel{Webhook: &jobs.Webhook{
		Hook: jobs.Hook{URL: "https://hooks.example.org/in"}, SecretFile: keys,
	}}, channel.Options{Network: to, Version: "1.2.3"})
	n := failedNotice()
	for _, step := range []struct {
		file       string
		good, bad  []string
		signatures int
	}{
		{oldKey, []string{oldKey}, []string{newKey}, 1},
		{oldKey + "\n" + newKey, []string{oldKey, newKey}, nil, 2}, // while a receiver goes over
		{newKey, []string{newKey}, []string{oldKey}, 1},
	} {
		if err := os.WriteFile(keys, []byte(step.file+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := hook.Send(t.Context(), n); err != nil {
			t.Fatal(err)
		}
		got := to.got[len(to.got)-1]
		verify := func(key string, body []byte) error {
			reference, err := standardwebhooks.NewWebhook(key)
			if err != nil {
				t.Fatal(err)
			}
			return reference.Verify(body, got.header)
		}
		for _, key := range step.good {
			if err := verify(key, got.body); err != nil {
				t.Errorf("with the keys %q the reference says: %v", step.file, err)
			}
			if verify(key, append(got.body, ' ')) == nil {
				t.Errorf("with the keys %q a changed body is accepted", step.file)
			}
		}
		for _, key := range step.bad {
			if verify(key, got.body) == nil {
				t.Errorf("the keys %q signed for %q too", step.file, key)
			}
		}
		if n := len(strings.Fields(got.header.Get("webhook-signature"))); n != step.signatures {
			t.Errorf("got %d signatures, want %d", n, step.signatures)
		}
		if id := got.header.Get("webhook-id"); id != n.ID {
			t.Errorf("got the id %q, want that of the notice, %q", id, n.ID)
		}
		if agent := got.header.Get("User-Agent"); agent != "globus-runner/1.2.3" {
			t.Errorf("got the agent %q", agent)
		}
	}
}

func TestWebhooksWithoutAKeyAreNotSigned(t *testing.T) {
	to := &receiver{}
	hook := open(t, jobs.Channel{Webhook: &jobs.Webhook{Hook: jobs.Hook{URL: "https://hooks.example.org/in"}}}, channel.Options{Network: to})
	if err := hook.Send(t.Context(), failedNotice()); err != nil {
		t.Fatal(err)
	}
	if got := to.got[0].header.Get("webhook-signature"); got != "" {
		t.Errorf("got the signature %q", got)
	}
}

func TestBadKeysAreNamedAndNotShown(t *testing.T) {
	for name, keys := range map[string]string{
		"short":       "whsec_Y2FuYXJ5Y2FuYXJ5",
		"not base64":  "whsec_canary!canary!canary!canary!canary!canary",
		"second":      oldKey + "\nwhsec_Y2FuYXJ5Y2FuYXJ5",
		"only blanks": " \n ",
	} {
		t.Run(name, func(t *testing.T) {
			file, to := fileOf(t, oldKey), &receiver{}
			c := jobs.Channel{Webhook: &jobs.Webhook{Hook: jobs.Hook{URL: "https://hooks.example.org/in"}, SecretFile: file}}
			hook := open(t, c, channel.Options{Network: to})
			if err := os.WriteFile(file, []byte(keys), 0o600); err != nil {
				t.Fatal(err)
			}
			_, opened := channel.Open(c, channel.Options{Network: to})
			for _, err := range []error{opened, hook.Send(t.Context(), failedNotice())} {
				if e, ok := errors.AsType[judged](err); !ok || e.Lasting() || !strings.Contains(err.Error(), file) {
					t.Fatalf("got %v, want an error about %s that may pass", err, file)
				}
				if strings.Contains(strings.ToLower(err.Error()), "canary") || strings.Contains(err.Error(), "Y2Fu") {
					t.Errorf("the key is in the error: %v", err)
				}
			}
			if len(to.got) > 0 {
				t.Error("the notice was sent without a signature")
			}
		})
	}
}

func TestTheBodyOfAWebhookIsTheNotice(t *testing.T) {
	to := &receiver{}
	hook := open(t, jobs.Channel{Webhook: &jobs.Webhook{Hook: jobs.Hook{URL: "https://hooks.example.org/in"}}}, channel.Options{Network: to})
	n := failedNotice()
	n.Files, n.Bytes = new(int64(3)), new(int64(4096))
	if err := hook.Send(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Type      string
		Timestamp time.Time
		Data      *notify.Notice
	}
	if err := json.Unmarshal(to.got[0].body, &got); err != nil {
		t.Fatal(err)
	}
	if got.Type != "run.failed" || !got.Timestamp.Equal(n.Time) {
		t.Errorf("got type %q at %s, want run.failed at %s", got.Type, got.Timestamp, n.Time)
	}
	if diff := cmp.Diff(n, got.Data); diff != "" {
		t.Errorf("the data are not the notice (-want +got):\n%s", diff)
	}
	if got := to.got[0].header.Get("Content-Type"); got != "application/json" {
		t.Errorf("got the content type %q", got)
	}
}

func TestTypesSayWhatAnEventIsAbout(t *testing.T) {
	for event, want := range map[notify.Event]channel.MessageType{
		notify.Refused: "run.refused", notify.NeedsHuman: "run.needs_human", notify.Missing: "run.missing", notify.Succeeded: "run.succeeded",
		notify.Late: "job.late", notify.Overdue: "job.overdue", notify.Recovered: "job.recovered",
		notify.Digest: "runner.digest", notify.Access: "runner.access", notify.Test: "runner.test",
	} {
		if got := channel.NewMessage(&notify.Notice{Event: event}).Type; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
