package flows_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/clientcreds"
	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/automate"
	"github.com/globus-runner/globus-runner/internal/flows"
)

const robot, robotSecret = "0f1e2d3c-0000-4000-8000-000000000001", "s3cret"

// A lab is a simulator with two collections and the flow "Transfer", and a client of
// its Flows.
type lab struct {
	*globussim.Server
	*flows.Client
	flow string
}

// inLab runs a test in a bubble with a lab.
func inLab(t *testing.T, test func(t *testing.T, l *lab), edit ...func(*globussim.Config)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		cfg := globussim.Config{
			Accounts:    []globussim.Account{{ID: robot, Secret: robotSecret}},
			Collections: []globussim.Collection{{Name: "lab", Dir: t.TempDir()}, {Name: "vault", Dir: t.TempDir()}},
			Flows:       []globussim.Flow{{Title: "Transfer"}},
		}
		for _, change := range edit {
			change(&cfg)
		}
		sim, err := globussim.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer sim.Close() //nolint:errcheck // nothing is kept
		account := func(server string, scopes ...string) *http.Client {
			var all []auth.Scope
			for _, name := range scopes {
				parsed, err := auth.ParseScopes(name)
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, parsed...)
			}
			source := clientcreds.New(robot, robotSecret,
				clientcreds.WithClient(auth.New(sim.Client(), auth.WithLogger(slog.New(slog.DiscardHandler)))), clientcreds.WithScopes(all...))
			return &http.Client{Transport: source.Transport(server, sim.Client().Transport)}
		}
		starter := func(flow string, _ []string) *http.Client { return account(flow, flows.Scope(flow, nil)) }
		test(t, &lab{sim, flows.New(account(flows.ResourceServer, flows.Scopes()...), starter), globussim.FlowID("Transfer")})
	})
}

// form is a request for a run of the flow, which waits for a source that is not there.
func form(label string) []byte {
	doc, err := json.Marshal(flows.Form{Label: label, Tags: []string{"test"}, Body: map[string]any{
		"source":      map[string]any{"id": globussim.CollectionID("lab"), "path": "/none"},
		"destination": map[string]any{"id": globussim.CollectionID("vault"), "path": "/g"},
	}})
	if err != nil {
		panic(err)
	}
	return doc
}

// labels returns the ids of the runs with a label.
func (l *lab) labeled(t *testing.T, label string) (ids []string) {
	t.Helper()
	for run, err := range l.Runs(t.Context(), l.flow, label) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, run.ID)
	}
	return ids
}

func TestRunIsStartedFoundAndCanceled(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		if err := l.Validate(t.Context(), l.flow, form("x"), nil); err != nil {
			t.Errorf("validate: %v", err)
		}
		run, err := l.Start(t.Context(), l.flow, form("nightly 1"), nil)
		if err != nil || run.Status != flows.Active || run.Label != "nightly 1" || run.Flow != l.flow || run.Started().IsZero() {
			t.Fatalf("start: %+v, %v", run, err)
		}
		if seen, err := l.Run(t.Context(), run.ID); err != nil || seen.ID != run.ID {
			t.Errorf("look: %+v, %v", seen, err)
		}
		if _, err := l.Cancel(t.Context(), run.ID); err != nil {
			t.Errorf("cancel: %v", err)
		}
		time.Sleep(time.Minute)
		ended, err := l.Run(t.Context(), run.ID)
		if err != nil || ended.Status != flows.Failed || ended.Details.Code != flows.Canceled || !ended.Status.Final() {
			t.Errorf("after the cancel: %+v, %v", ended, err)
		}
	})
}

// The service's filter finds parts of labels, in any case.
func TestRunsHaveTheWholeLabelOnAllPages(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		var want []string
		for i := range 25 {
			for _, label := range []string{"nightly 1", "nightly 12", "Nightly 1"} {
				run, err := l.Start(t.Context(), l.flow, form(label), nil)
				if err != nil {
					t.Fatal(err)
				}
				if label == "nightly 1" {
					want = append([]string{run.ID}, want...)
				}
			}
			time.Sleep(time.Duration(i+1) * time.Second)
		}
		if diff := cmp.Diff(want, l.labeled(t, "nightly 1")); diff != "" {
			t.Errorf("runs (-want +got):\n%s", diff)
		}
		if none := l.labeled(t, "nightly"); none != nil {
			t.Errorf("runs with a part of a label: %v", none)
		}
	})
}

func TestStartThatMayHaveTakenEffectIsUnclear(t *testing.T) {
	for name, tt := range map[string]struct {
		fault   globussim.Fault
		unclear bool
	}{
		"no answer, no run":      {globussim.Fault{Drop: globussim.DropBefore}, true},
		"no answer, a run":       {globussim.Fault{Drop: globussim.DropAfter}, true},
		"a gateway gave up":      {globussim.Fault{Status: 502, AfterEffect: true, Body: "<html>"}, true},
		"the service is away":    {globussim.Fault{Status: 503}, true},
		"half an answer":         {globussim.Fault{Cut: 20}, true},
		"an answer that is none": {globussim.Fault{Body: "{}"}, true},
		"too many requests":      {globussim.Fault{Status: 429, RetryAfter: "7"}, false},
		"refused":                {globussim.Fault{Status: 403}, false},
	} {
		t.Run(name, func(t *testing.T) {
			inLab(t, func(t *testing.T, l *lab) {
				tt.fault.Method, tt.fault.Path = "POST", "/flows/*/run"
				l.Fail(tt.fault)
				run, err := l.Start(t.Context(), l.flow, form("x"), nil)
				if run != nil || err == nil || errors.Is(err, flows.ErrUnclear) != tt.unclear {
					t.Errorf("got %+v, %v, want unclear: %t", run, err, tt.unclear)
				}
				if e, ok := errors.AsType[*automate.Error](err); tt.fault.RetryAfter != "" && (!ok || e.RetryAfter != 7*time.Second || !e.Temporary()) {
					t.Errorf("got %#v, want an *Error that is temporary, in 7 s", err)
				}
			})
		})
	}
}

func TestStartWithoutATokenIsClear(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.Fail(globussim.Fault{Path: "/v2/oauth2/token", Status: 401, Code: "invalid_client"})
		_, err := l.Start(t.Context(), l.flow, form("x"), nil)
		if e, ok := errors.AsType[*auth.Error](err); !ok || !e.Refused() || errors.Is(err, flows.ErrUnclear) {
			t.Errorf("got %v, want the error of the token request", err)
		}
	})
}

func TestErrorsTellWhatIsWrong(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		_, err := l.Start(t.Context(), globussim.FlowID("Closed"), form("x"), nil)
		if e, ok := errors.AsType[*automate.Error](err); !ok || !e.NotStarter() || e.Temporary() {
			t.Errorf("another's flow: got %v", err)
		}
		_, err = l.Start(t.Context(), l.flow, []byte(`{"body": {}, "label": "x"}`), nil)
		if e, ok := errors.AsType[*automate.Error](err); !ok || e.Code != "FLOW_INPUT_ERROR" {
			t.Errorf("a wrong input: got %v", err)
		}
		_, err = l.Run(t.Context(), robot)
		if e, ok := errors.AsType[*automate.Error](err); !ok || !e.NotFound() {
			t.Errorf("no run: got %v", err)
		}
		if _, err = l.Run(t.Context(), ".."); err == nil || !strings.Contains(err.Error(), "is not an id") {
			t.Errorf("no id: got %v", err)
		}
	}, func(cfg *globussim.Config) {
		cfg.Flows = append(cfg.Flows, globussim.Flow{Title: "Closed", Starters: []string{}})
	})
}

// answering returns a client of a service that gives one answer.
func answering(status int, body string) *flows.Client {
	hc := &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
		rec := httptest.NewRecorder()
		rec.WriteHeader(status)
		_, _ = io.WriteString(rec, body) // a recorder takes all
		return rec.Result(), nil
	})}
	return flows.New(hc, func(string, []string) *http.Client { return hc })
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestForeignTextIsCleanAndShort(t *testing.T) {
	_, err := answering(400, `{"error": {"code": "FLOW_INPUT_ERROR", "detail": [{"loc": ["$.bool"], "msg": "\u001b[31m'x' is not of type 'boolean'"}], "message": "1 error"}, "debug_id": "d1"}`).Run(t.Context(), "r1")
	if want := `Globus Flows: GET /runs/r1: 400 FLOW_INPUT_ERROR: $.bool: \u001b[31m'x' is not of type 'boolean' (debug id d1)`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	_, err = answering(400, `{"error": {"code": "X", "detail": "`+strings.Repeat("long ", 10_000)+`"}}`).Run(t.Context(), "r1")
	if err == nil || len(err.Error()) > 1000 {
		t.Errorf("the error has %d bytes", len(err.Error()))
	}
	run, err := answering(200, `{"run_id": "r1", "status": "FAILED", "start_time": "soon", "details": {"code": "FlowFailed", "description": "State A\nfailed"}}`).Run(t.Context(), "r1")
	if err != nil || run.Details.Reason() != "FlowFailed: State A failed" || !run.Started().IsZero() {
		t.Errorf("got %+v, %v", run, err)
	}
	if run, err = answering(200, `{"run_id": "r1", "status": "ACTIVE", "details": null}`).Run(t.Context(), "r1"); err != nil || run.Details.Reason() != "" {
		t.Errorf("without details: got %+v, %v", run, err)
	}
}

// To take such a reply for an empty list could start a flow twice.
func TestListThatIsNoneIsAnError(t *testing.T) {
	for _, body := range []string{`{}`, `{"runs": null}`, `[]`, `{"runs": [`, strings.Repeat(" ", 9<<20), `{"runs": [], "has_next_page": true, "marker": "m"}`} {
		var got error
		for _, err := range answering(200, body).Runs(context.Background(), "f", "x") {
			got = err
		}
		if _, ok := errors.AsType[*automate.Error](got); !ok {
			t.Errorf("%.40q: got %v, want an *Error", body, got)
		}
	}
}

func FuzzRun(f *testing.F) {
	f.Add(`{"run_id": "r1", "status": "INACTIVE", "details": {"code": 7, "required_scope": ["x"]}, "start_time": 5}`)
	f.Add(`{"error": {"detail": [{"loc": [1], "msg": {}}]}}`)
	f.Fuzz(func(t *testing.T, body string) {
		for _, status := range []int{200, 400} {
			run, err := answering(status, body).Run(context.Background(), "r1")
			if (run == nil) == (err == nil) {
				t.Errorf("got %v and %v", run, err)
			}
			if run != nil && (run.ID == "" || strings.ContainsAny(run.Details.Reason(), "\n\x1b")) {
				t.Errorf("got %+v", run)
			}
			if err != nil && strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Errorf("got %q", err)
			}
		}
	})
}
