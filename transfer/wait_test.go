package transfer_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/globus-runner/globus-runner/transfer"
)

// lasting serves a task that is final when that much time has passed.
func lasting(d time.Duration, looks *int) *transfer.Client {
	end := time.Now().Add(d)
	return serve(func(w http.ResponseWriter, r *http.Request) {
		*looks++
		status := transfer.Active
		if !time.Now().Before(end) {
			status = transfer.Failed
		}
		reply(200, fmt.Sprintf(`{"task_id": "t", "status": %q}`, status))(w, r)
	})
}

func TestWaitReturnsTheFinalTask(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin, looks := time.Now(), 0
		task, err := lasting(time.Hour, &looks).Wait(t.Context(), "t")
		if err != nil || task.Status != transfer.Failed {
			t.Fatalf("got %v, %v, want the task that failed", task, err)
		}
		if late := time.Since(begin) - time.Hour; late < 0 || late > 15*time.Second {
			t.Errorf("learned %v after its end, want 15 s at most", late)
		}
		if looks < 240 || looks > 340 {
			t.Errorf("looked %d times within an hour, want once in 12 to 15 s", looks)
		}
	})
}

func TestWaitLearnsSoonOfAShortTask(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin, looks := time.Now(), 0
		if _, err := lasting(500*time.Millisecond, &looks).Wait(t.Context(), "t"); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); took > time.Second || looks != 2 {
			t.Errorf("took %v and %d looks, want a second and 2", took, looks)
		}
	})
}

func TestWaitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		looks, cause := 0, errors.New("enough")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, cause)
		defer cancel()
		if task, err := lasting(time.Hour, &looks).Wait(ctx, "t"); task != nil || !errors.Is(err, cause) {
			t.Errorf("got %v, %v, want the cause", task, err)
		}
	})
}

func TestWatchEndsWhenItsCallerLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		looks := 0
		for task, err := range lasting(time.Hour, &looks).Watch(t.Context(), "t") {
			if err != nil || task.Status != transfer.Active {
				t.Fatalf("got %v, %v", task, err)
			}
			break
		}
		if looks != 1 {
			t.Errorf("looked %d times, want once", looks)
		}
	})
}

func TestWatchEndsWithAnError(t *testing.T) {
	pairs := 0
	for task, err := range serve(reply(404, `{"code": "TaskNotFound"}`)).Watch(t.Context(), "t") {
		pairs++
		if e, ok := errors.AsType[*transfer.Error](err); !ok || !e.NotFound() || task != nil {
			t.Errorf("got %v, %v, want a task that is not found", task, err)
		}
	}
	if pairs != 1 {
		t.Errorf("got %d pairs, want the error alone", pairs)
	}
}

func TestSubmitGetsASubmissionID(t *testing.T) {
	asked, sent := 0, []string{}
	c := serve(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			asked++
			reply(200, `{"value": "s1"}`)(w, r)
			return
		}
		var doc struct {
			SubmissionID string `json:"submission_id"`
		}
		if err := json.NewDecoder(r.Body).Decode(&doc); err != nil {
			t.Error(err)
		}
		sent = append(sent, doc.SubmissionID)
		reply(202, `{"code": "Accepted", "task_id": "t"}`)(w, r)
	})
	doc := &transfer.Delete{Endpoint: "e", Items: []transfer.DeleteItem{{Path: "/a"}}}
	for range 2 {
		if _, err := c.Submit(t.Context(), doc); err != nil {
			t.Fatal(err)
		}
	}
	if asked != 1 || fmt.Sprint(sent) != "[s1 s1]" || doc.SubmissionID != "s1" {
		t.Errorf("asked %d times for an id, sent %v, left %q in the document; want one id for both", asked, sent, doc.SubmissionID)
	}
}
