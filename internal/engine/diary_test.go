package engine_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/notify"
	"github.com/globus-runner/globus-runner/jobs"
)

var updateDiary = flag.Bool("engine.update", false, "write testdata/week.txt anew")

// A reader gets the notices of a channel, and may be away.
type reader struct {
	name string
	away func(now time.Time) bool

	mu  sync.Mutex
	got map[string]notify.Notice // by id
}

func (r *reader) Send(_ context.Context, n *notify.Notice) error {
	if r.away != nil && r.away(time.Now()) {
		return errors.New("it answers 500")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.got == nil {
		r.got = map[string]notify.Notice{}
	}
	r.got[n.ID] = *n
	return nil
}

// diary is what the readers got, in the order in which it happened.
func diary(readers ...*reader) string {
	type entry struct {
		reader string
		notify.Notice
	}
	var all []entry
	for _, r := range readers {
		for _, n := range r.got {
			all = append(all, entry{r.name, n})
		}
	}
	slices.SortFunc(all, func(a, b entry) int {
		if c := a.Time.Truncate(time.Second).Compare(b.Time.Truncate(time.Second)); c != 0 {
			return c
		}
		return strings.Compare(a.reader+a.Title, b.reader+b.Title)
	})
	var text strings.Builder
	for _, e := range all {
		fmt.Fprintf(&text, "%s  to %s: %s\n", e.Time.Format("Mon 02 15:04"), e.reader, e.Title)
		for _, line := range e.Lines {
			fmt.Fprintf(&text, "    %s\n", line)
		}
	}
	ids := regexp.MustCompile(`[0-9a-f]{8}-[-0-9a-f]{27}`)
	return ids.ReplaceAllString(text.String(), "TASK")
}

// tellers lets a process tell people what happens, as serve does.
func (p *process) tellers(file *jobs.File, readers ...*reader) {
	channels := map[string]notify.Channel{}
	for _, r := range readers {
		channels[r.name] = r
	}
	log := slog.New(slog.DiscardHandler)
	s := notify.NewSender(p.ledger, log, nil)
	s.Use(channels)
	w := &notify.Watch{Ledger: p.ledger, Log: log, Jobs: func() *jobs.File { return file }, Told: s.Wake}
	ctx, cancel := context.WithCancel(p.b.t.Context())
	p.stopTelling = cancel
	p.group.Go(func() { s.Run(ctx) })
	p.group.Go(func() { w.Run(ctx) })
}

// TestAWeekReadsLikeADiary lets a facility work for a week in which things go wrong,
// and compares what people hear with testdata/week.txt.
func TestAWeekReadsLikeADiary(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.desk = newDesk()
		hear := func(j *jobs.Job) {
			j.Notify.To = map[string][]string{
				"failed": {"ops"}, "recovered": {"ops"}, "needs_human": {"ops", "pi"}, "late": {"ops"}, "overdue": {"ops"},
				"nothing": {"pi"}, "digest": {"pi"},
			}
			j.Expect.Files = 1
		}
		file := &jobs.File{
			Jobs: []*jobs.Job{
				b.job("ingest", "0 */6 * * *", hear),
				b.job("nightly", "0 2 * * *", hear, func(j *jobs.Job) { j.Expect.SuccessEvery = 26 * time.Hour }),
			},
			Channels: map[string]*jobs.Channel{"ops": {Name: "ops"}, "pi": {Name: "pi", Digest: b.schedule("0 7 * * 1", nil)}},
		}
		ops, pi := &reader{name: "ops"}, &reader{name: "pi"}
		start := func(holder string) *process {
			p := b.process(holder, func(c *engine.SchedulerConfig) { c.Lease = 6 * time.Hour })
			p.tellers(file, ops, pi)
			return p.serve(file.Jobs...)
		}
		const day, hour = 24 * time.Hour, time.Hour
		data, away := filepath.Join(b.lab, "data"), filepath.Join(b.lab, "away")
		b.disturb(
			globussim.Disturbance{Action: globussim.FailTask, Label: "nightly 2000-01-02T*"},
			globussim.Disturbance{Action: globussim.SuspendTask, Label: "ingest 2000-01-04T06*"},
		)
		p := start("one")

		until(day + 11*hour) // Sunday: nothing is there at noon
		b.remove("data/a.txt")
		until(day + 17*hour)
		b.plant("data/a.txt", "0123456789")

		until(3*day + 5*hour) // Tuesday: a task is suspended, while the service of ops is away
		until(3*day + 9*hour + time.Minute)
		ops.away = func(now time.Time) bool { return now.Before(time.Date(2000, 1, 5, 3, 0, 0, 0, time.UTC)) }
		b.disturb(globussim.Disturbance{Action: globussim.ReleaseTask})

		until(4*day + 5*hour) // Wednesday to Friday: the folder is away
		if err := os.Rename(data, away); err != nil {
			t.Fatal(err)
		}
		until(6*day + hour)
		if err := os.Rename(away, data); err != nil {
			t.Fatal(err)
		}

		until(6*day + 9*hour) // Friday: the machine is off until Sunday
		p.kill()
		until(8*day + 13*hour)
		p = start("two")
		until(9*day + 8*hour)
		p.stop()

		got := diary(ops, pi)
		if *updateDiary {
			if err := os.WriteFile("testdata/week.txt", []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile("testdata/week.txt")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("the diary (-want +got); -engine.update writes testdata/week.txt anew:\n%s", diff)
		}
	})
}

// What is told of a job with for_each is that it has recovered when no item is left that
// has failed, not when another item has succeeded.
func TestAJobHasRecoveredWhenNoItemIsLeftThatFailed(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.desk = newDesk()
		b.disturb(globussim.Disturbance{Action: globussim.FailTask, Label: "runs item:run_1"})
		b.begin(written(0, "/runs/run_1/done", 0, 0), written(0, "/runs/run_1/a", 5, 0),
			written(10*time.Minute, "/runs/run_2/done", 0, 0), written(10*time.Minute, "/runs/run_2/a", 5, 0))
		file := &jobs.File{Jobs: []*jobs.Job{b.itemJob(marked, func(j *jobs.Job) {
			j.Notify.To = map[string][]string{"failed": {"ops"}, "recovered": {"ops"}}
		})}}
		ops := &reader{name: "ops"}
		p := b.process("one")
		p.tellers(file, ops)
		p.serve(file.Jobs...)
		until(20 * time.Minute)
		b.wantRuns("runs item:run_1 failed", "runs item:run_2 succeeded")
		if got := diary(ops); !strings.Contains(got, "runs failed") || strings.Contains(got, "recovered") {
			t.Errorf("told:\n%s", got)
		}
		if _, err := p.ledger.Act(t.Context(), ledger.Action{Kind: ledger.ActionRetry, Run: 1, Who: "me"}); err != nil {
			t.Fatal(err)
		}
		until(30 * time.Minute)
		p.stopTelling()
		p.stop()
		b.wantRuns("runs item:run_1 succeeded", "runs item:run_2 succeeded")
		if got := diary(ops); !strings.Contains(got, "runs has recovered") {
			t.Errorf("told:\n%s", got)
		}
	})
}
