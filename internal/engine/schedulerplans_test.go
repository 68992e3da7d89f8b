package engine_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/schedule"
	"github.com/globus-runner/globus-runner/test/long"
)

// A change is what the jobs file says of a job in three phases.
type change [3]*jobs.Job

// phases are when they begin, and when the last one ends.
var phases = [4]time.Duration{0, 95 * time.Minute, 4*time.Hour + 35*time.Minute, 7*time.Hour + 25*time.Minute}

// changes are the changes of a schedule. All jobs want all that was missed, so
// that whatever is taken for missed shows.
func changes(t *testing.T) map[string]change {
	b := &bench{t: t}
	zone, err := schedule.LoadZone("Asia/Kolkata") // half an hour away from the hours of UTC
	if err != nil {
		t.Fatal(err)
	}
	job := func(edits ...func(*jobs.Job)) *jobs.Job {
		return b.job("a", "0 * * * *", append(edits, with(jobs.Allow), func(j *jobs.Job) { j.CatchUp = jobs.CatchUpAll })...)
	}
	suspended := func(j *jobs.Job) { j.Suspend = true }
	on := func(expr string, zone *time.Location) func(*jobs.Job) {
		return func(j *jobs.Job) { j.Schedule = b.schedule(expr, zone) }
	}
	byHand := func(j *jobs.Job) { j.Schedule = nil }
	return map[string]change{
		"none":                            {job(), job(), job()},
		"of the text alone":               {job(), job(func(j *jobs.Job) { j.Description = "x" }), job()},
		"more often":                      {job(), job(on("*/10 * * * *", nil)), job()},
		"another minute":                  {job(), job(on("20 * * * *", nil)), job(on("50 * * * *", nil))},
		"another zone":                    {job(), job(on("0 * * * *", zone)), job()},
		"suspended and resumed":           {job(), job(suspended), job()},
		"begins suspended":                {job(suspended), job(), job(suspended)},
		"suspended with another schedule": {job(), job(suspended, on("*/20 * * * *", nil)), job(on("*/20 * * * *", nil))},
		"new":                             {nil, job(), job()},
		"removed and returned":            {job(), nil, job()},
		"without a schedule for a time":   {job(), job(byHand), job()},
	}
}

// file is the jobs file of a phase. It always has another job.
func (c change) file(phase int) []*jobs.Job {
	other := &jobs.Job{Name: "other", Steps: jobs.Single(copyOf("/data/", "/other/"))}
	if c[phase] == nil {
		return []*jobs.Job{other}
	}
	return []*jobs.Job{c[phase], other}
}

// sameSchedule reports whether a job stays due as it was.
func sameSchedule(a, b *jobs.Job) bool {
	if a == nil || b == nil || a.Schedule == nil || b.Schedule == nil {
		return false
	}
	return a.Schedule.String() == b.Schedule.String() && a.Schedule.Location() == b.Schedule.Location() && a.Suspend == b.Suspend
}

// due returns the instants in (from, to] at which the job is due.
func due(job *jobs.Job, from, to time.Duration) (all []string) {
	if job == nil || job.Suspend || job.Schedule == nil {
		return nil
	}
	midnight := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	for at := job.Schedule.Next(midnight.Add(from)); !at.After(midnight.Add(to)); at = job.Schedule.Next(at) {
		all = append(all, string(jobs.ScheduledKey(at)))
	}
	return all
}

// A way brings a phase about when the process p is to end its own at an
// instant, and returns the process of the next phase.
type way struct {
	pause time.Duration // nothing runs before the instant for this long
	do    func(b *bench, p *process, at time.Duration, all []*jobs.Job) *process
}

func ways() map[string]way {
	number := 1
	next := func(b *bench, all []*jobs.Job) *process {
		number++
		return b.process(fmt.Sprint("p", number)).serve(all...)
	}
	reload := func(_ *bench, p *process, at time.Duration, all []*jobs.Job) *process {
		until(at)
		p.reload(all...)
		return p
	}
	restart := func(b *bench, p *process, at time.Duration, all []*jobs.Job) *process {
		until(at)
		p.stop()
		return next(b, all)
	}
	alternating := func(first, second func(*bench, *process, time.Duration, []*jobs.Job) *process) way {
		n := 0
		return way{do: func(b *bench, p *process, at time.Duration, all []*jobs.Job) *process {
			if n++; n%2 == 1 {
				return first(b, p, at, all)
			}
			return second(b, p, at, all)
		}}
	}
	const pause = 70 * time.Minute
	return map[string]way{
		"reload":          {do: reload},
		"restart":         {do: restart},
		"reload, restart": alternating(reload, restart),
		"kill": {do: func(b *bench, p *process, at time.Duration, all []*jobs.Job) *process {
			until(at)
			p.kill()
			return next(b, all)
		}},
		"restart after a pause": {pause, func(b *bench, p *process, at time.Duration, all []*jobs.Job) *process {
			until(at - pause)
			p.stop()
			until(at)
			return next(b, all)
		}},
		"another replica takes over": {do: func(b *bench, p *process, at time.Duration, all []*jobs.Job) *process {
			until(at)
			q := next(b, all)
			until(at + 4*time.Minute) // nothing is due meanwhile
			p.stop()
			return q
		}},
		"another replica, then reload": {do: func(b *bench, p *process, at time.Duration, all []*jobs.Job) *process {
			until(at)
			q := next(b, all)
			until(at + 2*time.Minute)
			p.reload(all...)
			until(at + 4*time.Minute)
			q.stop()
			return p
		}},
	}
}

func TestJobsAreDueAsTheJobsFileSaysHoweverItTookEffect(t *testing.T) {
	for i, name := range slices.Sorted(maps.Keys(changes(t))) {
		all := slices.Sorted(maps.Keys(ways()))
		for n := range long.Or(len(all), 2) { // the short form has each way with some of the changes
			by := all[(3*i+n)%len(all)]
			t.Run(name+"/"+by, func(t *testing.T) {
				onBench(t, func(t *testing.T, b *bench) {
					change, way := changes(t)[name], ways()[by]
					var want []string
					for i, job := range change {
						to := phases[i+1]
						if i+1 < len(change) && !sameSchedule(job, change[i+1]) {
							to -= way.pause // what was due then, was due in another way
						}
						for _, key := range due(job, phases[i], to) {
							want = append(want, "a "+key+" succeeded")
						}
					}
					p := b.process("p1").serve(change.file(0)...)
					p = way.do(b, p, phases[1], change.file(1))
					p = way.do(b, p, phases[2], change.file(2))
					until(phases[3])
					p.stop()
					b.wantRuns(want...)
				})
			})
		}
	}
}

// few gives the account few places.
func few(c *engine.SchedulerConfig) { c.Places = 10 }

// fill has other tasks hold the few places from 01:00 on until they are
// released, and returns their jobs.
func fill(b *bench) (others []*jobs.Job) {
	b.disturb(globussim.Disturbance{Action: globussim.StallTask, Label: "other-*", Times: -1})
	for i := range 10 {
		others = append(others, b.job(fmt.Sprintf("other-%02d", i), "0 1 * * *"))
	}
	return others
}

// keys returns the occurrences of a job that the ledger knows.
func (b *bench) keys(job string) (keys []string) {
	for _, r := range b.runs() {
		if r.Job == job {
			keys = append(keys, r.Key)
		}
	}
	return keys
}

func TestOccurrenceThatWaitsForAPlaceIsDueAsLongAsItsJobIs(t *testing.T) {
	restart := func(b *bench, p *process, all []*jobs.Job) *process {
		p.kill()
		return b.process("two", few).serve(all...)
	}
	reload := func(_ *bench, p *process, all []*jobs.Job) *process {
		p.reload(all...)
		return p
	}
	tests := map[string]struct {
		next    func(*bench, *process, []*jobs.Job) *process
		suspend bool
		want    []string
	}{
		"kill":                  {restart, false, []string{"2000-01-01T01:01:00Z"}},
		"reload":                {reload, false, []string{"2000-01-01T01:01:00Z"}},
		"suspended by a reload": {reload, true, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				others := fill(b)
				all := func(suspend bool) []*jobs.Job {
					return append(others, b.job("queued", "1 1 * * *", func(j *jobs.Job) { j.Suspend = suspend }))
				}
				p := b.process("one", few).serve(all(false)...)
				until(61*time.Minute + 10*time.Second)
				if got := b.keys("queued"); got != nil {
					t.Fatalf("there are runs of %v, want none before there is a place", got)
				}
				p = tt.next(b, p, all(tt.suspend))
				until(61*time.Minute + 20*time.Second)
				b.releaseAfter(0)
				until(70 * time.Minute)
				p.stop()
				if diff := cmp.Diff(tt.want, b.keys("queued")); diff != "" {
					t.Errorf("runs (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestReloadThatTheLedgerDoesNotKnowChangesNothing(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		p := b.process("one").serve(b.job("old", "0 * * * *"), b.job("both", "10 * * * *"))
		until(90 * time.Minute)
		next := []*jobs.Job{b.job("new", "0 * * * *"), b.job("both", "20 * * * *")}
		b.sql(`ALTER TABLE schedules RENAME TO elsewhere`)
		if err := p.Reload(t.Context(), next); err == nil {
			t.Error("the reload is in force without a ledger")
		}
		until(2*time.Hour + 30*time.Minute)
		b.sql(`ALTER TABLE elsewhere RENAME TO schedules`)
		p.reload(next...)
		until(3*time.Hour + 30*time.Minute)
		p.stop()
		b.wantRuns(
			"old 2000-01-01T01:00:00Z succeeded", "old 2000-01-01T02:00:00Z succeeded",
			"both 2000-01-01T00:10:00Z succeeded", "both 2000-01-01T01:10:00Z succeeded", "both 2000-01-01T02:10:00Z succeeded",
			"both 2000-01-01T03:20:00Z succeeded", "new 2000-01-01T03:00:00Z succeeded",
		)
	})
}

func TestCursorsAreWrittenOnlyWhereTheyMoved(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		p := b.process("one").serve(b.job("daily", "0 5 * * *"), b.job("often", "*/10 * * * *", func(j *jobs.Job) { j.CatchUp = jobs.CatchUpNone }))
		until(12 * time.Minute)
		b.sql(`CREATE TABLE writes (job TEXT)`, `CREATE TRIGGER watch AFTER UPDATE ON schedules BEGIN INSERT INTO writes VALUES (new.job); END`)
		until(65 * time.Minute)
		p.stop()
		l := b.ledger()
		defer l.Close() //nolint:errcheck // it was only read
		kept, err := l.Schedules(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if want := time.Date(2000, 1, 1, 1, 0, 0, 0, time.UTC); !kept["often"].Cursor.Equal(want) {
			t.Errorf("the cursor is %v, want %v", kept["often"].Cursor, want)
		}
		if n := b.count(`SELECT count(*) FROM writes WHERE job = 'often'`); n != 5 {
			t.Errorf("the cursor of often was written %d times, want 5", n)
		}
		if n := b.count(`SELECT count(*) FROM writes WHERE job = 'daily'`); n != 0 {
			t.Errorf("the cursor of daily was written %d times, want never", n)
		}
	})
}
