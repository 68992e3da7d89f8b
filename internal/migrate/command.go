package migrate

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/globus-runner/globus-runner/internal/pattern"
)

// maxShells is how deep sh -c may be nested.
const maxShells = 3

// run makes jobs from the command of a line of the crontab.
func (tab *crontab) run(e entry) {
	c := commandLine{tab: tab, entry: e, shell: shell{vars: map[string]string{}, home: tab.Home}}
	for name, value := range tab.vars {
		c.vars[name] = literal(value)
	}
	switch home := tab.vars["HOME"]; {
	case home != "":
		c.home = home
	case c.home != "":
		c.vars["HOME"] = literal(c.home)
	}
	err := c.commands(e.command, 0)
	switch {
	case err != nil && c.calls == 0 && !tab.callsGlobus(e.command):
		tab.leftOut(e)
		return
	case err != nil && e.cut:
		tab.problem(e.where, "%v; cron ends a command at a %% without a backslash", err)
		return
	case err != nil:
		tab.problem(e.where, "%v", err)
		return
	case c.calls == 0:
		tab.leaveOut(e)
		return
	}
	c.finish()
}

// leaveOut reports a line that does not call globus.
func (tab *crontab) leaveOut(e entry) {
	switch _, rest := cutFields(e.command, 1); {
	case !tab.System && directCall().MatchString(rest):
		tab.problem(e.where, "there is a word before globus; if this is a crontab with a column for the user, say --system")
	case tab.callsGlobus(e.command):
		tab.problem(e.where, "globus is called through another command: %s", short(e.command))
	default:
		tab.leftOut(e)
	}
}

// leftOut notes a line that does not call globus itself.
func (tab *crontab) leftOut(e entry) {
	tab.note(e.where, "left out, the line does not call globus itself: %s; scripts are not read, and if this is one that calls globus, see docs/globus-cli.md", short(e.command))
}

var (
	directCall = pattern.Lazy(`^(\S*/)?globus\s`)
	anyCall    = pattern.Lazy(`(?i)globus\S*\s+(-\S+\s+)*(transfer|delete|rm|mkdir|timer|task)\b|\bglobus-timers?\s|\brunner\s+(transfer|delete|mkdir)\b`)
)

// callsGlobus reports whether a text seems to call globus, possibly through a
// variable of the crontab.
func (tab *crontab) callsGlobus(text string) bool {
	for name, value := range tab.vars {
		if strings.HasSuffix(value, "globus") {
			text = strings.NewReplacer("${"+name+"}", value, "$"+name, value).Replace(text)
		}
	}
	return anyCall().MatchString(text)
}

// A commandLine reads the command of an entry.
type commandLine struct {
	shell
	tab     *crontab
	entry   entry
	jobs    []*job
	cd      string   // the cd of the line, until a batch is found in its folder
	calls   int      // calls of globus, including those that move nothing
	refused bool     // something was a problem
	dropped []string // commands that a job does not need
	foreign []string // commands that a job cannot run
	// conditions are the tests before a call.
	conditions []string
	chained    bool // the next command runs only if the last call succeeded
	waited     bool // the next command runs when the task of the last call has ended
}

func (c *commandLine) problem(format string, args ...any) {
	c.refused = true
	c.tab.problem(c.entry.where, format, args...)
}

func (c *commandLine) drop(what string) {
	if !slices.Contains(c.dropped, what) {
		c.dropped = append(c.dropped, what)
	}
}

// commands reads a list of commands.
func (c *commandLine) commands(text string, depth int) error {
	tokens, err := lex(text)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(tokens, func(t token) bool { return t.op == "&" }) {
		c.drop("&")
	}
	inner, rest := ungroup(tokens)
	list, err := parseCommands(inner)
	if err != nil {
		return err
	}
	behind, err := parseCommands(rest)
	if err != nil {
		return err
	}
	list = append(list, behind...)
	for i := range list {
		if err := c.command(&list[i], depth); err != nil {
			return err
		}
	}
	return nil
}

// command reads one command.
func (c *commandLine) command(s *simple, depth int) error {
	if s.before != "&&" && s.before != "" {
		c.chained = false
	}
	if len(s.words) == 0 || s.words[0].String() == "export" {
		return c.assign(s, depth)
	}
	args, err := c.expandAll(s.words)
	if err != nil && (c.tab.callsGlobus(s.String()) || c.named(s.words[0], "globus", "runner")) {
		c.calls++
		return err
	}
	all := args
	if args = unwrap(args); err != nil || len(args) == 0 {
		return c.other(s, s.words[0].String())
	}
	switch name := path.Base(args[0]); {
	case name == "globus" && len(args) > 1, name == "runner" && len(args) > 1:
		c.calls++
		if err := c.identify(s, all[:len(all)-len(args)]); err != nil {
			return err
		}
		c.unwrapped(s, all[:len(all)-len(args)])
		return c.globus(s, name, args[1:])
	case name == "globus-timer" || name == "globus-timers":
		c.calls++
		return fmt.Errorf("%s: it creates a timer at Globus; runner import timers makes jobs from the timers that exist", short(strings.Join(args[:min(3, len(args))], " ")))
	case name == "cd" && len(args) <= 2:
		c.changeFolder(args[1:])
		return nil
	case slices.Contains([]string{"sh", "bash", "dash", "ksh", "zsh"}, name) && len(args) == 3 && shellFlag().MatchString(args[1]):
		if depth++; depth > maxShells {
			return fmt.Errorf("%s is nested too deep", name)
		}
		if isTemplate(args[2]) {
			return fmt.Errorf("%s: take the command out of %s", short(s.String()), name)
		}
		c.unwrapped(s, all[:len(all)-len(args)])
		return c.commands(args[2], depth)
	default:
		return c.other(s, name)
	}
}

// unwrapped notes what was removed around a call: variables, and commands such
// as nice.
func (c *commandLine) unwrapped(s *simple, wrapping []string) {
	for _, set := range s.sets {
		if !slices.Contains(clientVariables, set.name) {
			c.drop(short(set.name + "=" + set.value.String()))
		}
	}
	if len(wrapping) > 0 {
		c.drop(short(strings.Join(wrapping, " ")))
	}
}

// changeFolder reads the arguments of cd.
func (c *commandLine) changeFolder(to []string) {
	c.cd = strings.Join(append([]string{"cd"}, to...), " ")
	switch {
	case len(to) == 0:
		c.dir = ""
	case path.IsAbs(to[0]):
		c.dir = to[0]
	default:
		c.dir = path.Join(c.dir, to[0])
	}
}

// clientVariables name the service account of a call, for globus-cli and for
// this program.
var clientVariables = []string{"GLOBUS_CLI_CLIENT_ID", "GLOBUS_CLIENT_ID", "CLIENT_ID"}

// identify remembers which identity makes a call. A variable before the command, in
// a wrapper such as env, or set earlier names it. All jobs of a file use one
// service account, so a second one is refused.
func (c *commandLine) identify(s *simple, wrapping []string) error {
	client, by := "", ""
	for _, name := range clientVariables {
		value := c.vars[name]
		for _, word := range wrapping {
			if set, ok := strings.CutPrefix(word, name+"="); ok {
				value = set
			}
		}
		for _, set := range s.sets {
			if set.name != name {
				continue
			}
			values, err := c.expand(set.value)
			if err != nil {
				return err
			}
			value = strings.Join(values, " ")
		}
		if client == "" {
			client, by = strings.ToLower(value), name
		}
	}
	switch first := &c.tab.client; {
	case client == "":
	case first.id == "":
		*first = identity{client, c.entry.where}
		c.tab.note(c.entry.where, "%s: the line runs as client %s; give runner its CLIENT_ID and CLIENT_SECRET, which do not belong in a jobs file", by, short(client))
	case first.id != client:
		return fmt.Errorf("%s: the line runs as client %s, but %s as client %s; all jobs of a file have one identity, so import the lines of each client into a jobs file of its own",
			by, short(client), first.where, short(first.id))
	}
	return nil
}

// named reports whether a word is a command with one of the names.
func (c *commandLine) named(w word, names ...string) bool {
	args, err := c.expand(w)
	return err == nil && len(args) > 0 && slices.Contains(names, path.Base(args[0]))
}

var shellFlag = pattern.Lazy(`^-[a-z]*c$`)

// assign remembers variables. If a variable gets the output of a call of
// globus, that call is read.
func (c *commandLine) assign(s *simple, depth int) error {
	for _, set := range s.sets {
		value := set.value
		for len(value) > 0 && value[0].kind == bare && value[0].text == "" {
			value = value[1:]
		}
		if len(value) == 1 && value[0].kind == substitution && c.tab.callsGlobus(value[0].text) {
			if depth++; depth > maxShells {
				return errors.New("$(...) is nested too deep")
			}
			if err := c.commands(value[0].text, depth); err != nil {
				return err
			}
			c.vars[set.name] = "$" + set.name // the id of a task
			continue
		}
		quoted := slices.Clone(set.value)
		for i := range quoted {
			quoted[i].quoted = quoted[i].quoted || quoted[i].kind != bare
		}
		args, err := c.expand(quoted)
		if err != nil {
			delete(c.vars, set.name) // using it is then a problem
			continue
		}
		c.set(set.name, strings.Join(args, " "))
		if set.name == "TZ" {
			c.entry.clock = c.vars["TZ"]
		}
	}
	return nil
}

func (c *commandLine) set(name, value string) {
	c.vars[name] = value
	delete(c.doubtful, name)
	c.tab.nameCollection(name, value)
}

// Commands that are not of globus.
const (
	testing = "[ test mountpoint findmnt grep pgrep ping"  // decide whether the line goes on
	silent  = ": true echo printf date wait exit"          // print, or end the line
	tuning  = "logger set umask ulimit module conda unset" // change nothing outside the line
	telling = "mail mailx mutt sendmail curl wget tee"     // report to people what was done
	control = "if then else elif fi for while until do done case esac { } ! [[ function select"
)

// other reads a command other than globus.
func (c *commandLine) other(s *simple, name string) error {
	is := func(list string) bool { return slices.Contains(strings.Fields(list), name) }
	switch {
	case is(testing) && s.before != "||" && s.before != "|":
		c.conditions = append(c.conditions, short(s.String()))
	case is(control):
		return fmt.Errorf("%q: a jobs file has no conditions, loops and groups", name)
	case s.group && c.tab.callsGlobus(s.String()):
		return fmt.Errorf("%s: a job has no alternative for when the first command fails", short(s.String()))
	case c.calls > 0 && s.before == "||" && !is(": true exit"):
		c.drop("|| " + short(s.String()))
	case is(". source"):
		c.source(short(s.String()))
	case is(silent) && len(s.outs) == 0:
	case is(silent) || is(tuning):
		c.drop(short(strings.Join(append([]string{s.String()}, s.outs...), " ")))
	case name == "sleep":
		c.drop("sleep (see jitter)")
	case c.calls > 0 && is(telling):
		c.drop(short(s.String()))
	case c.calls > 0 && c.tab.callsGlobus(s.String()):
		return fmt.Errorf("globus is called through another command: %s", short(s.String()))
	case c.calls > 0 && s.before == "|":
		c.drop(short(s.String()))
	default:
		c.foreign = append(c.foreign, short(s.String()))
	}
	return nil
}

// wrapper reports whether a command only runs another one, and returns its
// options that have a value.
func wrapper(name string) (valued string, ok bool) {
	switch name {
	case "nohup", "time", "exec", "command", "chronic", "setsid":
		return "", true
	case "env":
		return "-u", true
	case "nice":
		return "-n", true
	case "ionice":
		return "-c -n -p", true
	case "sudo":
		return "-u -g", true
	case "timeout":
		return "-k -s", true
	case "flock":
		return "-w -E", true
	case "stdbuf":
		return "-o -e -i", true
	}
	return "", false
}

// unwrap returns the arguments from the wrapped command on.
func unwrap(args []string) []string {
	for len(args) > 0 {
		name := path.Base(args[0])
		valued, ok := wrapper(name)
		if !ok {
			return args
		}
		args = args[1:]
		for len(args) > 0 && strings.HasPrefix(args[0], "-") {
			if slices.Contains(strings.Fields(valued), args[0]) && len(args) > 1 {
				args = args[1:]
			}
			args = args[1:]
		}
		if (name == "timeout" || name == "flock") && len(args) > 0 {
			args = args[1:]
		}
		for (name == "env" || name == "sudo") && len(args) > 0 && nameLength(args[0]) > 0 && strings.HasPrefix(args[0][nameLength(args[0]):], "=") {
			args = args[1:]
		}
	}
	return args
}
