package engine

import (
	"context"
	"fmt"
	"strings"

	"github.com/globus-runner/globus-runner/transfer"
)

// guard refuses a mirror whose source is empty: an unmounted disk would empty
// the destination.
func (r *run) guard(ctx context.Context) error {
	doc, ok := r.Job.Document.(*transfer.Transfer)
	if !ok || !doc.DeleteDestinationExtra || r.Job.AllowEmptySource {
		return nil
	}
	for _, item := range doc.Items {
		recursive := strings.HasSuffix(item.SourcePath, "/")
		if item.Recursive != nil {
			recursive = *item.Recursive
		}
		if !recursive {
			continue
		}
		empty := true
		for _, err := range r.globus.Ls(ctx, doc.SourceEndpoint, transfer.LsQuery{Path: item.SourcePath, Limit: 1}) {
			if err != nil {
				return fmt.Errorf("look into the source of a mirror: %w", err)
			}
			empty = false
			break
		}
		if empty {
			return &Failure{
				Kind: Guard, state: Broken,
				Message: fmt.Sprintf("the source %s is empty, and mirroring it would delete everything below %s; fill it, or allow an empty source", item.SourcePath, item.DestinationPath),
			}
		}
	}
	return nil
}
