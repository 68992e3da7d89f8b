package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/globus-runner/globus-runner/internal/plain"
	"github.com/globus-runner/globus-runner/internal/settings"
	"github.com/globus-runner/globus-runner/internal/spelling"
)

// An app is one start of the program: its streams, its environment, and the
// flags that every command has. Once the command line is read, it stays the same.
type app struct {
	stdout io.Writer
	stderr *screen // logs and messages; a terminal's live line as well

	env    *settings.Environment
	inputs *inputs        // the standard input, batches and manifests
	out    output         // -F, --jmespath and --map-http-status
	log    *slog.Logger   // to stderr
	level  *slog.LevelVar // of log: of the environment, or of -v
}

func newApp(environ []string, stdin io.Reader, stdout, stderr io.Writer) *app {
	env := settings.Read(environ)
	a := &app{inputs: newInputs(stdin), stdout: stdout, stderr: newScreen(stderr, env.Lookup("TERM")), env: env, level: &slog.LevelVar{}}
	a.level.Set(slog.Level(a.env.LogLevel))
	a.log = slog.New(a.logHandler())
	return a
}

const about = `runner moves research data with Globus Transfer, with nobody at the keyboard.

It logs in as a service account (CLIENT_ID and CLIENT_SECRET), submits a task
and follows it to its end. It exits 0 only when Globus has done everything.

Without an account, "runner demo" shows a whole job on a simulated Globus.`

// command builds the command line.
func (a *app) command() *cobra.Command {
	root := &cobra.Command{
		Use:               "runner",
		Short:             "Moves research data with Globus, with nobody at the keyboard",
		Long:              about,
		Version:           build().String(),
		SilenceErrors:     true,
		SilenceUsage:      true,
		Args:              cobra.ArbitraryArgs, // group tells about an unknown command
		RunE:              group,
		PersistentPreRunE: func(c *cobra.Command, _ []string) error { return a.ready(c) },
	}
	root.SetIn(a.inputs.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.Flags().Bool("version", false, "print the version")
	root.SetVersionTemplate("runner {{.Version}}\n")
	root.SetFlagErrorFunc(flagError)
	a.commonFlags(root.PersistentFlags())

	add := func(title string, commands ...*cobra.Command) {
		root.AddGroup(&cobra.Group{ID: title, Title: title})
		for _, c := range commands {
			c.GroupID = title
			root.AddCommand(c)
		}
	}
	add("Running jobs:", a.serveCommand(), a.runCommand(), a.runsCommand(), a.pauseCommand(), a.resumeCommand(), a.triggerCommand(), a.itemsCommand(), a.whyCommand(), a.receiptCommand(), a.auditCommand(), a.notifyCommand(), a.doctorCommand(), a.healthCommand())
	add("The jobs file:", a.validateCommand(), a.planCommand(), a.nextCommand(), a.jobsCommand(), a.schemaCommand(), a.importCommand(), a.exportCommand())
	add("Globus by hand:", a.transferCommand(), a.deleteCommand(), a.taskCommand(), a.lsCommand(), a.statCommand(),
		a.mkdirCommand(), a.renameCommand(), a.shareCommand(), a.endpointsCommand(), a.endpointCommand(), a.bookmarkCommand(), a.timerCommand(), a.apiCommand(), a.identitiesCommand(), a.whoamiCommand())
	add("As yourself:", a.loginCommand(), a.logoutCommand())
	add("Trying it out:", a.demoCommand(), a.simCommand())
	root.AddCommand(a.envCommand(), a.versionCommand())
	root.InitDefaultCompletionCmd()
	if c, _, err := root.Find([]string{"completion"}); err == nil {
		c.Args, c.RunE = cobra.ArbitraryArgs, group
	}
	return root
}

// commonFlags are the flags of all commands. Those of globus-cli have its names.
func (a *app) commonFlags(flags *pflag.FlagSet) {
	a.out.format = formatText
	flags.VarP(oneOf(&a.out.format, "FORMAT", formatText, formatJSON, formatUnix), "format", "F", "how results are printed: text, json, or unix (words between tabs)")
	flags.Var(&a.out.query, "jmespath", "print what this JMESPath expression finds in the result, as JSON or with -F unix")
	flags.Var(&a.out.query, "jq", "the same as --jmespath")
	flags.Var(&a.out.statuses, "map-http-status", `exit with these statuses, 0, 1 or 50 to 99, when Globus answers with an HTTP status, such as "404=50,403=51"`)
	a.levelFlag(flags, "verbose", "v", "log every request (like RUNNER_LOG_LEVEL=debug)", slog.LevelDebug)
	a.levelFlag(flags, "quiet", "q", "log errors only (like RUNNER_LOG_LEVEL=error)", slog.LevelError)
	_ = flags.MarkHidden("jq") // the flag exists
}

// levelFlag adds a flag that sets what is logged.
func (a *app) levelFlag(flags *pflag.FlagSet, name, letter, usage string, level slog.Level) {
	flags.BoolFuncP(name, letter, usage, func(text string) error {
		on, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("%q is not true or false", text)
		}
		if on {
			a.level.Set(level)
		}
		return nil
	})
}

// ready returns what is wrong with the environment, and with the job that it describes if
// the command uses that.
func (a *app) ready(c *cobra.Command) error {
	a.warnOfMisspellings()
	err := a.env.Check()
	if err == nil {
		return nil
	}
	from := jobsSource{env: a.env}
	if f := c.Flag("jobs"); f != nil {
		from.flag = f.Value.String()
	}
	if from.described() {
		_, wrong := a.env.Job.File()
		err = errors.Join(err, wrong)
	}
	return usageError{err}
}

func (a *app) warnOfMisspellings() {
	for _, m := range a.env.Misspelled {
		a.log.Warn("this variable is not used, another one may be meant", "variable", m.Name, "meant", m.Meant)
	}
}

// logHandler writes text to a terminal and JSON to everything else, unless the
// environment says otherwise.
func (a *app) logHandler() slog.Handler {
	opts := &slog.HandlerOptions{Level: a.level, ReplaceAttr: readable}
	if a.env.LogFormat == settings.LogText || a.env.LogFormat == settings.LogAuto && a.stderr.terminal {
		return slog.NewTextHandler(a.stderr, opts)
	}
	return slog.NewJSONHandler(a.stderr, opts)
}

// readable writes durations as text in JSON too.
func readable(_ []string, attr slog.Attr) slog.Attr {
	if attr.Value.Kind() == slog.KindDuration {
		attr.Value = slog.StringValue(attr.Value.Duration().String())
	}
	return attr
}

// group is the action of a command that has only subcommands.
func group(c *cobra.Command, args []string) error {
	known := subcommands(c)
	switch {
	case len(args) == 0 && !c.HasParent():
		return c.Help()
	case len(args) == 0: // a help text in the place of a document would be taken for one
		return usageError{fmt.Errorf("say which: %s %s; see %s --help", c.CommandPath(), strings.Join(known, ", "), c.CommandPath())}
	}
	if answer := answerCommand(c, args); answer != "" {
		return usageError{fmt.Errorf("%s; see %s --help", answer, c.Root().Name())}
	}
	hint := spelling.Hint(args[0], known...)
	if hint == "" && c.HasParent() {
		hint = "; there are " + strings.Join(known, ", ")
	}
	return usageError{fmt.Errorf("unknown command %q for %q%s; see %s --help", args[0], c.CommandPath(), hint, c.CommandPath())}
}

// arguments checks how many arguments a command got. It names those that are missing as
// the usage of the command does.
func arguments(least, most int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) >= least && len(args) <= most {
			return nil
		}
		if len(args) > most {
			return usageError{fmt.Errorf("the argument %q is too much; usage: %s", args[most], c.UseLine())}
		}
		missing := strings.Fields(strings.ReplaceAll(c.Use, "…", ""))[1+len(args) : 1+least]
		return usageError{fmt.Errorf("%s %s missing; usage: %s", strings.Join(missing, " and "), are(int64(len(missing))), c.UseLine())}
	}
}

// report tells people what went wrong and returns the exit status.
func (a *app) report(ctx context.Context, err error) int {
	a.stderr.clear()
	switch {
	case err == nil:
		return 0
	case hungUp(err): // as other programs, which the signal ends
		return caught{syscall.SIGPIPE}.status()
	}
	text := a.sentence(err)
	if sig, signaled := errors.AsType[caught](context.Cause(ctx)); signaled && canceled(err) {
		text = fmt.Sprintf("interrupted (%v): %s", sig, withoutCanceled.Replace(strings.TrimSuffix(err.Error(), ": "+sig.Error())))
	}
	fmt.Fprintf(a.stderr, "runner: %s\n", lines(err, text))
	return a.status(ctx, err)
}

// lines returns the text about err for a terminal. Only joined errors get lines of their
// own: a line end in the name of a file, for example, is escaped.
func lines(err error, text string) string {
	joined, ok := errors.AsType[interface {
		error
		Unwrap() []error
	}](err)
	if !ok {
		return plain.Line(text)
	}
	before, after, found := strings.Cut(text, joined.Error())
	if !found {
		return plain.Line(text)
	}
	var inner []string
	for _, err := range joined.Unwrap() {
		inner = append(inner, err.Error())
	}
	if strings.Join(inner, "\n") != joined.Error() { // several wrapped in one sentence
		return plain.Line(text)
	}
	for i, err := range joined.Unwrap() {
		inner[i] = lines(err, inner[i])
	}
	if said, own := strings.CutSuffix(before, "\n"); own { // they begin below what is said of them
		return plain.Line(said) + "\n" + strings.Join(inner, "\n") + plain.Line(after)
	}
	return plain.Line(before) + strings.Join(inner, "\n") + plain.Line(after)
}
