package migrate

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/globus-runner/globus-runner/internal/pattern"
)

// date returns the template that gives the output of a command, which must be a
// call of date.
func (s *shell) date(command string) (string, error) {
	wrong := func(format string, args ...any) (string, error) {
		return "", fmt.Errorf("$(%s): %s", short(command), fmt.Sprintf(format, args...))
	}
	tokens, err := lex(command)
	if err != nil {
		return wrong("%v", err)
	}
	var words []word
	for _, t := range tokens {
		if t.op != "" {
			return wrong("only a call of date can become a template")
		}
		words = append(words, t.word)
	}
	if len(words) == 0 || words[0].String() != "date" {
		return wrong("only a call of date can become a template")
	}
	args, err := s.expandAll(words[1:])
	if err != nil {
		return "", err
	}
	format, shift, utc := "", "", false
	for i := 0; i < len(args); i++ {
		arg := args[i]
		name, value, joined := cutOption(arg)
		if !joined && (name == "-d" || name == "--date" || name == "-v") && i+1 < len(args) {
			i++
			value = args[i]
		}
		var ok bool
		switch {
		case isTemplate(arg + value):
			return wrong("it contains another command")
		case strings.HasPrefix(arg, "+") && format == "":
			format = arg[1:]
		case name == "-u" || name == "--utc" || name == "--universal":
			utc = true
		case arg == "-I" || arg == "--iso-8601" || name == "--iso-8601" && value == "date":
			format = "%F"
		case name == "-d" || name == "--date":
			if shift, ok = shiftOf(value); !ok {
				return wrong("%q cannot be written as days, hours and minutes from now", value)
			}
		case name == "-v":
			if shift, ok = shiftBSD(value); !ok {
				return wrong("%q cannot be written as days, hours and minutes from now", value)
			}
		default:
			return wrong("a template has no equivalent of %s", arg)
		}
	}
	if format == "" {
		return wrong("without a format it depends on the machine; add one such as +%%F")
	}
	s.dates, s.utc = s.dates || !utc, s.utc || utc
	return dateTemplate(format, shift), nil
}

// dateTemplate writes the template for the scheduled instant moved by shift.
func dateTemplate(format, shift string) string {
	text := "{{ .Time"
	if shift != "" {
		text += " | add " + strconv.Quote(shift)
	}
	format = strings.NewReplacer("%%", "%%", "%D", "%m/%d/%y", "%h", "%b").Replace(format)
	if format == "%F" || format == "%Y-%m-%d" {
		return text + " | date }}"
	}
	return text + " | strftime " + strconv.Quote(format) + " }}"
}

// cutOption splits --name=value and -nVALUE.
func cutOption(arg string) (name, value string, joined bool) {
	if strings.HasPrefix(arg, "--") {
		return cut(arg)
	}
	if len(arg) > 2 && (strings.HasPrefix(arg, "-d") || strings.HasPrefix(arg, "-v")) {
		return arg[:2], arg[2:], true
	}
	return arg, "", false
}

func cut(arg string) (name, value string, joined bool) {
	name, value, joined = strings.Cut(arg, "=")
	return name, value, joined
}

var (
	relative    = pattern.Lazy(`^(?:([+-]?[0-9]{1,5})|(last|next))? *(sec|second|min|minute|hour|day|week|fortnight)s?( ago)?$`)
	relativeBSD = pattern.Lazy(`^([+-][0-9]{1,5})([wdHMS])$`)
)

// shiftOf reads the -d of GNU date if it is an exact distance from now. Days
// are calendar days, hours are elapsed time.
func shiftOf(text string) (string, bool) {
	text = strings.ToLower(strings.Join(strings.Fields(text), " "))
	switch text {
	case "now", "today":
		return "", true
	case "yesterday":
		return "-1d", true
	case "tomorrow":
		return "1d", true
	}
	m := relative().FindStringSubmatch(text)
	if m == nil {
		return "", false
	}
	n := 1
	if m[1] != "" {
		n, _ = strconv.Atoi(m[1]) // digits
	}
	if (m[2] == "last") != (m[4] != "") { // "ago" reverses the direction
		n = -n
	}
	switch unit := m[3]; unit {
	case "week":
		return shift(n*7, "d"), true
	case "fortnight":
		return shift(n*14, "d"), true
	default:
		return shift(n, unit[:1]), true
	}
}

// shiftBSD reads the -v of BSD date.
func shiftBSD(text string) (string, bool) {
	m := relativeBSD().FindStringSubmatch(text)
	if m == nil {
		return "", false
	}
	n, _ := strconv.Atoi(m[1]) // digits
	if m[2] == "w" {
		return shift(n*7, "d"), true
	}
	return shift(n, strings.ToLower(m[2])), true
}

func shift(n int, unit string) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n) + unit
}
