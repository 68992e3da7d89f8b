package migrate

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/internal/pattern"
	"github.com/globus-runner/globus-runner/schedule"
)

// Limits of a crontab, in bytes.
const (
	maxCrontab = 1 << 20
	maxLine    = 16 << 10
)

// A Cron describes a crontab, beyond what the file itself says.
type Cron struct {
	// System says that the crontab has a column for the user, like /etc/crontab.
	System bool
	// Home is the home folder of the crontab's owner; empty if it is not known.
	Home string
	// Flags returns the flags that globus-cli shares with this program.
	Flags Flags
}

// Crontab makes jobs from the lines of a crontab that call globus transfer,
// delete, rm, mkdir or timer create transfer. Other lines are left out with a
// note. now is the instant of the import, for schedules that have a beginning.
// The error is that of r, or says that the crontab is too long.
func Crontab(r io.Reader, now time.Time, cron Cron, o Options) (Result, error) {
	tab := crontab{importer: newImporter(o), Cron: cron, now: now, vars: map[string]string{}}
	limited := &io.LimitedReader{R: r, N: maxCrontab + 1}
	lines := bufio.NewScanner(limited)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		text := strings.TrimSpace(lines.Text())
		if tab.line++; tab.line == 1 && strings.HasPrefix(text, "#!") {
			tab.problem(tab.here(), "this is a script (%s), not a crontab: write the calls of globus in it into a crontab, one a line behind a schedule, or see docs/globus-cli.md to run it as it is", short(text))
			return tab.result(), nil
		}
		tab.read(text)
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return Result{}, fmt.Errorf("%s:%d: the line is longer than %d KiB", o.Name, tab.line+1, maxLine>>10)
	case err != nil:
		return Result{}, err
	case limited.N == 0:
		return Result{}, fmt.Errorf("%s is longer than %d MiB", o.Name, maxCrontab>>20)
	}
	if tab.unzoned {
		tab.note(o.Name, "the schedules are taken as UTC, but cron's are in the zone of its machine: name it with --time-zone, such as America/Chicago")
	}
	tab.noteMail()
	if len(tab.jobs) == 0 && len(tab.problems) == 0 {
		tab.problem(o.Name, "no line calls globus transfer, delete, rm, mkdir or timer create transfer")
	}
	return tab.result(), nil
}

// A crontab reads a crontab.
type crontab struct {
	importer
	Cron
	now     time.Time
	vars    map[string]string // set so far
	line    int
	client  identity // of the calls so far
	unzoned bool     // the zone of a schedule is not known
	lost    bool     // CRON_TZ names a zone that does not exist
	mail    []string // the addresses to which cron mails the output of the next lines
	locals  []string // names in MAILTO that are not addresses
}

// An identity is the service account of a call, and where it was first met.
type identity struct{ id, where string }

// An entry is a line of a crontab that runs a command.
type entry struct {
	where    string
	schedule string // five fields, or a descriptor
	command  string
	stdin    string
	cut      bool   // the command was ended by a percent sign
	zone     string // of the schedule; empty if it is not known
	clock    string // the zone of date in the command; empty if it is not known
	mail     []string
}

var setting = pattern.Lazy(`^(?:([A-Za-z_][A-Za-z0-9_]*)|"([^"]*)"|'([^']*)')\s*=\s*(.*)$`)

// read reads a line.
func (tab *crontab) read(text string) {
	if text == "" || strings.HasPrefix(text, "#") {
		return
	}
	if m := setting().FindStringSubmatch(text); m != nil {
		value := m[4]
		if n := len(value); n > 1 && (value[0] == '"' || value[0] == '\'') && value[n-1] == value[0] {
			value = value[1 : n-1]
		}
		tab.set(m[1]+m[2]+m[3], value)
		return
	}
	if tab.lost {
		return
	}
	e := entry{where: tab.here(), mail: tab.mail}
	columns := len("MHDMW")
	if strings.HasPrefix(text, "@") {
		columns = 1
	}
	fields, rest := cutFields(text, columns)
	e.schedule = strings.Join(fields, " ")
	if tab.System {
		_, rest = cutFields(rest, 1)
	}
	if rest == "" {
		tab.problem(e.where, "%q is not a line of a crontab: want a schedule and a command, and with --system a user between them", short(text))
		return
	}
	e.command, e.stdin, e.cut = splitPercent(rest)
	e.zone, e.clock = cmp.Or(tab.vars["CRON_TZ"], tab.Zone), cmp.Or(tab.vars["TZ"], tab.Zone)
	tab.run(e)
}

// here returns the place of the current line.
func (tab *crontab) here() string { return fmt.Sprintf("%s:%d", tab.Name, tab.line) }

// set remembers a variable.
func (tab *crontab) set(name, value string) {
	if name == "CRON_TZ" {
		tab.lost = false
		if _, err := schedule.LoadZone(cmp.Or(value, "UTC")); err != nil {
			tab.problem(tab.here(), "CRON_TZ: %v; what is below it is left out", err)
			tab.lost = true
		}
	}
	if name == "MAILTO" {
		tab.setMail(value)
	}
	tab.vars[name] = value
	tab.nameCollection(name, value)
}

// cutFields cuts n fields from the beginning of a text.
func cutFields(text string, n int) (fields []string, rest string) {
	for range n {
		text = strings.TrimLeft(text, " \t")
		end := strings.IndexAny(text, " \t")
		if end < 0 {
			return append(fields, text), ""
		}
		fields = append(fields, text[:end])
		text = text[end:]
	}
	return fields, strings.TrimLeft(text, " \t")
}

// splitPercent splits a line as cron does: the first percent sign ends the
// command and begins its standard input, in which each further one is a line
// end. A percent sign after a backslash is an ordinary character.
func splitPercent(text string) (command, stdin string, found bool) {
	var b strings.Builder
	cut := -1
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\\' && i+1 < len(text) && text[i+1] == '%':
			i++
			b.WriteByte('%')
		case text[i] == '%' && cut < 0:
			cut = b.Len()
		case text[i] == '%':
			b.WriteByte('\n')
		default:
			b.WriteByte(text[i])
		}
	}
	if cut < 0 {
		return b.String(), "", false
	}
	return b.String()[:cut], b.String()[cut:], true
}

// nameCollection makes the name of a variable that holds a collection's id the
// short name of that collection.
func (im *importer) nameCollection(name, value string) {
	id, _, _ := strings.Cut(strings.ToLower(value), ":")
	name = strings.ToLower(name)
	if uuidPattern().MatchString(id) && shortPattern().MatchString(name) && im.Collections[id] == "" {
		im.Collections[id] = name
	}
}

// checkSchedule refuses schedules that mean something else in cron than in a jobs
// file.
func checkSchedule(text string) error {
	if text == "@reboot" {
		return errors.New("@reboot: a job is due at a time, not when a machine starts; give it a schedule")
	}
	if fields := strings.Fields(text); len(fields) == len("MHDMW") {
		day, weekday := fields[2], fields[4]
		star := strings.HasPrefix(day, "*") || strings.HasPrefix(weekday, "*")
		if star && day != "*" && weekday != "*" {
			return fmt.Errorf("schedule %q: for cron a day must match both %s and %s, for a job one of them is enough; write the days out", text, day, weekday)
		}
	}
	_, err := schedule.Parse(text, nil)
	return err
}
