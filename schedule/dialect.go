package schedule

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/internal/pattern"
)

// Expressions of other schedulers are refused with a hint at what to write
// instead. The functions of this file return such a hint, "; ...", for the end
// of an error, or "".

var (
	clockTime    = pattern.Lazy(`^([0-9]{1,2}):([0-9]{2})$`)
	awsRate      = pattern.Lazy(`^rate\(([0-9]+) (minute|hour|day)s?\)$`)
	awsCron      = pattern.Lazy(`^cron\((.*)\)$`)
	yearField    = pattern.Lazy(`^(19|20)[0-9]{2}([-,/].*)?$`)
	jenkinsHash  = pattern.Lazy(`^h(\([-0-9]+\))?(/([0-9]+))?$`)
	lastDay      = pattern.Lazy(`^l(-[0-9]+)?w?$`)
	nearWeekday  = pattern.Lazy(`^[0-9]+w$`)
	lastOfWeek   = pattern.Lazy(`^([0-7]|[a-z]{3})l$`)
	nthOfWeek    = pattern.Lazy(`^([0-7]|[a-z]{3})#[0-9]$`)
	randomMinute = pattern.Lazy(`^[0-9]*~[0-9]*`)
)

// otherLine returns the hint for a schedule that does not have five fields.
func otherLine(words []string) string {
	text := strings.Join(words, " ")
	if m := clockTime().FindStringSubmatch(text); m != nil {
		return fmt.Sprintf("; for each day at %s write %s %s * * *", text, digits(m[2]), digits(m[1]))
	}
	if m := awsRate().FindStringSubmatch(text); m != nil {
		n, _ := strconv.Atoi(m[1]) // only digits; too many are refused as a duration
		unit := map[string]time.Duration{"minute": time.Minute, "hour": time.Hour, "day": day}[m[2]]
		return "; write @every " + hours(time.Duration(n)*unit)
	}
	if m := awsCron().FindStringSubmatch(text); m != nil {
		if fields := strings.Fields(m[1]); len(fields) == len(cronFields)+1 {
			return "; a year is not possible" + asFive(fields[:len(cronFields)])
		}
		return "; write what is in the brackets"
	}
	if len(words) <= len(cronFields) {
		return ""
	}
	first, last := words[:len(cronFields)], words[len(cronFields)]
	// The sixth word of a crontab line is its command or, in /etc/crontab, the user.
	if !fits(words[1:len(cronFields)+1]) && fits(first) {
		if _, err := LoadZone(last); err == nil {
			return "; a zone cannot be set here, use time_zone: " + last
		}
		if yearField().MatchString(last) || last == "*" {
			return "; a year is not possible" + asFive(first)
		}
		return "; a command or user has no place in a schedule" + asFive(first)
	}
	if len(words) == len(cronFields)+1 && (yearField().MatchString(last) || words[4] == "?") {
		return "; a year is not possible" + asFive(first)
	}
	if rest := words[1 : len(cronFields)+1]; len(words) <= len(cronFields)+2 && fits(rest) {
		return "; seconds and years are not possible" + asFive(rest)
	}
	return ""
}

// fits reports whether the words are five valid fields.
func fits(words []string) bool {
	for i, f := range cronFields {
		if _, err := f.translate(strings.ToLower(words[i])); err != nil {
			return false
		}
	}
	return true
}

// asFive proposes these five fields if they are valid.
func asFive(words []string) string {
	words = slices.Clone(words)
	for i, w := range words {
		if w == "?" {
			words[i] = "*"
		}
	}
	if !fits(words) {
		return ""
	}
	return ": write " + strings.Join(words, " ")
}

// otherElement returns the hint for an element of a field, in lower case.
func (f *cronField) otherElement(text string) string {
	bounds, step, stepped := strings.Cut(text, "/")
	switch {
	case strings.ContainsAny(text, `"'`):
		return "; write the schedule without quotes in it"
	case strings.ContainsFunc(text, func(r rune) bool { return r > '~' }):
		return "; it contains a character that is not ASCII, such as a typographic dash: type it again"
	case jenkinsHash().MatchString(text):
		write := "a number, such as " + strconv.Itoa(f.min+17%(f.max-f.min+1))
		if stepped {
			write = "*/" + step
		}
		return fmt.Sprintf("; H, a value that Jenkins picks, is not possible: write %s, and jitter to spread jobs", write)
	case randomMinute().MatchString(text):
		return "; ~, a random value, is not possible: write a number, and jitter to spread jobs"
	case bounds == "?":
		return "; ? is possible for days only: write " + strings.Replace(text, "?", "*", 1)
	case f.name == "day of month" && lastDay().MatchString(text):
		return "; L, the last day of the month, is not possible: write 1 for the day after it, or 28, which each month has"
	case f.name == "day of month" && nearWeekday().MatchString(text):
		return "; W, the nearest weekday, is not possible: write the day alone, " + strings.TrimSuffix(text, "w") + ", or a range of days"
	case f.name == "day of week" && (lastOfWeek().MatchString(text) || text == "l"):
		return "; L, the last such day of the month, is not possible: write the day alone for each week, such as " + f.example(text)
	case f.name == "day of week" && nthOfWeek().MatchString(text):
		return "; #, one week of the month, is not possible: write the day alone for each week, such as " + f.example(text)
	case stepped && bounds == "*":
		return f.asEvery(step)
	}
	for end := range strings.SplitSeq(bounds, "-") {
		for _, name := range f.names {
			if strings.HasPrefix(end, name) && end != name {
				return ", did you mean " + strings.ToUpper(name) + "?"
			}
		}
	}
	return ""
}

// example returns the day of week that an element begins with.
func (f *cronField) example(text string) string {
	for _, name := range f.names {
		if strings.HasPrefix(text, name) {
			return strings.ToUpper(name)
		}
	}
	if n, ok := number(text[:1]); ok {
		return strings.ToUpper(f.names[n%sunday])
	}
	return "SAT"
}

// fieldUnits are the units of the fields whose steps can be written as a duration.
var fieldUnits = map[string]time.Duration{"minute": time.Minute, "hour": time.Hour, "day of month": day}

// asEvery proposes an @every for a step that does not fit the field.
func (f *cronField) asEvery(step string) string {
	n, ok := number(step)
	if unit := fieldUnits[f.name]; ok && n > 0 && unit > 0 {
		return fmt.Sprintf("; for every %d %ss write @every %s", n, strings.Fields(f.name)[0], hours(time.Duration(n)*unit))
	}
	return ""
}

// hours writes a duration in the form of @every, without units that are zero.
func hours(d time.Duration) string {
	text := d.String()
	for _, zero := range []string{"0s", "0m"} {
		if cut, ok := strings.CutSuffix(text, zero); ok && !strings.ContainsAny(cut[len(cut)-1:], "0123456789") {
			text = cut
		}
	}
	return text
}

// digits returns a number without leading zeros.
func digits(text string) string {
	if text = strings.TrimLeft(text, "0"); text == "" {
		return "0"
	}
	return text
}
