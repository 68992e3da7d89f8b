package schedule_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/schedule"
)

func TestParseNamesTheFieldAndItsRange(t *testing.T) {
	tests := map[string]string{
		"":                      "the schedule is empty",
		" \t":                   "the schedule is empty",
		"TZ=UTC":                "use time_zone",
		"CRON_TZ=UTC 0 0 * * *": "use time_zone",
		"daily":                 "did you mean @daily?",
		"* * * *":               "got 4 fields, want 5",
		"0 0 0 * * *":           "got 6 fields, want 5: minute, hour,",
		"60 * * * *":            `minute "60": "60" is not from 0 to 59`,
		"-5 * * * *":            `minute "-5": "" is not from 0 to 59`,
		"+5 * * * *":            `"+5" is not from 0 to 59`,
		"*/0 * * * *":           `minute "*/0": the step "0" is not from 1 to 60`,
		"*/90 * * * *":          `the step "90" is not from 1 to 60`,
		"*/61 * * * *":          `the step "61" is not from 1 to 60`,
		"0 */25 * * *":          `the step "25" is not from 1 to 24`,
		"*/ * * * *":            `the step "" is not from 1 to 60`,
		"*-5 * * * *":           `"*" is not from 0 to 59`,
		"1,,2 * * * *":          `minute "1,,2": "" is not from 0 to 59`,
		"1-2-3 * * * *":         `"2-3" is not from 0 to 59`,
		"1/2/3 * * * *":         `the step "2/3" is not from 1 to 60`,
		"0 24 * * *":            `hour "24": "24" is not from 0 to 23`,
		"0 22-2 * * *":          `hour "22-2": the range 22-2 ends before it begins`,
		"0 0 0 * *":             `day of month "0": "0" is not from 1 to 31`,
		"0 0 L * *":             `day of month "L": "l" is not from 1 to 31`,
		"0 0 1 13 *":            `month "13": "13" is not from 1 to 12 or from jan to dec`,
		"0 0 1 MON *":           `month "MON": "mon" is not from 1 to 12`,
		"0 0 * * 8":             `day of week "8": "8" is not from 0 to 7 or from sun to sat`,
		"0 0 * * 5#3":           `"5#3" is not from 0 to 7`,
		"0 0 30 2 *":            "it is never due",
		"0 0 31 4,6,9,NOV *":    "it is never due",
		"@reboot":               "no such descriptor, want one of @hourly, @daily,",
		"@every":                "want one duration after @every",
		"@every 1h 30m":         "want one duration after @every",
		"@every 1d":             "a day is 24h here: write @every 24h",
		"@every 0d":             "want one duration after @every",
		"@every 59s":            "a minute or more, in whole seconds",
		"@every 90.5s":          "a minute or more, in whole seconds",
		"@every -2h":            "a minute or more",
	}
	for expr, want := range tests {
		t.Run(expr, func(t *testing.T) {
			s, err := schedule.Parse(expr, time.UTC)
			if s != nil || err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v and %v, want an error with %q", s, err, want)
			}
		})
	}
}

func TestAScheduleOfOthersIsToldInOurWords(t *testing.T) {
	tests := map[string]string{
		"0 0 L * *":                   "L, the last day of the month, is not possible: write 1 for the day after it, or 28",
		"0 0 LW * *":                  "L, the last day",
		"0 0 15W * *":                 "W, the nearest weekday, is not possible: write the day alone, 15",
		"0 0 * * 5L":                  "write the day alone for each week, such as FRI",
		"0 0 * * L":                   "such as SAT",
		"0 0 * * MON#1":               "#, one week of the month, is not possible: write the day alone for each week, such as MON",
		"H H * * *":                   "H, a value that Jenkins picks, is not possible: write a number, such as 17, and jitter",
		"H/15 * * * *":                "write */15, and jitter",
		"0~59 2 * * *":                "write a number, and jitter",
		"? 2 * * *":                   "? is possible for days only: write *",
		"0 0 2 * * ?":                 "seconds and years are not possible: write 0 2 * * *",
		"0 0 2 ? * MON-FRI 2026-2030": "seconds and years are not possible: write 0 2 * * MON-FRI",
		"0 2 * * ? *":                 "a year is not possible: write 0 2 * * *",
		"cron(0 2 * * ? 2026)":        "a year is not possible: write 0 2 * * *",
		"rate(1 day)":                 "write @every 24h",
		"0 2 * * * root /bin/x \\%F":  "a command or user has no place in a schedule: write 0 2 * * *",
		"0 2 * * * America/Chicago":   "use time_zone: America/Chicago",
		"02:30":                       "for each day at 02:30 write 30 2 * * *",
		"@reboot":                     "to run a job at boot, let the machine start runner run JOB",
		"@dialy":                      "did you mean @daily?",
		"@every 1s":                   "write @every 1m or more",
		"*/90 * * * *":                "for every 90 minutes write @every 1h30m",
		"0 */36 * * *":                "for every 36 hours write @every 36h",
		"0 22-2 * * *":                "write it as two: 22-23,0-2",
		"0 0 * * Monday":              "did you mean MON?",
		"0 0 * * mon-Friday":          "did you mean FRI?",
		"0 2 * * 1–5":                 "not ASCII",
		"\"0 2 * * *\"":               "there are quotes around it, write it without",
		"\ufeff0 2 * * *":             "there is a byte order mark before it",
	}
	for expr, want := range tests {
		t.Run(expr, func(t *testing.T) {
			s, err := schedule.Parse(expr, time.UTC)
			if s != nil || err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v and %v, want an error with %q", s, err, want)
			}
		})
	}
}

func TestARangeThatWrapsHasOneRemedy(t *testing.T) {
	_, err := schedule.Parse("0 2 * * fri-mon", time.UTC)
	if want := "write it as two: fri-7,0-mon"; err == nil || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("got %v, want an error that ends in %q", err, want)
	}
	if _, err := schedule.Parse("0 2 * * fri-7,0-mon", time.UTC); err != nil {
		t.Error(err)
	}
}

func TestRemarksTellWhatFewExpect(t *testing.T) {
	const either = "it is due on each day that matches either of them, not only where both match"
	tests := map[string][]string{
		"0 2 1-7 * MON": {"the day of month (1-7) and the day of week (MON) are both restricted: " + either},
		"0 2 1-31 * 1":  {"the day of month (1-31) and the day of week (1) are both restricted: " + either + "; that is each day"},
		"*/45 * * * *": {`minute "*/45" is 0, 45 of each hour, which is uneven: the last gap is 15 minutes long, not 45; ` +
			"for every 45 minutes write @every 45m"},
		"0/7 * * * *": {`minute "0/7" is 0, 7, 14, …, 56 of each hour, which is uneven: the last gap is 4 minutes long, not 7; ` +
			"for every 7 minutes write @every 7m"},
		"0 */5 * * *":     {`hour "*/5" is 0, 5, 10, 15, 20 of each day, which is uneven: the last gap is 4 hours long, not 5; for every 5 hours write @every 5h`},
		"0 0 */2 * *":     {`day of month "*/2" is 1, 3, 5, …, 31 of each month, and starts again each month; for every 2 days write @every 48h`},
		"0 0 */31 * *":    {`day of month "*/31" is 1 of each month, once only: write 1; for every 31 days write @every 744h`},
		"0 0 * * */2":     {`day of week "*/2" is 0, 2, 4, 6 of each week, which is uneven: the last gap is 1 day long, not 2`},
		"0 0 1 */5 *":     {`month "*/5" is 1, 6, 11 of each year, which is uneven: the last gap is 2 months long, not 5`},
		"0 0 31 * *":      {`day of month "31" is not in each month: it is not due in February, April, June, September, November; days up to 28 are in each month`},
		"0 0 30,31 2,3 ?": {`day of month "30,31" is not in each month: it is not due in February; days up to 28 are in each month`},
		"0 0 29-31 * *":   {`day of month "29-31" is not in each month: it is not due in February of most years; days up to 28 are in each month`},
		"0 0 31 1,3 *":    nil, "0 0 29 2 *": nil, "0 0 28,31 * *": nil, "0 0 31 * MON": {"the day of month (31) and the day of week (MON) are both restricted: " + either},
		"0 2 * * MON": nil, "0 2 1 * *": nil, "0 2 ? * MON": nil, "0 2 */1 * MON": nil, "*/15 * * * *": nil, "0 */6 * * *": nil,
		"*/45 2 * * *": nil, "0 0 */2 1 *": nil, "10-20/7 * * * *": nil, "*/60 * * * *": nil, "@daily": nil, "@every 45m": nil,
	}
	for expr, want := range tests {
		t.Run(expr, func(t *testing.T) {
			if diff := cmp.Diff(want, parse(t, expr, "UTC").Remarks()); diff != "" {
				t.Errorf("remarks (-want +got):\n%s", diff)
			}
		})
	}
}

func TestGapBelowIsTheTimeBetweenTwoOccurrences(t *testing.T) {
	tests := map[string]struct{ than, want time.Duration }{
		"@every 90m":     {2 * time.Hour, 90 * time.Minute},
		"@every 2h":      {2 * time.Hour, 0},
		"@hourly":        {2 * time.Hour, time.Hour},
		"*/15 * * * *":   {time.Hour, 15 * time.Minute},
		"0 8-17 * * *":   {90 * time.Minute, time.Hour},
		"0 1,2,14 * * *": {3 * time.Hour, time.Hour},
		"30 1 * * *":     {12 * time.Hour, 0},
		"@daily":         {25 * time.Hour, 24 * time.Hour},
		"0 0 * * 1,2":    {48 * time.Hour, 24 * time.Hour},
		"0 0 1,31 * *":   {48 * time.Hour, 24 * time.Hour},
		"0 0 1 1 *":      {48 * time.Hour, 0},
		"* * * * *":      {time.Minute, 0},
	}
	for expr, tt := range tests {
		t.Run(expr, func(t *testing.T) {
			if got := parse(t, expr, "UTC").GapBelow(tt.than); got != tt.want {
				t.Errorf("got %v below %v, want %v", got, tt.than, tt.want)
			}
		})
	}
}

func TestNextInUTC(t *testing.T) {
	tests := map[string]struct{ from, want string }{
		"0 0 * * 7":          {"2026-11-21T12:00:00Z", "2026-11-22T00:00:00Z"},
		"0 0 * * 0":          {"2026-11-21T12:00:00Z", "2026-11-22T00:00:00Z"},
		"0 0 * * 5-7":        {"2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z"},
		"0 0 * * SUN-SUN":    {"2026-11-17T00:00:00Z", "2026-11-22T00:00:00Z"},
		"0 0 * * FRI-SUN":    {"2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z"},
		"0 0 * * 0-7/7":      {"2026-11-22T00:00:00Z", "2026-11-29T00:00:00Z"},
		"0 0 * * 1-7/3":      {"2026-11-19T00:00:00Z", "2026-11-22T00:00:00Z"},
		"0 0 * * 3,7":        {"2026-11-18T00:00:00Z", "2026-11-22T00:00:00Z"},
		"0 0 * * MON-fri":    {"2026-11-21T00:00:00Z", "2026-11-23T00:00:00Z"},
		"0 0 * * 5/2":        {"2026-11-20T00:00:00Z", "2026-11-27T00:00:00Z"},
		"0 0 13 * FRI":       {"2026-11-06T00:00:00Z", "2026-11-13T00:00:00Z"},
		"0 0 14 * FRI":       {"2026-11-13T00:00:00Z", "2026-11-14T00:00:00Z"},
		"0 0 14 * ?":         {"2026-11-15T00:00:00Z", "2026-12-14T00:00:00Z"},
		"0 0 29 2 *":         {"2096-02-29T00:00:00Z", "2104-02-29T00:00:00Z"},
		"0 0 29 Feb,APR *":   {"2026-04-29T00:00:00Z", "2027-04-29T00:00:00Z"},
		"0 0 31 4 MON":       {"2026-11-21T00:00:00Z", "2027-04-05T00:00:00Z"},
		"*/60 * * * *":       {"2026-11-21T00:00:00Z", "2026-11-21T01:00:00Z"},
		"@weekly":            {"2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z"},
		"@monthly":           {"2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"},
		"@yearly":            {"2026-11-01T00:00:00Z", "2027-01-01T00:00:00Z"},
		"@annually":          {"2026-11-01T00:00:00Z", "2027-01-01T00:00:00Z"},
		"@midnight":          {"2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z"},
		"@hourly":            {"2026-11-01T00:59:59.999999999Z", "2026-11-01T01:00:00Z"},
		"@every 6h":          {"2026-11-21T13:14:15Z", "2026-11-21T18:00:00Z"},
		"@every 90m":         {"1970-01-01T00:00:00Z", "1970-01-01T01:30:00Z"},
		"@every 168h":        {"2026-11-21T00:00:00Z", "2026-11-26T00:00:00Z"}, // Thursdays, as 1970-01-01 was
		"@every 61s":         {"1970-01-01T00:01:00.5Z", "1970-01-01T00:01:01Z"},
		"  @every   1h1s   ": {"1969-12-31T23:00:00Z", "1970-01-01T00:00:00Z"},
	}
	for expr, tt := range tests {
		t.Run(expr, func(t *testing.T) {
			s := parse(t, expr, "UTC")
			from, err := time.Parse(time.RFC3339, tt.from)
			if err != nil {
				t.Fatal(err)
			}
			if got := s.Next(from).Format(time.RFC3339Nano); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestOccurrencesAndNotesAroundAChangeOfTheClocks(t *testing.T) {
	tests := map[string]struct {
		expr, zone string
		from       string   // UTC
		want       []string // local times with their offset, and notes
	}{
		"fixed time in the gap": {"30 2 * * *", "America/Chicago", "2026-03-07T12:00:00Z", []string{
			"2026-03-08 03:00 -0500 02:30 does not exist on 2026-03-08 in America/Chicago, runs right after the gap",
			"2026-03-09 02:30 -0500",
		}},
		"fixed times in and after the gap": {"0,20,40 2,3 * * *", "America/Chicago", "2026-03-08T00:00:00Z", []string{
			"2026-03-08 03:00 -0500 02:00 to 02:40 do not exist on 2026-03-08 in America/Chicago, run once, right after the gap",
			"2026-03-08 03:20 -0500",
			"2026-03-08 03:40 -0500",
			"2026-03-09 02:00 -0500",
		}},
		"fixed time in the repeated hour": {"30 1 * * *", "America/Chicago", "2026-10-31T12:00:00Z", []string{
			"2026-11-01 01:30 -0500 01:30 occurs twice on 2026-11-01 in America/Chicago, runs the first time",
			"2026-11-02 01:30 -0600",
		}},
		"every half hour in the repeated hour": {"*/30 1 * * *", "America/Chicago", "2026-11-01T06:00:00Z", []string{
			"2026-11-01 01:30 -0500 01:30 occurs twice on 2026-11-01 in America/Chicago, runs both times",
			"2026-11-01 01:00 -0600 01:00 occurs twice on 2026-11-01 in America/Chicago, runs both times",
			"2026-11-01 01:30 -0600 01:30 occurs twice on 2026-11-01 in America/Chicago, runs both times",
			"2026-11-02 01:00 -0600",
		}},
		"every hour over the gap": {"@hourly", "America/Chicago", "2026-03-08T06:30:00Z", []string{
			"2026-03-08 01:00 -0600",
			"2026-03-08 03:00 -0500",
		}},
		"half an hour": {"15 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00:00Z", []string{
			"2026-10-04 02:30 +1100 02:15 does not exist on 2026-10-04 in Australia/Lord_Howe, runs right after the gap",
			"2026-10-05 02:15 +1100",
		}},
		"two hours": {"30 1,2 * * *", "Antarctica/Troll", "2026-03-28T12:00:00Z", []string{
			"2026-03-29 03:00 +0200 01:30 to 02:30 do not exist on 2026-03-29 in Antarctica/Troll, run once, right after the gap",
			"2026-03-30 01:30 +0200",
		}},
		"a day left out": {"0 9 * * FRI", "Pacific/Apia", "2011-12-24T00:00:00Z", []string{
			"2011-12-31 00:00 +1400 09:00 does not exist on 2011-12-30 in Pacific/Apia, runs right after the gap",
			"2012-01-06 09:00 +1400",
		}},
		"another day left out": {"0 0 * * *", "Pacific/Kiritimati", "1994-12-30T12:00:00Z", []string{
			"1995-01-01 00:00 +1400 00:00 does not exist on 1994-12-31 in Pacific/Kiritimati, runs right after the gap",
			"1995-01-02 00:00 +1400",
		}},
		"no midnight": {"@daily", "America/Sao_Paulo", "2018-11-03T12:00:00Z", []string{
			"2018-11-04 01:00 -0200 00:00 does not exist on 2018-11-04 in America/Sao_Paulo, runs right after the gap",
			"2018-11-05 00:00 -0200",
		}},
		"two midnights but one date": {"@daily", "America/Asuncion", "2024-03-23T12:00:00Z", []string{
			"2024-03-24 00:00 -0400",
			"2024-03-25 00:00 -0400",
		}},
		"the last hour of the day twice": {"30 23 * * *", "Africa/Cairo", "2026-10-29T12:00:00Z", []string{
			"2026-10-29 23:30 +0300 23:30 occurs twice on 2026-10-29 in Africa/Cairo, runs the first time",
			"2026-10-30 23:30 +0200",
		}},
		"elapsed time has no notes": {"@every 1h", "America/Chicago", "2026-11-01T05:30:00Z", []string{
			"2026-11-01 01:00 -0500",
			"2026-11-01 01:00 -0600",
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := parse(t, tt.expr, tt.zone)
			at, err := time.Parse(time.RFC3339, tt.from)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for range tt.want {
				at = s.Next(at)
				got = append(got, strings.TrimSpace(at.In(s.Location()).Format("2006-01-02 15:04 -0700 ")+s.Note(at)))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("occurrences (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNoteIsSilentWhereNothingIsDue(t *testing.T) {
	s := parse(t, "30 1,2 * * *", "America/Chicago")
	for _, at := range []string{"2026-03-08T08:01:00Z", "2026-11-01T06:31:00Z", "2026-11-01T07:30:00Z", "2026-06-01T00:00:00Z"} {
		instant, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		if note := s.Note(instant); note != "" {
			t.Errorf("at %s: got %q, want none", at, note)
		}
	}
}

func TestAScheduleWithoutAZoneIsInUTC(t *testing.T) {
	s, err := schedule.Parse(" 0  0 * * * ", nil)
	if err != nil {
		t.Fatal(err)
	}
	if s.Location() != time.UTC || s.String() != "0 0 * * *" {
		t.Errorf("got %q in %v, want the words of the expression, in UTC", s, s.Location())
	}
}

// FuzzParse checks that there is a schedule or an error, that what is
// due next is later and in whole seconds, and that nothing lies in between.
func FuzzParse(f *testing.F) {
	for _, rule := range oracleRules {
		f.Add(rule.expr, int64(1_772_956_800))
	}
	for _, expr := range []string{
		"TZ=UTC", "CRON_TZ=UTC ", "TZ=", "0 0 30 2 *", "60 * * * *", "*/0 * * * *", "0 0 * * 7", "0 0 29 2 *", "@every 90m", "@", ", , , , ,", "0 2 1-7 * MON", "*/45 */5 */2 */5 */2",
		"0 0 L * 5#1", "H/15 ~ 15W ? *", "0 0 2 * * ? 2026", "cron(0 2 * * ? *)", "rate(5 days)", "02:00", "0 2 * * * root x", "'0 2 * * *'", "@every 9d",
	} {
		f.Add(expr, int64(1_793_516_400))
	}
	zones := []*time.Location{time.UTC, load(f, "America/Chicago"), load(f, "Australia/Lord_Howe"), load(f, "Pacific/Apia")}
	f.Fuzz(func(t *testing.T, expr string, second int64) {
		from := time.Unix(second%(1<<33), second&0xfffff).UTC() // to 1697 and 2242
		for _, zone := range zones {
			s, err := schedule.Parse(expr, zone)
			if (s == nil) == (err == nil) {
				t.Fatalf("%q: got %v and %v, want one of them", expr, s, err)
			}
			if err != nil {
				return
			}
			next := s.Next(from)
			if !next.After(from) || next.Nanosecond() != 0 || next.Location() != time.UTC {
				t.Errorf("%q in %v: after %v got %v", expr, zone, from, next)
			}
			middle := from.Add(next.Sub(from) / 2)
			if got := s.Next(middle); !got.Equal(next) {
				t.Errorf("%q in %v: after %v got %v, but after %v, which is later, %v", expr, zone, from, next, middle, got)
			}
			if got := s.Next(next); !got.After(next) {
				t.Errorf("%q in %v: after %v got %v", expr, zone, next, got)
			}
			if note := s.Note(next); strings.Contains(note, "\n") {
				t.Errorf("%q in %v at %v: got the note %q", expr, zone, next, note)
			}
			for _, remark := range s.Remarks() {
				if remark == "" || strings.Contains(remark, "\n") {
					t.Errorf("%q: got the remark %q", expr, remark)
				}
			}
			if again, err := schedule.Parse(s.String(), zone); err != nil || !again.Next(from).Equal(next) {
				t.Errorf("%q: as %q it is another schedule, %v", expr, s, err)
			}
		}
	})
}

func parse(t *testing.T, expr, zone string) *schedule.Schedule {
	t.Helper()
	s, err := schedule.Parse(expr, load(t, zone))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func ExampleSchedule_Next() {
	zone, err := schedule.LoadZone("Europe/Berlin")
	if err != nil {
		fmt.Println(err)
		return
	}
	s, err := schedule.Parse("30 2 * * SUN", zone)
	if err != nil {
		fmt.Println(err)
		return
	}
	due := s.Next(time.Date(2026, 3, 28, 0, 0, 0, 0, time.UTC))
	fmt.Println(due)
	fmt.Println(s.Note(due))
	// Output:
	// 2026-03-29 01:00:00 +0000 UTC
	// 02:30 does not exist on 2026-03-29 in Europe/Berlin, runs right after the gap
}

// The bounds that package time gives for this day end before it.
func TestNextPassesTheEndOfALeapYear(t *testing.T) {
	zone, err := schedule.LoadZone("America/Chicago")
	if err != nil {
		t.Fatal(err)
	}
	for _, expr := range []string{"30 1 * * *", "30 */24 * * *"} {
		s, err := schedule.Parse(expr, zone)
		if err != nil {
			t.Fatal(err)
		}
		from := time.Date(2040, 12, 31, 12, 0, 0, 0, time.UTC)
		for day := 1; day <= 3; day++ {
			want := time.Date(2041, 1, day, 1, 30, 0, 0, zone)
			if expr != "30 1 * * *" {
				want = time.Date(2041, 1, day, 0, 30, 0, 0, zone)
			}
			if from = s.Next(from); !from.Equal(want) {
				t.Errorf("%s: got %v, want %v", expr, from, want)
			}
		}
	}
}

func TestCronIsWhatOtherProgramsRead(t *testing.T) {
	tests := map[string]struct {
		cron  string
		fixed bool
	}{
		"30  1 * * SUN":     {"30 1 * * sun", true},
		"0 12 * * 5-7":      {"0 12 * * 5,6,0", true},
		"*/20 9-17 ? * 7":   {"*/20 9-17 ? * 0", false},
		"@daily":            {"@daily", true},
		"@hourly":           {"@hourly", false},
		"@every 90m":        {"", false},
		"0 0 1 jan fri-SUN": {"0 0 1 jan 5,6,0", true},
		"0 0 * * SUN-SUN":   {"0 0 * * sun-sun", true}, // one day, not all
	}
	for expr, tt := range tests {
		s, err := schedule.Parse(expr, nil)
		if err != nil {
			t.Fatal(err)
		}
		if s.Cron() != tt.cron || s.Fixed() != tt.fixed {
			t.Errorf("%s: got %q, fixed: %t; want %q, fixed: %t", expr, s.Cron(), s.Fixed(), tt.cron, tt.fixed)
		}
		if every := s.Every(); (every > 0) != (tt.cron == "") {
			t.Errorf("%s: got an interval of %v", expr, every)
		}
	}
}
