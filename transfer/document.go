package transfer

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A Document is what can be submitted: a [*Transfer] or a [*Delete]. Its JSON
// is what is sent.
type Document interface {
	// Head returns the part that all documents have in common, to read or to
	// change.
	Head() *Header
	resource() string     // the last element of the path it is posted to
	wire() (*wire, error) // the document, with its items one by one
}

// ParseDocument reads the JSON of a [*Transfer] or a [*Delete].
func ParseDocument(text []byte) (Document, error) {
	var kind struct {
		Type string `json:"DATA_TYPE"`
	}
	if err := json.Unmarshal(text, &kind); err != nil {
		return nil, err
	}
	var doc Document
	switch kind.Type {
	case "transfer":
		doc = new(Transfer)
	case "delete":
		doc = new(Delete)
	default:
		return nil, fmt.Errorf("DATA_TYPE is %.40q, neither transfer nor delete", kind.Type)
	}
	if err := json.Unmarshal(text, doc); err != nil {
		return nil, err
	}
	return doc, nil
}

// A Header is what a [Transfer] and a [Delete] have in common.
type Header struct {
	// SubmissionID makes a repeated submission harmless: the service starts
	// one task for it, however often it is sent. See [Client.SubmissionID].
	SubmissionID string `json:"submission_id,omitempty"`
	// Label names the task to people; see [CheckLabel].
	Label string `json:"label,omitempty"`
	// Deadline is when an unfinished task is ended as failed; the service's
	// default moves with the task's progress.
	Deadline Time `json:"deadline,omitzero"`
	// E-mail to the owner when the task ends or is suspended. These fields
	// are always sent, because the service's default is true.
	NotifyOnSucceeded bool `json:"notify_on_succeeded"`
	NotifyOnFailed    bool `json:"notify_on_failed"`
	NotifyOnInactive  bool `json:"notify_on_inactive"`
	// StoreBasePathInfo lets the task show its base paths.
	StoreBasePathInfo bool `json:"store_base_path_info,omitempty"`
}

// Head returns h.
func (h *Header) Head() *Header { return h }

// maxLabel is how many characters a label may have.
const maxLabel = 128

// CheckLabel returns an error if the service would refuse label. A label has at
// most 128 characters, no line ends, and no blank at either end. The empty
// label is allowed: the task has none.
func CheckLabel(label string) error {
	first, _ := utf8.DecodeRuneInString(label)
	last, _ := utf8.DecodeLastRuneInString(label)
	switch n := utf8.RuneCountInString(label); {
	case n > maxLabel:
		return fmt.Errorf("label has %d characters; at most %d are allowed", n, maxLabel)
	case strings.ContainsAny(label, "\r\n"):
		return errors.New("label has a line end in it")
	case unicode.IsSpace(first):
		return errors.New("label begins with a blank")
	case unicode.IsSpace(last):
		return errors.New("label ends with a blank")
	}
	return nil
}
