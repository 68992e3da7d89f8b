// Package transfer is a client of the Globus Transfer API: it submits transfer
// and delete tasks, follows and changes them, lists files and finds
// collections.
//
// A [Client] sends each call once. Credentials, retries, rate limits and
// timeouts belong to the [net/http.Client] it is given. What the service
// refuses is an [*Error]; if it was not reached, the error is that of the
// transport. A submission that may have taken effect although it failed is
// marked with [ErrUnclear].
//
// Lists are iterators that fetch pages as they are ranged over. An error is
// the last pair of a list. Ranging again asks again from the start.
//
// Ids of tasks and collections are UUIDs as text. They are sent as they are
// given, in upper or lower case.
package transfer

import "iter"

// A Transfer is the document of a transfer task: what to copy from one
// collection to another. A field left at its zero value is not sent, which
// asks for the service's default.
type Transfer struct {
	Header

	// SourceEndpoint and DestinationEndpoint are collection ids, and may be
	// equal.
	SourceEndpoint      string `json:"source_endpoint"`
	DestinationEndpoint string `json:"destination_endpoint"`

	// SyncLevel says which files to leave out because the destination has
	// them already; nil copies all.
	SyncLevel *SyncLevel `json:"sync_level,omitempty"`
	// VerifyChecksum compares checksums after each file and copies it again
	// if they differ.
	VerifyChecksum bool `json:"verify_checksum,omitempty"`
	// PreserveTimestamp gives the copy the source's modification time.
	PreserveTimestamp bool `json:"preserve_timestamp,omitempty"`
	// EncryptData encrypts the data channel. Some collections always do.
	EncryptData bool `json:"encrypt_data,omitempty"`
	// DeleteDestinationExtra deletes from the destination of recursive items
	// what the source does not have.
	DeleteDestinationExtra bool `json:"delete_destination_extra,omitempty"`
	// SkipSourceErrors leaves out source paths that are missing or cannot be
	// read (see [Client.SkippedErrors]) instead of trying until the deadline.
	SkipSourceErrors bool `json:"skip_source_errors,omitempty"`
	// FailOnQuotaErrors ends the task when the destination is full, instead of
	// trying until the deadline.
	FailOnQuotaErrors bool `json:"fail_on_quota_errors,omitempty"`
	// RecursiveSymlinks says what becomes of symbolic links in recursive
	// items: ignore, keep or copy. The service's default is ignore.
	RecursiveSymlinks string `json:"recursive_symlinks,omitempty"`
	// SourceLocalUser and DestinationLocalUser choose among several local
	// accounts that a mapped collection has for the caller.
	SourceLocalUser      string `json:"source_local_user,omitempty"`
	DestinationLocalUser string `json:"destination_local_user,omitempty"`
	// FilterRules apply to the entries of recursive items. The first rule
	// that matches decides, and an entry that no rule matches is copied.
	FilterRules []FilterRule `json:"filter_rules,omitempty"`
	// Items are the paths to copy, at least one.
	Items []Item `json:"DATA"`
	// More, unless nil, yields further items, for a document with too many to
	// hold in memory. It is ranged over several times for each submission,
	// and must yield the same items each time.
	More iter.Seq2[Item, error] `json:"-"`
}

// An Item is one file or directory to copy. The service creates missing parents
// at the destination.
type Item struct {
	SourcePath      string `json:"source_path"`
	DestinationPath string `json:"destination_path"`
	// Recursive says whether the source must be a directory (true) or a file
	// (false); nil lets the service find out.
	Recursive *bool `json:"recursive,omitempty"`
	// ExternalChecksum is the checksum that the file must have. It is an
	// MD5 unless ChecksumAlgorithm says otherwise.
	ExternalChecksum  string `json:"external_checksum,omitempty"`
	ChecksumAlgorithm string `json:"checksum_algorithm,omitempty"`
}

// A FilterRule includes or excludes entries of recursive items by name. An
// excluded directory takes its contents with it.
type FilterRule struct {
	Method string `json:"method,omitempty"` // include or exclude; the service's default is exclude
	Type   string `json:"type,omitempty"`   // file or dir; empty means both
	Name   string `json:"name"`             // a shell pattern of the base name: * ? [abc] [!abc]
}

// MarshalJSON returns the document as it is sent, with the DATA_TYPE of each
// part.
func (t Transfer) MarshalJSON() ([]byte, error) {
	w, err := t.wire()
	if err != nil {
		return nil, err
	}
	return w.bytes()
}

func (t *Transfer) wire() (*wire, error) {
	type plain Transfer // without this method
	type rule struct {
		DataType string `json:"DATA_TYPE"`
		FilterRule
	}
	type item struct {
		DataType string `json:"DATA_TYPE"`
		Item
	}
	// The outer filter_rules and DATA hide those of plain.
	doc := struct {
		DataType string `json:"DATA_TYPE"`
		plain
		FilterRules []rule      `json:"filter_rules,omitempty"`
		Items       [0]struct{} `json:"DATA"`
	}{DataType: "transfer", plain: plain(*t)}
	for _, r := range t.FilterRules {
		doc.FilterRules = append(doc.FilterRules, rule{"filter_rule", r})
	}
	size := 0
	for i := range t.Items {
		size += len(t.Items[i].SourcePath) + len(t.Items[i].DestinationPath)
	}
	w, err := newWire(&doc, len(t.Items), size, func(i int) any { return item{"transfer_item", t.Items[i]} })
	if err == nil && t.More != nil {
		w.more = func(yield func(any, error) bool) {
			for it, err := range t.More {
				if !yield(item{"transfer_item", it}, err) {
					return
				}
			}
		}
	}
	return w, err
}

func (*Transfer) resource() string { return "transfer" }
