package engine_test

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/test/long"
	"github.com/globus-runner/globus-runner/transfer"
)

var (
	histories    = flag.Int("engine.histories", long.Or(2000, 50), "random histories of files, receipts, prunes and audits")
	firstHistory = flag.Uint64("engine.seed", 0, "seed of the first history, the next ones count up")
)

// A history is what happens to the files of a lab: people write them, jobs copy
// and prune them, copies are lost, and processes die at any request. No content
// is written twice, and nobody gives a file the size and the time of another one.
//
// Every delete is checked when it is sent, see [history.check], and each verdict
// of the audits in between, see [history.audit].
type history struct {
	*bench
	rand *rand.Rand
	p    *process        // that does the jobs; nil after it has died
	job  *jobs.Job       // that is done now
	met  map[string]bool // what has happened, for the table of a campaign

	globus time.Duration            // how far the clock of Globus is ahead of ours
	ahead  map[string]time.Duration // how far the clocks of collections are, by name
	old    time.Duration            // how old a listing may be when it arrives
	twin   bool                     // the collection twin shows the disk of the lab
	kind   historyKind

	mu       sync.Mutex // guards the rest
	log      []string
	contents int
	had      map[string]bool      // name, size and time of what was written
	strayed  map[string]bool      // folders that were set aside and could not be put back
	copying  bool                 // a task copies, or its receipt is not sealed
	began    time.Time            // when it was sent
	settled  time.Time            // when that was over
	arrived  map[string]time.Time // when a copy was sent first, by collection and content
	copied   map[string]bool      // collections and paths where a copy has been
	looks    map[string]string    // contents that were seen since the last submission id, by collection and path
	lists    map[string]sending   // of deletes, by submission id
	sent     map[string]bool      // paths in lists of this start
	pruned   map[string]string    // contents that were deleted last, by disk and path
	nights   int                  // folders below data, unless it is whole
	kept     map[string]string    // where contents were that prunes have deleted
	spoiled  map[string]bool      // contents that people have destroyed
	touched  map[string]bool      // names that people have written since the job began
	unprobed bool                 // this start could not make a folder to see whether two collections show one disk
	trial    string               // what it then deleted to see whether it was its own copy
	removed  int                  // files that people took away since the job began
	deleted  int                  // files
	lag      time.Duration        // of lists of tasks, behind the tasks
}

// A historyKind says what folders the lab has, and what is done about them.
type historyKind int

const (
	ofFolder historyKind = iota // one folder, which is copied as a whole, see [history.live]
	ofNights                    // one for each night; all are copied to one, see [history.liveFlat]
	ofItems                     // one for each item, which has a copy of its own, see [history.liveItems]
)

// A sending is when a process sent a delete first. It repeats it for some seconds
// if there is no answer.
type sending struct {
	by *process
	at time.Time
}

var historyNames = []string{"a", "b", "d/c", "d/e"}

// newHistory makes the world of a seed and calls play in its bubble.
func newHistory(t *testing.T, seed uint64, play func(h *history)) {
	h := &history{
		rand: rand.New(rand.NewPCG(seed, 0)), met: map[string]bool{}, ahead: map[string]time.Duration{},
		had: map[string]bool{}, strayed: map[string]bool{}, arrived: map[string]time.Time{}, copied: map[string]bool{},
		looks: map[string]string{}, lists: map[string]sending{}, sent: map[string]bool{}, pruned: map[string]string{},
		kept: map[string]string{}, spoiled: map[string]bool{}, touched: map[string]bool{},
	}
	one := func(all ...time.Duration) time.Duration { return all[h.rand.IntN(len(all))] }
	h.globus = one(0, 0, 0, 0, -90*time.Second, 45*time.Second, time.Hour)
	h.old = one(0, 0, 2*time.Second, 8*time.Second)
	h.kind = [6]historyKind{4: ofItems, 5: ofNights}[seed%6]
	h.twin = h.rand.IntN(6) == 0 && h.kind == ofFolder
	h.ahead["lab"] = one(0, 0, 0, 0, -2*time.Hour, time.Hour, 1750*time.Millisecond)
	for _, name := range []string{"vault", "store"} {
		h.ahead[name] = one(0, 0, 0, 0, 0, 0, -1500*time.Millisecond, -10*time.Minute, 500*time.Millisecond, time.Hour)
	}
	onBench(t, func(t *testing.T, b *bench) {
		h.bench = b
		b.remove("data/a.txt")
		h.note("seed %d: clocks %v, Globus %v, listings up to %v old, twin: %t", seed, h.ahead, h.globus, h.old, h.twin)
		h.meets(h.globus != 0, "the clock of Globus is wrong")
		h.meets(h.ahead["lab"] != 0, "the clock of the source is wrong")
		h.meets(h.ahead["vault"] != 0 || h.ahead["store"] != 0, "the clock of a destination is wrong")
		h.meets(h.twin, "two collections show one disk")
		play(h)
	}, func(cfg *globussim.Config) {
		if h.twin {
			cfg.Collections = append(cfg.Collections, globussim.Collection{Name: "twin", Dir: cfg.Collections[0].Dir})
		}
		h.ahead["twin"] = h.ahead["lab"]
		for i := range cfg.Collections {
			cfg.Collections[i].Ahead = h.ahead[cfg.Collections[i].Name]
		}
	})
}

func (h *history) note(format string, args ...any) {
	h.log = append(h.log, time.Now().Format("02 15:04:05.000 ")+fmt.Sprintf(format, args...))
}

func (h *history) fail(format string, args ...any) {
	h.t.Errorf("%s\n%s", fmt.Sprintf(format, args...), strings.Join(h.log, "\n"))
}

// meets takes note that something has happened.
func (h *history) meets(yes bool, what string) {
	if yes {
		h.met[what] = true
	}
}

// disk is the folder of a collection.
func (h *history) disk(collection string) string {
	switch collection {
	case "vault", globussim.CollectionID("vault"):
		return h.vault
	case "store", globussim.CollectionID("store"):
		return h.store
	}
	return h.lab
}

// do does an order until it is over, by one process after the other.
func (h *history) do(o engine.Order) *engine.Result {
	h.job, h.removed, h.touched = o.Job, 0, map[string]bool{}
	h.note("job %s begins: %+v", o.Job.Name, describe(o.Job))
	for n := 0; ; n++ {
		var d death
		if n < 2 && h.rand.IntN(5) < 2 {
			d.after = h.rand.IntN(2) == 0
			if d.list = h.rand.IntN(3) == 0; !d.list {
				d.in = 1 + h.rand.IntN(30)
			}
		}
		if h.p == nil {
			h.p = h.process(fmt.Sprint(o.Key, " ", n))
		}
		p := h.p
		h.sent, h.trial, h.unprobed = map[string]bool{}, "", false
		p.answer = h.answer(p, d) //nolint:bodyclose // who sends the request closes it
		r, err := p.record(h.t.Context(), o)
		died := p.dead.Load()
		p.answer = nil
		h.mu.Lock()
		_, unknown := errors.AsType[*engine.UnknownItem](err) // its ledger was lost
		over := err == nil && r != nil && r.State.Final() || unknown
		h.note("start %d has ended: %v, over: %t", n, err, over)
		if died {
			h.p = nil
			p.kill()
			h.crashed()
		} else if h.trial != "" && err == nil && r.Err == nil {
			h.fail("a file went that was its own copy, and the run goes on: %+v, %v", r, err)
		}
		if over && !died {
			h.end()
			h.mu.Unlock()
			return r
		}
		if n > 12 {
			h.fail("it does not end: %+v, %v", r, err)
			h.mu.Unlock()
			return r
		}
		for range h.rand.IntN(3) {
			h.outside()
		}
		h.mu.Unlock()
		time.Sleep(time.Duration(h.rand.IntN(120)) * time.Second)
	}
}

// end looks at what a job has left.
func (h *history) end() {
	h.settle()
	for _, folder := range h.aside() { // something came into it, and there was another one in its place
		if entries, err := os.ReadDir(folder); !h.strayed[folder] && !h.stays(folder) && (err != nil || len(entries) == 0) {
			h.fail("%s is left: %v", folder, err)
		}
		h.strayed[folder] = true // from now on it is a folder like any other
	}
}

// stays reports whether an empty folder that a prune has made or set aside may stay:
// its delete may have been hindered, and it cannot go back to where it was.
func (h *history) stays(folder string) bool {
	hindered := h.met["a task that fails"] || h.met["a task that takes its time"] || h.met["a list that is refused for now"]
	_, name, _ := strings.Cut(strings.TrimPrefix(filepath.Base(folder), ".pruned-"), "-")
	_, err := os.Stat(filepath.Join(filepath.Dir(folder), name))
	return hindered && (name == "probe" || err == nil)
}

func (h *history) aside() []string {
	left, _ := filepath.Glob(filepath.Join(h.lab, "data", ".pruned-*")) // the patterns are right
	if h.kind == ofItems {
		below, _ := filepath.Glob(filepath.Join(h.lab, "data", "*", ".pruned-*"))
		left = append(left, below...)
	}
	return left
}

// crashed is what follows the death of a process: sometimes its ledger goes too.
func (h *history) crashed() {
	h.meets(true, "a crash")
	if h.rand.IntN(12) > 0 {
		return
	}
	h.note("the ledger is lost")
	h.meets(true, "a lost ledger")
	h.kept = map[string]string{}
	for _, name := range []string{"runner.db", "runner.db-journal"} {
		_ = os.Remove(filepath.Join(h.state, name)) // there may be no journal
	}
	for _, folder := range h.aside() { // nobody knows any more whose it is
		h.strayed[folder] = true
	}
}

// describe says what a job does.
func describe(j *jobs.Job) (steps []string) {
	for _, s := range j.Steps {
		if t := s.Transfer; t != nil {
			level := "none"
			if t.SyncLevel != nil {
				level = fmt.Sprint(*t.SyncLevel)
			}
			steps = append(steps, fmt.Sprintf("transfer %v to %s, level %s, verified %t, times kept %t, filter %v",
				t.Items, t.DestinationEndpoint[:4], level, t.VerifyChecksum, t.PreserveTimestamp, t.FilterRules))
		}
		if s.Prune != nil {
			steps = append(steps, fmt.Sprintf("prune of %v, older than %v, copies %d, most %q, empty folders %t", s.Prune.Of, s.Prune.OlderThan, s.Prune.Copies, s.Prune.MaxDelete, s.Prune.EmptyFolders))
		}
	}
	return steps
}

// copier is a job that copies the lab to another collection.
func (h *history) copier(name, collection string) *jobs.Job {
	to := "/copy/"
	if collection == "twin" && h.rand.IntN(2) == 0 {
		to = "/data/"
	}
	doc := provable(to, collection)
	doc.VerifyChecksum = h.rand.IntN(6) > 0
	h.meets(!doc.VerifyChecksum, "a job that does not verify")
	doc.PreserveTimestamp = h.rand.IntN(2) == 0
	if h.rand.IntN(2) == 0 {
		doc.SyncLevel = new(transfer.SyncLevel(h.rand.IntN(4)))
	}
	if to == "/data/" { // else Globus would destroy the files
		doc.SyncLevel = new(transfer.SyncChecksum)
	}
	job := &jobs.Job{Guard: jobs.Guard{OverwritePruned: h.rand.IntN(8) > 0}, Name: name, Receipts: true, BackoffLimit: 1}
	switch h.rand.IntN(6) {
	case 0, 1:
		doc.FilterRules = []transfer.FilterRule{{Method: "exclude", Name: []string{"b", "d", "e"}[h.rand.IntN(3)]}}
		h.meets(true, "a filter rule")
	case 2:
		doc.Items = nil
		for _, name := range []string{"a", "b", "d/"} {
			doc.Items = append(doc.Items, transfer.Item{SourcePath: "/data/" + name, DestinationPath: to + name})
		}
		doc.SkipSourceErrors, job.AllowSkipped = true, true
	}
	h.meets(doc.SyncLevel != nil, "a sync level")
	job.Steps = jobs.Single(doc)
	return job
}

// prunes is a job that does some steps and then prunes by their receipts, or
// without any by those of other jobs.
func (h *history) prunes(name string, steps ...jobs.Step) *jobs.Job {
	p := &jobs.Prune{EmptyFolders: h.rand.IntN(2) == 0}
	if len(steps) == 0 {
		p.Of, p.Copies = []string{"nightly", "weekly", "hand-over"}, 1+h.rand.IntN(2)
		p.Jobs = copying("/copy/", "vault", "store")
		if h.twin {
			p.Of = append(p.Of, "mirror")
			p.Jobs = slices.Concat(p.Jobs, copying("/copy/", "twin"), copying("/data/", "twin"))
		}
		if h.rand.IntN(3) == 0 {
			p.OlderThan = time.Duration(h.rand.IntN(60)) * time.Minute
		}
	}
	if h.rand.IntN(4) == 0 {
		p.MaxDelete = []jobs.MaxDelete{"1", "2", "60%"}[h.rand.IntN(3)]
	}
	h.meetsPrune(p)
	return &jobs.Job{Guard: jobs.Guard{OverwritePruned: h.rand.IntN(8) > 0}, Name: name, Receipts: true, Steps: append(steps, jobs.Step{Prune: p}), BackoffLimit: h.rand.IntN(2)}
}

func (h *history) meetsPrune(p *jobs.Prune) {
	h.meets(p.MaxDelete != "", "max_delete")
	h.meets(p.OlderThan > 0, "older_than")
	h.meets(p.Copies > 1, "copies: 2")
	h.meets(p.EmptyFolders, "empty_folders: remove")
}

// next is the job that comes next. The first one copies.
func (h *history) next(first bool) *jobs.Job {
	n := h.rand.IntN(10)
	switch {
	case first && h.twin && n < 6:
		return h.copier("mirror", "twin")
	case n < 3:
		return h.copier("nightly", "vault")
	case n < 5:
		return h.copier("weekly", "store")
	case n < 7 || first:
		return h.prunes("hand-over", h.copier("", "vault").Steps[0])
	}
	return h.prunes("expire")
}

func (h *history) live() {
	for _, name := range historyNames {
		h.write("lab", "data", name)
	}
	time.Sleep(time.Minute)
	audited := map[string]*jobs.Job{} // what they were last
	for i := range 2 + h.rand.IntN(4) {
		job := h.next(i == 0)
		job.ActiveDeadline, job.On.Hopeless = time.Hour, jobs.Cancel // else it waits for a day
		if err := job.Check(); err != nil {
			h.t.Fatal(err)
		}
		h.trouble()
		h.do(engine.Order{Job: job, Key: jobs.Key(fmt.Sprint("manual:", i))})
		if job.Name != "expire" {
			audited[job.Name] = job
		}
		if h.t.Failed() {
			return
		}
		time.Sleep(time.Duration(h.rand.IntN(20)) * time.Minute)
		for range h.rand.IntN(2) {
			h.outside()
		}
		if names := slices.Sorted(maps.Keys(audited)); len(names) > 0 && h.rand.IntN(4) == 0 {
			h.audit(audited[names[h.rand.IntN(len(names))]])
		}
	}
}

// trouble orders what Globus does wrong during the next job.
func (h *history) trouble() {
	switch n := h.rand.IntN(12); {
	case n == 0, n < 4 && h.kind == ofNights:
		h.disturb(globussim.Disturbance{Action: globussim.FailTask, AfterFiles: h.rand.IntN(4), Times: 1 + h.rand.IntN(2)})
		h.meets(true, "a task that fails")
		h.meets(h.kind == ofNights, "a night whose task fails")
	case n == 10, n == 11:
		h.disturb(globussim.Disturbance{Action: globussim.StallTask, AfterFiles: h.rand.IntN(3)})
		h.releaseAfter(time.Duration(10+h.rand.IntN(50)) * time.Second)
		h.meets(true, "a task that takes its time")
	}
	h.lag = time.Duration(h.rand.IntN(2)*h.rand.IntN(90)) * time.Second
	h.meets(h.lag > 0, "lists of tasks that are behind")
}

// A table counts the histories in which something happened.
type table struct {
	begun  time.Time
	played atomic.Int64

	mu    sync.Mutex
	count map[string]int
	files int // that were deleted
}

func (c *table) add(h *history) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.files += h.deleted
	for what := range h.met {
		c.count[what]++
	}
}

// TestPruneDeletesNothingThatIsNotElsewhere plays random histories. As many as
// wanted: go test ./internal/engine -run NotElsewhere -v -engine.histories=100000.
func TestPruneDeletesNothingThatIsNotElsewhere(t *testing.T) {
	sum := &table{begun: time.Now(), count: map[string]int{}}
	t.Logf("seeds %d to %d", *firstHistory, *firstHistory+uint64(*histories)-1)
	t.Run("all", func(t *testing.T) { // which waits for those below
		workers := uint64(runtime.GOMAXPROCS(0))
		for worker := range workers {
			t.Run(fmt.Sprint(worker), func(t *testing.T) {
				t.Parallel()
				for seed := worker; seed < uint64(*histories) && !t.Failed(); seed += workers {
					playHistory(t, *firstHistory+seed, sum)
				}
			})
		}
	})
	happened := slices.SortedFunc(maps.Keys(sum.count), func(a, b string) int { return cmp.Or(sum.count[b]-sum.count[a], strings.Compare(a, b)) })
	for _, what := range happened {
		t.Logf("%7d histories with %s", sum.count[what], what)
	}
	t.Logf("%d files were deleted in %d histories", sum.files, *histories)
	if *histories < 1000 || t.Failed() {
		return // too few for everything
	}
	if sum.files < *histories/2 {
		t.Errorf("only %d files were deleted in %d histories", sum.files, *histories)
	}
	for _, what := range everything {
		if sum.count[what] == 0 {
			t.Errorf("no history had %s", what)
		}
	}
}

// playHistory plays one of many histories.
func playHistory(t *testing.T, seed uint64, sum *table) {
	whole := false
	defer func() { // also after a panic
		if !whole || t.Failed() {
			t.Logf("history %d has failed: play it alone with -engine.histories=1 -engine.seed=%d", seed, seed)
		}
	}()
	newHistory(t, seed, func(h *history) {
		switch h.kind {
		case ofNights:
			h.liveFlat()
		case ofItems:
			h.liveItems()
		default:
			h.live()
		}
		sum.add(h)
	})
	whole = true
	if n := sum.played.Add(1); n%milestone == 0 {
		t.Logf("%d of %d histories after %v", n, *histories, time.Since(sum.begun).Round(time.Second))
	}
}

// milestone is after how many histories their number is told.
const milestone = 500

// everything is what must happen in some of many histories.
var everything = []string{
	"the clock of Globus is wrong", "the clock of the source is wrong", "the clock of a destination is wrong",
	"two collections show one disk", "a crash", "a crash while a task copies", "a crash between two lists or in one", "a lost ledger",
	"a filter rule", "a sync level", "max_delete", "older_than", "copies: 2", "empty_folders: remove",
	"a task that fails", "a task that takes its time", "lists of tasks that are behind", "a listing that is old",
	"a file that is skipped", "a copy that is broken on the way", "a file that changes while it is copied",
	"a new file with the time of the old one", "a file that is away for a while", "a copy that others change", "a copy that others delete",
	"items", "an item that is done again", "a prune of items", "an item that would replace an only copy",
	"nights that are copied to one folder", "a night whose task fails", namesakes, "an only copy that would be replaced", "an only copy that is replaced, as its job may",
	"a list that does not arrive", "a list that is refused for now", "a folder that cannot be made", "an audit",
}
