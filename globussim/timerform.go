package globussim

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// The types of the schedule of a timer.
const (
	once      = "once"
	recurring = "recurring"
)

// A recurrence is the schedule of a timer.
type recurrence struct {
	Type     string         `json:"type"`
	Datetime string         `json:"datetime,omitempty"` // of once
	Interval int            `json:"interval_seconds,omitempty"`
	Start    string         `json:"start,omitempty"`
	End      *recurrenceEnd `json:"end,omitempty"`
}

type recurrenceEnd struct {
	Condition string `json:"condition"` // time or iterations
	Datetime  string `json:"datetime,omitempty"`
	Count     int    `json:"count,omitempty"`
	// Iterations is another name of Count, which some clients use.
	Iterations int `json:"iterations,omitempty"`
}

// stopAfter is the end in the form that it has below /jobs/.
func (r *recurrence) stopAfter() any {
	switch {
	case r.Type == once:
		return map[string]any{"date": nil, "n_runs": 1}
	case r.End == nil:
		return nil
	case r.End.Datetime != "":
		return map[string]any{"date": r.End.Datetime, "n_runs": nil}
	}
	return map[string]any{"date": nil, "n_runs": r.End.Count}
}

// An invalidField tells what is wrong with a request.
type invalidField struct {
	Loc  []any  `json:"loc"`
	Msg  string `json:"msg"`
	Type string `json:"type"`
}

func notJSON() invalidField {
	return invalidField{[]any{"body"}, "the body is not valid JSON", "value_error.jsondecode"}
}

// A timerForm reads the request for a timer and collects what is wrong with it.
type timerForm struct {
	invalid []invalidField
}

func (f *timerForm) wrong(msg string, loc ...any) {
	f.invalid = append(f.invalid, invalidField{append([]any{"body"}, loc...), msg, "value_error"})
}

func (f *timerForm) missing(loc ...any) {
	f.invalid = append(f.invalid, invalidField{append([]any{"body"}, loc...), "field required", "value_error.missing"})
}

// parseTimer reads the request for a timer.
func parseTimer(data []byte, now time.Time) (*timer, []invalidField) {
	var doc struct {
		Timer *struct {
			Type     string         `json:"timer_type"`
			Name     string         `json:"name"`
			Flow     string         `json:"flow_id"`
			Schedule *recurrence    `json:"schedule"`
			Body     map[string]any `json:"body"`
		} `json:"timer"`
	}
	var f timerForm
	err := json.Unmarshal(data, &doc)
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		f.wrong("value is a JSON "+wrong.Value, wrong.Field)
		return nil, f.invalid
	}
	if err != nil {
		return nil, []invalidField{notJSON()}
	}
	if doc.Timer == nil {
		f.missing("timer")
		return nil, f.invalid
	}
	asked := doc.Timer
	t := &timer{name: asked.Name, kind: asked.Type, flow: asked.Flow, body: asked.Body}
	if asked.Schedule == nil {
		f.missing("timer", "schedule")
	} else {
		t.next = f.schedule(asked.Schedule, now)
		t.schedule = *asked.Schedule
	}
	switch {
	case asked.Body == nil:
		f.missing("timer", "body")
	case asked.Type == "transfer":
		f.body(t.body)
	}
	switch asked.Type {
	case "transfer":
	case "flow":
		if uuid.Validate(asked.Flow) != nil {
			f.wrong("value is not a valid uuid", "timer", "flow_id")
		}
	case "":
		f.missing("timer", "timer_type")
	default:
		f.wrong(fmt.Sprintf("no match for discriminator 'timer_type' and value '%s' (allowed values: 'transfer', 'flow')", asked.Type), "timer")
	}
	return t, f.invalid
}

// The limits of an interval, in seconds.
const (
	minInterval = 60
	maxInterval = 365 * 24 * 60 * 60
)

// schedule checks a schedule, fills in what has a default, and returns the
// first instant.
func (f *timerForm) schedule(r *recurrence, now time.Time) time.Time {
	at := func(key string, value *string) time.Time {
		if *value == "" {
			*value = timestamp(now)
		}
		t, ok := parseTimestamp(*value)
		switch {
		case !ok:
			f.wrong("invalid datetime format", "timer", "schedule", key)
		case t.After(now.AddDate(1, 0, 0)):
			f.wrong("the time is more than a year from now", "timer", "schedule", key)
		}
		*value = timestamp(t)
		return t
	}
	switch r.Type {
	case once:
		return at("datetime", &r.Datetime)
	case recurring:
		if r.Interval < minInterval || r.Interval > maxInterval {
			f.wrong("the interval must be between 60 seconds and 365 days", "timer", "schedule", "interval_seconds")
		}
		if r.End != nil {
			f.end(r.End)
		}
		return at("start", &r.Start)
	}
	f.wrong("the type is neither once nor recurring", "timer", "schedule", "type")
	return now
}

// end checks when a recurring timer ends. Without a condition it is clear from
// the other key.
func (f *timerForm) end(e *recurrenceEnd) {
	if e.Condition == "" && e.Datetime != "" {
		e.Condition = "time"
	}
	e.Count, e.Iterations = max(e.Count, e.Iterations), 0
	t, ok := parseTimestamp(e.Datetime)
	switch {
	case e.Condition == "time" && ok:
		e.Datetime = timestamp(t)
	case e.Condition == "time":
		f.wrong("invalid datetime format", "timer", "schedule", "end", "datetime")
	case e.Condition != "" && e.Condition != "iterations":
		f.wrong("the condition is neither time nor iterations", "timer", "schedule", "end", "condition")
	case e.Count < 1:
		f.missing("timer", "schedule", "end", "count")
	default:
		e.Condition = "iterations"
	}
}

// parseTimestamp reads a time of ISO 8601; one without a zone is in UTC.
func parseTimestamp(text string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// body checks the document of a transfer and fills in what has a default.
func (f *timerForm) body(body map[string]any) {
	for _, key := range []string{"source_endpoint", "destination_endpoint"} {
		switch id, ok := body[key].(string); {
		case body[key] == nil:
			f.missing("timer", "body", key)
		case !ok || uuid.Validate(id) != nil:
			f.wrong("value is not a valid uuid", "timer", "body", key)
		}
	}
	items, ok := body["DATA"].([]any)
	switch {
	case body["DATA"] == nil:
		f.missing("timer", "body", "DATA")
	case !ok || len(items) == 0:
		f.wrong("a list of one item or more is wanted", "timer", "body", "DATA")
	}
	for i, item := range items {
		item, _ := item.(map[string]any)
		for _, key := range []string{"source_path", "destination_path"} {
			if path, _ := item[key].(string); path == "" {
				f.missing("timer", "body", "DATA", i, key)
			}
		}
	}
	for key, value := range map[string]any{
		"DATA_TYPE": "transfer", "notify_on_succeeded": true, "notify_on_failed": true, "notify_on_inactive": true,
		"delete_destination_extra": false, "encrypt_data": false, "fail_on_quota_errors": false, "preserve_timestamp": false,
		"skip_source_errors": false, "store_base_path_info": false, "verify_checksum": false,
	} {
		if body[key] == nil {
			body[key] = value
		}
	}
}
