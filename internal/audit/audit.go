// Package audit compares the files of jobs with what both sides have now. A
// [Diff] says what a task would do with each file; an [Inquiry] says what became
// of each file of a source.
//
// It lists both sides and changes nothing. Its memory holds the folders that are being
// listed, not the files. The callers choose the documents and print the result.
package audit

import (
	"errors"
	"fmt"
	"strings"

	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/tree"
)

// below returns the full path of an entry at path in the listing of the folder top.
func below(top, path string) string {
	if path == "" {
		return top
	}
	return strings.TrimSuffix(top, "/") + "/" + path
}

// unlisted returns an error unless err is a permanent reason why a folder cannot
// be listed. A temporary one says nothing about the folder.
func unlisted(path string, err error) error {
	if errors.Is(err, tree.ErrTooMany) || fault.Of(err).Kind == fault.Refused {
		return nil
	}
	return fmt.Errorf("list %s: %w", path, err)
}

// size returns the bytes of a file, or 0 for other entries.
func size(e *tree.Entry) int64 {
	if e.Kind == tree.File {
		return e.Size
	}
	return 0
}
