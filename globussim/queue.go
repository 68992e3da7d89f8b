package globussim

import "context"

// A slot identifies tasks that share a limit of how many are worked on at once.
type slot struct{ owner, kind string }

// A queue holds the tasks of one slot that wait, oldest first.
type queue struct {
	active  int
	waiting []*task
}

// enqueue starts a task as soon as fewer than the limit are running. The caller holds the
// lock.
func (sv *service) enqueue(t *task) {
	key := slot{t.owner, t.doc.Type}
	q := sv.slots[key]
	if q == nil {
		q = &queue{}
		sv.slots[key] = q
	}
	q.waiting = append(q.waiting, t)
	sv.startNext(q)
}

func (sv *service) startNext(q *queue) {
	for q.active < sv.cfg.MaxActive && len(q.waiting) > 0 && !sv.closed {
		t := q.waiting[0]
		q.waiting = q.waiting[1:]
		if t.final() {
			continue
		}
		q.active++
		ctx, stop := context.WithCancel(context.Background())
		t.stop = stop
		t.started, t.reported = true, sv.server.now()
		if t.doc.Status == active {
			t.setNice(true, "OK", "OK")
		}
		if t.doc.Type == kindTransfer { // the service counts a step besides the items
			t.doc.SubtasksTotal++
			t.doc.SubtasksSucceeded++
		}
		if t.ownDeadline && !t.doc.IsPaused && !t.resumed {
			sv.postpone(t, defaultDeadline)
		}
		if !t.resumed {
			t.note("STARTED", startedDetails(t), false)
		}
		sv.trigger(t)
		w := &worker{service: sv, task: t, items: t.items}
		t.items = nil
		sv.work.Go(func() {
			defer stop()
			w.run(ctx)
		})
	}
}

func startedDetails(t *task) string {
	if t.doc.Type == kindDelete {
		return `{"type": "Delete"}`
	}
	return `{"type": "GridFTP Transfer", "concurrency": 2, "parallelism": 4, "pipelining": 20}`
}

// finish ends a task: as succeeded, or as failed if there is a code. A task
// that has ended stays as it is. The caller holds the lock.
func (sv *service) finish(t *task, code, details string) {
	if t.final() {
		return
	}
	d := &t.doc
	switch code {
	case "":
		d.Status = succeeded
		d.SubtasksSucceeded += d.SubtasksPending
		t.note("SUCCEEDED", "", false)
	case codeCanceled:
		d.SubtasksCanceled += d.SubtasksPending
	case codeExpired:
		d.SubtasksExpired += d.SubtasksPending
	default:
		d.SubtasksFailed += d.SubtasksPending
	}
	if code != "" {
		d.Status = failed
		if code != codeCanceled || !sv.server.answers.Load().NoFatalError {
			d.FatalError = &fatalError{Code: code, Description: describe(code)}
		}
		t.note(code, details, true)
	}
	d.SubtasksPending, d.SubtasksRetrying = 0, 0
	d.IsOK, d.NiceStatus, d.NiceStatusShortDescription, d.NiceStatusExpiresIn = nil, nil, nil, nil
	d.IsPaused = false
	d.CompletionTime = stamp{sv.server.now()}

	close(t.over)
	t.expiry.Stop()
	t.stop()
	if sv.identical[t.paths] == t {
		delete(sv.identical, t.paths)
	}
	sv.pending[t.owner]--
	if q := sv.slots[slot{t.owner, d.Type}]; t.started {
		q.active--
		sv.startNext(q)
	}
}

// expire runs when a task's deadline may have passed.
func (sv *service) expire(t *task) {
	sv.mu.Lock()
	defer sv.mu.Unlock()
	if sv.closed || t.final() {
		return
	}
	now := sv.server.now()
	if t.ownDeadline && !t.started {
		t.doc.Deadline = stamp{now.Add(defaultDeadline)} // a queued task is kept ahead
	}
	if left := t.doc.Deadline.Sub(now); left > 0 {
		t.expiry.Reset(left)
		return
	}
	sv.finish(t, codeExpired, "The deadline passed")
}
