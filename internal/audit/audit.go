// Package audit compares the files that jobs are about with what both sides have
// now. A diff says what a task would do with each file; an audit says what has
// become of each file of a source.
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

// below is the path of what a listing of the folder at top has at path.
func below(top, path string) string {
	if path == "" {
		return top
	}
	return strings.TrimSuffix(top, "/") + "/" + path
}

// unlisted returns an error unless err is the lasting reason why a folder cannot
// be listed: what may pass says nothing about the folder.
func unlisted(path string, err error) error {
	if errors.Is(err, tree.ErrTooMany) || fault.Of(err).Kind == fault.Refused {
		return nil
	}
	return fmt.Errorf("list %s: %w", path, err)
}

// size is how many bytes an entry holds itself: none, unless it is a file.
func size(e *tree.Entry) int64 {
	if e.Kind == tree.File {
		return e.Size
	}
	return 0
}
