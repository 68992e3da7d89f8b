package globussim

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
)

// A submission is a transfer or delete document. Null and a field that is left
// out mean the same; fields that are not named here are ignored.
type submission struct {
	DataType     string  `json:"DATA_TYPE"`
	SubmissionID string  `json:"submission_id"`
	Label        *string `json:"label"`
	Deadline     string  `json:"deadline"`

	StoreBasePathInfo bool `json:"store_base_path_info"`
	NotifyOnSucceeded bool `json:"notify_on_succeeded"` // nothing is sent
	NotifyOnFailed    bool `json:"notify_on_failed"`
	NotifyOnInactive  bool `json:"notify_on_inactive"`

	// Transfers only.
	SourceEndpoint         string          `json:"source_endpoint"`
	DestinationEndpoint    string          `json:"destination_endpoint"`
	SyncLevel              *int            `json:"sync_level"`
	VerifyChecksum         bool            `json:"verify_checksum"`
	PreserveTimestamp      bool            `json:"preserve_timestamp"`
	EncryptData            bool            `json:"encrypt_data"`
	DeleteDestinationExtra bool            `json:"delete_destination_extra"`
	SkipSourceErrors       bool            `json:"skip_source_errors"`
	FailOnQuotaErrors      bool            `json:"fail_on_quota_errors"`
	RecursiveSymlinks      string          `json:"recursive_symlinks"`
	FilterRules            json.RawMessage `json:"filter_rules"`
	SourceLocalUser        *string         `json:"source_local_user"`
	DestinationLocalUser   *string         `json:"destination_local_user"`

	// Deletes only.
	Endpoint       string  `json:"endpoint"`
	Recursive      bool    `json:"recursive"`
	IgnoreMissing  bool    `json:"ignore_missing"`
	InterpretGlobs bool    `json:"interpret_globs"`
	LocalUser      *string `json:"local_user"`

	Items []submissionItem `json:"DATA"`

	rules    []filterRule // FilterRules, decoded
	deadline time.Time    // Deadline, parsed; zero if there is none
}

// A submissionItem is a transfer_item or a delete_item.
type submissionItem struct {
	DataType          string `json:"DATA_TYPE"`
	SourcePath        string `json:"source_path"`
	DestinationPath   string `json:"destination_path"`
	Recursive         *bool  `json:"recursive"`
	ExternalChecksum  string `json:"external_checksum"`
	ChecksumAlgorithm string `json:"checksum_algorithm"`
	Path              string `json:"path"`
}

// check finds what is wrong with the document itself, before any collection is
// looked up.
func (doc *submission) check(dataType string) *apiError {
	if doc.DataType != dataType {
		return badRequest(fmt.Sprintf("DATA_TYPE must be '%s', not '%s'", dataType, doc.DataType))
	}
	if !isUUID(doc.SubmissionID) {
		return badRequest("submission_id must be a UUID; GET /submission_id gives one")
	}
	if e := checkLabel(doc.Label); e != nil {
		return e
	}
	if len(doc.Items) == 0 {
		return &apiError{
			Status: http.StatusBadRequest, Code: "ClientError.BadRequest.NoTransferItems",
			Message: "A " + dataType + " requires at least one item",
		}
	}
	if doc.Deadline != "" {
		var err error
		if doc.deadline, err = parseTime(doc.Deadline); err != nil {
			return badRequest("deadline: " + err.Error())
		}
	}
	if dataType == "delete" {
		return doc.checkDelete()
	}
	return doc.checkTransfer()
}

func (doc *submission) checkDelete() *apiError {
	if !isUUID(doc.Endpoint) {
		return badRequest(fmt.Sprintf("endpoint '%s' is not a UUID", doc.Endpoint))
	}
	for i, item := range doc.Items {
		if item.DataType != "" && item.DataType != "delete_item" {
			return badRequest(fmt.Sprintf("DATA[%d]: DATA_TYPE must be 'delete_item'", i))
		}
		if e := checkPath(item.Path, "path", i); e != nil {
			return e
		}
	}
	return nil
}

func (doc *submission) checkTransfer() *apiError {
	switch {
	case !isUUID(doc.SourceEndpoint):
		return badRequest(fmt.Sprintf("source_endpoint '%s' is not a UUID", doc.SourceEndpoint))
	case !isUUID(doc.DestinationEndpoint):
		return badRequest(fmt.Sprintf("destination_endpoint '%s' is not a UUID", doc.DestinationEndpoint))
	case doc.SyncLevel != nil && (*doc.SyncLevel < 0 || *doc.SyncLevel > 3):
		return badRequest("sync_level must be 0, 1, 2 or 3")
	case !slices.Contains([]string{"", "ignore", "keep", "copy"}, doc.RecursiveSymlinks):
		return badRequest("recursive_symlinks must be 'ignore', 'keep' or 'copy'")
	}
	if e := doc.checkRules(); e != nil {
		return e
	}
	for i, item := range doc.Items {
		switch item.DataType {
		case "", "transfer_item":
		case "transfer_symlink_item":
			// No collection supports these today; the code is not confirmed.
			return &apiError{
				Status: http.StatusConflict, Code: "NotSupported",
				Message: "Symlink items are not supported by these collections",
			}
		default:
			return badRequest(fmt.Sprintf("DATA[%d]: DATA_TYPE must be 'transfer_item'", i))
		}
		if e := checkPath(item.SourcePath, "source_path", i); e != nil {
			return e
		}
		if e := checkPath(item.DestinationPath, "destination_path", i); e != nil {
			return e
		}
		if item.ExternalChecksum != "" && newHash(item.ChecksumAlgorithm) == nil {
			return badRequest(fmt.Sprintf("DATA[%d]: checksum_algorithm '%s' is not known", i, item.ChecksumAlgorithm))
		}
	}
	return nil
}

func (doc *submission) checkRules() *apiError {
	if doc.FilterRules == nil {
		return nil
	}
	if err := json.Unmarshal(doc.FilterRules, &doc.rules); err != nil {
		return badRequest("filter_rules must be a list of filter_rule documents")
	}
	for i, r := range doc.rules {
		switch {
		case r.Name == "":
			return badRequest(fmt.Sprintf("filter_rules[%d]: name is required", i))
		case !slices.Contains([]string{"", "include", "exclude"}, r.Method):
			return badRequest(fmt.Sprintf("filter_rules[%d]: method must be 'include' or 'exclude'", i))
		case !slices.Contains([]string{"", "file", "dir"}, r.Type):
			return badRequest(fmt.Sprintf("filter_rules[%d]: type must be 'file' or 'dir'", i))
		}
	}
	return nil
}

// paths returns a digest of the pairs of paths. Two unfinished transfers must not have the
// same.
func (doc *submission) paths() (sum [sha256.Size]byte) {
	h := sha256.New()
	line := func(s string) { _, _ = io.WriteString(h, s+"\n") } // a hash takes everything
	line(strings.ToLower(doc.SourceEndpoint))
	line(strings.ToLower(doc.DestinationEndpoint))
	for _, item := range doc.Items {
		line(item.SourcePath)
		line(item.DestinationPath)
	}
	h.Sum(sum[:0])
	return sum
}

// checkLabel finds what is wrong with a task's label.
func checkLabel(label *string) *apiError {
	switch {
	case label == nil:
	case utf8.RuneCountInString(*label) > 128:
		return badRequest("label must not be longer than 128 characters")
	case strings.ContainsAny(*label, "\r\n"):
		return badRequest("label must not contain line ends")
	case strings.TrimSpace(*label) != *label:
		return badRequest("label must not begin or end with a blank")
	}
	return nil
}

func checkPath(path, field string, item int) *apiError {
	if path == "" {
		return badRequest(fmt.Sprintf("DATA[%d]: %s is required", item, field))
	}
	return checkName(path)
}

// isUUID tells whether s is a UUID in its usual form, in either case.
func isUUID(s string) bool { return len(s) == 36 && uuid.Validate(s) == nil }

// parseTime reads the forms of ISO 8601 that the service takes: a date, or a
// date and a time with "T" or a blank, with or without a zone. Without one it
// is UTC.
func parseTime(s string) (time.Time, error) {
	for _, layout := range []string{
		time.DateOnly, "2006-01-02T15:04", "2006-01-02T15:04:05",
		"2006-01-02T15:04Z07:00", time.RFC3339, "2006-01-02T15:04:05Z0700",
	} {
		if t, err := time.Parse(layout, strings.Replace(s, " ", "T", 1)); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("'%s' is not an ISO 8601 date and time", s)
}

// A stamp is an instant as Transfer writes it; the zero one is null.
type stamp struct{ time.Time }

func (s stamp) MarshalJSON() ([]byte, error) {
	if s.IsZero() {
		return []byte("null"), nil
	}
	return []byte(s.UTC().Format(`"2006-01-02T15:04:05+00:00"`)), nil
}
