package globussim

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
)

// Codes of a task's events, states and fatal errors. Those from
// codeNotADirectory on are not confirmed.
const (
	codeNotFound      = "FILE_NOT_FOUND"
	codeDenied        = "PERMISSION_DENIED"
	codeCanceled      = "CANCELED"
	codeExpired       = "EXPIRED"
	codeNotADirectory = "NOT_A_DIRECTORY"
	codeIsADirectory  = "IS_A_DIRECTORY"
	codeNotEmpty      = "DIRECTORY_NOT_EMPTY"
	codeQuota         = "QUOTA_EXCEEDED"
	codeChecksum      = "VERIFY_CHECKSUM"
	codeExternal      = "EXTERNAL_CHECKSUM_MISMATCH"
	codeEndpoint      = "ENDPOINT_ERROR"
	codeCredentials   = "CREDENTIALS_EXPIRED"
	codeOffline       = "GC_NOT_CONNECTED"
)

// A failure is an error at one path.
type failure struct {
	code       string
	collection *collection
	path       string
	source     bool // at the source of a transfer
	fatal      bool // trying again does not help
	command    string
}

func (f *failure) Error() string { return f.code + ": " + f.path }

// details is the text of an event, in the form of the real ones.
func (f *failure) details() string {
	reason := map[string]string{codeNotFound: "PATH_NOT_FOUND", codeDenied: "PERMISSION_DENIED"}[f.code]
	return fmt.Sprintf("Error (%s)\nEndpoint: %s (%s)\nServer: 127.0.0.1:443\nFile: %s\nCommand: %s %s\nMessage: Fatal FTP response\n---\n"+
		`Details: 550-GlobusError: v=1 c=%s\r\n550-GridFTP-Error: %s\r\n550 End.\r\n`,
		f.command, f.collection.Name, f.collection.ID, wirePath(f.path), strings.ToUpper(f.command), wirePath(f.path),
		cmp.Or(reason, "INTERNAL_ERROR"), describe(f.code))
}

// codeOf names an error of the file system. os.Root's refusal of a path that
// leads outside carries no error number.
func codeOf(err error) string {
	errno, ok := errors.AsType[syscall.Errno](err)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return codeNotFound
	case errors.Is(err, fs.ErrPermission) || !ok:
		return codeDenied
	case errno == syscall.ENOTDIR || errors.Is(err, fs.ErrExist):
		return codeNotADirectory
	case errno == syscall.EISDIR:
		return codeIsADirectory
	case errno == syscall.ENOSPC || errno == syscall.EDQUOT:
		return codeQuota
	}
	return codeEndpoint
}
