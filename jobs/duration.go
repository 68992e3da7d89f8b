package jobs

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/internal/pattern"
)

// maxDays is the longest duration, in days.
const maxDays = 3650

var (
	durationPattern = pattern.Lazy(`^([0-9]+[smhd])+$`)
	durationPart    = pattern.Lazy(`([0-9]+)([smhd])`)
)

const day = 24 * time.Hour

// durationUnits are the units of a duration; a day has 24 hours.
var durationUnits = map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": day}

// ParseDuration reads a duration such as 90s, 30m, 12h, 7d or 1h30m.
func ParseDuration(text string) (time.Duration, error) {
	if len(text) > 40 || !durationPattern().MatchString(text) {
		return 0, fmt.Errorf("%q is not a duration such as 90s, 30m, 12h or 7d", short(text))
	}
	var sum time.Duration
	for _, part := range durationPart().FindAllStringSubmatch(text, -1) {
		n, err := strconv.Atoi(part[1])
		unit := durationUnits[part[2]]
		if err != nil || n > int(maxDays*day/unit) || sum > maxDays*day {
			return 0, fmt.Errorf("%s is too long, at most %dd are possible", text, maxDays)
		}
		sum += time.Duration(n) * unit
	}
	return sum, nil
}

// ParseInstant reads an instant such as 2026-11-21T08:00:00Z, or a date, whose first
// moment in UTC is meant.
func ParseInstant(text string) (time.Time, error) {
	at, err := time.Parse(time.DateOnly, text)
	if err != nil {
		at, err = time.Parse(time.RFC3339, text)
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is not an instant such as 2026-11-21T08:00:00Z or 2026-11-21", short(text))
	}
	return at.UTC(), nil
}

// FormatDuration writes a duration as [ParseDuration] reads it, in whole seconds:
// 30d, 24h or 1h30m.
func FormatDuration(d time.Duration) string {
	if d >= 2*day && d%day == 0 {
		return fmt.Sprintf("%dd", d/day)
	}
	text := d.Truncate(time.Second).String()
	for _, zero := range []string{"m0s", "h0m"} {
		if cut, ok := strings.CutSuffix(text, zero); ok {
			text = cut + zero[:1]
		}
	}
	return text
}
