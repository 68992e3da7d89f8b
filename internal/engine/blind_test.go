package engine_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
)

// notified returns the notices of the ledger, the oldest first: since the bench began,
// the event, and the first words.
func (b *bench) notified(begin time.Time) (all []string) {
	b.t.Helper()
	l := b.ledger()
	defer l.Close() //nolint:errcheck // it was only read
	for n, err := range l.Notices(b.t.Context(), false) {
		if err != nil {
			b.t.Fatal(err)
		}
		all = append(all, fmt.Sprint(n.Created.Sub(begin).Truncate(time.Minute), " ", n.Channel, " ", n.Event))
	}
	slices.Reverse(all)
	return all
}

// alarms returns the kinds of the alarms of a job of which somebody was told.
func (b *bench) alarms(job string) (kinds []string) {
	b.t.Helper()
	l := b.ledger()
	defer l.Close() //nolint:errcheck // it was only read
	all, err := l.Standings(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	for _, a := range all[job].Alarms {
		if !a.Told.IsZero() {
			kinds = append(kinds, a.Kind)
		}
	}
	return kinds
}

func TestAFolderThatCannotBeSeenIsTold(t *testing.T) {
	inform := func(j *jobs.Job) {
		j.Notify = jobs.Notify{Repeat: time.Hour, To: map[string][]string{"failed": {"ops"}, "recovered": {"ops"}}}
	}
	move := func(from, to string) func(*bench) error {
		return func(b *bench) error { return os.Rename(filepath.Join(b.lab, from), filepath.Join(b.lab, to)) }
	}
	change := func(edit func(*globussim.Condition)) func(*bench) error {
		return func(b *bench) error { return b.ChangeCollection(globussim.CollectionID("lab"), edit) }
	}
	tests := map[string]struct {
		breaks, mends func(*bench) error
		lasts         time.Duration
		want          []string
		open          []string // alarms before it is mended
	}{
		"a folder that is renamed": {
			move("runs", "old"), move("old", "runs"), 150 * time.Minute,
			[]string{"3m0s ops failed", "1h3m0s ops failed", "2h3m0s ops failed", "2h33m0s ops recovered"},
			[]string{"look"},
		},
		"a permission that is gone": {
			change(func(c *globussim.Condition) { c.Access = []globussim.AccessRule{} }), change(func(c *globussim.Condition) { c.Access = nil }), 55 * time.Minute,
			[]string{"3m0s ops failed", "58m0s ops recovered"},
			[]string{"look"},
		},
		"a short outage": {
			change(func(c *globussim.Condition) { c.Offline = true }), change(func(c *globussim.Condition) { c.Offline = false }), 14 * time.Minute,
			nil, nil,
		},
		"a long outage": {
			change(func(c *globussim.Condition) { c.Offline = true }), change(func(c *globussim.Condition) { c.Offline = false }), 55 * time.Minute,
			[]string{"18m0s ops failed", "58m0s ops recovered"},
			[]string{"look"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				b.desk = newDesk()
				b.plant("runs/run_1/a", "x")
				begin := time.Now()
				job := b.itemJob(inform)
				p, q := b.process("one").serve(job), b.process("two").serve(job)
				until(2*time.Minute + 30*time.Second)
				if err := tt.breaks(b); err != nil {
					t.Fatal(err)
				}
				until(2*time.Minute + 30*time.Second + tt.lasts/2)
				p.kill()
				p = b.process("three").serve(job)
				until(2*time.Minute + 30*time.Second + tt.lasts)
				if diff := cmp.Diff(tt.open, b.alarms("runs")); diff != "" {
					t.Errorf("alarms (-want +got):\n%s", diff)
				}
				if err := tt.mends(b); err != nil {
					t.Fatal(err)
				}
				until(3 * time.Hour)
				p.stop()
				q.stop()
				if diff := cmp.Diff(tt.want, b.notified(begin)); diff != "" {
					t.Errorf("notices (-want +got):\n%s", diff)
				}
				if open := b.alarms("runs"); len(open) > 0 {
					t.Errorf("%v are open although the folder is seen again", open)
				}
				b.wantCopies("run_1")
			})
		})
	}
}

func TestAPausedJobThatCannotLookIsNotToldAgain(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.desk = newDesk()
		begin := time.Now()
		p := b.process("one").serve(b.itemJob(func(j *jobs.Job) { // the folder is not there
			j.Notify = jobs.Notify{Repeat: time.Hour, To: map[string][]string{"failed": {"ops"}, "recovered": {"ops"}}}
		}))
		until(90 * time.Second)
		b.act(ledger.Action{Kind: ledger.ActionPause, Job: "runs"})
		until(4 * time.Hour)
		b.plant("runs/run_1/a", "x")
		b.act(ledger.Action{Kind: ledger.ActionResume, Job: "runs"})
		until(5 * time.Hour)
		p.stop()
		if diff := cmp.Diff([]string{"1m0s ops failed", "4h1m0s ops recovered"}, b.notified(begin)); diff != "" {
			t.Errorf("notices (-want +got):\n%s", diff)
		}
	})
}
