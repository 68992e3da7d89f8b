package notify_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/notify"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/test/long"
)

// A witness is a receiver that remembers what it has seen, in whatever way it then
// answers.
type witness struct {
	rand  *rand.Rand
	well  bool // it takes everything from now on
	ids   map[string]string
	order map[string][]string // what was seen for the first time, by job
}

func (w *witness) Send(ctx context.Context, n *notify.Notice) error {
	how := w.rand.IntN(6)
	if !w.well && how == 0 {
		return errors.New("it answers 500")
	}
	what := fmt.Sprintf("%s %s", n.Key, n.Event)
	if id, seen := w.ids[n.Job+" "+what]; !seen {
		w.ids[n.Job+" "+what] = n.ID
		w.order[n.Job] = append(w.order[n.Job], what)
	} else if id != n.ID {
		w.ids[n.Job+" "+what] = id + " and " + n.ID
	}
	switch {
	case w.well:
	case how == 1: // it has taken it, and its answer is lost
		return errors.New("connection reset")
	case how == 2: // it has taken it, and does not answer
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

// A story is what happens to two jobs, whose processes are cut off at any time.
type story struct {
	t       *testing.T
	rand    *rand.Rand
	ledger  *ledger.Ledger
	jobs    []*jobs.Job
	failing map[string]bool
	want    map[string]map[string][]string // by channel and job
	holder  int
	runs    int
}

func (s *story) channels() []string { return []string{"ops", "chat", "dog"} }

// run lets a job run once. Whoever does it may be cut off before the run has ended,
// or right after that, so that another one ends it again.
func (s *story) run() {
	job := s.jobs[s.rand.IntN(len(s.jobs))]
	s.runs++
	key := fmt.Sprint("run ", s.runs)
	how := ledger.Outcome{State: ledger.Succeeded}
	if s.rand.IntN(2) == 0 {
		how = outcome(ledger.Failed, "failed", "no such path")
	}
	for range 1 + s.rand.IntN(3) { // starts
		holder := fmt.Sprint("start ", s.holder)
		run, mine, err := s.ledger.Claim(s.t.Context(), ledger.Claim{Job: job.Name, Key: key, Holder: holder, Lease: time.Minute})
		if err != nil {
			s.t.Fatal(err)
		}
		of := notify.Run{Job: job, Key: key, ID: run.ID, Since: run.Claimed, Outcome: how}
		if mine {
			s.must(s.ledger.Tell(s.t.Context(), job.Name, desk().Began(of)))
		}
		if mine && s.rand.IntN(3) == 0 { // cut off before its end
			s.holder++
			time.Sleep(2 * time.Minute)
			continue
		}
		for range 1 + s.rand.IntN(2) { // the answer of the ledger may be lost
			of.Ended = time.Now().UTC()
			if err := s.ledger.FinishAndTell(s.t.Context(), run.ID, holder, how, job.Name, desk().Ended(of)); err != nil && !errors.Is(err, ledger.ErrLost) {
				s.t.Fatal(err)
			}
			time.Sleep(time.Duration(s.rand.IntN(3)) * time.Second)
		}
	}
	s.finish(job, key, how)
	s.expect(job, key, how)
}

// finish ends the run if every start of it was cut off.
func (s *story) finish(job *jobs.Job, key string, how ledger.Outcome) {
	time.Sleep(2 * time.Minute)
	run, mine, err := s.ledger.Claim(s.t.Context(), ledger.Claim{Job: job.Name, Key: key, Holder: "last", Lease: time.Minute})
	s.must(err)
	if mine {
		of := notify.Run{Job: job, Key: key, ID: run.ID, Since: run.Claimed, Outcome: how, Ended: time.Now().UTC()}
		s.must(s.ledger.Tell(s.t.Context(), job.Name, desk().Began(of)))
		s.must(s.ledger.FinishAndTell(s.t.Context(), run.ID, "last", how, job.Name, desk().Ended(of)))
	}
}

func (s *story) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// expect says who should hear what of a run.
func (s *story) expect(job *jobs.Job, key string, how ledger.Outcome) {
	hears := func(event notify.Event, channels ...string) {
		for _, c := range channels {
			if s.want[c] == nil {
				s.want[c] = map[string][]string{}
			}
			s.want[c][job.Name] = append(s.want[c][job.Name], fmt.Sprintf("%s %s", key, event))
		}
	}
	hears(notify.Started, "dog")
	was := s.failing[job.Name]
	s.failing[job.Name] = how.State == ledger.Failed
	if !s.failing[job.Name] {
		hears(notify.Succeeded, "dog")
		if was {
			hears(notify.Recovered, "ops")
		}
		return
	}
	hears(notify.Failed, "dog")
	if !was {
		hears(notify.Failed, "ops", "chat")
	}
}

var stories = flag.Uint64("notify.stories", long.Or[uint64](1500, 60), "random stories of events, crashes and receivers")

// TestNoEventIsLostAndNoneHasTwoIDs lets processes and senders be cut off at any time
// while receivers fail in every way, and then wants each event at each receiver,
// under one id and in its order.
func TestNoEventIsLostAndNoneHasTwoIDs(t *testing.T) {
	for seed := range *stories {
		synctest.Test(t, func(t *testing.T) { tellStory(t, seed) })
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func tellStory(t *testing.T, seed uint64) {
	l, err := ledger.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "runner.db"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // every write was checked
	s := &story{t: t, rand: rand.New(rand.NewPCG(seed, 1)), ledger: l, failing: map[string]bool{}, want: map[string]map[string][]string{}}
	for _, name := range []string{"alpha", "beta"} {
		s.jobs = append(s.jobs, job(t, func(j *jobs.Job) {
			j.Name, j.Notify.Repeat = name, 1000*time.Hour
			j.Notify.To = map[string][]string{"failed": {"ops", "chat"}, "recovered": {"ops"}, "runs": {"dog"}}
		}))
	}
	witnesses, channels := map[string]*witness{}, map[string]notify.Channel{}
	for i, name := range s.channels() {
		witnesses[name] = &witness{rand: rand.New(rand.NewPCG(seed, uint64(i+2))), ids: map[string]string{}, order: map[string][]string{}}
		channels[name] = witnesses[name]
	}
	send := func(d time.Duration) { // a sender that is cut off after some time
		ctx, cancel := context.WithTimeout(t.Context(), d)
		defer cancel()
		sender := notify.NewSender(l, slog.New(slog.DiscardHandler), nil)
		sender.Use(channels)
		sender.Run(ctx)
	}
	for range 6 {
		s.run()
		if s.rand.IntN(2) == 0 {
			send(time.Duration(1+s.rand.IntN(40)) * time.Second)
		}
	}
	for _, w := range witnesses {
		w.well = true
	}
	send(2 * time.Hour)
	for _, name := range s.channels() {
		w := witnesses[name]
		for what, id := range w.ids {
			if len(id) != 32 {
				t.Errorf("%s got %s as %s, want one id", name, what, id)
			}
		}
		if diff := cmp.Diff(s.want[name], w.order, cmp.Transformer("none", func(m map[string][]string) map[string][]string {
			if len(m) == 0 {
				return nil
			}
			return m
		})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if n, err := l.WaitingNotices(t.Context()); err != nil || len(n) > 0 {
		t.Errorf("%v wait, %v", n, err)
	}
}
