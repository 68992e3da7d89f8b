// Package proof writes and checks receipts of what was copied, and says what they
// prove. [Writer] and [Sorter] write one, [Reader] and [Verify] read and check one,
// [Judge] says which files it proves.
//
// A receipt is text with one JSON object on each line: a head, the rows in order, and
// an end with the digest of all lines before it. The digest covers that of the receipt
// before it in the same ledger, so that a removed receipt is noticed. The text can be
// checked without the ledger. The callers ask Globus and keep the receipts.
package proof

import (
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/transfer"
)

// A Receipt is the head of a receipt: which task it is about, and how the task
// copied.
type Receipt struct {
	Format int    `json:"receipt"` // 1
	Run    int64  `json:"run"`     // in the ledger
	Job    string `json:"job"`
	Key    string `json:"key"` // of the occurrence
	// Step, Part and Attempt are the position of the submission in the run.
	Step    int    `json:"step,omitempty"`
	Part    int    `json:"part,omitempty"`
	Attempt int    `json:"attempt"`
	TaskID  string `json:"task_id"`

	Source      string  `json:"source"`      // id of a collection
	Destination string  `json:"destination"` // id of a collection
	Options     Options `json:"options"`

	// Files is how many files the task copied, and Equal how many it did
	// not copy because of its sync level, as counted by Globus.
	Files int64 `json:"files_transferred"`
	Equal int64 `json:"files_skipped,omitempty"`
	// Listed is when the listing of the source began; zero without a listing.
	Listed time.Time `json:"listed,omitzero"`
	// Requested and Completed are when the task was submitted and ended, by the
	// clock of Globus.
	Requested time.Time `json:"requested,omitzero"`
	Completed time.Time `json:"completed,omitzero"`
}

// Options are the options of a task that matter for what is proven.
type Options struct {
	SyncLevel         *int                  `json:"sync_level,omitempty"` // 0 to 3; nil copies everything
	VerifyChecksum    bool                  `json:"verify_checksum"`
	PreserveTimestamp bool                  `json:"preserve_timestamp"`
	SkipSourceErrors  bool                  `json:"skip_source_errors"`
	RecursiveSymlinks string                `json:"recursive_symlinks,omitempty"`
	FilterRules       []transfer.FilterRule `json:"filter_rules,omitempty"`
	// SourceLocalUser and DestinationLocalUser name one of several local
	// accounts.
	SourceLocalUser      string `json:"source_local_user,omitempty"`
	DestinationLocalUser string `json:"destination_local_user,omitempty"`
}

// A Row is a line of a receipt. Exactly one of its fields is set.
type Row struct {
	Item    *Item    `json:"item,omitempty"`
	Copied  *Copied  `json:"copied,omitempty"`
	Found   *Found   `json:"found,omitempty"`
	Landed  *Landed  `json:"landed,omitempty"`
	Skipped *Skipped `json:"skipped,omitempty"`
}

// An Item is a pair of paths that the task was told to copy.
type Item struct {
	Source      string `json:"source"`
	Destination string `json:"destination"`
	Recursive   *bool  `json:"recursive,omitempty"`
}

// A Copied row is a file that Globus says it copied. A path is empty if the
// identity has no role on that side.
type Copied struct {
	Source      string `json:"source"`
	Destination string `json:"destination"`
	Size        int64  `json:"size"` // bytes
	Checksum    string `json:"checksum,omitempty"`
	Algorithm   string `json:"algorithm,omitempty"` // of Checksum, as Globus writes it
}

// A Found row is a file that the source had right before the task was submitted.
type Found struct {
	Path     string    `json:"path"`
	Size     int64     `json:"size"`              // bytes
	Modified time.Time `json:"modified,omitzero"` // whole seconds; zero if it is not known
}

// A Landed row is a file that the destination had right after the task, at the
// path where a file of the source belongs.
type Landed struct {
	Source      string    `json:"source"`
	Destination string    `json:"destination"`
	Size        int64     `json:"size"`              // bytes
	Modified    time.Time `json:"modified,omitzero"` // whole seconds; zero if it is not known
}

// A Skipped row is a path that the task left out because of an error.
type Skipped struct {
	Source      string `json:"source"`
	Destination string `json:"destination"`
	Code        string `json:"code"` // PERMISSION_DENIED, FILE_NOT_FOUND …
	Folder      bool   `json:"folder,omitempty"`
}

// The sections of a receipt in their order. Each has one kind of row.
const (
	ofItems = 1 + iota
	ofCopied
	ofFound
	ofLanded
	ofSkipped
)

// section returns the section of r. It is 0 for a row that is not of exactly one
// kind.
func (r *Row) section() int {
	section := 0
	for i, set := range []bool{r.Item != nil, r.Copied != nil, r.Found != nil, r.Landed != nil, r.Skipped != nil} {
		if set && section != 0 {
			return 0
		}
		if set {
			section = i + 1
		}
	}
	return section
}

// paths returns the paths by which rows of a kind are ordered.
func (r *Row) paths() (first, second string) {
	switch {
	case r.Item != nil:
		return r.Item.Source, r.Item.Destination
	case r.Copied != nil:
		return r.Copied.Source, r.Copied.Destination
	case r.Found != nil:
		return r.Found.Path, ""
	case r.Landed != nil:
		return r.Landed.Source, r.Landed.Destination
	case r.Skipped != nil:
		return r.Skipped.Source, r.Skipped.Destination
	}
	return "", ""
}

// ComparePaths orders paths of files like a listing of package tree: the files
// of a folder by name, then the content of its subfolders, folder by folder.
func ComparePaths(a, b string) int {
	same, folder := 0, 0 // length of the common prefix, and of the folders in it
	for same < len(a) && same < len(b) && a[same] == b[same] {
		if same++; a[same-1] == '/' {
			folder = same
		}
	}
	nameA, _, deeperA := strings.Cut(a[folder:], "/")
	nameB, _, deeperB := strings.Cut(b[folder:], "/")
	switch {
	case deeperA == deeperB:
		return strings.Compare(nameA, nameB)
	case deeperA:
		return 1
	}
	return -1
}
