package transfer

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"strings"
)

// A Status is the state of a task.
type Status string

// The states of a task. A canceled task is Failed.
const (
	Active    Status = "ACTIVE"    // queued, running, retrying or paused
	Inactive  Status = "INACTIVE"  // suspended until a person acts
	Succeeded Status = "SUCCEEDED" // done; it may still have skipped errors
	Failed    Status = "FAILED"    // failed, past its deadline, or canceled
)

// Final reports whether a task in this state never changes again.
func (s Status) Final() bool { return s == Succeeded || s == Failed }

// A Task is the service's record of a transfer or delete task. A field that
// the service has not set is its zero value.
type Task struct {
	TaskID         string `json:"task_id"`
	Type           string `json:"type"` // TRANSFER or DELETE
	Status         Status `json:"status"`
	Label          string `json:"label"`
	OwnerID        string `json:"owner_id"` // identity that submitted it
	Username       string `json:"username"` // opaque
	RequestTime    Time   `json:"request_time"`
	CompletionTime Time   `json:"completion_time"` // zero until it is final
	Deadline       Time   `json:"deadline"`        // moves, unless one was submitted

	// The collections. A delete has the source only.
	SourceEndpointID               string `json:"source_endpoint_id"`
	SourceEndpointDisplayName      string `json:"source_endpoint_display_name"`
	SourceEndpoint                 string `json:"source_endpoint"` // canonical name
	DestinationEndpointID          string `json:"destination_endpoint_id"`
	DestinationEndpointDisplayName string `json:"destination_endpoint_display_name"`
	DestinationEndpoint            string `json:"destination_endpoint"` // canonical name

	// Progress, until the task is final.
	IsOK                       *bool  `json:"is_ok"` // false while it meets an error; nil when final
	IsPaused                   bool   `json:"is_paused"`
	NiceStatus                 string `json:"nice_status"` // Queued, OK, or the code of an error
	NiceStatusShortDescription string `json:"nice_status_short_description"`
	NiceStatusDetails          string `json:"nice_status_details"`
	NiceStatusExpiresIn        *int64 `json:"nice_status_expires_in"` // seconds; -1 means never

	FatalError             *FatalError `json:"fatal_error"`       // only if it failed
	CanceledByAdmin        string      `json:"canceled_by_admin"` // SOURCE, DESTINATION or BOTH
	CanceledByAdminMessage string      `json:"canceled_by_admin_message"`

	// Counters. Subtasks are internal steps and no measure of progress.
	Faults                  int64 `json:"faults"` // errors met so far
	SubtasksTotal           int64 `json:"subtasks_total"`
	SubtasksPending         int64 `json:"subtasks_pending"`
	SubtasksRetrying        int64 `json:"subtasks_retrying"`
	SubtasksSucceeded       int64 `json:"subtasks_succeeded"`
	SubtasksExpired         int64 `json:"subtasks_expired"`
	SubtasksCanceled        int64 `json:"subtasks_canceled"`
	SubtasksFailed          int64 `json:"subtasks_failed"`
	SubtasksSkippedErrors   int64 `json:"subtasks_skipped_errors"` // see Client.SkippedErrors
	Files                   int64 `json:"files"`                   // found so far; so are the next two
	Directories             int64 `json:"directories"`
	Symlinks                int64 `json:"symlinks"`
	FilesTransferred        int64 `json:"files_transferred"`
	FilesSkipped            int64 `json:"files_skipped"` // not copied because of the sync level
	BytesTransferred        int64 `json:"bytes_transferred"`
	BytesChecksummed        int64 `json:"bytes_checksummed"`
	EffectiveBytesPerSecond int64 `json:"effective_bytes_per_second"` // over the life of the task

	// As submitted.
	SyncLevel                  *SyncLevel   `json:"sync_level"`
	EncryptData                bool         `json:"encrypt_data"`
	VerifyChecksum             bool         `json:"verify_checksum"`
	PreserveTimestamp          bool         `json:"preserve_timestamp"`
	DeleteDestinationExtra     bool         `json:"delete_destination_extra"`
	SkipSourceErrors           bool         `json:"skip_source_errors"`
	FailOnQuotaErrors          bool         `json:"fail_on_quota_errors"`
	RecursiveSymlinks          string       `json:"recursive_symlinks"`
	FilterRules                []FilterRule `json:"filter_rules"`
	SourceLocalUser            string       `json:"source_local_user"`
	SourceLocalUserStatus      string       `json:"source_local_user_status"`
	DestinationLocalUser       string       `json:"destination_local_user"`
	DestinationLocalUserStatus string       `json:"destination_local_user_status"`
	SourceBasePath             string       `json:"source_base_path"` // only with Header.StoreBasePathInfo; so is the next
	DestinationBasePath        string       `json:"destination_base_path"`

	Command        string `json:"command"`         // what submitted it, such as API 0.10
	HistoryDeleted bool   `json:"history_deleted"` // its events and lists of files are gone
	Key            string `json:"key"`             // opaque

	Raw json.RawMessage `json:"-"` // the document as received
}

func (t *Task) keep(doc json.RawMessage) { t.Raw = doc }

func (t *Task) missing() string {
	return cmp.Or(require("task_id", t.TaskID), require("status", string(t.Status)))
}

// A FatalError says why a task failed.
type FatalError struct {
	Code        string `json:"code"` // such as FILE_NOT_FOUND
	Description string `json:"description"`
}

// Task returns the task with this id. If there is none, the error is an [*Error] whose
// NotFound is true. API: GET /task/<id>.
func (c *Client) Task(ctx context.Context, id string) (*Task, error) {
	a, t, err := ask[Task](ctx, c, request{method: http.MethodGet, path: []string{"task", id}})
	if err == nil && !strings.EqualFold(t.TaskID, id) {
		return nil, a.unread("the reply is about another task, %s", t.TaskID) // its state says nothing about this one
	}
	return t, err
}

// A Result is the service's answer to a change.
type Result struct {
	Code      string `json:"code"`
	Message   string `json:"message"`
	RequestID string `json:"request_id"`
	Resource  string `json:"resource"`

	Raw json.RawMessage `json:"-"` // the document as received
}

func (r *Result) keep(doc json.RawMessage) { r.Raw = doc }
func (r *Result) missing() string          { return require("code", r.Code) }

// A TaskUpdate says what to change about a task. A field left at its zero value does not change.
type TaskUpdate struct {
	Label    string `json:"label,omitempty"`
	Deadline Time   `json:"deadline,omitzero"`
}

// UpdateTask changes the label or the deadline of the task id, which must not have
// ended. API: PUT /task/<id>.
func (c *Client) UpdateTask(ctx context.Context, id string, u TaskUpdate) (*Result, error) {
	doc := struct {
		DataType string `json:"DATA_TYPE"`
		TaskUpdate
	}{"task", u}
	return call[Result](ctx, c, request{method: http.MethodPut, path: []string{"task", id}, body: doc})
}

// CancelTask cancels the task id. The result's Code is Canceled, or
// TaskComplete if the task had already ended. API: POST /task/<id>/cancel.
func (c *Client) CancelTask(ctx context.Context, id string) (*Result, error) {
	return call[Result](ctx, c, request{method: http.MethodPost, path: []string{"task", id, "cancel"}})
}
