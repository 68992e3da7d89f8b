package doctor

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/transfer"
)

// cleanUp is how long a probe may take to remove its folder after its time is
// over.
const cleanUp = 20 * time.Second

// slowProbe is how many times longer than other checks a probe may take,
// because it removes its folder by a task.
const slowProbe = 6

// targets returns the folders that the jobs write to.
func (c *collection) targets() []string {
	var folders []string
	for _, u := range c.uses {
		dir := u.path
		switch {
		case u.role != destination && u.role != folder:
			continue
		case !u.isFolder:
			dir = parent(dir)
		}
		if dir = strings.TrimSuffix(dir, "/") + "/"; !slices.Contains(folders, dir) {
			folders = append(folders, dir)
		}
	}
	return folders
}

// probe creates a folder with a new name in dir, or in the nearest folder above
// it that exists, and removes it again even if it is interrupted.
func (c *collection) probe(ctx context.Context, dir string) []Finding {
	wanted := dir
	dir, err := c.nearest(ctx, wanted)
	switch e, _ := errors.AsType[*transfer.Error](err); {
	case e != nil && e.PermissionDenied() && dir != wanted && c.doc.IsGuest():
		return []Finding{c.untried(dir, wanted, err)}
	case err != nil:
		return []Finding{c.unwritable(dir, wanted, err)}
	}
	path := dir + ".runner-doctor-" + strings.ToLower(rand.Text()[:12]) + "/"
	_, err = c.globus.Client.Mkdir(ctx, c.id, path)
	e, refused := errors.AsType[*transfer.Error](err)
	if refused && strings.HasSuffix(e.Code, "MkdirFailed.Exists") {
		err = nil // the name is new, so the reply to an earlier try was lost
	}
	if refused && err != nil && !e.Temporary() {
		return []Finding{c.unwritable(dir, wanted, err)}
	}
	// From here on the folder may exist.
	clean, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(cleanUp-time.Second, cancel) })()
	left := c.remove(clean, ctx.Done(), path)
	switch {
	case err != nil:
		return append([]Finding{c.unwritable(dir, wanted, err)}, left...)
	case left != nil:
		return left
	}
	return []Finding{Good(fmt.Sprintf("made a folder in %s and removed it", dir))}
}

// nearest returns the first folder, from dir upwards, that exists.
func (c *collection) nearest(ctx context.Context, dir string) (string, error) {
	for {
		var err error
		for _, err = range c.globus.Client.Ls(ctx, c.id, transfer.LsQuery{Path: dir, Limit: 1}) {
			break
		}
		e, ok := errors.AsType[*transfer.Error](err)
		if !ok || !e.NotFound() || parent(dir) == dir {
			return dir, err
		}
		dir = parent(dir)
	}
}

// untried returns the finding that a folder that does not exist cannot be
// tried, because dir above it may not be listed. The rules may give access to
// the folder alone.
func (c *collection) untried(dir, wanted string, err error) Finding {
	f := c.unwritable(dir, wanted, err)
	return Doubt(wanted+": is not there yet, and cannot be tried: "+dir+" may not be listed", "if its access rules do not have it, "+f.Advice)
}

// unwritable returns the finding that no folder could be created in dir, which
// is the wanted folder or one above it.
func (c *collection) unwritable(dir, wanted string, err error) Finding {
	f := c.globus.failed(err)
	f.Seen = fmt.Sprintf("%s: no folder could be made: %s", dir, f.Seen)
	e, ok := errors.AsType[*transfer.Error](err)
	if ok && e.PermissionDenied() {
		f.Advice = c.ask(&use{role: destination, path: wanted, isFolder: true}, e)
	}
	return f
}

// remove deletes the folder by a task, and waits for the task unless hurry is
// closed. It returns a finding if the folder may be left.
func (c *collection) remove(ctx context.Context, hurry <-chan struct{}, path string) []Finding {
	globus := c.globus.Client
	leftBy := func(why string) []Finding {
		return []Finding{Doubt(fmt.Sprintf("the folder %s may be left: %s", path, why), fmt.Sprintf("remove it: runner delete %s:%s --recursive", c.id, path))}
	}
	id, err := globus.SubmissionID(ctx)
	if err != nil {
		return leftBy(describe(err))
	}
	task, err := globus.Submit(ctx, &transfer.Delete{
		Header: transfer.Header{SubmissionID: id, Label: "runner doctor"}, Endpoint: c.id,
		Recursive: true, IgnoreMissing: true, Items: []transfer.DeleteItem{{Path: path}},
	})
	if err != nil {
		return leftBy(describe(err))
	}
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		state, err := globus.Task(ctx, task.TaskID)
		switch {
		case err != nil:
			return leftBy("of task " + task.TaskID + " nothing is known: " + describe(err))
		case state.Status == transfer.Succeeded:
			return nil
		case state.Status.Final():
			return leftBy("task " + task.TaskID + " has failed")
		}
		select {
		case <-time.After(wait):
		case <-hurry:
			return leftBy("task " + task.TaskID + " that removes it has not ended yet")
		}
	}
}
