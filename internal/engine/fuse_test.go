package engine_test

import (
	"database/sql"
	"fmt"
	"math"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/test/long"
)

// A fuse lets so many changes of the ledger through, and none after them.
type fuse struct {
	b  *bench
	db *sql.DB
}

// fuse puts a fuse into the ledger, which must exist.
func (b *bench) fuse(changes int) *fuse {
	b.t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(b.state, "runner.db")+"?_pragma=busy_timeout(10000)")
	if err != nil {
		b.t.Fatal(err)
	}
	f := &fuse{b, db}
	f.exec(fmt.Sprintf(`CREATE TABLE fuse (left INTEGER); INSERT INTO fuse VALUES (%d)`, changes))
	for _, table := range []string{"runs", "submissions"} {
		for _, event := range []string{"INSERT", "UPDATE"} {
			f.exec(fmt.Sprintf(`CREATE TRIGGER fuse_%[1]s_%[2]s BEFORE %[2]s ON %[1]s BEGIN
				SELECT RAISE(ABORT, 'the fuse has blown') WHERE (SELECT left FROM fuse) <= 0;
				UPDATE fuse SET left = left - 1;
			END`, table, event))
		}
	}
	return f
}

func (f *fuse) exec(statements string) {
	f.b.t.Helper()
	if _, err := f.db.ExecContext(f.b.t.Context(), statements); err != nil {
		f.b.t.Fatal(err)
	}
}

// blown reports whether no more changes go through.
func (f *fuse) blown() bool {
	f.b.t.Helper()
	var left int
	if err := f.db.QueryRowContext(f.b.t.Context(), `SELECT left FROM fuse`).Scan(&left); err != nil {
		f.b.t.Fatal(err)
	}
	return left <= 0
}

// remove lets all changes through again.
func (f *fuse) remove() {
	f.b.t.Helper()
	f.exec(fmt.Sprintf(`UPDATE fuse SET left = %d`, math.MaxInt32))
	if err := f.db.Close(); err != nil {
		f.b.t.Error(err)
	}
}

// Wherever a process is cut off between two changes of the ledger, there are as
// many attempts as the job allows, and not one more.
func TestCutBetweenTwoChangesGivesNoFurtherAttempt(t *testing.T) {
	job := func(b *bench) *jobs.Job {
		return b.job("doomed", "0 2 * * *", func(j *jobs.Job) { j.BackoffLimit, j.Backoff = 2, time.Minute })
	}
	cuts := 0
	for whole := false; !whole; cuts += long.Or(1, 3) {
		t.Run(fmt.Sprint("after ", cuts, " changes"), func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				b.disturb(globussim.Disturbance{Action: globussim.FailTask, Times: -1})
				one := b.process("one")
				f := b.fuse(cuts)
				one.answer = func(*http.Request, http.RoundTripper) (*http.Response, error) {
					if f.blown() {
						one.die()
						return nil, errKilled
					}
					return nil, nil
				}
				one.serve(job(b))
				until(2*time.Hour + 30*time.Minute)
				whole = !f.blown()
				one.kill()
				f.remove()
				two := b.process("two").serve(job(b))
				until(5 * time.Hour)
				two.stop()
				b.wantRuns("doomed 2000-01-01T02:00:00Z failed")
				b.wantTasks("FAILED doomed 2000-01-01T02:00:00Z", "FAILED doomed 2000-01-01T02:00:00Z #2", "FAILED doomed 2000-01-01T02:00:00Z #3")
			})
		})
		if t.Failed() {
			return
		}
	}
	if cuts < 12 { // a claim, three attempts, an outcome
		t.Errorf("the process was cut off at %d places only", cuts)
	}
}
