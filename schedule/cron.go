package schedule

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/globus-runner/globus-runner/internal/spelling"
)

// sunday is the second number of Sunday, which is also 0.
const sunday = 7

// A cronField is one of the five fields of a cron expression.
type cronField struct {
	name     string
	min, max int
	names    []string // of the values, from min on, in lower case
}

var cronFields = [5]cronField{
	{name: "minute", max: 59},
	{name: "hour", max: 23},
	{name: "day of month", min: 1, max: 31},
	{name: "month", min: 1, max: 12, names: strings.Fields("jan feb mar apr may jun jul aug sep oct nov dec")},
	{name: "day of week", max: sunday, names: strings.Fields("sun mon tue wed thu fri sat")},
}

var descriptors = [...]string{"@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually"}

// parseEvery reads the words after @every.
func parseEvery(words []string) (time.Duration, error) {
	text := strings.Join(words, "")
	d, err := time.ParseDuration(text)
	switch inDays, ok := withDays(text); {
	case err != nil && ok && inDays >= MinEvery:
		return 0, fmt.Errorf("a day is 24h here: write @every %s", hours(inDays))
	case len(words) != 1 || err != nil:
		return 0, errors.New("want one duration after @every, such as 90m or 1h30m; a day is 24h")
	case d < MinEvery || d%time.Second != 0:
		return 0, errors.New("the duration must be a minute or more, in whole seconds: write @every 1m or more")
	}
	return d, nil
}

// withDays reads a duration that begins with days, such as 7d or 1d12h.
func withDays(text string) (d time.Duration, ok bool) {
	days, rest, ok := strings.Cut(text, "d")
	n, isNumber := number(days)
	if !ok || !isNumber {
		return 0, false
	}
	d = time.Duration(n) * day
	if rest != "" {
		more, err := time.ParseDuration(rest)
		if err != nil {
			return 0, false
		}
		d += more
	}
	return d, true
}

// parseDescriptor checks a descriptor other than @every, and reports whether it
// is a list of fixed times.
func parseDescriptor(text string) (expr string, fixed bool, err error) {
	if text == "@reboot" {
		return "", false, fmt.Errorf("%w; to run a job at boot, let the machine start runner run JOB", errNoDescriptor())
	}
	if !slices.Contains(descriptors[:], text) {
		return "", false, fmt.Errorf("%w%s", errNoDescriptor(), spelling.Hint(text, append(descriptors[:], "@every")...))
	}
	return text, text != "@hourly", nil
}

func errNoDescriptor() error {
	return fmt.Errorf("there is no such descriptor, want one of %s, @every 90m", strings.Join(descriptors[:], ", "))
}

// parseFields checks the five fields, writes them in the form that robfig/cron
// knows, and reports whether they are a list of fixed times.
func parseFields(words []string) (expr string, fixed bool, err error) {
	if text := "@" + strings.Join(words, " "); slices.Contains(descriptors[:], text) {
		return "", false, fmt.Errorf("did you mean %s?", text)
	}
	if len(words) != len(cronFields) {
		return "", false, fmt.Errorf("got %d %s, want 5: minute, hour, day of month, month, day of week%s", len(words), plural("field", len(words)), otherLine(words))
	}
	fields := make([]string, len(words))
	for i, f := range cronFields {
		if fields[i], err = f.translate(strings.ToLower(words[i])); err != nil {
			return "", false, fmt.Errorf("%s %q: %w", f.name, words[i], err)
		}
	}
	return strings.Join(fields, " "), !strings.ContainsAny(fields[0]+fields[1], "*?"), nil
}

// parseClock parses an expression that has been checked, because robfig/cron
// panics on some texts and overlooks mistakes in others.
func parseClock(text string) (*cron.SpecSchedule, error) {
	parsed, err := cron.ParseStandard(text)
	if err != nil {
		return nil, err
	}
	clock, ok := parsed.(*cron.SpecSchedule)
	if !ok {
		return nil, fmt.Errorf("got a %T", parsed)
	}
	clock.Location = time.UTC
	return clock, nil
}

// translate checks a field and writes Sunday as 0, the only number that
// robfig/cron knows for it.
func (f *cronField) translate(text string) (string, error) {
	elements := strings.Split(text, ",")
	for i, element := range elements {
		var err error
		if elements[i], err = f.element(element); err != nil {
			return "", fmt.Errorf("%w%s", err, f.otherElement(element))
		}
	}
	return strings.Join(elements, ","), nil
}

// element is translate for one element of a list.
func (f *cronField) element(text string) (string, error) {
	bounds, stepText, stepped := strings.Cut(text, "/")
	step := 1
	if stepped {
		var ok bool
		if step, ok = number(stepText); !ok || step < 1 || step > f.max-f.min+1 {
			return "", fmt.Errorf("the step %q is not from 1 to %d", stepText, f.max-f.min+1)
		}
	}
	if bounds == "*" || bounds == "?" && f.days() {
		return text, nil
	}
	low, high, isRange := strings.Cut(bounds, "-")
	first, err := f.value(low)
	if err != nil {
		return "", err
	}
	last := first
	if isRange {
		if last, err = f.value(high); err != nil {
			return "", err
		}
	}
	if high == "sun" && first > 0 {
		last = sunday
	}
	switch {
	case last < first:
		return "", fmt.Errorf("the range %s ends before it begins, write it as two: %s-%d,%d-%s", bounds, low, f.max, f.min, high)
	case f.max != sunday || last != sunday:
		return text, nil
	}
	var days []string
	for day := first; day <= sunday; day += step {
		days = append(days, strconv.Itoa(day%sunday))
	}
	return strings.Join(days, ","), nil
}

// days reports whether the field is about days, where ? means *.
func (f *cronField) days() bool { return strings.HasPrefix(f.name, "day") }

// value reads a number or a name.
func (f *cronField) value(text string) (int, error) {
	if i := slices.Index(f.names, text); i >= 0 {
		return f.min + i, nil
	}
	n, ok := number(text)
	switch {
	case ok && n >= f.min && n <= f.max:
		return n, nil
	case f.names == nil:
		return 0, fmt.Errorf("%q is not from %d to %d", text, f.min, f.max)
	}
	return 0, fmt.Errorf("%q is not from %d to %d or from %s to %s", text, f.min, f.max, f.names[0], f.names[len(f.names)-1])
}

// number reads digits.
func number(text string) (int, bool) {
	n, err := strconv.ParseUint(text, 10, 16)
	return int(n), err == nil
}
