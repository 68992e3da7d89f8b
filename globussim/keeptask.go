package globussim

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// A keptTask is what the file of a [keeper] says of a task. Each record holds
// all of it but for Submission, which is in the first, and Events, which are
// those since the record before.
type keptTask struct {
	Submission  json.RawMessage `json:"submission,omitempty"` // the document that was posted
	Doc         taskDoc         `json:"doc"`
	Requested   time.Time       `json:"requested"` // as in Doc, but not cut to a second
	Completed   time.Time       `json:"completed,omitzero"`
	Deadline    time.Time       `json:"deadline"`
	Submissions int             `json:"submissions"`
	OwnDeadline bool            `json:"own_deadline,omitempty"`
	Started     bool            `json:"started,omitempty"`
	Canceling   bool            `json:"canceling,omitempty"`
	Removed     bool            `json:"removed,omitempty"`
	Stalled     bool            `json:"stalled,omitempty"`
	PausedBy    *Disturbance    `json:"paused_by,omitempty"`
	Rate        int64           `json:"rate,omitempty"`
	Armed       []*Disturbance  `json:"armed,omitempty"`
	Events      []event         `json:"events,omitempty"`
	Skips       []skip          `json:"skips,omitempty"` // once the task has ended
}

// A keptFile is a file that a task has copied, or is about to give its name.
type keptFile struct {
	success
	Modified time.Time `json:"modified"` // at the destination
}

// A pair is one path of a transfer, on both sides.
type pair struct{ source, destination string }

// remembered has the keeper follow a task, whose submission q has brought.
func (sv *service) remembered(t *task, q *request) {
	t.changed = func() {}
	if sv.server.keeper != nil {
		t.posted, _ = io.ReadAll(q.Body) // it is in memory
		sv.follow(t)
	}
}

func (sv *service) follow(t *task) {
	t.changed = func() {
		sv.server.keeper.changed("task/"+t.doc.TaskID, func() any {
			sv.mu.Lock()
			defer sv.mu.Unlock()
			return t.kept()
		})
	}
}

// kept is the task's next record. The caller holds the lock.
func (t *task) kept() keptTask {
	k := keptTask{
		Submission: t.posted, Doc: t.doc,
		Requested: t.doc.RequestTime.Time, Completed: t.doc.CompletionTime.Time, Deadline: t.doc.Deadline.Time,
		Submissions: t.submissions, OwnDeadline: t.ownDeadline, Started: t.started, Canceling: t.canceling, Removed: t.removed,
		Stalled: t.stalled, PausedBy: t.pausedBy, Rate: t.rate, Armed: slices.Clone(t.armed),
		Events: slices.Clone(t.events[len(t.events)-min(t.untold, len(t.events)):]),
	}
	if t.final() {
		k.Skips = t.skips
	}
	t.posted, t.untold = nil, 0
	return k
}

// keepFile writes down that a file is about to get its name at the destination,
// so that a receipt never lacks it.
func (w *worker) keepFile(done success, modified time.Time) error {
	w.server.keeper.changed("copied/"+w.task.doc.TaskID, func() any { return keptFile{done, modified} })
	return w.server.keeper.flush()
}

// keepFound writes down that the path of a delete was there, so that it is not
// missing once it is deleted.
func (w *worker) keepFound(u *unit) error {
	if w.server.keeper == nil || u.above != nil {
		return nil
	}
	w.server.keeper.changed("found/"+w.task.doc.TaskID+"/"+u.item.rawSrc, func() any { return true })
	return w.server.keeper.flush()
}

// restore brings back the tasks of a file, in the order of their submission.
func (sv *service) restore(was *kept) error {
	return was.each("task/", func(id string, values []json.RawMessage) error {
		t, err := sv.recall(values)
		if err != nil {
			return err
		}
		var files []keptFile
		for _, value := range was.values["copied/"+id] {
			var f keptFile
			if err := json.Unmarshal(value, &f); err != nil {
				return err
			}
			files = slices.DeleteFunc(files, func(other keptFile) bool { return other.pair() == f.pair() })
			files = append(files, f)
		}
		if t.final() {
			t.copied(files[:min(len(files), t.doc.FilesTransferred)])
			t.items = nil
		} else {
			t.begun(files)
		}
		for i := range t.items {
			t.items[i].found = was.values["found/"+id+"/"+t.items[i].rawSrc] != nil
		}
		sv.enter(t, submissionKey{t.owner, strings.ToLower(t.submissionID)})
		return nil
	})
}

// recall builds a task from its records.
func (sv *service) recall(values []json.RawMessage) (*task, error) {
	var last keptTask
	var posted json.RawMessage
	var events []event
	for _, value := range values {
		last = keptTask{}
		if err := json.Unmarshal(value, &last); err != nil {
			return nil, err
		}
		if posted == nil {
			posted = last.Submission
		}
		events = append(events, last.Events...)
		events = events[max(0, len(events)-maxEvents):]
	}
	var doc submission
	if err := json.Unmarshal(posted, &doc); err != nil {
		return nil, err
	}
	if e := doc.check(strings.ToLower(last.Doc.Type)); e != nil {
		return nil, errors.New(e.Message)
	}
	collections := make([]*collection, 0, 2)
	for _, id := range []*string{&last.Doc.SourceEndpointID, last.Doc.DestinationEndpointID} {
		if id == nil {
			continue
		}
		p, ok := sv.byID[*id]
		if !ok {
			return nil, fmt.Errorf("its collection %s is not one of those that are served", *id)
		}
		collections = append(collections, p)
	}
	t := sv.build(last.Doc.OwnerID, last.Doc.Type, &doc, collections)
	if e := t.resolve(&doc); e != nil {
		return nil, errors.New(e.Message)
	}
	t.doc, t.digest = last.Doc, digestOf(posted)
	t.doc.RequestTime, t.doc.CompletionTime, t.doc.Deadline = stamp{last.Requested}, stamp{last.Completed}, stamp{last.Deadline}
	t.submissions, t.ownDeadline, t.canceling, t.removed = last.Submissions, last.OwnDeadline, last.Canceling, last.Removed
	t.stalled, t.pausedBy, t.rate, t.armed, t.skips = last.Stalled, last.PausedBy, last.Rate, last.Armed, last.Skips
	t.events, t.resumed = events, last.Started && !t.final()
	sv.follow(t)
	return t, nil
}

func (f keptFile) pair() pair { return pair{f.Source, f.Destination} }

// copied takes files as those that the task has copied.
func (t *task) copied(files []keptFile) (bytes int64) {
	for _, f := range files {
		t.successes = append(t.successes, f.success)
		bytes += f.Size
	}
	return bytes
}

// begun makes an unfinished task one that goes on behind its last file. Whether
// that one got its name, only the destination can tell.
func (t *task) begun(files []keptFile) {
	if n := len(files); n > 0 && !t.has(files[n-1]) {
		files = files[:n-1]
	}
	d := &t.doc
	d.SubtasksTotal, d.SubtasksPending, d.SubtasksRetrying, d.SubtasksSucceeded, d.SubtasksSkippedErrors = 0, 0, 0, 0, 0
	d.Files, d.Directories, d.Symlinks, d.FilesSkipped, d.BytesChecksummed = 0, 0, 0, 0, 0
	d.discover(len(t.items))
	d.FilesTransferred, d.BytesTransferred = len(files), t.copied(files)
	t.done = make(map[pair]bool, len(files))
	for _, f := range files {
		t.done[f.pair()] = true
	}
}

// has reports whether a file is at the destination as it was copied.
func (t *task) has(f keptFile) bool {
	abs, e := t.dst.resolve(f.Destination)
	if e != nil {
		return false
	}
	info, err := t.dst.root.Stat(inRoot(abs))
	return err == nil && info.Size() == f.Size && info.ModTime().Truncate(time.Microsecond).Equal(f.Modified.Truncate(time.Microsecond))
}

// enter makes a task of a file known again. Those that have not ended wait until
// the service begins.
func (sv *service) enter(t *task, key submissionKey) {
	sv.submissions[key] = t
	sv.submitted = append(sv.submitted, t)
	if !t.removed {
		sv.tasks[t.doc.TaskID] = t
		sv.byOwner[t.owner] = append(sv.byOwner[t.owner], t)
	}
	t.stop = func() {}
	t.expiry = time.AfterFunc(0, func() {})
	t.expiry.Stop()
	if t.final() {
		close(t.over)
		return
	}
	if t.doc.Type == kindTransfer {
		sv.identical[t.paths] = t
	}
	sv.pending[t.owner]++
}

// begin lets the unfinished tasks of a file go on.
func (sv *service) begin() {
	sv.mu.Lock()
	defer sv.mu.Unlock()
	for _, t := range sv.submitted {
		if t.final() {
			continue
		}
		t.expiry = time.AfterFunc(time.Until(t.doc.Deadline.Time), func() { sv.expire(t) })
		if t.canceling {
			sv.work.Go(func() { sv.cancelLater(t) })
		}
		sv.hold(t)
		sv.enqueue(t)
	}
}
