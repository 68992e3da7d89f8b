package engine_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/globussim"
)

// loud returns the ends of a job's runs that are not for debugging alone: at which
// minute of the bubble, the failures in a row, and those that were not logged.
func (b *bench) loud(t *testing.T, job string) (ends []string, lines int) {
	t.Helper()
	for line := range strings.Lines(b.log.String()) {
		var l struct {
			Time       time.Time
			Level, Msg string
			Job, State string
			InARow     int `json:"failures_in_a_row"`
			Before     int `json:"failures_before"`
			Hidden     int `json:"failures_not_logged"`
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		if l.Job != job || l.Level == "DEBUG" {
			continue
		}
		lines++
		if l.Msg == "run ended" {
			ends = append(ends, fmt.Sprintf("%s %s %s %d %d %d", l.Time.Format("02 15:04"), l.Level, l.State, l.InARow, l.Before, l.Hidden))
		}
	}
	return ends, lines
}

func TestAJobThatKeepsFailingIsSummarized(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.disturb(globussim.Disturbance{Action: globussim.FailTask, Label: "often*", Times: 150})
		b.disturb(globussim.Disturbance{Action: globussim.FailTask, Label: "nightly*", Times: 5})
		p := b.process("one").serve(b.job("often", "* 1-3 1 1 *"), b.job("nightly", "30 1 * * *"))
		until(3*time.Hour + 32*time.Minute + 30*time.Second)
		ends, lines := b.loud(t, "often")
		want := []string{
			"01 01:00 ERROR failed 0 0 0",
			"01 01:01 ERROR failed 2 0 0",
			"01 01:02 ERROR failed 3 0 0",
			"01 02:02 ERROR failed 63 0 59",
			"01 03:02 ERROR failed 123 0 59",
			"01 03:30 INFO succeeded 0 150 27",
			"01 03:31 INFO succeeded 0 0 0",
			"01 03:32 INFO succeeded 0 0 0",
		}
		if got := strings.Join(ends, "\n"); got != strings.Join(want, "\n") {
			t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
		}
		if lines > 40 {
			t.Errorf("there are %d lines about 153 runs", lines)
		}
		until(5*24*time.Hour + 3*time.Hour) // the sixth one succeeds
		p.stop()
		ends, _ = b.loud(t, "nightly") // its failures are too rare to be left out
		if got := strings.Join(ends, "\n"); strings.Count(got, "ERROR") != 5 || !strings.Contains(got, "05 01:30 ERROR failed 5 0 0") {
			t.Errorf("got\n%s\nwant each of 5 failures", got)
		}
	})
}

// A folder that cannot be looked at for days is told of as a job that keeps failing is.
func TestLooksThatKeepFailingAreSummarized(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		begin := time.Now()
		p := b.process("one").serve(b.itemJob()) // it looks every minute, and the folder is not there
		until(2*time.Hour + 30*time.Minute + 30*time.Second)
		b.plant("runs/run_1/a", "x")
		until(2*time.Hour + 32*time.Minute + 30*time.Second)
		p.stop()
		var got []string
		for line := range strings.Lines(b.log.String()) {
			var l struct {
				Time       time.Time
				Level, Msg string
				InARow     int `json:"failures_in_a_row"`
				Before     int `json:"failures_before"`
			}
			if err := json.Unmarshal([]byte(line), &l); err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(l.Msg, "the folder of the items") || l.Msg == "looked for items" {
				got = append(got, fmt.Sprintf("%v %s %d %d", l.Time.Sub(begin).Truncate(time.Minute), l.Level, l.InARow, l.Before))
			}
		}
		want := []string{"1m0s ERROR 0 0", "2m0s ERROR 2 0", "3m0s ERROR 3 0", "1h3m0s ERROR 63 0", "2h3m0s ERROR 123 0", "2h31m0s INFO 0 150", "2h32m0s INFO 0 0"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("lines (-want +got):\n%s", diff)
		}
	})
}

func TestAnotherReasonToFailIsLogged(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.disturb(globussim.Disturbance{Action: globussim.FailTask, Code: "ENDPOINT_ERROR", Label: "often*", Times: 10})
		p := b.process("one").serve(b.job("often", "* 1 * * *"))
		until(time.Hour + 9*time.Minute + 30*time.Second)
		b.disturb(globussim.Disturbance{Action: globussim.FailTask, Code: "QUOTA_EXCEEDED", Label: "often*", Times: 10})
		until(time.Hour + 19*time.Minute + 30*time.Second)
		p.stop()
		ends, _ := b.loud(t, "often")
		want := []string{
			"01 01:00 ERROR failed 0 0 0",
			"01 01:01 ERROR failed 2 0 0",
			"01 01:02 ERROR failed 3 0 0",
			"01 01:10 ERROR failed 11 0 7",
		}
		if got := strings.Join(ends, "\n"); got != strings.Join(want, "\n") {
			t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
		}
	})
}
