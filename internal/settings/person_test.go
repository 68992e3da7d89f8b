package settings

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/login"
	"github.com/globus-runner/globus-runner/transfer"
)

func TestALogSaysWhatToDoWhenThereIsNoTokenAnyMore(t *testing.T) {
	gone := &login.Error{Reason: "revoked"}
	source := auth.NewSource(func(context.Context, string) (map[string]auth.Token, error) { return nil, gone })
	id := &Identity{Kind: RefreshToken, ClientID: someID, From: "RUNNER_REFRESH_TOKEN"}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://globus.test/", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := id.Advise(source.Transport(auth.TransferServer, nil)).RoundTrip(r)
	if err == nil {
		_ = resp.Body.Close() // there should be none
	}
	want := "get a token: revoked; log in again: runner login --client-id " + someID + " --refresh-token-file FILE, and give the new token in RUNNER_REFRESH_TOKEN"
	if !errors.Is(err, gone) || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
}

func TestALoginIsForTheSessionAndTheScopesThatAreDemanded(t *testing.T) {
	id := &Identity{Kind: StoredLogin, ClientID: someID, Username: "ada@x"}
	got := id.Fault().Login(&transfer.AuthorizationParameters{RequiredScopes: []string{"https://auth.globus.org/scopes/f/flow_f_user"}, SessionRequiredMFA: new(true), Prompt: "login"})
	want := "log in again: runner login --client-id " + someID + " --scopes 'https://auth.globus.org/scopes/f/flow_f_user' --session-required-mfa --prompt login"
	if got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func TestTheCommandInAMessageIsOneForAShell(t *testing.T) {
	for text, want := range map[string]string{
		"a[*b]":           "'a[*b]'",
		"it's $(evil) `x": `'it'\''s $(evil) ` + "`x'",
		"b\u202ea\x1b[1m": "'b?a?[1m'",
		"two\nlines":      "'two?lines'",
	} {
		if got := quote(text); got != want {
			t.Errorf("%q becomes %s, want %s", text, got, want)
		}
	}
}
