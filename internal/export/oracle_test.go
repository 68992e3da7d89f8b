package export_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/robfig/cron/v3"

	"github.com/globus-runner/globus-runner/internal/export"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/schedule"
	"github.com/globus-runner/globus-runner/test/long"
)

// What Kubernetes and systemd do is asked of them: Kubernetes has its schedules
// from robfig/cron, in the zone of the CronJob.

var zones = []string{
	"UTC", "America/Chicago", "Europe/Berlin", "Australia/Lord_Howe", "Africa/Cairo", "America/Havana",
	"Asia/Kathmandu",
}

var schedules = []string{
	"30 1 * * *", "30 2 * * *", "0 0 * * *", "@daily", "@hourly", "*/20 * * * *", "*/30 1-3 * * *", "15 */2 * * *",
	"0 4 1,15 * mon", "5 4 */2 * 1-5", "0 12 * * 5-7", "0 12 * * sat-sun", "7 3 29 2 *", "0 6 31 * *", "0 0 ? jan-mar 7",
	"1-59/7 8-17/3 * 4-10 *", "* 2 * * 0", "45 * * * *", "0 5 1-31 * 3", "@monthly", "@weekly",
	"@every 1m", "@every 20m", "@every 1h", "@every 6h", "@every 24h", "@every 168h",
}

// exported exports a job of that schedule. It returns nil if it was refused.
func exported(t *testing.T, schedule, zone string, target func(export.Input) (*export.Result, error)) (*jobs.Job, *export.Result) {
	t.Helper()
	in := input(t, fmt.Sprintf("schedule: %q, time_zone: %s, starting_deadline: 3000d", schedule, zone))
	res, err := target(in)
	if err != nil {
		return nil, nil
	}
	return in.File.Jobs[0], res
}

// windows are times around which clocks are set, and a leap day.
func windows(zone string) (begins []time.Time) {
	location, err := schedule.LoadZone(zone)
	if err != nil {
		panic(err)
	}
	begins = append(begins, time.Date(2028, 2, 27, 0, 0, 0, 0, time.UTC))
	for at := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC); ; {
		_, next := at.In(location).ZoneBounds()
		if next.IsZero() || next.Year() > 2028 {
			return begins
		}
		begins = append(begins, next.UTC().Add(-7*time.Hour))
		at = next
	}
}

// last is the year after which nothing is compared: robfig/cron gives up at a
// century without a leap year.
const last = 2036

// after returns the first instants after t, at most n of them.
func after(next func(time.Time) time.Time, t time.Time, n int) (all []string) {
	for range n {
		if t = next(t); t.Year() > last {
			return all
		}
		all = append(all, t.UTC().Format(time.RFC3339))
	}
	return all
}

func TestKubernetesStartsTheSameInstants(t *testing.T) {
	told, exact := 0, 0
	for _, zone := range zones {
		for _, schedule := range schedules {
			job, res := exported(t, schedule, zone, targets()["cronjob"])
			if job == nil {
				continue
			}
			spec := at(t, documents(t, res, nil)[1], "spec").(map[string]any)
			there, err := cron.ParseStandard("CRON_TZ=" + spec["timeZone"].(string) + " " + spec["schedule"].(string))
			if err != nil {
				t.Fatal(err)
			}
			for _, begin := range windows(zone) {
				want, got := after(job.Schedule.Next, begin, 30), after(there.Next, begin, 30)
				if len(res.Warnings) > 0 {
					told++
					got = slices.DeleteFunc(got, func(at string) bool { return !slices.Contains(want, at) })
					want = want[:len(got)] // the others are too many, not others
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s in %s as %v, from %v (-want +got):\n%s", schedule, zone, spec["schedule"], begin, diff)
				}
				exact++
			}
		}
	}
	if told == 0 || exact < 400 {
		t.Errorf("looked at %d times, at %d of a schedule with a warning, want more", exact, told)
	}
}

var elapse = regexp.MustCompile(`(?:Next elapse|Iter\. #\d+): \w+ (\S+) (\S+) UTC`)

// elapses asks systemd when a timer elapses.
func elapses(t *testing.T, text string, begin time.Time) []string {
	t.Helper()
	var all []string
	end := fmt.Sprint(last + 1)
	for _, m := range regexp.MustCompile(`(?m)^OnCalendar=(.*)$`).FindAllStringSubmatch(text, -1) {
		cmd := exec.CommandContext(t.Context(), "systemd-analyze", "calendar", "--iterations=60", fmt.Sprintf("--base-time=@%d", begin.Unix()), m[1])
		cmd.Env = append(os.Environ(), "TZ=UTC", "LC_ALL=C")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", m[1], err, out)
		}
		var some []string
		for _, m := range elapse.FindAllStringSubmatch(string(out), -1) {
			some = append(some, m[1]+"T"+m[2]+"Z")
		}
		if len(some) == 0 {
			t.Fatalf("%s never elapses:\n%s", m[1], out)
		}
		all = append(all, some...)
		end = min(end, some[len(some)-1])
	}
	slices.Sort(all)
	all = slices.Compact(all)
	return slices.DeleteFunc(all, func(at string) bool { return at > end }) // each knows only so many
}

func needs(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skip("skipped: there is no " + program)
	}
}

func TestTimersElapseAtTheSameInstants(t *testing.T) {
	needs(t, "systemd-analyze")
	asked := 0
	for _, zone := range zones[1:long.Or(5, 3)] { // each question is a process
		for _, schedule := range append(schedules, "@every 90m", "@every 45m", "@every 100s", "@every 8h") {
			job, res := exported(t, schedule, zone, export.Timers)
			if job == nil {
				continue
			}
			for _, begin := range windows(zone)[1:2] {
				got := elapses(t, res.Files[1].Text, begin)
				if diff := cmp.Diff(after(job.Schedule.Next, begin, len(got)), got); diff != "" {
					t.Errorf("%s in %s from %v (-want +got):\n%s\n%s", schedule, zone, begin, diff, res.Files[1].Text)
				}
				asked++
			}
		}
	}
	if asked < long.Or(70, 35) {
		t.Errorf("asked %d times, want more", asked)
	}
}

func TestUnitsAreGoodForSystemd(t *testing.T) {
	needs(t, "systemd-analyze")
	in := input(t, `description: "50% \\", schedule: "0 4 1 * 1", starting_deadline: 31d, jitter: 5m`, `schedule: "@every 90m", suspend: true`, `description: by hand`)
	res, err := export.Timers(in)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	args := []string{"verify", "--man=no"}
	for _, f := range res.Files {
		name := filepath.Join(dir, f.Name)
		args = append(args, name)
		text := strings.ReplaceAll(f.Text, "/usr/local/bin/runner", "/bin/true") // it must be there
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.CommandContext(t.Context(), "systemd-analyze", args...).CombinedOutput()
	if err != nil || strings.Contains(string(out), dir) {
		t.Errorf("%v\n%s", err, out)
	}
}

// setting is a line of a unit.
var setting = regexp.MustCompile(`(?m)^[A-Z][A-Za-z]*=.*$`)

func TestServicesAreAsHardAsTheScheduler(t *testing.T) {
	unit, err := os.ReadFile("../../deploy/systemd/runner.service")
	if err != nil {
		t.Fatal(err)
	}
	_, hard, ok := strings.Cut(string(unit), "\nCapabilityBoundingSet=")
	if !ok {
		t.Fatal("there is no CapabilityBoundingSet in the unit of the scheduler")
	}
	hard, _, _ = strings.Cut("CapabilityBoundingSet="+hard, "\n[Install]")
	res, err := export.Timers(input(t, "description: one"))
	if err != nil {
		t.Fatal(err)
	}
	have := setting.FindAllString(res.Files[0].Text, -1)
	for _, line := range append(setting.FindAllString(hard, -1), "DynamicUser=yes", "UMask=0077", "MemoryMax=128M", "TasksMax=64") {
		if !slices.Contains(have, line) {
			t.Errorf("the service of a job does not have %s", line)
		}
	}
}
