package transfer

import (
	"context"
	"encoding/json"
	"iter"
	"math"
	"net/http"
	"net/url"
)

// An Event is something that happened to a task.
type Event struct {
	Code        string `json:"code"` // such as STARTED, PROGRESS, PERMISSION_DENIED
	Description string `json:"description"`
	Details     string `json:"details"` // JSON, or text of several lines
	IsError     bool   `json:"is_error"`
	Time        Time   `json:"time"`

	Raw json.RawMessage `json:"-"` // the document as received
}

func (e *Event) keep(doc json.RawMessage) { e.Raw = doc }

// An EventQuery selects events.
type EventQuery struct {
	Errors *bool // only errors, or only others; nil means both
	Limit  int   // events in all; 0 means all that the service lists
}

// Events lists what happened to the task id, the newest first. The service
// forgets it 30 days after the task's end. API: GET /task/<id>/event_list.
func (c *Client) Events(ctx context.Context, id string, q EventQuery) iter.Seq2[*Event, error] {
	query := url.Values{}
	if q.Errors != nil {
		query.Set("filter", "is_error:"+binary(*q.Errors))
	}
	r := request{method: http.MethodGet, path: []string{"task", id, "event_list"}, query: query}
	return list[Event](ctx, c, r, q.Limit, pagesOf(maxTasks, math.MaxInt))
}

// binary returns b as 1 or 0, as queries write it.
func binary(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

// A SuccessfulTransfer is one file that a task copied.
type SuccessfulTransfer struct {
	SourcePath        string `json:"source_path"`      // empty if the caller has no role on that side
	DestinationPath   string `json:"destination_path"` // as SourcePath
	Size              int64  `json:"size"`             // bytes
	Checksum          string `json:"checksum"`
	ChecksumAlgorithm string `json:"checksum_algorithm"`

	Raw json.RawMessage `json:"-"` // the document as received
}

func (s *SuccessfulTransfer) keep(doc json.RawMessage) { s.Raw = doc }

// SuccessfulTransfers lists the files that the task id copied, without
// directories. The task must have succeeded. The service forgets the list 30
// days after the task's end. API: GET /task/<id>/successful_transfers.
func (c *Client) SuccessfulTransfers(ctx context.Context, id string) iter.Seq2[*SuccessfulTransfer, error] {
	r := request{method: http.MethodGet, path: []string{"task", id, "successful_transfers"}}
	return list[SuccessfulTransfer](ctx, c, r, 0, markedPages)
}

// A SkippedError is one path that a task left out because of an error.
type SkippedError struct {
	ErrorCode                string `json:"error_code"`    // PERMISSION_DENIED, FILE_NOT_FOUND, AMBIGUOUS_PATH
	ErrorDetails             string `json:"error_details"` // the collection's text
	ErrorTime                Time   `json:"error_time"`
	SourcePath               string `json:"source_path"`
	DestinationPath          string `json:"destination_path"`
	IsDirectory              bool   `json:"is_directory"`
	IsSymlink                bool   `json:"is_symlink"`
	IsDeleteDestinationExtra bool   `json:"is_delete_destination_extra"`
	ExternalChecksum         string `json:"external_checksum"`
	ChecksumAlgorithm        string `json:"checksum_algorithm"`

	Raw json.RawMessage `json:"-"` // the document as received
}

func (s *SkippedError) keep(doc json.RawMessage) { s.Raw = doc }

// SkippedErrors lists what the task id left out. API: GET
// /task/<id>/skipped_errors.
func (c *Client) SkippedErrors(ctx context.Context, id string) iter.Seq2[*SkippedError, error] {
	r := request{method: http.MethodGet, path: []string{"task", id, "skipped_errors"}}
	return list[SkippedError](ctx, c, r, 0, markedPages)
}

// A PauseInfo says why a task is paused. It is empty if the task is not.
type PauseInfo struct {
	PauseRules                   []PauseRule `json:"pause_rules"`
	SourcePauseMessage           string      `json:"source_pause_message"`
	DestinationPauseMessage      string      `json:"destination_pause_message"`
	SourcePauseMessageShare      string      `json:"source_pause_message_share"`
	DestinationPauseMessageShare string      `json:"destination_pause_message_share"`

	Raw json.RawMessage `json:"-"` // the document as received
}

func (p *PauseInfo) keep(doc json.RawMessage) { p.Raw = doc }

// A PauseRule is a rule by which a collection's managers pause certain work.
type PauseRule struct {
	ID                     string `json:"id"`
	EndpointID             string `json:"endpoint_id"`
	EndpointDisplayName    string `json:"endpoint_display_name"`
	IdentityID             string `json:"identity_id"` // whose work it pauses; empty means everybody's
	Message                string `json:"message"`
	StartTime              Time   `json:"start_time"`
	PauseLs                bool   `json:"pause_ls"`
	PauseMkdir             bool   `json:"pause_mkdir"`
	PauseSymlink           bool   `json:"pause_symlink"`
	PauseRename            bool   `json:"pause_rename"`
	PauseTaskDelete        bool   `json:"pause_task_delete"`
	PauseTaskTransferRead  bool   `json:"pause_task_transfer_read"`
	PauseTaskTransferWrite bool   `json:"pause_task_transfer_write"`

	Raw json.RawMessage `json:"-"` // the document as received
}

func (r *PauseRule) keep(doc json.RawMessage) { r.Raw = doc }

// PauseInfo returns why the task id is paused. API: GET /task/<id>/pause_info.
func (c *Client) PauseInfo(ctx context.Context, id string) (*PauseInfo, error) {
	return call[PauseInfo](ctx, c, request{method: http.MethodGet, path: []string{"task", id, "pause_info"}})
}
