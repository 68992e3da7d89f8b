package engine_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/test/long"
	"github.com/globus-runner/globus-runner/transfer"
)

// A history is what happens to the files of a lab: people write them, jobs copy
// and prune them, copies are lost, and processes die at any request. No content
// is written twice.
//
// Every delete is checked when it is sent. For each of its files the process must
// have looked at the source since it got the submission id, and at so many
// collections that had the same content then.
type history struct {
	*bench
	rand *rand.Rand
	need int // collections that must have what a prune deletes

	mu       sync.Mutex // guards the rest
	log      []string
	contents int
	had      map[string]bool // path, size and time of what was written
	strayed  map[string]bool // folders that were set aside and could not be put back
	copying  bool            // a task copies, or its receipt is not sealed
	settled  time.Time       // when that was over
	looks    map[string]string
	lists    map[string]sending // of deletes, by submission id
	deleted  int                // files
	lag      time.Duration      // of lists of tasks, behind the tasks
}

// A sending is when a process sent a delete first. It repeats it for some seconds
// if there is no answer.
type sending struct {
	by *process
	at time.Time
}

var historyNames = []string{"a", "b", "d/c", "d/e"}

func (h *history) note(format string, args ...any) {
	h.log = append(h.log, time.Now().Format("02 15:04:05.000 ")+fmt.Sprintf(format, args...))
}

func (h *history) fail(format string, args ...any) {
	h.t.Errorf("%s\n%s", fmt.Sprintf(format, args...), strings.Join(h.log, "\n"))
}

// dir is the folder of a collection.
func (h *history) dir(collection string) string {
	return map[string]string{
		globussim.CollectionID("lab"): h.lab, globussim.CollectionID("vault"): h.vault, globussim.CollectionID("store"): h.store,
	}[collection]
}

// write writes new content at a path. The time is now, or as it was if no content
// of that size had it: who forges both deceives a prune.
func (h *history) write(folder, name string) {
	file := filepath.Join(folder, name)
	h.contents++
	content := fmt.Sprintf("%0*d", 6+h.rand.IntN(2), h.contents)
	at := time.Now()
	if old, err := os.Stat(file); err == nil && h.rand.IntN(3) == 0 && !h.had[fmt.Sprint(name, len(content), old.ModTime().Unix())] {
		at = old.ModTime()
	}
	h.had[fmt.Sprint(name, len(content), at.Unix())] = true
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(content), 0o644), os.Chtimes(file, at, at)); err != nil {
		h.t.Fatal(err)
	}
	h.note("somebody writes %s: %s, time %s", file[len(h.lab)-1:], content, at.Format("15:04:05"))
}

// outside is what people do.
func (h *history) outside() {
	name := historyNames[h.rand.IntN(len(historyNames))]
	switch h.rand.IntN(6) {
	case 0, 1, 2:
		h.write(filepath.Join(h.lab, "data"), name)
	case 3:
		h.note("somebody deletes %s", name)
		_ = os.Remove(filepath.Join(h.lab, "data", name)) // it may not be there
	default:
		folder := filepath.Join([]string{h.vault, h.store}[h.rand.IntN(2)], "copy")
		copied := filepath.Join(folder, name)
		if h.copying || time.Since(h.settled) < 2*time.Second {
			return // in this time nobody else may write there
		}
		if _, err := os.Stat(copied); err == nil && h.rand.IntN(2) == 0 {
			h.write(folder, name)
			return
		}
		h.note("somebody deletes the copy of %s", name)
		_ = os.Remove(copied)
	}
}

// A death says at which request a process dies, and whether that takes effect.
type death struct {
	in    int // requests; 0 is never
	after bool
}

// answer lets the world go on at each request of a process.
func (h *history) answer(p *process, d death) func(*http.Request, http.RoundTripper) (*http.Response, error) {
	return func(r *http.Request, send http.RoundTripper) (*http.Response, error) {
		h.mu.Lock()
		defer h.mu.Unlock()
		if p.dead.Load() {
			return nil, errKilled
		}
		if h.rand.IntN(8) == 0 && r.Method == http.MethodGet {
			h.outside()
		}
		if d.in--; d.in == 0 && !d.after {
			h.note("the process dies before %s %s", r.Method, r.URL.Path)
			p.die()
			return nil, errKilled
		}
		resp, err := h.pass(p, r, send)
		if d.in == 0 {
			h.note("the process dies after %s %s", r.Method, r.URL.Path)
			if resp != nil {
				_ = resp.Body.Close() // nobody reads it
			}
			p.die()
			return nil, errKilled
		}
		return resp, err
	}
}

// pass sends a request on, and takes note of what it shows or does.
func (h *history) pass(p *process, r *http.Request, send http.RoundTripper) (*http.Response, error) {
	switch {
	case is(r, "GET", idPath):
		h.looks = map[string]string{}
		h.settle()
	case is(r, "POST", transferPath):
		h.note("a transfer is sent")
		h.copying = true
	case is(r, "POST", deletePath):
		h.check(p, r)
		switch h.rand.IntN(10) {
		case 0:
			h.note("it does not arrive")
			return nil, io.ErrUnexpectedEOF
		case 1:
			h.note("it is refused for now")
			h.Fail(globussim.Fault{Path: deletePath, Status: 409, Code: []string{"ClientError.Conflict.TooManyPendingJobs", "ClientError.Conflict"}[h.rand.IntN(2)]})
		}
	case is(r, "GET", listPath) && time.Since(h.settled) < h.lag:
		blind := &process{}
		blind.forgetful()
		if resp, err := blind.answer(r, send); resp != nil || err != nil {
			return resp, err
		}
	}
	resp, err := send.RoundTrip(r)
	if err == nil && (strings.HasSuffix(r.URL.Path, "/ls") || strings.HasSuffix(r.URL.Path, "/stat")) {
		h.look(r)
	}
	return resp, err
}

// settle says that what was copied has its receipt now.
func (h *history) settle() {
	if h.copying {
		h.copying, h.settled = false, time.Now()
	}
}

// look takes note of what a listing shows: the content of files.
func (h *history) look(r *http.Request) {
	collection := strings.Split(r.URL.Path, "/")[4]
	path := r.URL.Query().Get("path")
	if strings.HasSuffix(r.URL.Path, "/stat") {
		content, err := os.ReadFile(filepath.Join(h.dir(collection), path))
		if err == nil {
			h.looks[collection+":"+path] = string(content)
		}
		return
	}
	entries, _ := os.ReadDir(filepath.Join(h.dir(collection), path)) // the answer says so
	for _, e := range entries {
		if content, err := os.ReadFile(filepath.Join(h.dir(collection), path, e.Name())); err == nil {
			h.looks[collection+":"+path+e.Name()] = string(content)
		}
	}
}

// check checks a delete.
func (h *history) check(p *process, r *http.Request) {
	var doc transfer.Delete
	body, err := r.GetBody()
	if err == nil {
		err = json.NewDecoder(body).Decode(&doc)
	}
	if err != nil {
		h.t.Fatal(err)
	}
	if first, ok := h.lists[doc.SubmissionID]; !ok {
		h.lists[doc.SubmissionID] = sending{p, time.Now()}
	} else if first.by != p || time.Since(first.at) > time.Minute {
		h.fail("list %s is sent again", doc.SubmissionID)
	}
	for _, item := range doc.Items {
		if doc.Recursive {
			h.note("deleted: the folder %s", item.Path)
			if entries, _ := os.ReadDir(filepath.Join(h.dir(doc.Endpoint), item.Path)); len(entries) > 0 {
				h.fail("%s is deleted, and has %v in it", item.Path, entries)
			}
			continue
		}
		h.deleted++
		content, looked := h.looks[doc.Endpoint+":"+item.Path]
		h.note("deleted: %s, content %s", item.Path, content)
		places := map[string]bool{}
		for at, there := range h.looks {
			collection, _, _ := strings.Cut(at, ":")
			places[collection] = places[collection] || collection != doc.Endpoint && there == content
		}
		n := 0
		for _, same := range places {
			if same {
				n++
			}
		}
		if !looked || n < h.need {
			h.fail("%s with the content %q (looked at: %t) is deleted, and was seen at %d collections, of %d", item.Path, content, looked, n, h.need)
		}
	}
}

// do does an order until it is over, by one process after the other.
func (h *history) do(o engine.Order) {
	h.note("job %s begins: need %d", o.Job.Name, h.need)
	for n := 0; ; n++ {
		var d death
		if n < 3 && h.rand.IntN(2) == 0 {
			d = death{1 + h.rand.IntN(30), h.rand.IntN(2) == 0}
		}
		p := h.process(fmt.Sprint(o.Key, " ", n))
		p.answer = h.answer(p, d) //nolint:bodyclose // who sends the request closes it
		r, err := p.record(h.t.Context(), o)
		died := p.dead.Load()
		p.kill()
		h.mu.Lock()
		over := err == nil && r != nil && r.State.Final()
		h.note("process %d has ended: %v, over: %t", n, err, over)
		if over && !died {
			h.settle()
			left, _ := filepath.Glob(filepath.Join(h.lab, "data", ".pruned-*"))
			for _, folder := range left { // something came into it, and there was another one in its place
				if entries, err := os.ReadDir(folder); !h.strayed[folder] && (err != nil || len(entries) == 0) {
					h.fail("%s is left: %v", folder, err)
				}
				h.strayed[folder] = true // from now on it is a folder like any other
			}
			h.mu.Unlock()
			return
		}
		if n > 12 {
			h.fail("it does not end: %+v, %v", r, err)
			h.mu.Unlock()
			return
		}
		for range h.rand.IntN(3) {
			h.outside()
		}
		h.mu.Unlock()
		time.Sleep(time.Duration(h.rand.IntN(120)) * time.Second)
	}
}

// copies is a job that copies the lab to another collection.
func (h *history) copies(name, collection string) *jobs.Job {
	doc := provable("/copy/", collection)
	doc.VerifyChecksum = h.rand.IntN(8) > 0
	if h.rand.IntN(2) == 0 {
		doc.SyncLevel = new(transfer.SyncLevel(h.rand.IntN(4)))
	}
	if h.rand.IntN(4) == 0 {
		doc.FilterRules = []transfer.FilterRule{{Method: "exclude", Name: []string{"b", "d", "e"}[h.rand.IntN(3)]}}
	}
	return &jobs.Job{Name: name, Receipts: true, Steps: jobs.Single(doc), BackoffLimit: 1}
}

func (h *history) prunes(steps ...jobs.Step) *jobs.Job {
	p := &jobs.Prune{EmptyFolders: h.rand.IntN(2) == 0}
	if len(steps) == 0 {
		p.Of, p.Copies = []string{"nightly", "weekly", "hand-over"}, 1+h.rand.IntN(2)
		p.Jobs = copying("/copy/", "vault", "store")
		if h.rand.IntN(3) == 0 {
			p.OlderThan = time.Duration(h.rand.IntN(60)) * time.Minute
		}
	}
	h.need = max(1, p.Copies)
	return &jobs.Job{Name: "expire", Receipts: true, Steps: append(steps, jobs.Step{Prune: p}), BackoffLimit: h.rand.IntN(2)}
}

func (h *history) live() {
	for i := range 4 + h.rand.IntN(6) {
		var job *jobs.Job
		switch h.rand.IntN(8) {
		case 0, 1:
			job = h.copies("nightly", "vault")
		case 2:
			job = h.copies("weekly", "store")
		case 3, 4:
			job = h.prunes(h.copies("", "vault").Steps[0])
			job.Name = "hand-over"
		case 5, 6:
			job = h.prunes()
		default:
			h.outside()
		}
		if job != nil {
			if err := job.Check(); err != nil {
				h.t.Fatal(err)
			}
			if h.rand.IntN(8) == 0 {
				h.disturb(globussim.Disturbance{Action: globussim.FailTask})
			}
			h.lag = time.Duration(h.rand.IntN(2)*h.rand.IntN(90)) * time.Second
			h.do(engine.Order{Job: job, Key: jobs.Key(fmt.Sprint("manual:", i))})
		}
		time.Sleep(time.Duration(h.rand.IntN(20)) * time.Minute)
	}
}

func TestPruneDeletesNothingThatIsNotElsewhere(t *testing.T) {
	histories, deleted := long.Or(2000, 50), 0
	for seed := range histories {
		onBench(t, func(t *testing.T, b *bench) {
			h := &history{bench: b, rand: rand.New(rand.NewPCG(uint64(seed), 0)), lists: map[string]sending{}, had: map[string]bool{}, strayed: map[string]bool{}, looks: map[string]string{}}
			h.note("seed %d", seed)
			for _, name := range historyNames {
				h.write(filepath.Join(b.lab, "data"), name)
			}
			time.Sleep(time.Minute)
			h.live()
			deleted += h.deleted
		})
		if t.Failed() {
			return
		}
	}
	if deleted < histories {
		t.Errorf("%d files were deleted in %d histories", deleted, histories)
	}
	t.Logf("%d files were deleted in %d histories", deleted, histories)
}
