// Package crash_test proves that an occurrence is done exactly once: it runs
// the real binary against the simulator, kills it at every request and at
// random moments between them, lets replies get lost, and counts the tasks.
//
// All chance comes from a seed, which each round has in its name: the same seeds
// each time, so that what fails can be tried again, and others in make crash. To
// repeat a round: go test ./test/crash -run <test> -crash.seed=<seed> -crash.rounds=1
// (the moments of a kill between two requests vary with the machine). With
// -artifacts the logs of all processes of a round that fails are kept.
package crash_test

import (
	"context"
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/test/long"
)

var (
	rounds = flag.Int("crash.rounds", long.Or(100, 0), "rounds of the first test, the others in proportion; 0: as many as fit in half a minute")
	seed   = flag.Uint64("crash.seed", 1, "seed of the first round, the next ones count up; 0: another one each time")
)

// binary is the program under test.
var binary string

func TestMain(m *testing.M) {
	if dir := os.Getenv(mortalDir); dir != "" {
		if err := serveMortal(dir); err != nil {
			log.Fatal(err)
		}
		return
	}
	flag.Parse()
	if *seed == 0 {
		*seed = rand.Uint64N(1e9) + 1
	}
	if !given("test.parallel") {
		// Rounds wait more than they compute.
		if err := flag.Set("test.parallel", strconv.Itoa(4*runtime.GOMAXPROCS(0))); err != nil {
			log.Fatal(err)
		}
	}
	dir, err := os.MkdirTemp("", "crash")
	if err != nil {
		log.Fatal(err)
	}
	binary = filepath.Join(dir, "runner")
	build := exec.CommandContext(context.Background(), "go", "build", "-o", binary, "../../cmd/runner")
	if out, err := build.CombinedOutput(); err != nil {
		log.Fatalf("build the program: %v\n%s", err, out)
	}
	fmt.Printf("crash: seed %d\n", *seed)
	code := m.Run()
	if database.server != nil {
		_ = database.server.Close() // it is a temporary one
	}
	_ = os.RemoveAll(dir) // it is a temporary one
	os.Exit(code)
}

// given reports whether a flag is on the command line.
func given(name string) (found bool) {
	flag.Visit(func(f *flag.Flag) { found = found || f.Name == name })
	return found
}

// mostShort is the number of rounds of the tests that have most of them, in
// the short form.
const mostShort = 8

// inLength reports whether this is the long form.
func inLength() bool { return *rounds > 0 }

// inRounds plays rounds, several at once, and sums up what happened in them.
// Short is how many there are in the short form.
func inRounds(t *testing.T, short int, play func(*world)) {
	t.Parallel()
	n := short
	if inLength() {
		n = max(1, *rounds*short/mostShort)
	}
	var sum tally
	t.Cleanup(func() { t.Logf("seed %d: %d rounds: %v", *seed, n, &sum) })
	for i := range n {
		s := *seed + uint64(i)
		t.Run(fmt.Sprintf("seed=%d", s), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, rand.New(rand.NewPCG(s, 0)))
			defer sum.add(w)
			defer w.end()
			play(w)
		})
	}
}

// A tally counts what happened in all rounds of a test.
type tally struct {
	mu                                                 sync.Mutex
	starts, kills, terms, stops, troubles, occurrences int
	posts, duplicates, tasks, falls                    int           // falls of Globus
	took                                               time.Duration // the longest round
}

func (s *tally) add(w *world) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.starts += w.starts
	s.kills += w.blows[kill]
	s.terms += w.blows[term]
	s.stops += w.blows[freeze]
	s.troubles += w.troubles
	s.occurrences += w.occurrences
	s.posts += w.gate.posts
	for _, task := range w.globus.State().Tasks {
		s.tasks++
		s.duplicates += task.Submissions - 1
	}
	if m, ok := w.globus.(*mortal); ok {
		s.falls += m.fallen()
	}
	s.took = max(s.took, time.Since(w.begin))
}

func (s *tally) String() string {
	return fmt.Sprintf("%d occurrences, %d starts, %d SIGKILL, %d SIGTERM, %d SIGSTOP, %d troubles, %d SIGKILL of Globus; %d posts, %d answered Duplicate, %d tasks; longest round %v",
		s.occurrences, s.starts, s.kills, s.terms, s.stops, s.troubles, s.falls, s.posts, s.duplicates, s.tasks, s.took.Round(100*time.Millisecond))
}
