package migrate

import (
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/globus-runner/globus-runner/internal/plain"
)

// A call is one call of globus-cli that moves or deletes something.
type call struct {
	*commandLine
	name  string  // the command as it was written, for messages
	stdin *simple // the command whose standard input it reads

	label     string
	batch     string
	recursive string // true, false or nothing
	dryRun    bool
	globs     bool
	options   []field // of the document
	item      []field // of the single item
	rules     [][]field
	policies  []field
	timer     timerFlags
}

// globus reads a call of globus-cli or of this program.
func (c *commandLine) globus(s *simple, program string, args []string) error {
	switch {
	case s.before == "||":
		return fmt.Errorf("%s: a job has no alternative for when the first command fails", short(s.String()))
	case strings.HasPrefix(args[0], "-"):
		return fmt.Errorf("%s %s: write the options after the command", program, args[0])
	}
	command, rest := args[0], args[1:]
	for len(rest) > 0 && slices.Contains([]string{"task", "timer", "timer create"}, command) {
		command, rest = command+" "+rest[0], rest[1:]
	}
	k := call{commandLine: c, name: program + " " + command, stdin: s, globs: command == "rm"}
	switch command {
	case "transfer", "timer create transfer":
		return k.read(command, "transfer", rest, k.transfer)
	case "delete", "rm":
		return k.read(command, "delete", rest, k.delete)
	case "mkdir":
		return k.read(command, "delete", rest, k.mkdir)
	case "task wait":
		c.waited = true
		c.drop(k.name)
		return nil
	case "task show", "task list", "task event-list", "whoami", "login", "session", "version", "run":
		c.drop(k.name)
		return nil
	}
	return fmt.Errorf("%s cannot become a job; transfer, delete, rm, mkdir and timer create transfer can", k.name)
}

// read reads flags and arguments, with the flags of the command known, and adds
// the step that build makes from them.
func (k *call) read(command, known string, args []string, build func(args []string) (field, error)) error {
	flags := k.tab.Flags(known)
	addCLIFlags(flags, command)
	if command == "transfer" || command == "delete" {
		args = k.oldBatch(args)
	}
	err := flags.ParseAll(args, func(f *pflag.Flag, value string) error {
		k.flag(f.Name, value)
		return nil
	})
	if unknown, ok := errors.AsType[*pflag.NotExistError](err); ok {
		return fmt.Errorf("%s: there is no such flag of %s", dashes(unknown.GetSpecifiedName()), k.name)
	}
	for _, out := range k.stdin.outs {
		k.drop(out)
	}
	switch {
	case errors.Is(err, pflag.ErrHelp), k.dryRun:
		k.drop(k.name + ", which moves nothing")
		return nil
	case err != nil:
		return fmt.Errorf("%s: %w", k.name, err)
	}
	step, err := build(flags.Args())
	if err != nil {
		return err
	}
	return k.add(step)
}

// oldBatch adds the value to --batch. In globus-cli before 3.0, --batch was a
// switch and read the standard input.
func (k *call) oldBatch(args []string) []string {
	i := slices.Index(args, "--batch")
	if i < 0 {
		return args
	}
	if i+1 < len(args) {
		id, _, _ := strings.Cut(strings.ToLower(args[i+1]), ":")
		isFlag := strings.HasPrefix(args[i+1], "-") && args[i+1] != "-"
		if !isFlag && !uuidPattern().MatchString(id) {
			return args
		}
	}
	k.tab.note(k.entry.where, "--batch without a file is the form of globus-cli before 3.0, and is read as --batch -, the standard input")
	return slices.Insert(slices.Clone(args), i+1, "-")
}

// dashes returns a flag as it is written.
func dashes(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

// add adds the step to the job of the call before, if the line waited for that
// one, and otherwise to a new job.
func (k *call) add(step field) error {
	chained := (k.chained || k.waited) && len(k.jobs) > 0 && !k.timer.recurs()
	k.chained, k.waited = true, false
	j := &job{where: k.entry.where, name: k.label, description: k.label, steps: []field{step}, policies: k.policies, mail: k.entry.mail}
	if chained {
		k.jobs[len(k.jobs)-1].join(j)
		return nil
	}
	j.nameByStep()
	k.jobs = append(k.jobs, j)
	return k.scheduleTimer(j)
}

// join appends the steps of another job.
func (j *job) join(other *job) {
	j.steps = append(j.steps, other.steps...)
	if other.description != "" {
		j.description = strings.TrimPrefix(j.description+", "+other.description, ", ")
	}
	for _, p := range other.policies {
		guard, _ := p.value.([]field) // only the guard has keys
		for _, g := range guard {
			j.policies = withGuard(j.policies, g.key, g.value)
		}
		if guard == nil {
			j.policies = with(j.policies, p.key, p.value)
		}
	}
}

// erases reports whether a job deletes files.
func (j *job) erases() bool {
	return slices.ContainsFunc(j.steps, func(s field) bool { return s.key == "delete" || mirrors(s) })
}

// needsOrder reports whether the order of a job among others matters, because it does
// more than copy.
func (j *job) needsOrder() bool {
	return slices.ContainsFunc(j.steps, func(s field) bool { return s.key != "transfer" || mirrors(s) })
}

// mirrors reports whether a step deletes what the source does not have.
func mirrors(step field) bool {
	fields, _ := step.value.([]field)
	return slices.Contains(fields, field{"delete_destination_extra", true})
}

// transfer makes a transfer from flags and arguments.
func (k *call) transfer(args []string) (field, error) {
	if len(args) != 2 {
		return field{}, fmt.Errorf("%s: got %s, want source and destination; arguments with blanks need quotes", k.name, plain.Count(len(args), "argument"))
	}
	src, err := parsePlace(args[0])
	if err != nil {
		return field{}, fmt.Errorf("%s: source: %w", k.name, err)
	}
	dst, err := parsePlace(args[1])
	if err != nil {
		return field{}, fmt.Errorf("%s: destination: %w", k.name, err)
	}
	var fields []field
	switch {
	case k.batch != "":
		algorithm := slices.DeleteFunc(slices.Clone(k.item), func(f field) bool { return f.key != "checksum_algorithm" })
		if k.recursive != "" || len(algorithm) != len(k.item) {
			return field{}, errors.New("--batch: --recursive, --no-recursive and --external-checksum belong on its lines")
		}
		if fields, err = k.fromBatch(src, dst, algorithm); err != nil {
			return field{}, err
		}
	case src.path == "" || dst.path == "":
		return field{}, fmt.Errorf("%s: source and destination both need a path, or --batch", k.name)
	default:
		fields = []field{{"source", src}, {"destination", dst}}
		if k.recursive != "" {
			fields = append(fields, field{"recursive", k.recursive == "true"})
		}
		fields = append(fields, k.item...)
	}
	fields = append(fields, k.options...)
	if len(k.rules) > 0 {
		fields = append(fields, field{"filter_rules", k.rules})
	}
	return field{"transfer", fields}, nil
}

// fromBatch returns the keys of a transfer whose items are in a batch. Items
// with a checksum get the algorithm, if one is given.
func (k *call) fromBatch(src, dst place, algorithm []field) ([]field, error) {
	r, name, err := k.openBatch()
	if err != nil {
		return nil, err
	}
	if r != nil {
		return batchItems(src, dst, r, algorithm...)
	}
	return append(manifest(src, dst, name), algorithm...), nil
}

// openBatch returns a reader of the batch if the line itself contains it, or
// else the name of its file.
func (k *call) openBatch() (r io.Reader, name string, err error) {
	name = k.batch
	if name == "-" {
		switch {
		case k.stdin.in != nil:
			names, err := k.expand(k.stdin.in)
			if err != nil {
				return nil, "", err
			}
			name = strings.Join(names, " ")
		case k.stdin.before == "|":
			return nil, "", errors.New("--batch -: the paths come from another command; have it write a file, and name that as the job's manifest")
		case k.entry.stdin == "":
			return nil, "", errors.New("--batch -: cron gives it nothing to read")
		default:
			return strings.NewReader(k.entry.stdin), "", nil
		}
	}
	switch dir := k.dir; {
	case path.IsAbs(name):
	case dir != "" && path.IsAbs(dir):
		name, k.cd = path.Join(dir, name), ""
	case k.home != "":
		k.cd = ""
		name = path.Join(literal(k.home), dir, name)
	default:
		k.tab.note(k.entry.where, "--batch %s: the name is relative, so the file must be beside the jobs file", name)
	}
	return nil, name, nil
}

// delete makes a delete from flags and arguments.
func (k *call) delete(args []string) (field, error) {
	if len(args) != 1 {
		return field{}, fmt.Errorf("%s: got %s, want one; arguments with blanks need quotes", k.name, plain.Count(len(args), "argument"))
	}
	at, err := parsePlace(args[0])
	if err != nil {
		return field{}, fmt.Errorf("%s: %w", k.name, err)
	}
	var paths []string
	switch {
	case k.batch != "":
		r, name, err := k.openBatch()
		if err != nil {
			return field{}, err
		}
		if r == nil {
			return field{}, fmt.Errorf("--batch %s: a delete has its paths in the jobs file; write them there", name)
		}
		if paths, err = batchPaths(at, r); err != nil {
			return field{}, err
		}
	case at.path == "":
		return field{}, fmt.Errorf("%s: there is no path", k.name)
	default:
		paths = []string{at.path}
	}
	fields := []field{{"collection", place{id: at.id}}, {"paths", paths}}
	if k.recursive == "true" {
		fields = append(fields, field{"recursive", true})
	}
	if k.globs {
		fields = append(fields, field{"interpret_globs", true})
	}
	return field{"delete", append(fields, k.options...)}, nil
}

// mkdir makes a mkdir from flags and arguments.
func (k *call) mkdir(args []string) (field, error) {
	if len(args) != 1 {
		return field{}, fmt.Errorf("%s: got %s, want one", k.name, plain.Count(len(args), "argument"))
	}
	at, err := parsePlace(args[0])
	if err != nil {
		return field{}, fmt.Errorf("%s: %w", k.name, err)
	}
	if len(k.options) > 0 {
		k.problem("--%s: mkdir has no such option", strings.ReplaceAll(k.options[0].key, "_", "-"))
	}
	return field{"mkdir", []field{{"collection", place{id: at.id}}, {"path", at.path}}}, nil
}
