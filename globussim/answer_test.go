package globussim_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/globussim"
)

func TestAnswersThatNobodyHasConfirmedCanBeChosen(t *testing.T) {
	for name, tt := range map[string]struct {
		order                          string
		accepted, made, paused, passed int
	}{
		"by default": {`{}`, 202, 202, 409, 400},
		"the others": {`{"accepted": 200, "made": 200, "paused": 403, "past_deadline": true}`, 200, 200, 403, 200},
	} {
		t.Run(name, func(t *testing.T) {
			inLab(t, func(t *testing.T, l *lab) {
				plant(t, l.lab, map[string]string{"f": "1"})
				if a := ask(t, l.Client(), http.MethodPost, transferBase+"/_sim/answers", "", "", tt.order); a.status != http.StatusOK {
					t.Fatalf("the order answers %d %s", a.status, a.body)
				}
				check := func(what string, a answer, want int) {
					t.Helper()
					if a.status != want {
						t.Errorf("%s answers %d %s, want %d", what, a.status, a.body, want)
					}
				}
				check("a submission", l.call(http.MethodPost, "/transfer", l.transfer("/f", "/f")), tt.accepted)
				late := l.call(http.MethodPost, "/transfer", l.transfer("/f", "/g", doc{"deadline": "1999-12-31"}))
				check("a submission that is late", late, tt.passed)
				if late.status == http.StatusOK {
					time.Sleep(time.Second)
					if task := l.task(late.text("task_id")); task.fatal() != "EXPIRED" {
						t.Errorf("the late task is %s, want EXPIRED", task.body)
					}
				}
				operation := "/operation/endpoint/" + l.labID + "/mkdir"
				check("a folder", l.call(http.MethodPost, operation, doc{"DATA_TYPE": "mkdir", "path": "/d"}), tt.made)
				if _, err := l.Pause(globussim.PauseRule{Collection: l.labID, Mkdir: true}); err != nil {
					t.Fatal(err)
				}
				check("what is paused", l.call(http.MethodPost, operation, doc{"DATA_TYPE": "mkdir", "path": "/e"}), tt.paused)
			})
		})
	}
}

func TestTooManyRequestsMayBeAnsweredInTwoWays(t *testing.T) {
	for _, want := range []int{http.StatusTooManyRequests, http.StatusServiceUnavailable} {
		inLab(t, func(t *testing.T, l *lab) {
			last := 0
			for range 11 {
				last = l.call(http.MethodGet, "/submission_id", nil).status
			}
			if last != want {
				t.Errorf("the request above the limit answers %d, want %d", last, want)
			}
		}, func(cfg *globussim.Config) {
			cfg.RequestRate = 1
			cfg.Answers.Throttled = want
		})
	}
}

func TestAnAnswerThatThereIsNotIsRefused(t *testing.T) {
	s := startWorld(t)
	for _, order := range []string{`{"accepted": 500}`, `{"paused": 1}`, `{"x": 1}`, `{`} {
		if a := ask(t, s.Client(), http.MethodPost, transferBase+"/_sim/answers", "", "", order); a.status != http.StatusBadRequest {
			t.Errorf("%s answers %d %s, want 400", order, a.status, a.body)
		}
	}
	get(t, s, transferBase+"/_sim/answers", "").want(t, doc{"accepted": 202, "made": 202, "paused": 409, "throttled": 429})
	cfg := world(t.TempDir())
	cfg.Answers.Made = 500
	if _, err := globussim.New(cfg); err == nil {
		t.Error("a configuration with an answer that there is not is taken")
	}
}
