package globussim

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Types and states of tasks.
const (
	kindTransfer = "TRANSFER"
	kindDelete   = "DELETE"

	active    = "ACTIVE"
	inactive  = "INACTIVE"
	succeeded = "SUCCEEDED"
	failed    = "FAILED"
)

// A task is one accepted submission. Its unexported state is guarded by the
// lock of the service, but for what never changes after it was accepted.
type task struct {
	owner        string
	submissionID string            // as the client wrote it
	digest       [sha256.Size]byte // of the document that was posted
	spec         *submission
	src, dst     *collection // the same for a delete
	items        []item
	paths        overlap
	stop         context.CancelFunc // ends the goroutine that works on it
	over         chan struct{}      // closed when it has ended
	changed      func()             // has the keeper write it down before the next answer
	done         map[pair]bool      // what another process has copied; nil: nothing
	expiry       *time.Timer

	// Guarded by the lock.
	submissions int     // how often the document was posted
	doc         taskDoc // but for what is computed when it is asked for
	canceling   bool    // its end is near
	ownDeadline bool    // the submission named none
	started     bool
	reported    time.Time // when the last PROGRESS event was written, or the start
	removed     bool
	resumed     bool            // another process has begun with it
	posted      json.RawMessage // the submission, until it is written down; nil without a keeper
	untold      int             // how many events have come since it was last written down
	events      []event         // oldest first
	successes   []success
	skips       []skip

	armed    []*Disturbance // orders that have not taken effect yet
	stalled  bool
	pausedBy *Disturbance
	rate     int64         // bytes per second; 0 is that of the configuration
	held     chan struct{} // closed when the task may go on; nil while it may
}

// An item is one pair of paths of a transfer, or the path of a delete in src.
type item struct {
	src, dst            string // resolved
	rawSrc, rawDst      string // as submitted
	recursive           *bool
	checksum, algorithm string // what the file must have; usually empty
	found               bool   // the path of a delete was there when another process began
}

// A taskDoc is a task document.
type taskDoc struct {
	DataType string  `json:"DATA_TYPE"`
	TaskID   string  `json:"task_id"`
	Type     string  `json:"type"`
	Status   string  `json:"status"`
	Label    *string `json:"label"`
	OwnerID  string  `json:"owner_id"`
	Username string  `json:"username"`
	Command  string  `json:"command"`
	Key      string  `json:"key"`

	RequestTime    stamp `json:"request_time"`
	CompletionTime stamp `json:"completion_time"`
	Deadline       stamp `json:"deadline"`

	SourceEndpoint                 string  `json:"source_endpoint"`
	SourceEndpointID               string  `json:"source_endpoint_id"`
	SourceEndpointDisplayName      string  `json:"source_endpoint_display_name"`
	DestinationEndpoint            *string `json:"destination_endpoint"`
	DestinationEndpointID          *string `json:"destination_endpoint_id"`
	DestinationEndpointDisplayName *string `json:"destination_endpoint_display_name"`

	IsOK                       *bool       `json:"is_ok"`
	IsPaused                   bool        `json:"is_paused"`
	NiceStatus                 *string     `json:"nice_status"`
	NiceStatusShortDescription *string     `json:"nice_status_short_description"`
	NiceStatusExpiresIn        *int        `json:"nice_status_expires_in"`
	NiceStatusDetails          *string     `json:"nice_status_details"`
	FatalError                 *fatalError `json:"fatal_error"`
	Faults                     int         `json:"faults"`

	SubtasksTotal         int `json:"subtasks_total"`
	SubtasksPending       int `json:"subtasks_pending"`
	SubtasksRetrying      int `json:"subtasks_retrying"`
	SubtasksSucceeded     int `json:"subtasks_succeeded"`
	SubtasksExpired       int `json:"subtasks_expired"`
	SubtasksCanceled      int `json:"subtasks_canceled"`
	SubtasksFailed        int `json:"subtasks_failed"`
	SubtasksSkippedErrors int `json:"subtasks_skipped_errors"`

	Files                   int   `json:"files"`
	Directories             int   `json:"directories"`
	Symlinks                int   `json:"symlinks"`
	FilesTransferred        int   `json:"files_transferred"`
	FilesSkipped            int   `json:"files_skipped"`
	BytesTransferred        int64 `json:"bytes_transferred"`
	BytesChecksummed        int64 `json:"bytes_checksummed"`
	EffectiveBytesPerSecond int64 `json:"effective_bytes_per_second"`

	SyncLevel                  *int            `json:"sync_level"`
	EncryptData                bool            `json:"encrypt_data"`
	VerifyChecksum             bool            `json:"verify_checksum"`
	PreserveTimestamp          bool            `json:"preserve_timestamp"`
	DeleteDestinationExtra     bool            `json:"delete_destination_extra"`
	SkipSourceErrors           bool            `json:"skip_source_errors"`
	FailOnQuotaErrors          bool            `json:"fail_on_quota_errors"`
	RecursiveSymlinks          *string         `json:"recursive_symlinks"`
	FilterRules                json.RawMessage `json:"filter_rules"`
	SourceLocalUser            *string         `json:"source_local_user"`
	SourceLocalUserStatus      *string         `json:"source_local_user_status"`
	DestinationLocalUser       *string         `json:"destination_local_user"`
	DestinationLocalUserStatus *string         `json:"destination_local_user_status"`
	SourceBasePath             *string         `json:"source_base_path"`
	DestinationBasePath        *string         `json:"destination_base_path"`

	CanceledByAdmin        *string `json:"canceled_by_admin"`
	CanceledByAdminMessage *string `json:"canceled_by_admin_message"`
	HistoryDeleted         bool    `json:"history_deleted"`
}

type fatalError struct {
	Code        string `json:"code"`
	Description string `json:"description"`
}

// discover adds n pending subtasks.
func (d *taskDoc) discover(n int) {
	d.SubtasksTotal += n
	d.SubtasksPending += n
}

// final reports whether the task has ended.
func (t *task) final() bool { return t.doc.Status == succeeded || t.doc.Status == failed }

// document returns the task document as it is now.
func (t *task) document() taskDoc {
	d := t.doc
	end, state := time.Now(), "active"
	if t.final() {
		end, state = d.CompletionTime.Time, "complete"
	}
	d.Key = state + "," + d.RequestTime.UTC().Format("2006-01-02T15:04:05.000000")
	elapsed := max(end.Sub(d.RequestTime.Time).Seconds(), 1)
	d.EffectiveBytesPerSecond = int64(float64(d.BytesTransferred) / elapsed)
	return d
}

// setNice says how the task is doing, by a code.
func (t *task) setNice(ok bool, code, description string) {
	t.doc.IsOK = new(ok)
	t.doc.NiceStatus = new(code)
	t.doc.NiceStatusShortDescription = new(description)
	t.doc.NiceStatusExpiresIn = new(-1)
}

// sees reports whether the request may know of a task.
func (q *request) sees(t *task) bool {
	if q.manager {
		return t.src.has(q.owner, watching()...) || t.dst.has(q.owner, watching()...)
	}
	return t.owner == q.owner
}

// visible returns the task that the request names, if it may know of it. The
// caller holds the lock.
func (sv *service) visible(q *request) (*task, *apiError) {
	id := q.PathValue("id")
	if t, ok := sv.tasks[strings.ToLower(id)]; ok && q.sees(t) {
		return t, nil
	}
	return nil, &apiError{
		Status: http.StatusNotFound, Code: "ClientError.NotFound",
		Message: "There is no task '" + id + "' that you may see",
	}
}

// getTask answers GET /task/<id>.
func (sv *service) getTask(q *request) (int, any, *apiError) {
	sv.mu.Lock()
	t, e := sv.visible(q)
	if e != nil {
		sv.mu.Unlock()
		return 0, nil, e
	}
	doc := t.document()
	sv.mu.Unlock()
	return q.single(doc)
}

// updateTask answers PUT /task/<id>: label and deadline can change while the
// task is unfinished. Other fields are not looked at, so that a client may send
// a task document back. A label that is null is taken away, as at a submission;
// a deadline that is null stays, since a task always has one. Both are not
// confirmed.
func (sv *service) updateTask(q *request) (int, any, *apiError) {
	var doc struct {
		DataType string        `json:"DATA_TYPE"`
		Label    nullableLabel `json:"label"`
		Deadline string        `json:"deadline"`
	}
	if e := q.body(&doc); e != nil {
		return 0, nil, e
	}
	if doc.DataType != "" && doc.DataType != "task" {
		return 0, nil, badRequest("DATA_TYPE must be 'task'")
	}
	if e := checkLabel(doc.Label.text); e != nil {
		return 0, nil, e
	}
	var deadline time.Time
	if doc.Deadline != "" {
		var err error
		if deadline, err = parseTime(doc.Deadline); err != nil {
			return 0, nil, badRequest("deadline: " + err.Error())
		}
	}

	sv.mu.Lock()
	defer sv.mu.Unlock()
	t, e := sv.visible(q)
	if e != nil {
		return 0, nil, e
	}
	if t.final() {
		return 0, nil, &apiError{
			Status: http.StatusConflict, Code: "Conflict",
			Message: "The task is complete and can no longer be changed",
		}
	}
	t.changed()
	if doc.Label.given {
		t.doc.Label = doc.Label.text
	}
	if !deadline.IsZero() {
		t.ownDeadline = false
		t.doc.Deadline = stamp{deadline}
		if now := time.Now(); !deadline.After(now) {
			sv.finish(t, codeExpired, "The deadline passed")
		} else {
			t.expiry.Reset(deadline.Sub(now))
		}
	}
	return http.StatusOK, q.result("result", "Updated", "The task was updated successfully"), nil
}

// A nullableLabel is a field that says whether it is there at all. An empty
// text is none.
type nullableLabel struct {
	given bool
	text  *string
}

// UnmarshalJSON is called for null as well.
func (l *nullableLabel) UnmarshalJSON(data []byte) error {
	l.given = true
	if err := json.Unmarshal(data, &l.text); err != nil {
		return err
	}
	if text(l.text) == "" {
		l.text = nil
	}
	return nil
}

// cancelTask answers POST /task/<id>/cancel.
func (sv *service) cancelTask(q *request) (int, any, *apiError) {
	sv.mu.Lock()
	defer sv.mu.Unlock()
	t, e := sv.visible(q)
	if e != nil {
		return 0, nil, e
	}
	if t.final() {
		return http.StatusOK, q.result("result", "TaskComplete",
			"The task completed before the cancel request was processed."), nil
	}
	if sv.server.answers.Load().CancelLater {
		if !t.canceling {
			t.canceling = true
			t.changed()
			sv.work.Go(func() { sv.cancelLater(t) })
		}
		return http.StatusOK, q.result("result", "CancelAccepted", "The cancel request is being processed."), nil
	}
	sv.finish(t, codeCanceled, "Canceled by the task owner")
	return http.StatusOK, q.result("result", "Canceled", "The task has been cancelled successfully."), nil
}

// cancelLater ends a task a second after its cancel was accepted.
func (sv *service) cancelLater(t *task) {
	select {
	case <-t.over:
		return
	case <-time.After(time.Second):
	}
	sv.mu.Lock()
	defer sv.mu.Unlock()
	if !sv.closed {
		sv.finish(t, codeCanceled, "Canceled by the task owner")
	}
}

// removeTask answers POST /task/<id>/remove: the task is no longer listed. The
// code of the answer, and that an unfinished task is refused, are not
// confirmed.
func (sv *service) removeTask(q *request) (int, any, *apiError) {
	sv.mu.Lock()
	defer sv.mu.Unlock()
	t, e := sv.visible(q)
	if e != nil {
		return 0, nil, e
	}
	if !t.final() {
		return 0, nil, &apiError{
			Status: http.StatusConflict, Code: "Conflict",
			Message: "The task is not complete; cancel it first",
		}
	}
	t.removed = true
	t.changed()
	delete(sv.tasks, t.doc.TaskID)
	sv.byOwner[t.owner] = slices.DeleteFunc(sv.byOwner[t.owner], func(other *task) bool { return other == t })
	return http.StatusOK, q.result("result", "Deleted", "The task has been removed successfully"), nil
}

// single answers with one document, of which only the asked fields remain.
func (q *request) single(doc any) (int, any, *apiError) {
	if q.param("fields") == "" {
		return http.StatusOK, doc, nil
	}
	rows, e := project(q, []any{doc})
	if e != nil {
		return 0, nil, e
	}
	return http.StatusOK, rows.([]map[string]json.RawMessage)[0], nil
}
