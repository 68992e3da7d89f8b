package engine_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"sort"
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

// Instruments write items into the lab, with pauses, under names that are not
// final, and with a marker at the end. Processes look at the folder, and die at any
// request.
type instruments struct {
	*bench
	rand   *rand.Rand
	marker bool // items end with a marker, and may pause for as long as they want

	mu       sync.Mutex // guards the rest
	log      []string
	finished map[string]time.Time // when an item was complete, by its name
	posted   map[string]string    // submission ids by item
	running  []*process
}

func (in *instruments) fail(format string, args ...any) {
	sort.Strings(in.log)
	in.t.Errorf("%s\n%s", fmt.Sprintf(format, args...), strings.Join(in.log, "\n"))
}

// note is called with the lock.
func (in *instruments) note(format string, args ...any) {
	in.log = append(in.log, time.Now().Format("02 15:04:05.000 ")+fmt.Sprintf(format, args...))
}

// minutes is some time up to so many minutes.
func (in *instruments) minutes(most int) time.Duration {
	return time.Duration(in.rand.IntN(most*60)) * time.Second
}

// write has an instrument write an item.
func (in *instruments) write(name string, at time.Duration) {
	folder := "/runs/" + name
	if in.rand.IntN(3) == 0 {
		folder = "/runs/tmp_" + name
	}
	var steps []globussim.FileStep
	pause := 4 // minutes: shorter than an item must be unchanged
	if in.marker {
		pause = 20
	}
	begin := at
	for i := range 1 + in.rand.IntN(4) {
		if i > 0 {
			at += in.minutes(pause)
		}
		path := folder + []string{"/a", "/b", "/sub/c", "/sub/deep/d"}[i]
		size, took := 1+in.rand.Int64N(300), in.minutes(4)
		if took < 10*time.Second {
			steps = append(steps, written(at, path, size, 0))
			continue
		}
		rate := max(1, size/int64(took/time.Second))
		steps = append(steps, written(at, path, size, rate))
		at += time.Duration(size/rate+1) * time.Second
	}
	if folder != "/runs/"+name {
		at += in.minutes(pause)
		steps = append(steps, renamed(at, folder, "/runs/"+name))
	}
	if in.marker {
		at += in.minutes(pause)
		steps = append(steps, written(at, "/runs/"+name+"/done", 1, 0))
	}
	in.begin(steps...)
	in.finished[name] = time.Now().Add(at)
	in.note("%s is written from %v to %v", name, begin, at)
}

// answer watches what a process sends, and lets it die at some request. Looks at
// the folder itself do not count.
func (in *instruments) answer(p *process, d death) func(*http.Request, http.RoundTripper) (*http.Response, error) {
	return func(r *http.Request, send http.RoundTripper) (*http.Response, error) {
		in.mu.Lock()
		defer in.mu.Unlock()
		if p.dead.Load() {
			return nil, errKilled
		}
		if r.URL.Query().Get("path") != "/runs/" {
			d.in--
		}
		if d.in == 0 && !d.after {
			in.note("%s dies before %s %s", p.config.Holder, r.Method, r.URL.Path)
			p.die()
			return nil, errKilled
		}
		if is(r, "POST", transferPath) {
			in.check(p, r)
		}
		resp, err := send.RoundTrip(r)
		if d.in == 0 {
			in.note("%s dies after %s %s", p.config.Holder, r.Method, r.URL.Path)
			if err == nil {
				_ = resp.Body.Close() // nobody reads it
			}
			p.die()
			return nil, errKilled
		}
		return resp, err
	}
}

// check checks a submission: its item must be complete, and have no other.
func (in *instruments) check(p *process, r *http.Request) {
	var doc transfer.Transfer
	body, err := r.GetBody()
	if err == nil {
		err = json.NewDecoder(body).Decode(&doc)
	}
	if err != nil {
		in.t.Fatal(err)
	}
	name := filepath.Base(doc.Items[0].SourcePath)
	in.note("%s submits %s as %s", p.config.Holder, doc.Label, doc.SubmissionID)
	done, known := in.finished[name]
	switch before, twice := in.posted[name]; {
	case !known || time.Now().Before(done):
		in.fail("%s is submitted before it is complete, which is at %v", name, done)
	case twice && before != doc.SubmissionID:
		in.fail("%s is submitted as %s, and was as %s", name, doc.SubmissionID, before)
	}
	in.posted[name] = doc.SubmissionID
}

// start starts a replica, which may die.
func (in *instruments) start(n int, job *jobs.Job, mortal bool) {
	p := in.process(fmt.Sprint("start ", n), func(c *engine.SchedulerConfig) { c.Lease = 30 * time.Second })
	d := death{after: in.rand.IntN(2) == 0}
	if mortal {
		d.in = 1 + in.rand.IntN(60)
		if in.rand.IntN(2) == 0 {
			d = death{in: 1 + in.rand.IntN(8), after: d.after} // soon after it has found something
		}
	}
	p.answer = in.answer(p, d) //nolint:bodyclose // who sends the request closes it
	p.serve(job)
	in.running = append(in.running, p)
}

// live lets replicas work while the instruments write.
func (in *instruments) live(job *jobs.Job, items int) {
	for i := range items {
		in.write(fmt.Sprintf("run_%02d", i), in.minutes(60))
	}
	starts := 0
	for range 3 {
		starts++
		in.start(starts, job, true)
	}
	for i := range 60 {
		time.Sleep(in.minutes(4))
		switch in.rand.IntN(30) {
		case 0:
			in.offline(true)
		case 1, 2, 3, 4, 5:
			in.offline(false)
		}
		in.mu.Lock()
		alive := in.running[:0]
		for _, p := range in.running {
			if !p.dead.Load() {
				alive = append(alive, p)
			}
		}
		in.running = alive
		in.mu.Unlock()
		if len(alive) < 3 && in.rand.IntN(2) == 0 || len(alive) == 0 {
			starts++
			in.start(starts, job, i < 50)
		}
	}
	in.offline(false)
	in.start(starts+1, job, false) // the others may still die
	time.Sleep(90 * time.Minute)
	for _, p := range in.running {
		p.kill()
	}
}

// offline switches the lab off or on.
func (in *instruments) offline(off bool) {
	err := in.ChangeCollection(globussim.CollectionID("lab"), func(c *globussim.Condition) { c.Offline = off })
	if err != nil {
		in.t.Fatal(err)
	}
}

func TestEachFinishedItemIsCopiedOnceWhateverDies(t *testing.T) {
	const items = 8
	for seed := range long.Or(60, 2) {
		onBench(t, func(t *testing.T, b *bench) {
			in := &instruments{
				bench: b, rand: rand.New(rand.NewPCG(uint64(seed), 0)), marker: seed%2 == 1,
				finished: map[string]time.Time{}, posted: map[string]string{},
			}
			in.note("seed %d", seed)
			job := b.itemJob(func(j *jobs.Job) {
				j.ForEach.MaxActive = 1 + in.rand.IntN(4)
				j.Schedule = b.schedule("*/2 * * * *", nil)
			})
			if in.marker {
				marked(job)
			}
			in.live(job, items)
			for name := range in.finished {
				for _, file := range []string{"a", "b", "sub/c", "sub/deep/d", "done"} {
					want, err := os.ReadFile(filepath.Join(b.lab, "runs", name, file))
					if err != nil {
						continue
					}
					got, err := os.ReadFile(filepath.Join(b.vault, "raw", name, file))
					if !bytes.Equal(got, want) {
						in.fail("the copy of %s/%s has %d bytes (%v), want %d", name, file, len(got), err, len(want))
					}
				}
			}
			done := map[string]int{}
			for _, task := range b.State().Tasks {
				if task.Status == "SUCCEEDED" {
					done[task.Label]++
				}
			}
			for name := range in.finished {
				if n := done["runs item:"+name]; n != 1 {
					in.fail("%s has %d tasks, want 1", name, n)
				}
			}
			if n := len(b.State().Tasks); n != items {
				in.fail("there are %d tasks, want %d", n, items)
			}
		}, func(cfg *globussim.Config) { cfg.Rate = 50 })
		if t.Failed() {
			return
		}
	}
}
