package timers_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/clientcreds"
	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/automate"
	"github.com/globus-runner/globus-runner/internal/timers"
)

const robot, robotSecret = "0f1e2d3c-0000-4000-8000-000000000001", "s3cret"

// base is the address of the service.
func base() *url.URL { return &url.URL{Scheme: "https", Host: "timer.automate.globus.org"} }

// inLab runs a test in a bubble with a simulator, a client of its Timers and the id of
// a daily timer.
func inLab(t *testing.T, test func(t *testing.T, c *timers.Client, id string)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		sim, err := globussim.New(globussim.Config{
			Accounts:    []globussim.Account{{ID: robot, Secret: robotSecret}},
			Collections: []globussim.Collection{{Name: "lab", Dir: t.TempDir()}, {Name: "vault", Dir: t.TempDir()}},
		})
		if err != nil {
			t.Fatal(err)
		}
		defer sim.Close() //nolint:errcheck // nothing is kept
		source := clientcreds.New(robot, robotSecret,
			clientcreds.WithClient(auth.New(sim.Client(), auth.WithLogger(slog.New(slog.DiscardHandler)))), clientcreds.WithScopes(auth.Scope{Name: timers.Scope}))
		hc := &http.Client{Transport: source.Transport(timers.ResourceServer, sim.Client().Transport)}
		test(t, timers.New(hc, base()), daily(t, hc))
	})
}

// daily makes a timer, and returns its id.
func daily(t *testing.T, hc *http.Client) string {
	t.Helper()
	form := fmt.Sprintf(`{"timer": {"timer_type": "transfer", "name": "nightly", "schedule": {"type": "recurring", "interval_seconds": 86400, "start": "2000-01-02T02:00:00Z"},
		"body": {"source_endpoint": %q, "destination_endpoint": %q, "DATA": [{"source_path": "/a/", "destination_path": "/b/"}]}}}`, globussim.CollectionID("lab"), globussim.CollectionID("vault"))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base().String()+"/v2/timer", strings.NewReader(form))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := hc.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // it was only read
	var made struct {
		Timer struct {
			ID string `json:"job_id"`
		} `json:"timer"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&made); err != nil || made.Timer.ID == "" {
		t.Fatalf("no timer was made: %d %v", resp.StatusCode, err)
	}
	return made.Timer.ID
}

func TestTimersAreListedPausedResumedAndDeleted(t *testing.T) {
	inLab(t, func(t *testing.T, c *timers.Client, id string) {
		list, err := c.List(t.Context())
		if err != nil || len(list.Timers) != 1 || list.Timers[0].ID != id || !json.Valid(list.Raw) {
			t.Fatalf("list: %+v, %v", list, err)
		}
		first := time.Date(2000, time.January, 2, 2, 0, 0, 0, time.UTC)
		one, err := c.Timer(t.Context(), id)
		if err != nil || one.Name != "nightly" || one.Status != "new" || !one.NextRun.Equal(first) || !one.LastRun.IsZero() || !json.Valid(one.Raw) {
			t.Errorf("timer: %+v, %v", one, err)
		}
		for _, change := range []struct {
			do     func(context.Context, string) (*timers.Change, error)
			status string
		}{{c.Pause, "inactive"}, {c.Resume, "new"}} {
			done, err := change.do(t.Context(), id)
			if err != nil || done.Message == "" || !json.Valid(done.Raw) {
				t.Errorf("change: %+v, %v", done, err)
			}
			if one, err := c.Timer(t.Context(), id); err != nil || one.Status != change.status {
				t.Errorf("after the change: %+v, %v, want %s", one, err, change.status)
			}
		}
		if gone, err := c.Delete(t.Context(), id); err != nil || gone.ID != id {
			t.Errorf("delete: %+v, %v", gone, err)
		}
		_, err = c.Timer(t.Context(), id)
		if e, ok := errors.AsType[*automate.Error](err); !ok || !e.NotFound() || e.Service != automate.Timers {
			t.Errorf("after the delete: %v, want that there is none", err)
		}
		if list, err := c.List(t.Context()); err != nil || list.Timers == nil || len(list.Timers) != 0 {
			t.Errorf("list: %+v, %v, want none", list, err)
		}
	})
}

// answering returns a client of a service that gives one answer.
func answering(status int, body string) *timers.Client {
	return timers.New(&http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
		rec := httptest.NewRecorder()
		rec.WriteHeader(status)
		_, _ = io.WriteString(rec, body) // a recorder takes all
		return rec.Result(), nil
	})}, base())
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// To take such a reply for an empty list could lose timers in a migration.
func TestListThatIsNoneIsAnError(t *testing.T) {
	for _, body := range []string{`{}`, `{"jobs": null}`, `[]`, `{"jobs": [`, strings.Repeat(" ", 5<<20)} {
		if list, err := answering(200, body).List(context.Background()); list != nil || !isError(err) {
			t.Errorf("%.40q: got %+v, %v, want an *Error", body, list, err)
		}
	}
	for _, body := range []string{`{}`, `[]`, ``} {
		if one, err := answering(200, body).Timer(context.Background(), "t1"); one != nil || !isError(err) {
			t.Errorf("%.40q: got %+v, %v, want an *Error", body, one, err)
		}
	}
}

func isError(err error) bool {
	_, ok := errors.AsType[*automate.Error](err)
	return ok
}

func TestErrorsTellWhatIsWrong(t *testing.T) {
	for body, want := range map[string]string{
		`{"detail": [{"loc": ["path", "job_id"], "msg": "is not a UUID", "type": "x"}]}`: "Globus Timers: POST /jobs/t1/pause: 422: path job_id: is not a UUID",
		`{"detail": "Not\u001b[31m Found"}`:                                              `Globus Timers: POST /jobs/t1/pause: 422: Not\u001b[31m Found`,
		`{"error": {"code": "FORBIDDEN", "detail": "not yours", "status": 422}}`:         "Globus Timers: POST /jobs/t1/pause: 422 FORBIDDEN: not yours",
		`<html>`: "Globus Timers: POST /jobs/t1/pause: 422: Unprocessable Entity",
	} {
		if _, err := answering(422, body).Pause(context.Background(), "t1"); err == nil || err.Error() != want {
			t.Errorf("got %v\nwant %s", err, want)
		}
	}
	if _, err := answering(200, `{}`).Pause(context.Background(), ".."); err == nil || !strings.Contains(err.Error(), "is not an id") {
		t.Errorf("no id: got %v", err)
	}
}
