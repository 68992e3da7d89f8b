package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

// A ledger that is new, or was restored, does not know how many occurrences an item has
// had. The task with the label of the first one may then be about an earlier item of the
// same name, and must not be adopted for the present one.

// clockError is how wrong the modification time of a file may be, because of a clock or a
// time zone.
const clockError = 24 * time.Hour

// newest returns the task that was about the item as it is now: task, which has the label of
// the present attempt, or the task of a later occurrence. It returns nil if they were all
// about earlier items.
func (p *part) newest(ctx context.Context, task *transfer.Task) (*transfer.Task, error) {
	r := p.run
	if r.item == nil || r.job.ForEach.Kind != jobs.FileItems { // the time of a folder changes with what is deleted in it
		return task, nil
	}
	later := r.order
	for generation := r.item.Generation; task != nil; generation++ {
		if task.Status != transfer.Failed {
			if older, err := p.isOlder(ctx, task); err != nil || !older {
				return task, err
			}
		}
		later.Key = jobs.ItemKey(r.item.Name, generation+1)
		var err error
		if task, err = p.bearing(ctx, later.taskLabel(p.position, 1)); err != nil {
			return nil, err
		}
	}
	r.anew = true
	return nil, nil
}

// isOlder reports whether a task has ended before the present file was written. If that were
// wrong, the file would be copied twice, so it reports true only if it is certain: whatever
// is wrong with the clock of the file, or because the task has copied another size.
func (p *part) isOlder(ctx context.Context, task *transfer.Task) (bool, error) {
	r, item := p.run, p.run.order.Item
	if task.Status != transfer.Succeeded || !item.Time.After(task.CompletionTime.Time) {
		return false, nil
	}
	log := r.log.With("task_id", task.TaskID, "label", task.Label, "completion_time", task.CompletionTime.Time, "modified", item.Time)
	certain := r.anew || item.Time.Sub(task.CompletionTime.Time) > clockError
	if !certain {
		size, copied, err := p.copiedSize(ctx, task.TaskID, item.Path)
		if err != nil {
			return false, fmt.Errorf("see whether task %s has copied the item as it is now: %w", task.TaskID, err)
		}
		certain = copied && size != item.Size
	}
	if certain {
		log.Info("the task was about an earlier item of the same name: it had ended before the file was written")
	} else {
		log.Warn("the file was modified after the task had ended, but may be what it has copied, and counts as done; compare it with its copy")
	}
	return certain, nil
}

// copiedSize returns the size of a file that a task has copied.
func (p *part) copiedSize(ctx context.Context, taskID, path string) (size int64, copied bool, err error) {
	for f, err := range p.run.globus.SuccessfulTransfers(ctx, taskID) {
		if err != nil {
			return 0, false, err
		}
		if f.SourcePath == path {
			return f.Size, true, nil
		}
	}
	return 0, false, nil
}
