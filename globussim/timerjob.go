package globussim

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// A jobForm is the request for a timer in the form that older clients send.
type jobForm struct {
	Name      string   `json:"name"`
	Start     *string  `json:"start"`
	Interval  *float64 `json:"interval"` // in seconds; null: once
	StopAfter *struct {
		Date string `json:"date"`
		Runs int    `json:"n_runs"`
	} `json:"stop_after"`
	URL  *string `json:"callback_url"` // of the action that is called
	Call struct {
		Body map[string]any `json:"body"`
	} `json:"callback_body"`
}

// parseJob reads the request for a timer in the older form.
func parseJob(data []byte, now time.Time) (*timer, []invalidField) {
	var doc jobForm
	if json.Unmarshal(data, &doc) != nil {
		return nil, []invalidField{notJSON()}
	}
	var f timerForm
	if doc.Start == nil {
		f.missing("start")
	}
	switch {
	case doc.URL == nil:
		f.missing("callback_url")
	case !strings.HasSuffix(*doc.URL, "/transfer/run"):
		f.wrong("the simulator starts transfers alone: https://transfer.actions.globus.org/transfer/run", "callback_url")
	}
	if len(f.invalid) > 0 {
		return nil, f.invalid
	}
	newer, err := json.Marshal(map[string]any{"timer": map[string]any{
		"timer_type": "transfer", "name": doc.Name, "schedule": doc.schedule(), "body": doc.transfer(),
	}})
	if err != nil {
		return nil, []invalidField{notJSON()}
	}
	t, invalid := parseTimer(newer, now)
	for i := range invalid { // the older form does not have these levels
		invalid[i].Loc = slices.DeleteFunc(invalid[i].Loc, func(at any) bool { return at == "timer" || at == "schedule" })
	}
	return t, invalid
}

// schedule is the schedule in the newer form.
func (j *jobForm) schedule() *recurrence {
	if j.Interval == nil {
		return &recurrence{Type: once, Datetime: *j.Start}
	}
	r := &recurrence{Type: recurring, Start: *j.Start, Interval: int(*j.Interval)}
	switch stop := j.StopAfter; {
	case stop == nil:
	case stop.Date != "":
		r.End = &recurrenceEnd{Condition: "time", Datetime: stop.Date}
	case stop.Runs > 0:
		r.End = &recurrenceEnd{Condition: "iterations", Count: stop.Runs}
	}
	return r
}

// transfer is the document of the transfer, in which the input of the action has
// other names.
func (j *jobForm) transfer() map[string]any {
	body := map[string]any{}
	for name, value := range j.Call.Body {
		switch name {
		case "source_endpoint_id", "destination_endpoint_id":
			name = strings.TrimSuffix(name, "_id")
		case "transfer_items":
			name = "DATA"
		}
		body[name] = value
	}
	return body
}
