package transfer_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/transfer"
)

func fullTransfer() *transfer.Transfer {
	return &transfer.Transfer{
		Header: transfer.Header{
			SubmissionID:      "s1",
			Label:             "nightly & more",
			Deadline:          transfer.Time{Time: time.Date(2026, 3, 2, 7, 0, 0, 5, time.FixedZone("", 3600))},
			NotifyOnSucceeded: true, NotifyOnFailed: true, NotifyOnInactive: true,
			StoreBasePathInfo: true,
		},
		SourceEndpoint: "C1", DestinationEndpoint: "C2",
		SyncLevel:              new(transfer.SyncExists),
		VerifyChecksum:         true,
		PreserveTimestamp:      true,
		EncryptData:            true,
		DeleteDestinationExtra: true,
		SkipSourceErrors:       true,
		FailOnQuotaErrors:      true,
		RecursiveSymlinks:      "keep",
		SourceLocalUser:        "ann", DestinationLocalUser: "bob",
		FilterRules: []transfer.FilterRule{{Method: "include", Type: "file", Name: "*.h5"}, {Name: "*"}},
		Items: []transfer.Item{
			{SourcePath: "/in/", DestinationPath: "/out/", Recursive: new(true)},
			{SourcePath: "/a", DestinationPath: "/b", Recursive: new(false), ExternalChecksum: "abc", ChecksumAlgorithm: "SHA256"},
		},
	}
}

func fullDelete() *transfer.Delete {
	return &transfer.Delete{
		Header:    transfer.Header{SubmissionID: "s1"},
		Endpoint:  "C1",
		Recursive: true, IgnoreMissing: true, InterpretGlobs: true,
		LocalUser: "ann",
		Items:     []transfer.DeleteItem{{Path: "/old/*"}},
	}
}

func TestDocumentsAreWrittenInFull(t *testing.T) {
	tests := map[string]struct {
		doc  transfer.Document
		want string
	}{
		"transfer": {fullTransfer(), `{
			"DATA_TYPE": "transfer", "submission_id": "s1", "label": "nightly & more", "deadline": "2026-03-02T06:00:00+00:00",
			"notify_on_succeeded": true, "notify_on_failed": true, "notify_on_inactive": true, "store_base_path_info": true,
			"source_endpoint": "C1", "destination_endpoint": "C2", "sync_level": 0, "verify_checksum": true,
			"preserve_timestamp": true, "encrypt_data": true, "delete_destination_extra": true, "skip_source_errors": true,
			"fail_on_quota_errors": true, "recursive_symlinks": "keep", "source_local_user": "ann", "destination_local_user": "bob",
			"filter_rules": [
				{"DATA_TYPE": "filter_rule", "method": "include", "type": "file", "name": "*.h5"},
				{"DATA_TYPE": "filter_rule", "name": "*"}],
			"DATA": [
				{"DATA_TYPE": "transfer_item", "source_path": "/in/", "destination_path": "/out/", "recursive": true},
				{"DATA_TYPE": "transfer_item", "source_path": "/a", "destination_path": "/b", "recursive": false,
				 "external_checksum": "abc", "checksum_algorithm": "SHA256"}]}`},
		"delete": {fullDelete(), `{
			"DATA_TYPE": "delete", "submission_id": "s1",
			"notify_on_succeeded": false, "notify_on_failed": false, "notify_on_inactive": false,
			"endpoint": "C1", "recursive": true, "ignore_missing": true, "interpret_globs": true, "local_user": "ann",
			"DATA": [{"DATA_TYPE": "delete_item", "path": "/old/*"}]}`},
		"no items": {&transfer.Delete{}, `{
			"DATA_TYPE": "delete", "endpoint": "",
			"notify_on_succeeded": false, "notify_on_failed": false, "notify_on_inactive": false, "DATA": []}`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := json.Marshal(tt.doc)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(generic(t, tt.want), generic(t, string(got))); diff != "" {
				t.Errorf("document (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDocumentsComeBackFromJSON(t *testing.T) {
	sameInstant := cmp.Comparer(func(a, b transfer.Time) bool { return a.Truncate(time.Second).Equal(b.Truncate(time.Second)) })
	tests := map[string]struct{ doc, empty transfer.Document }{
		"transfer": {fullTransfer(), new(transfer.Transfer)},
		"delete":   {fullDelete(), new(transfer.Delete)},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			doc, err := json.Marshal(tt.doc)
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(doc, tt.empty); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.doc, tt.empty, sameInstant); diff != "" {
				t.Errorf("document (-written +read):\n%s", diff)
			}
		})
	}
}

func TestHeadChangesTheDocument(t *testing.T) {
	doc := fullDelete()
	doc.Head().Label = "changed"
	if doc.Label != "changed" {
		t.Errorf("got label %q, want changed", doc.Label)
	}
}

func TestLabelIsChecked(t *testing.T) {
	tests := map[string]struct{ label, want string }{
		"none":            {"", ""},
		"longest":         {strings.Repeat("é", 128), ""},
		"too long":        {strings.Repeat("é", 129), "label has 129 characters; at most 128 are allowed"},
		"line feed":       {"a\nb", "label has a line end in it"},
		"carriage return": {"a\rb", "label has a line end in it"},
		"blank first":     {" a", "label begins with a blank"},
		"blank last":      {"a\t", "label ends with a blank"},
		"blank inside":    {"nightly 2026-11-21T02:00:00Z", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var got string
			if err := transfer.CheckLabel(tt.label); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestSyncLevelsHaveNamesAndNumbers(t *testing.T) {
	for number, name := range []string{"exists", "size", "mtime", "checksum"} {
		level := transfer.SyncLevel(number)
		if level.String() != name {
			t.Errorf("got name %s of level %d, want %s", level, number, name)
		}
		for _, s := range []string{name, string(rune('0' + number))} {
			if got, err := transfer.ParseSyncLevel(s); got != level || err != nil {
				t.Errorf("got %v and %v from %q, want %v", got, err, s, level)
			}
		}
	}
	if got := transfer.SyncLevel(7).String(); got != "7" {
		t.Errorf("got %s, want 7", got)
	}
}

func FuzzSyncLevel(f *testing.F) {
	for _, s := range []string{"exists", "3", "4", "-1", "+1", "", "Size", "é"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		level, err := transfer.ParseSyncLevel(s)
		if err != nil {
			return
		}
		again, err := transfer.ParseSyncLevel(level.String())
		if err != nil || again != level || level < transfer.SyncExists || level > transfer.SyncChecksum {
			t.Errorf("%q is level %d, and its name %q level %d (%v)", s, level, level, again, err)
		}
	})
}
