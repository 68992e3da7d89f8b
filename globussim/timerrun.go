package globussim

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"time"
)

// maxResults is how many runs of a timer are remembered.
const maxResults = 100

// A timerRun is one run of a timer.
type timerRun struct {
	at     time.Time
	status int    // of the answer
	task   string // id; empty if it was refused
	flow   *run   // for a timer that runs a flow
	doc    any    // the answer, if it was refused
}

// first returns the earliest instant of a schedule that is not before now. A
// single instant may be long gone.
func (r *recurrence) first(start, now time.Time) time.Time {
	if r.Type == once || !start.Before(now) {
		return start
	}
	interval := time.Duration(r.Interval) * time.Second
	return start.Add((now.Sub(start) + interval - 1) / interval * interval)
}

// ended reports whether no run is to come, the next one being at that time.
func (t *timer) ended() bool {
	switch end := t.schedule.End; {
	case t.schedule.Type == once:
		return t.runs > 0
	case end == nil:
		return false
	case end.Condition == "time":
		last, _ := parseTimestamp(end.Datetime)
		return t.next.After(last)
	default:
		return t.runs >= end.Count
	}
}

// arm waits for the next instant of a timer. The caller holds mu.
func (ts *timers) arm(t *timer) {
	t.disarm()
	if t.paused || t.removed || t.ended() {
		return
	}
	t.alarm = time.AfterFunc(time.Until(t.next), func() { ts.tick(t) })
}

// disarm stops waiting.
func (t *timer) disarm() {
	if t.alarm != nil {
		t.alarm.Stop()
	}
}

// close ends all waiting.
func (ts *timers) close() {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	for _, t := range ts.kept {
		t.removed = true
		t.disarm()
	}
}

// tick runs a timer that is due, unless its last run goes on, and waits for the
// next instant. An instant that is left out does not count.
func (ts *timers) tick(t *timer) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	now := ts.server.now()
	if t.paused || t.removed || t.ended() || now.Before(t.next) {
		return
	}
	if !ts.busy(t) {
		ts.start(t, now)
	}
	ts.changed(t) // after what it has started, so that it is not said to have without it
	if t.schedule.Type == recurring {
		t.next = t.schedule.first(t.next, now.Add(time.Nanosecond))
	}
	ts.arm(t)
}

// busy reports whether the last run of a timer has not ended.
func (ts *timers) busy(t *timer) bool {
	if len(t.results) == 0 {
		return false
	}
	last := t.results[len(t.results)-1]
	if last.flow != nil {
		return !ts.server.flows.ended(last.flow)
	}
	doc, ok := ts.server.transfer.taskDocument(last.task)
	return ok && doc.CompletionTime.IsZero()
}

// start does what a timer is for. One whose owner has to consent first becomes
// inactive, and the run does not count.
func (ts *timers) start(t *timer, now time.Time) {
	result := timerRun{at: now}
	id := keptID(t.id, t.next.Format(time.RFC3339Nano))
	var e *apiError
	if t.kind == "flow" {
		result.flow, e = ts.server.flows.startFor(t.holder, id, t.flow, t.body)
		result.status = http.StatusCreated
	} else {
		result.task, result.status, e = ts.server.transfer.submitFor(context.Background(), t.holder, timerScope, "transfer", id, t.submission())
	}
	if e != nil && e.AuthorizationParameters != nil {
		t.paused = true
		t.inactive = map[string]any{"cause": "globus_auth_requirements", "detail": map[string]any{
			"code": e.Code, "authorization_parameters": e.AuthorizationParameters,
		}}
		return
	}
	t.runs++
	t.ran = now
	if e != nil {
		t.errors++
		result.status, result.doc = e.Status, map[string]any{"code": e.Code, "message": e.Message}
	}
	t.results = append(t.results[max(0, len(t.results)+1-maxResults):], result)
}

// submission is the document of a timer's next transfer.
func (t *timer) submission() map[string]any {
	doc := maps.Clone(t.body)
	label, _ := doc["label"].(string)
	doc["label"] = fmt.Sprintf("%s, run %d", cmp.Or(label, t.name), t.runs+1)
	return doc
}

// submitFor submits a transfer or delete, with this submission id, in the name of a
// party, with what it has let the service of the scope do.
func (sv *service) submitFor(ctx context.Context, h holder, via, kind, id string, doc map[string]any) (task string, status int, e *apiError) {
	doc = maps.Clone(doc)
	doc["DATA_TYPE"], doc["submission_id"] = kind, id
	data, err := json.Marshal(doc)
	if err != nil {
		return "", 0, badRequest(err.Error())
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, transferPrefix+"/"+kind, bytes.NewReader(data))
	if err != nil {
		return "", 0, badRequest(err.Error())
	}
	submit := sv.submitTransfer
	if kind == "delete" {
		submit = sv.submitDelete
	}
	status, answer, e := submit(&request{Request: r, caller: h, owner: h.identity, via: via})
	if e != nil {
		return "", 0, e
	}
	return answer.(map[string]any)["task_id"].(string), status, nil
}

// taskDocument returns the document of a task, if it is still known.
func (sv *service) taskDocument(id string) (taskDoc, bool) {
	sv.mu.Lock()
	defer sv.mu.Unlock()
	t, ok := sv.tasks[id]
	if !ok {
		return taskDoc{}, false
	}
	return t.document(), true
}

// document is a run as the job of its timer shows it.
func (ts *timers) document(t *timer, r timerRun) map[string]any {
	doc := map[string]any{"ran_at": timestamp(r.at), "status": r.status, "errors": nil, "data": r.doc}
	switch {
	case r.flow != nil:
		doc["data"] = ts.server.flows.document(r.flow)
	case r.task != "":
		doc["data"] = ts.server.transfer.action(t.holder, r.task)
	default:
		doc["errors"] = r.doc
	}
	return doc
}

// action describes a task as the Transfer action provider does.
func (sv *service) action(h holder, id string) map[string]any {
	task, _ := sv.taskDocument(id)
	return deepCopy(map[string]any{
		"action_id": id, "creator_id": identityURN(h.identity), "details": task, "status": task.Status, "display_status": task.Status,
		"label": nil, "manage_by": []any{}, "monitor_by": []any{}, "release_after": "P30D",
		"start_time": task.RequestTime, "completion_time": task.CompletionTime,
	})
}
