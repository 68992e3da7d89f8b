package globussim_test

import (
	"net/http"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/globussim"
)

func TestAnswersThatNobodyHasConfirmedCanBeChosen(t *testing.T) {
	for name, tt := range map[string]struct {
		order                                  string
		accepted, made, paused, passed, listed int
	}{
		"by default": {`{}`, 202, 202, 409, 400, 502},
		"the others": {`{"accepted": 200, "made": 200, "paused": 403, "past_deadline": true, "listed": 400}`, 200, 200, 403, 200, 400},
	} {
		t.Run(name, func(t *testing.T) {
			inLab(t, func(t *testing.T, l *lab) {
				plant(t, l.lab, map[string]string{"f": "1"})
				l.order("answers", tt.order)
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
				check("a listing of a file", l.call(http.MethodGet, "/operation/endpoint/"+l.labID+"/ls?path=/f", nil), tt.listed)
				check("what is paused", l.call(http.MethodPost, operation, doc{"DATA_TYPE": "mkdir", "path": "/e"}), tt.paused)
			})
		})
	}
}

// order gives an order to the control path.
func (l *lab) order(what, body string) {
	l.t.Helper()
	if a := ask(l.t, l.Client(), http.MethodPost, transferBase+"/_sim/"+what, "", "", body); a.status/100 != 2 {
		l.t.Fatalf("the order %s of %s answers %d %s", body, what, a.status, a.body)
	}
}

func TestTheEndOfACanceledTaskCanBeChosen(t *testing.T) {
	for name, tt := range map[string]struct {
		order, code, fatal string
		ended              bool // at once
	}{
		"by default":     {`{}`, "Canceled", "CANCELED", true},
		"later":          {`{"cancel_later": true}`, "CancelAccepted", "CANCELED", false},
		"without a word": {`{"no_fatal_error": true}`, "Canceled", "", true},
	} {
		t.Run(name, func(t *testing.T) {
			inLab(t, func(t *testing.T, l *lab) {
				plant(t, l.lab, map[string]string{"f": "1"})
				l.order("answers", tt.order)
				l.order("tasks", `{"action": "stall"}`)
				id := l.call(http.MethodPost, "/transfer", l.transfer("/f", "/f")).text("task_id")
				for range 2 { // a second cancel changes nothing
					if got := l.call(http.MethodPost, "/task/"+id+"/cancel", nil).text("code"); got != tt.code && got != "TaskComplete" {
						t.Errorf("the cancel answers %s, want %s", got, tt.code)
					}
				}
				if got := l.task(id).text("status") == "FAILED"; got != tt.ended {
					t.Errorf("the task has ended: %t, want %t", got, tt.ended)
				}
				time.Sleep(2 * time.Second)
				if a := l.task(id); a.text("status") != "FAILED" || a.fatal() != tt.fatal {
					t.Errorf("the task is %s, want one that failed with the code %q", a.body, tt.fatal)
				}
			})
		})
	}
}

func TestTheFormOfErrorsOfLoginsCanBeChosen(t *testing.T) {
	s := startWorld(t)
	for form, want := range map[globussim.AuthForm][2]bool{
		globussim.AuthBoth: {true, true}, globussim.AuthOAuth: {true, false}, globussim.AuthList: {false, true},
	} {
		if err := s.Answer(globussim.Answers{AuthErrors: form}); err != nil {
			t.Fatal(err)
		}
		a := ask(t, s.Client(), http.MethodPost, authBase+"/v2/oauth2/token", basic(other, "wrong"), formType, "grant_type=client_credentials")
		if got := [2]bool{a.doc["error"] != nil, a.doc["errors"] != nil}; a.status != http.StatusUnauthorized || got != want {
			t.Errorf("%s: the token endpoint answers %d %s", form, a.status, a.body)
		}
	}
}

func TestARuleThatWouldLiveTooLongIsRefusedOrCut(t *testing.T) {
	limited := func(cfg *globussim.Config) { cfg.Collections[0].MaxAccess = 24 * time.Hour }
	inLab(t, func(t *testing.T, l *lab) {
		l.call(http.MethodGet, "/endpoint/"+l.labID, nil).want(t, doc{"acl_max_expiration_period_mins": 1440})
		const day, month = "2000-01-02T00:00:00+00:00", "2000-02-01T00:00:00+00:00"
		l.owner("POST", "/access", rule(), http.StatusBadRequest, "ClientError.BadRequest")
		l.owner("POST", "/access", rule(doc{"expiration_date": month}), http.StatusBadRequest, "ClientError.BadRequest")
		at := "/access/" + l.owner("POST", "/access", rule(doc{"expiration_date": day}), http.StatusCreated, "Created").text("access_id")
		l.owner("PUT", at, doc{"expiration_date": month}, http.StatusBadRequest, "ClientError.BadRequest")

		l.order("answers", `{"cut_access": true}`)
		l.owner("PUT", at, doc{"expiration_date": month}, http.StatusOK, "Updated")
		l.call(http.MethodGet, "/endpoint/"+l.labID+at, nil).want(t, doc{"expiration_date": day})
		cut := l.owner("POST", "/access", rule(doc{"path": "/x/"}), http.StatusCreated, "Created").text("access_id")
		l.call(http.MethodGet, "/endpoint/"+l.labID+"/access/"+cut, nil).want(t, doc{"expiration_date": day})
	}, owned, limited)
	inLab(t, func(t *testing.T, l *lab) {
		const end = "2000-02-01T00:00:00+00:00"
		at := "/access/" + l.owner("POST", "/access", rule(doc{"expiration_date": end}), http.StatusCreated, "Created").text("access_id")
		l.order("answers", `{"keep_end": true}`)
		l.owner("PUT", at, doc{"expiration_date": nil}, http.StatusOK, "Updated")
		l.call(http.MethodGet, "/endpoint/"+l.labID+at, nil).want(t, doc{"expiration_date": end})
		l.order("answers", `{}`)
		l.owner("PUT", at, doc{"expiration_date": nil}, http.StatusOK, "Updated")
		l.call(http.MethodGet, "/endpoint/"+l.labID+at, nil).want(t, doc{"expiration_date": nil})
	}, owned)
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
	for _, order := range []string{`{"accepted": 500}`, `{"paused": 1}`, `{"listed": 404}`, `{"auth_errors": "xml"}`, `{"runs_listed": -1}`, `{"page_length": -1}`, `{"page_length": 1001}`, `{"x": 1}`, `{`} {
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

func TestARenameOntoANameIsRefusedOrReplacesIt(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		plant(t, l.lab, map[string]string{"a": "new", "b": "old", "full/c": "1"})
		rename := func(from, to string) answer {
			return l.call(http.MethodPost, "/operation/endpoint/"+l.labID+"/rename", doc{"DATA_TYPE": "rename", "old_path": from, "new_path": to})
		}
		rename("/a", "/b").want(t, doc{"code": "ExternalError.RenameFailed.Exists"})
		l.order("answers", `{"rename_replaces": true}`)
		rename("/a", "/b").want(t, doc{"code": "FileRenamed"})
		if got, err := os.ReadFile(l.lab + "/b"); string(got) != "new" {
			t.Errorf("/b has %q (%v), want what /a had", got, err)
		}
		if a := rename("/b", "/full"); a.status/100 == 2 {
			t.Errorf("a folder with entries is replaced: %s", a.body)
		}
	})
}

func TestASyncLevelAppliesItsOwnTestOrTheLowerOnesAsWell(t *testing.T) {
	for name, tt := range map[string]struct {
		lower bool
		want  []float64 // how many of the three files each level copies, from 1
	}{
		"alone":   {false, []float64{1, 1, 2}},
		"as well": {true, []float64{1, 2, 3}},
	} {
		t.Run(name, func(t *testing.T) {
			for level, want := range tt.want {
				inLab(t, func(t *testing.T, l *lab) {
					plant(t, l.lab, map[string]string{"d/size": "longer", "d/newer": "same", "d/content": "abc"})
					plant(t, l.vault, map[string]string{"d/size": "short", "d/newer": "same", "d/content": "xyz"})
					day := time.Now().Add(-24 * time.Hour)
					for _, old := range []string{l.lab + "/d/size", l.lab + "/d/content", l.vault + "/d/newer"} {
						if err := os.Chtimes(old, day, day); err != nil {
							t.Fatal(err)
						}
					}
					if tt.lower {
						l.order("answers", `{"lower_levels": true}`)
					}
					task := l.do(l.transfer("/d/", "/d/", doc{"sync_level": level + 1}))
					if got := task.doc["files_transferred"]; got != want {
						t.Errorf("level %d copies %v files, want %v", level+1, got, want)
					}
				})
			}
		})
	}
}

func TestASubmissionIDWithAnotherDocumentIsADuplicateOrRefused(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		plant(t, l.lab, map[string]string{"f": "1"})
		first := l.transfer("/f", "/f")
		other := l.transfer("/f", "/g", doc{"submission_id": first["submission_id"]})
		l.call(http.MethodPost, "/transfer", first).want(t, doc{"code": "Accepted"})
		l.call(http.MethodPost, "/transfer", other).want(t, doc{"code": "Duplicate"})
		l.order("answers", `{"refuse_other_document": true}`)
		l.call(http.MethodPost, "/transfer", other).want(t, doc{"code": "ClientError.BadRequest"})
		l.call(http.MethodPost, "/transfer", first).want(t, doc{"code": "Duplicate"})
	})
}

func TestTheSuccessfulTransfersOfADeleteAreEmptyOrRefused(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		plant(t, l.lab, map[string]string{"f": "1"})
		list := "/task/" + l.do(l.deletion("/f")).text("task_id") + "/successful_transfers"
		l.call(http.MethodGet, list, nil).want(t, doc{"DATA_TYPE": "successful_transfers", "next_marker": nil})
		l.order("answers", `{"refuse_deletes": true}`)
		if a := l.call(http.MethodGet, list, nil); a.status != http.StatusBadRequest {
			t.Errorf("the list answers %d %s, want 400", a.status, a.body)
		}
	})
}

func TestTheLengthOfAPageCanBeChosen(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		plant(t, l.lab, map[string]string{"f": "1"})
		l.do(l.transfer("/f", "/f"))
		id := l.do(l.transfer("/f", "/f")).text("task_id")
		for list, rows := range map[string]int{"/task_list": 2, "/task/" + id + "/event_list": 3} {
			l.order("answers", `{}`)
			l.call(http.MethodGet, list, nil).want(t, doc{"limit": 10, "length": rows})
			l.order("answers", `{"page_length": 1}`)
			l.call(http.MethodGet, list, nil).want(t, doc{"limit": 1, "length": 1})
			l.call(http.MethodGet, list+"?limit=5", nil).want(t, doc{"limit": 5, "length": rows})
		}
	})
}

func TestACanceledRunHasFailedOrEnded(t *testing.T) {
	for order, want := range map[string]string{`{}`: "FAILED", `{"end_canceled_runs": true}`: "ENDED"} {
		inFlowLab(t, func(t *testing.T, l *lab) {
			l.order("answers", order)
			me := bearer(t, l.Server, flowsScope)
			run := l.runFlow("x", "/missing", "/f")
			l.flows(http.MethodPost, run+"/cancel", me, nil).want(t, doc{"status": want})
			if a := l.flows(http.MethodPost, run+"/release", me, nil); a.status != http.StatusOK {
				t.Errorf("the release of a run that is %s answers %d %s", want, a.status, a.body)
			}
		})
	}
}

func TestThePageOfTheSimulatorHasEachAnswerThatCanBeChosen(t *testing.T) {
	page, err := os.ReadFile("../docs/simulator.md")
	if err != nil {
		t.Fatal(err)
	}
	for field := range reflect.TypeFor[globussim.Answers]().Fields() {
		key, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if !regexp.MustCompile("(?m)^\\| `" + key + "` \\|").Match(page) {
			t.Errorf("docs/simulator.md does not have the answer %q", key)
		}
	}
}
