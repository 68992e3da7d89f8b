package fault_test

import (
	"strings"
	"testing"

	"github.com/globus-runner/globus-runner/internal/fault"
)

// The codes are those that Globus has named.
func TestEachCodeOfATaskHasOneMeaning(t *testing.T) {
	tests := []struct {
		codes   string
		lasting bool
		kind    fault.Kind
		advised bool
	}{
		{
			"FILE_NOT_FOUND PERMISSION_DENIED AMBIGUOUS_PATH QUOTA_EXCEEDED NO_SPACE_LEFT EXTERNAL_CHECKSUM_MISMATCH " +
				"IS_A_DIRECTORY IS_A_FILE NOT_A_DIRECTORY NOT_A_FILE NOT_A_SYMLINK INVALID_SYMLINK INVALID_PATH_NAME LIMIT_EXCEEDED",
			true, fault.Refused, true,
		},
		{"AUTH NO_CREDENTIALS INVALID_SERVICE_CREDENTIAL GSI_DN_MISMATCH CLOCK ACL_CHANGED NO_PHYSICALS", false, fault.Refused, true},
		{"GC_NOT_CONNECTED GC_PAUSED VERIFY_CHECKSUM FILE_SIZE_CHANGED", false, fault.Failed, true},
		{
			"CONNECT_FAILED CONNECTION_BROKEN CONNECTION_RESET TIMEOUT ENDPOINT_TOO_BUSY UNKNOWN INTERNAL_ERROR ENDPOINT_ERROR " +
				"NO_APPEND_FILESYSTEM MPU_NOT_FOUND ABEND FILE_ACCESS SOMETHING_NEW",
			false, fault.Failed, false,
		},
	}
	for _, tt := range tests {
		for code := range strings.FieldsSeq(tt.codes) {
			got := fault.OfTask(code)
			if got.Lasting != tt.lasting || got.Kind != tt.kind || (got.Next != "") != tt.advised {
				t.Errorf("%s: got %+v, want lasting %t, kind %s, with a next step %t", code, got, tt.lasting, tt.kind, tt.advised)
			}
		}
	}
}
