package engine

import (
	"context"
	"fmt"
	"strings"

	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/transfer"
)

// guard refuses a mirror whose source is empty: an unmounted disk would empty
// the destination.
func (r *part) guard(ctx context.Context) error {
	doc, ok := r.doc.(*transfer.Transfer)
	if !ok || !doc.DeleteDestinationExtra || r.Job.AllowEmptySource {
		return nil
	}
	for _, item := range doc.Items {
		empty, err := r.emptyFolder(ctx, doc, item)
		if err != nil {
			return fmt.Errorf("look into the source of a mirror: %w", err)
		}
		if empty {
			return &Failure{
				Kind: fault.Guard, state: ledger.Failed,
				Message: fmt.Sprintf("the source %s is empty, and mirroring it would delete everything below %s; fill it, or allow an empty source", item.SourcePath, item.DestinationPath),
			}
		}
	}
	return nil
}

// emptyFolder reports whether the source of item is a folder with nothing in
// it.
func (r *part) emptyFolder(ctx context.Context, doc *transfer.Transfer, item transfer.Item) (bool, error) {
	folder := strings.HasSuffix(item.SourcePath, "/")
	switch {
	case item.Recursive != nil:
		folder = *item.Recursive
	case !folder: // the name does not tell, and Globus will find out
		entry, err := r.globus.Stat(ctx, doc.SourceEndpoint, item.SourcePath)
		if err != nil {
			return false, err
		}
		folder = entry.Type == "dir"
	}
	if !folder {
		return false, nil
	}
	query := transfer.LsQuery{Path: item.SourcePath, LocalUser: doc.SourceLocalUser, Limit: 1}
	for _, err := range r.globus.Ls(ctx, doc.SourceEndpoint, query) {
		return false, err
	}
	return true, nil
}
