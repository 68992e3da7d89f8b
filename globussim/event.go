package globussim

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// maxEvents is how many events of a task are kept, the newest.
const maxEvents = 1000

// progressInterval is the time between two PROGRESS events of a task that
// moves.
const progressInterval = time.Minute

// An event is one entry of a task's log.
type event struct {
	DataType    string `json:"DATA_TYPE"`
	Code        string `json:"code"`
	Description string `json:"description"`
	Details     string `json:"details"` // JSON text, or free text of an error
	IsError     bool   `json:"is_error"`
	Time        stamp  `json:"time"`
}

// note adds an event. The caller holds the service's lock.
func (t *task) note(code, details string, isError bool) {
	if len(t.events) >= 2*maxEvents {
		t.events = append(t.events[:0:0], t.events[len(t.events)-maxEvents:]...)
	}
	t.events = append(t.events, event{
		DataType: "event", Code: code, Description: describe(code),
		Details: details, IsError: isError, Time: stamp{time.Now()},
	})
	t.untold++
	t.changed()
}

// reportProgress adds the event that tells how far a transfer is.
func (t *task) reportProgress(now time.Time) {
	if t.doc.Type != kindTransfer {
		return
	}
	t.reported = now
	t.note("PROGRESS", fmt.Sprintf(`{"bytes_transferred": %d, "duration": %.2f}`,
		t.doc.BytesTransferred, now.Sub(t.doc.RequestTime.Time).Seconds()), false)
}

// describe turns a code into words: FILE_NOT_FOUND into "file not found".
func describe(code string) string {
	return strings.ToLower(strings.ReplaceAll(code, "_", " "))
}

// eventList answers GET /task/<id>/event_list.
func (sv *service) eventList(q *request) (int, any, *apiError) {
	page, e := q.page(sv.server.answers.Load().PageLength, maxRows)
	if e != nil {
		return 0, nil, e
	}
	var only *bool
	switch filter := q.param("filter"); filter {
	case "":
	case "is_error:1", "is_error:0":
		only = new(filter == "is_error:1")
	default:
		return 0, nil, badRequest("filter: only is_error:0 and is_error:1 are known")
	}

	sv.mu.Lock()
	defer sv.mu.Unlock()
	t, e := sv.visible(q)
	if e != nil {
		return 0, nil, e
	}
	rows := []event{}
	for i := len(t.events) - 1; i >= 0 && len(rows) < maxEvents; i-- {
		if only == nil || *only == t.events[i].IsError {
			rows = append(rows, t.events[i])
		}
	}
	return http.StatusOK, page.list("event_list", cut(rows, page), len(rows)), nil
}
