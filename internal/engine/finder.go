package engine

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/transfer"
)

// labelsAtOnce is how many labels one request looks for. Each may have 128 characters, and
// all of them are in its URL.
const labelsAtOnce = 40

// gather is how long a request waits for more searches: items that are found ready
// together begin one after the other.
const gather = 50 * time.Millisecond

// errEachAlone says that the answer to a request for several labels is of no use.
var errEachAlone = errors.New("each label has to be looked for by itself")

// A finder looks for tasks by their labels. Searches that come while a request is under way
// share the next request.
//
// It is not confirmed that Globus looks for each label of a list. So a list begins and ends
// with the label of a task that exists. If the answer lacks one of these two tasks, it is
// not used, and each label is looked for by itself.
type finder struct {
	globus *transfer.Client
	turn   chan struct{} // has room for the one who asks for all that wait

	mu    sync.Mutex // guards the rest; never held across a wait
	waits map[*search]struct{}
	known []string // labels of tasks that exist at Globus, at most two
}

// A search asks for the task with a label.
type search struct {
	label string
	reply chan sight // has room for one; without a task if there is none
}

func newFinder(globus *transfer.Client) *finder {
	return &finder{globus: globus, turn: make(chan struct{}, 1), waits: map[*search]struct{}{}}
}

// know records the label of a task that exists at Globus.
func (f *finder) know(label string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.known) < 2 && plainLabel(label) && (len(f.known) == 0 || f.known[0] != label) {
		f.known = append(f.known, label)
	}
}

// plainLabel reports whether a label has no special characters of Globus's filters.
func plainLabel(label string) bool { return label != "" && !strings.ContainsAny(label, "/,~!=*?[]") }

// find returns the task with a label. If there are several, it returns one that has not
// failed; if there is none, nil.
func (f *finder) find(ctx context.Context, label string) (*transfer.Task, error) {
	s := &search{label, make(chan sight, 1)}
	if !f.join(s) {
		return f.alone(ctx, label)
	}
	defer f.leave(s)
	for {
		select {
		case got := <-s.reply:
			if errors.Is(got.err, errEachAlone) {
				return f.alone(ctx, label)
			}
			return got.task, got.err
		case f.turn <- struct{}{}:
			f.answer(ctx)
			<-f.turn
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// alone looks for one label.
func (f *finder) alone(ctx context.Context, label string) (*transfer.Task, error) {
	found, err := f.list(ctx, label)
	return found[label], err
}

// join adds a search to the next shared request, and reports whether that is possible.
func (f *finder) join(s *search) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.known) < 2 || !plainLabel(s.label) {
		return false
	}
	f.waits[s] = struct{}{}
	return true
}

func (f *finder) leave(s *search) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.waits, s)
}

// answer makes a request for the searches that wait, and answers them. If ctx ends, they
// wait for the request of another search.
func (f *finder) answer(ctx context.Context) {
	if sleep(ctx, gather) != nil {
		return
	}
	batch, known := f.take()
	if len(batch) == 0 {
		return // somebody else has looked
	}
	found, err := map[string]*transfer.Task(nil), errEachAlone
	if len(known) == 2 {
		found, err = f.list(ctx, between(known, batch)...)
	}
	switch {
	case ctx.Err() != nil:
		f.putBack(batch)
		return
	case err != nil && !fault.Transient(err):
		err = errEachAlone
	case err == nil && (found[known[0]] == nil || found[known[1]] == nil):
		err = errEachAlone
		f.forget()
	}
	for _, s := range batch {
		s.reply <- sight{found[s.label], err}
	}
}

// between returns the labels of a batch, between two known ones.
func between(known []string, batch []*search) []string {
	labels := []string{known[0]}
	for _, s := range batch {
		labels = append(labels, s.label)
	}
	return append(labels, known[1])
}

// take removes as many searches as fit into one request.
func (f *finder) take() (batch []*search, known []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for s := range f.waits {
		if len(batch) == labelsAtOnce {
			break
		}
		delete(f.waits, s)
		batch = append(batch, s)
	}
	return batch, f.known
}

func (f *finder) putBack(batch []*search) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range batch {
		f.waits[s] = struct{}{}
	}
}

// forget drops the known labels, because Globus has forgotten one of their tasks, or its
// list lags behind.
func (f *finder) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.known = nil
}

// list asks Globus for the tasks with some labels.
func (f *finder) list(ctx context.Context, labels ...string) (map[string]*transfer.Task, error) {
	found := map[string]*transfer.Task{}
	for task, err := range f.globus.Tasks(ranked(ctx, submits), transfer.TaskQuery{Labels: labels}) {
		if err != nil {
			return nil, err
		}
		if was := found[task.Label]; was == nil || was.Status == transfer.Failed {
			found[task.Label] = task
		}
	}
	return found, nil
}
