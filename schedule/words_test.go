package schedule_test

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/schedule"
)

func TestScheduleInWords(t *testing.T) {
	for expr, want := range map[string]string{
		"30 1 * * *":         "every day at 01:30",
		"0 1,13 * * *":       "every day at 01:00 and 13:00",
		"@daily":             "every day at 00:00",
		"@hourly":            "every hour",
		"@weekly":            "on Sundays at 00:00",
		"@monthly":           "on the 1st of each month at 00:00",
		"@yearly":            "on 1 January at 00:00",
		"* * * * *":          "every minute",
		"*/15 * * * *":       "every 15 minutes",
		"0-59/20 * * * *":    "every 20 minutes",
		"5 * * * *":          "every hour at minute 5",
		"15 */2 * * *":       "every 2 hours from 00:15",
		"0 */6 * * *":        "every day at 00:00, 06:00, 12:00 and 18:00",
		"*/10 * * * mon-fri": "every 10 minutes on weekdays",
		"0 8 * * 1-5":        "on weekdays at 08:00",
		"0 8 * * 6,7":        "on Saturdays and Sundays at 08:00",
		"0 8 * * 1,3,5":      "on Mondays, Wednesdays and Fridays at 08:00",
		"0 8 1,15 * *":       "on the 1st and 15th of each month at 08:00",
		"0 8 2,3,11,22 * *":  "on the 2nd, 3rd, 11th and 22nd of each month at 08:00",
		"0 8 31 * *":         "on the 31st of each month that has such a day at 08:00",
		"0 8 29 2 *":         "on 29 February at 08:00",
		"0 8 1-31 * *":       "every day at 08:00",
		"0 8 * * 0-6":        "every day at 08:00",
		"@every 90m":         "every 90 minutes",
		"@every 1h":          "every hour",
		"@every 6h":          "every 6 hours",
		"@every 61s":         "every 61 seconds",
		"*/7 * * * *":        "",
		"0,15,20 * * * *":    "",
		"0-48/8 * * * *":     "",
		"0,30 1 * * *":       "",
		"0 */5 * * *":        "",
		"0 8-18 * * *":       "",
		"0 8 1 * 1":          "",
		"0 8 1 1,7 *":        "",
		"0 8 * 6 *":          "",
		"0 8 */2 * *":        "",
		"0 8 1-7 * 1-7":      "every day at 08:00",
	} {
		if got := parse(t, expr, "UTC").Words(); got != want {
			t.Errorf("%s: got %q, want %q", expr, got, want)
		}
	}
}

// TestWordsHoldForWhatIsDue reads the words of very many schedules, and compares them
// with what is due: they hold at each instant, and at no other.
func TestWordsHoldForWhatIsDue(t *testing.T) {
	said := 0
	for _, minute := range []string{"0", "30", "5", "*", "*/15", "*/7", "0,30", "10-20"} {
		for _, hour := range []string{"*", "1", "1,13", "*/6", "*/2", "*/5", "8-10", "8-18"} {
			for _, dom := range []string{"*", "1", "1,15", "31", "1-31", "*/2"} {
				for _, month := range []string{"*", "1", "2-6"} {
					for _, dow := range []string{"*", "1-5", "0,6", "mon", "1,3,5", "0-6", "1-6"} {
						s := parse(t, strings.Join([]string{minute, hour, dom, month, dow}, " "), "UTC")
						if words := s.Words(); words != "" {
							said++
							wordsHold(t, s, words, 20, 26*time.Hour)
						}
					}
				}
			}
		}
	}
	if said < 400 {
		t.Errorf("only %d schedules were said in words", said)
	}
	for _, expr := range []string{"30 1 * * *", "*/15 * * * *", "15 */2 * * *", "0 12 * * 1-5", "0 12 1,31 * *", "0 12 29 2 *", "@weekly", "@yearly", "@hourly", "@every 90m"} {
		for _, zone := range []string{"UTC", "Asia/Kolkata", "America/Phoenix"} { // where no time is skipped
			s := parse(t, expr, zone)
			wordsHold(t, s, s.Words(), 200, 45*24*time.Hour)
		}
	}
}

// wordsHold checks that words hold at so many instants at which a schedule is due, and
// at no other minute of a time.
func wordsHold(t *testing.T, s *schedule.Schedule, words string, instants int, length time.Duration) {
	t.Helper()
	holds := reader(t, words)
	begin := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	at := begin
	for range instants {
		if at = s.Next(at); !holds(at.In(s.Location())) {
			t.Fatalf("%s is due at %s, and %q does not hold", s, at.In(s.Location()), words)
		}
	}
	due := s.Next(begin)
	for at := begin.Add(time.Minute); at.Before(begin.Add(length)); at = at.Add(time.Minute) {
		if is := at.Equal(due); is != holds(at.In(s.Location())) {
			t.Fatalf("%s at %s: due %t, and %q says otherwise", s, at.In(s.Location()), is, words)
		}
		if at.Equal(due) {
			due = s.Next(due)
		}
	}
}

// reader returns what words say of a reading of the clock.
func reader(t *testing.T, words string) func(time.Time) bool {
	t.Helper()
	var all []func(time.Time) bool
	left := words
	take := func(pattern string, hold func(found []string) func(time.Time) bool) {
		if at := regexp.MustCompile(pattern).FindStringSubmatchIndex(left); at != nil {
			var found []string
			for i := 0; i < len(at); i += 2 {
				found = append(found, left[at[i]:at[i+1]])
			}
			all = append(all, hold(found))
			left = left[:at[0]] + left[at[1]:]
		}
	}
	number := func(text string) int {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	list := func(text string) []string { return regexp.MustCompile(`, | and `).Split(text, -1) }
	is := func(what func(time.Time) string, among []string) func(time.Time) bool {
		return func(at time.Time) bool { return slices.Contains(among, what(at)) }
	}
	minuteOfDay := func(at time.Time) int { return at.Hour()*60 + at.Minute() }
	take(`every (\d+) hours from 00:(\d\d)`, func(f []string) func(time.Time) bool {
		return func(at time.Time) bool { return minuteOfDay(at)%(60*number(f[1])) == number(f[2]) }
	})
	take(`every hour at minute (\d+)`, func(f []string) func(time.Time) bool {
		return func(at time.Time) bool { return at.Minute() == number(f[1]) }
	})
	take(`every hour`, func([]string) func(time.Time) bool { return func(at time.Time) bool { return at.Minute() == 0 } })
	take(`every 90 minutes`, func([]string) func(time.Time) bool {
		return func(at time.Time) bool { return at.Unix()%(90*60) == 0 }
	})
	take(`every (\d+) minutes`, func(f []string) func(time.Time) bool {
		return func(at time.Time) bool { return at.Minute()%number(f[1]) == 0 }
	})
	take(`every minute`, func([]string) func(time.Time) bool { return func(time.Time) bool { return true } })
	take(`every day`, func([]string) func(time.Time) bool { return func(time.Time) bool { return true } })
	take(`at (\d\d:\d\d(?:(?:, | and )\d\d:\d\d)*)`, func(f []string) func(time.Time) bool {
		return is(func(at time.Time) string { return at.Format("15:04") }, list(f[1]))
	})
	take(`on weekdays`, func([]string) func(time.Time) bool {
		return is(func(at time.Time) string { return at.Format("Mon") }, []string{"Mon", "Tue", "Wed", "Thu", "Fri"})
	})
	take(`on ([A-Z][a-z]+days(?:(?:, | and )[A-Z][a-z]+days)*)`, func(f []string) func(time.Time) bool {
		return is(func(at time.Time) string { return at.Format("Monday") + "s" }, list(f[1]))
	})
	take(`on the (.*) of each month(?: that has such a day)?`, func(f []string) func(time.Time) bool {
		var days []string
		for _, d := range list(f[1]) {
			days = append(days, d[:len(d)-2])
		}
		return is(func(at time.Time) string { return fmt.Sprint(at.Day()) }, days)
	})
	take(`on (\d+ (?:Jan|Feb)[a-z]*)`, func(f []string) func(time.Time) bool {
		return is(func(at time.Time) string { return at.Format("2 January") }, []string{f[1]})
	})
	if strings.TrimSpace(left) != "" || len(all) == 0 {
		t.Fatalf("%q was not understood: %q is left", words, left)
	}
	return func(at time.Time) bool {
		return !slices.ContainsFunc(all, func(hold func(time.Time) bool) bool { return !hold(at) })
	}
}
