package engine_test

import (
	"cmp"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
)

// Two steps of a pipeline may have jobs of one name. The second must not succeed by what the
// first has copied.
func TestOtherPathsAreNotDoneByTheTaskOfANamesake(t *testing.T) {
	const day, hour = "{{ .Time | date }}/", `{{ .Time | strftime "%H" }}/`
	tests := map[string]struct {
		first, second [2]string // source and destination
		later         time.Duration
		refused       bool
		at            time.Duration // of the first start, since midnight; 0 is noon
	}{
		"the same paths":                           {[2]string{"/data/", "/copy/"}, [2]string{"/data/", "/copy/"}, time.Hour, false, 0},
		"another source":                           {[2]string{"/data/", "/copy/"}, [2]string{"/other/", "/copy/"}, time.Hour, true, 0},
		"another destination":                      {[2]string{"/data/", "/copy/"}, [2]string{"/data/", "/other/"}, time.Hour, true, 0},
		"to the top of a collection":               {[2]string{"/data/", "/"}, [2]string{"/data/", "/"}, time.Hour, false, 0},
		"a source that begins alike":               {[2]string{"/data2/", "/copy/"}, [2]string{"/data/", "/copy/"}, time.Hour, true, 0},
		"a destination that begins alike":          {[2]string{"/data/", "/copy/"}, [2]string{"/data/", "/copy2/"}, time.Hour, true, 0},
		"the day in the path, on the same day":     {[2]string{"/data/", "/copy/" + day}, [2]string{"/data/", "/copy/" + day}, time.Hour, false, 0},
		"the day in the path, on the next":         {[2]string{"/data/", "/copy/" + day}, [2]string{"/data/", "/copy/" + day}, 24 * time.Hour, false, 0},
		"another source and the day, on the next":  {[2]string{"/data/", "/copy/" + day}, [2]string{"/other/", "/copy/" + day}, 24 * time.Hour, true, 0},
		"the hour in the path, of which none tell": {[2]string{"/data/", "/copy/" + hour}, [2]string{"/other/", "/copy/" + hour}, time.Hour, false, 0},

		"the day, in its first hour":          {[2]string{"/data/", "/copy/" + day}, [2]string{"/other/", "/copy/" + day}, time.Hour, true, 24*time.Hour + 30*time.Minute},
		"the day, in its last hour":           {[2]string{"/data/", "/copy/" + day}, [2]string{"/other/", "/copy/" + day}, time.Hour, true, 23*time.Hour + 30*time.Minute},
		"the day, when it has just begun":     {[2]string{"/data/", "/copy/" + day}, [2]string{"/other/", "/copy/" + day}, time.Hour, false, 24*time.Hour + time.Minute},
		"the hour, in the first one of a day": {[2]string{"/data/", "/copy/" + hour}, [2]string{"/other/", "/copy/" + hour}, time.Hour, false, 24*time.Hour + 30*time.Minute},
	}
	for name, tt := range tests {
		for _, withLedger := range []bool{false, true} {
			t.Run(name+map[bool]string{true: ", with a ledger"}[withLedger], func(t *testing.T) {
				onBench(t, func(t *testing.T, b *bench) {
					b.plant("other/b.txt", "x")
					b.plant("data2/b.txt", "x")
					time.Sleep(cmp.Or(tt.at, 12*time.Hour))
					start := func(paths [2]string) (*engine.Result, error) {
						o := b.order(func(j *jobs.Job) { j.Steps = jobs.Single(copyOf(paths[0], paths[1])) })
						o.Key, o.At = "github:1", time.Now()
						p := b.process("one")
						defer p.kill()
						if withLedger {
							return p.record(t.Context(), o)
						}
						return p.engine.Run(t.Context(), o), nil
					}
					if r, err := start(tt.first); err != nil || r.State != ledger.Succeeded {
						t.Fatalf("got %+v, %v, want success", r, err)
					}
					time.Sleep(tt.later)
					r, err := start(tt.second)
					if !withLedger {
						err = r.Err
					}
					f, refused := errors.AsType[*engine.Failure](err)
					_, taken := errors.AsType[*engine.Taken](err)
					switch {
					case refused != tt.refused || !refused && withLedger != taken:
						t.Errorf("got %+v, %v", r, err)
					case refused && (f.Kind != fault.Refused || !strings.HasSuffix(f.Message, "set another RUNNER_OCCURRENCE than github:1")):
						t.Errorf("got %+v", f)
					}
					if tasks := len(b.State().Tasks); tasks != 1 {
						t.Errorf("there are %d tasks", tasks)
					}
				})
			})
		}
	}
}

// An attempt that has failed does not tell what the run has done in the end.
func TestACorrectedAttemptIsWhatARunHasDone(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.plant("data/a.txt", "x")
		b.disturb(globussim.Disturbance{Action: globussim.FailTask})
		p := b.process("one")
		order := func(source string) engine.Order {
			o := b.order(func(j *jobs.Job) { j.Steps = jobs.Single(copyOf(source, "/copy/")) })
			o.Key, o.At = "github:1", time.Now()
			return o
		}
		b.plant("wrong/a.txt", "x")
		p.wantRun(order("/wrong/"), ledger.Failed)
		p.retry(1)
		p.wantRun(order("/data/"), ledger.Succeeded)
		if _, err := p.record(t.Context(), order("/data/")); !isTaken(err) {
			t.Errorf("got %v, want that the occurrence is done", err)
		}
		if _, err := p.record(t.Context(), order("/wrong/")); isTaken(err) || fault.Of(err).Kind != fault.Refused {
			t.Errorf("got %v, want that it is done with other paths", err)
		}
	})
}

func isTaken(err error) bool {
	_, taken := errors.AsType[*engine.Taken](err)
	return taken
}
