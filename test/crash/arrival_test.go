package crash_test

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/test/postgres"
)

const (
	instruments = 20
	// calmFor is the unchanged_for of instruments that say nothing when an item is
	// complete. Their pauses are far shorter.
	calmFor = 4 * time.Second
)

// betweenFalls is how long Globus lives at least. Tokens end with it, and a request is
// repeated with a new token only once.
const betweenFalls = 5 * time.Second

// conditions are how the instruments make known that an item is complete.
var conditions = []string{
	"ready: {marker: done}",
	fmt.Sprintf("ready: {unchanged_for: %v}", calmFor),
	`match: "run_*", ready: {older_than: 1s}`,
	`ready: {unchanged_for: 1s, no_marker: "*.lock"}`,
	`type: file, ready: {marker: "*.done"}`,
}

// A site has instruments that write items, and schedulers that copy them.
type site struct {
	*fleet
	mortal   *mortal
	database *postgres.Server // nil: the ledger is a file, which has one scheduler
	schema   string
	at       []*child     // the schedulers, by their doors
	writing  atomic.Int32 // instruments that have not written all of their items

	mu    sync.Mutex
	items map[string]map[string]string // finished ones, by the labels of their tasks: what is in each file
	torn  map[string]bool              // those of which a pause was too long, as the machine was busy
}

// newSite prepares a jobs file, and a ledger: one that replicas can share, or a file.
func newSite(w *world) *site {
	w.t.Helper()
	s := &site{mortal: w.becomeMortal(), at: make([]*child, 1), items: map[string]map[string]string{}, torn: map[string]bool{}}
	url := "sqlite:" + filepath.Join(w.dir, "runner.db")
	if !inLength() || !w.chance(3) {
		var err error
		s.database, s.at = startedDatabase(w.t), make([]*child, replicas)
		if s.schema, url, err = s.database.Schema(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
	}
	w.t.Logf("schedulers: %d", len(s.at))
	w.hasLedger, w.crowd, w.expired = true, 10, true // tokens end with Globus
	w.likely = []call{other, other, other, lookUp}   // looks, mostly
	w.env = append(w.env, "RUNNER_STATE="+url)
	var text strings.Builder
	for n := range instruments {
		end := "/" // of a folder
		if strings.Contains(conditions[n%len(conditions)], "type: file") {
			end = ""
		}
		fmt.Fprintf(&text, `
  %[1]s:
    schedule: "* * * * *"
    for_each: {folder: "lab:/%[1]s/", max_active: 3, %[2]s}
    transfer: {source: "lab:{{ .Item.Path }}%[3]s", destination: "vault:/%[1]s/{{ .Item.Name }}%[3]s"}
`, instrument(n), conditions[n%len(conditions)], end)
		w.write("lab", instrument(n), nil)
	}
	s.fleet = &fleet{world: w, ledger: w.openLedger(url), url: url, file: w.jobsFile(text.String())}
	return s
}

// instrument is the name of an instrument, of its folder and of its job.
func instrument(n int) string { return fmt.Sprintf("ins%02d", n) }

// A writer is an instrument at its work.
type writer struct {
	*site
	n    int
	rng  *rand.Rand
	last time.Time     // when it wrote last
	gap  time.Duration // its longest pause within an item
}

// open lets an instrument write some items, one after the other.
func (s *site) open(n, items int) {
	w := &writer{site: s, n: n, rng: rand.New(rand.NewPCG(s.rng.Uint64(), uint64(n)))}
	s.writing.Add(1)
	s.wg.Go(func() {
		defer s.writing.Add(-1)
		for i := range items {
			pause(s.ctx, time.Duration(w.rng.IntN(1000))*time.Millisecond)
			w.item(fmt.Sprintf("run_%03d", i))
		}
	})
}

// item writes an item in parts, and says that it is complete as its kind does.
func (w *writer) item(name string) {
	w.last, w.gap = time.Time{}, 0
	parts := 1 + w.rng.IntN(4)
	switch w.n % len(conditions) {
	case 0:
		w.parts(name+"/frame", parts, time.Second)
		w.put(name+"/done", "")
	case 1:
		w.parts(name+"/frame", 2*parts, calmFor/4)
	case 2:
		w.parts("tmp_"+name+"/frame", parts, 2*time.Second)
		if err := os.Rename(w.path("tmp_"+name), w.path(name)); err != nil {
			w.t.Error(err)
		}
	case 3:
		w.put(name+"/a.lock", "")
		w.parts(name+"/sub/frame", parts, 2*time.Second)
		if err := os.Remove(w.path(name + "/a.lock")); err != nil {
			w.t.Error(err)
		}
	default:
		w.parts(name, parts, time.Second)
		w.put(name+".done", "")
	}
	w.finish(name)
}

func (w *writer) path(name string) string {
	return filepath.Join(w.dir, "lab", instrument(w.n), name)
}

// parts writes a file bit by bit, with pauses.
func (w *writer) parts(name string, n int, longest time.Duration) {
	for i := range n {
		if i > 0 {
			pause(w.ctx, time.Duration(w.rng.Int64N(int64(longest))))
		}
		w.put(name, fmt.Sprintf("%s part %d %d\n", name, i, w.rng.Uint64()))
	}
}

// put appends to a file.
func (w *writer) put(name, text string) {
	file := w.path(name)
	err := os.MkdirAll(filepath.Dir(file), 0o755)
	if err == nil {
		var f *os.File
		if f, err = os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644); err == nil {
			_, err = f.WriteString(text)
			err = errors.Join(err, f.Close())
		}
	}
	if err != nil {
		w.t.Error(err)
	}
	if now := time.Now(); !w.last.IsZero() {
		w.gap = max(w.gap, now.Sub(w.last))
	}
	w.last = time.Now()
}

// finish takes note of what an item holds now that it is complete.
func (w *writer) finish(name string) {
	files := contents(w.t, filepath.Join(w.dir, "lab", instrument(w.n)), name)
	label := instrument(w.n) + " item:" + name
	w.mu.Lock()
	defer w.mu.Unlock()
	w.items[label] = files
	w.torn[label] = w.n%len(conditions) == 1 && w.gap > calmFor/2
}

// contents returns the files of an item, which may be one, by their paths.
func contents(t *testing.T, dir, item string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(filepath.Join(dir, item), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path) // it is below
		files[name] = string(text)
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	return files
}

func TestEachFinishedItemIsCopiedOnce(t *testing.T) {
	inRounds(t, 1, func(w *world) {
		s := newSite(w)
		for door := range s.at {
			s.at[door] = s.begin(door)
		}
		items := 2
		if inLength() {
			items = 6
		}
		for n := range instruments {
			s.open(n, items)
		}
		for s.writing.Load() > 0 && s.ctx.Err() == nil {
			door := w.rng.IntN(len(s.at))
			if w.chance(2) {
				w.trouble()
			}
			s.topple()
			if inLength() && s.database != nil && w.chance(5) {
				s.stun(s.at[door], false) // others take over its looks and its runs
				continue
			}
			s.at[door] = s.strikeAt(s.at[door])
		}
		w.gate.clear(anyDoor)
		if s.mortal.fallen() == 0 {
			s.mortal.fall(s.ctx, 0)
		}
		w.calm()
		for tries := 0; !s.settledAll(s.at[0]); tries++ {
			if tries == 20 || s.ctx.Err() != nil {
				w.t.Error("not every item was brought to its end")
				break
			}
			door := tries % len(s.at)
			s.dismiss(s.at[door])
			s.at[door] = s.begin(door)
		}
		for _, c := range s.at {
			s.dismiss(c)
		}
		s.check()
	})
}

// begin starts a scheduler that has missed a look of every job, so that it looks at
// once.
func (s *site) begin(door int) *child {
	s.t.Helper()
	before := time.Now().Add(-2 * time.Minute).UTC().Truncate(time.Minute)
	err := s.ledger.Reschedule(s.ctx, func(known map[string]ledger.Schedule) (changed []ledger.Schedule) {
		for _, is := range known {
			is.Cursor = before
			changed = append(changed, is)
		}
		return changed
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return s.serveUp(door)
}

// topple kills Globus: at a request of any scheduler, or at any moment.
func (s *site) topple() {
	dead, delay := s.upTo(time.Second), s.upTo(time.Second)
	fall := func() { s.wg.Go(func() { s.mortal.fall(s.ctx, dead) }) }
	s.gate.clear(anyDoor)
	if s.chance(2) {
		s.wg.Go(func() { pause(s.ctx, delay); fall() })
		return
	}
	call, moment := s.boundary()
	if moment == late {
		moment = passing
	}
	s.t.Logf("Globus is killed %s, %s", moment, call)
	s.gate.set(&snare{door: anyDoor, call: call, moment: moment, spring: fall})
}

// strikeAt kills a scheduler, now or at a request, and starts another one. Nobody has
// to wait until its leases are over.
func (s *site) strikeAt(c *child) *child {
	s.t.Helper()
	s.ambush(c, s.killOrTerm(), time.Second)
	select {
	case <-c.done:
	case <-time.After(2 * time.Second):
		s.gate.clear(c.door)
		c.strike(kill)
	}
	s.checkEnd(c)
	if s.database == nil { // its leases end with its lock
		return s.begin(c.door)
	}
	s.lapse(s.ledger, c)
	free := fmt.Sprintf("UPDATE %s.watches SET lease_until = 0 WHERE holder LIKE '%%:%d:%%'", s.schema, c.cmd.Process.Pid)
	if err := s.database.Exec(s.ctx, free); err != nil {
		s.t.Fatal(err)
	}
	return s.begin(c.door)
}

// settledAll reports whether every item that was written has a run that is over. It
// waits for as long as runs begin or end.
func (s *site) settledAll(c *child) bool {
	s.t.Helper()
	s.mu.Lock()
	s.all = nil
	for label := range s.items {
		job, key, _ := strings.Cut(label, " ")
		s.all = append(s.all, occurrence{job: job, key: key})
	}
	s.mu.Unlock()
	return s.settled(c, 5*time.Second)
}

// check checks that each item was copied by one task, as it was when it was
// complete, and nothing else was.
func (s *site) check() {
	s.t.Helper()
	s.occurrences = len(s.items)
	count := map[string]int{}
	for _, task := range s.globus.State().Tasks {
		count[task.Label]++
		if task.Status != "SUCCEEDED" {
			s.t.Errorf("task %q is %s", task.Label, task.Status)
		}
	}
	for label, want := range s.items {
		job, item, _ := strings.Cut(label, " item:")
		if n := count[label]; n != 1 && !s.torn[label] {
			s.t.Errorf("%d tasks %q, want 1", n, label)
		}
		delete(count, label)
		if got := contents(s.t, filepath.Join(s.dir, "vault", job), item); fmt.Sprint(got) != fmt.Sprint(want) && !s.torn[label] {
			s.t.Errorf("%s was copied as %q, want %q", label, got, want)
		}
	}
	for label, n := range count {
		if first, _, _ := strings.Cut(label, "@"); !s.torn[first] {
			s.t.Errorf("%d tasks %q, want none", n, label)
		}
	}
}
