package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/globus-runner/globus-runner/internal/migrate"
	"github.com/globus-runner/globus-runner/internal/plain"
	"github.com/globus-runner/globus-runner/schedule"
)

const aboutImport = `Turn a crontab, a batch file of globus-cli or the account's Globus Timers into a
jobs file. It goes to standard output, or into a new file with -o.

If a job cannot express something, the message names the line and the flag;
nothing is written, and the exit status is 2. With --keep-going, the rest is
written. Parts that can be left out without harm are reported as notes. The
written file has passed the checks of "runner validate".`

const aboutImportCrontab = `Turn each line of a crontab that calls globus transfer, delete, rm, mkdir or
timer create transfer into a job; - is standard input. Lines that call something
else are left out with a note.

  crontab -l | runner import crontab - --time-zone America/Chicago -o jobs.yaml`

const aboutImportBatch = `Turn a batch file of globus transfer into a job; - is standard input. The lines of
a file of up to 100 lines are written into the jobs file; a longer file stays where
it is and becomes the job's manifest.`

// importing is the flags that the import commands share.
type importing struct {
	migrate.Options
	collections []string
	out         string
	force       bool
}

func (i *importing) flags(flags *pflag.FlagSet) {
	flags.StringArrayVar(&i.collections, "collection", nil, "short name of a collection in the jobs file, as NAME=ID; may be repeated")
	flags.BoolVarP(&i.KeepGoing, "keep-going", "k", false, "write the good jobs even if others are refused")
	flags.StringVarP(&i.out, "output", "o", "", "write to this new file")
	flags.BoolVar(&i.force, "force", false, "let -o overwrite a file")
}

func (i *importing) zoneFlag(flags *pflag.FlagSet, usage string) {
	flags.StringVar(&i.Zone, "time-zone", "", usage)
}

// prepare sets the options that the flags describe.
func (i *importing) prepare(name string) error {
	i.Name = name
	i.Collections = map[string]string{}
	for _, text := range i.collections {
		short, id, ok := strings.Cut(text, "=")
		id, err := parseUUID("collection id", id)
		if err != nil || !ok {
			return usageError{fmt.Errorf("--collection %q: want NAME=ID with the id of a collection", text)}
		}
		i.Collections[id] = short
	}
	if i.Zone != "" {
		if _, err := schedule.LoadZone(i.Zone); err != nil {
			return usageError{fmt.Errorf("--time-zone %q: there is no such zone; want a name such as America/Chicago", i.Zone)}
		}
	}
	return nil
}

func (a *app) importCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "import",
		Short: "Turn a crontab, a batch file or Globus Timers into a jobs file",
		Long:  aboutImport,
		Args:  cobra.ArbitraryArgs, // group tells about an unknown command
		RunE:  group,
	}
	c.AddCommand(a.importCrontabCommand(), a.importBatchCommand(), a.importTimersCommand())
	return c
}

func (a *app) importCrontabCommand() *cobra.Command {
	var f importing
	var cron migrate.Cron
	c := &cobra.Command{
		Use:     "crontab FILE",
		Short:   "Turn the lines of a crontab that call globus-cli into jobs",
		Long:    aboutImportCrontab,
		Example: `  runner import crontab /etc/cron.d/globus --time-zone Europe/Zurich`,
		Args:    arguments(1, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			cron.System = cron.System || args[0] == "/etc/crontab" || filepath.Dir(args[0]) == "/etc/cron.d"
			cron.Flags = a.cliFlags
			if !cron.System {
				cron.Home = a.env.Home
			}
			return a.importFile(&f, args[0], "crontab", func(r io.Reader) (migrate.Result, error) {
				return migrate.Crontab(r, time.Now(), cron, f.Options)
			})
		},
	}
	flags := c.Flags()
	f.flags(flags)
	f.zoneFlag(flags, "time zone of the crontab's machine, such as America/Chicago; CRON_TZ in the crontab takes precedence (default: UTC)")
	flags.BoolVar(&cron.System, "system", false, "the lines have a column for the user, as in /etc/crontab")
	flags.BoolVar(&f.Nearest, "nearest", false, "take the nearest schedule if none has the same instants")
	return c
}

// cliFlags are the flags that this program shares with globus-cli.
func (a *app) cliFlags(command string) *pflag.FlagSet {
	if command == "delete" {
		return a.deleteCommand().Flags()
	}
	return a.transferCommand().Flags()
}

func (a *app) importBatchCommand() *cobra.Command {
	var f importing
	var b migrate.Batch
	c := &cobra.Command{
		Use:     "batch FILE",
		Short:   "Turn a batch file of globus-cli into a job",
		Long:    aboutImportBatch,
		Example: `  runner import batch files.txt --source $LAB:/data/ --destination $VAULT:/raw/ --schedule "30 1 * * *"`,
		Args:    arguments(1, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			if b.Source == "" || b.Destination == "" {
				return usageError{errors.New("say from where to where: --source and --destination")}
			}
			b.Manifest = f.beside(args[0])
			return a.importFile(&f, args[0], "batch", func(r io.Reader) (migrate.Result, error) {
				return migrate.BatchFile(r, b, f.Options)
			})
		},
	}
	flags := c.Flags()
	f.flags(flags)
	f.zoneFlag(flags, "zone of the schedule, such as America/Chicago (default: UTC)")
	flags.StringVar(&b.Source, "source", "", "where to copy from, as COLLECTION_ID[:PATH]")
	flags.StringVar(&b.Destination, "destination", "", "where to copy to, as COLLECTION_ID[:PATH]")
	flags.StringVar(&b.Schedule, "schedule", "", "when to start, as five cron fields, @daily or @every 6h; default: only by hand")
	flags.StringVar(&b.Job, "job", "", "name of the job; default: derived from the paths")
	return c
}

// importFile imports a file, or for - the standard input, which messages call by what.
func (a *app) importFile(f *importing, name, what string, read func(io.Reader) (migrate.Result, error)) error {
	if name != "-" {
		what = name
	}
	if err := f.prepare(what); err != nil {
		return err
	}
	in := io.NopCloser(a.inputs.stdin)
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return usageError{err}
		}
		in = file
	}
	defer in.Close() //nolint:errcheck // it was only read
	result, err := read(in)
	if err != nil {
		return usageError{err}
	}
	return a.imported(result, *f)
}

// beside returns the name of a file relative to the jobs file that is written.
func (i *importing) beside(name string) string {
	if name == "-" || filepath.IsAbs(name) || i.out == "" {
		return strings.TrimPrefix(name, "-")
	}
	if rel, err := filepath.Rel(filepath.Dir(i.out), name); err == nil {
		return rel
	}
	return name
}

// An importDocument is the result of "runner import".
type importDocument struct {
	File     string            `json:"file"` // the text of the jobs file; empty if there is none
	Jobs     int               `json:"jobs"` // that are good
	Problems []migrate.Problem `json:"problems"`
	Notes    []migrate.Problem `json:"notes"`
}

// imported prints the result of an import, or writes it into a file.
func (a *app) imported(r migrate.Result, f importing) error {
	doc := importDocument{
		File: string(r.File), Jobs: r.Jobs,
		Problems: append([]migrate.Problem{}, r.Problems...), Notes: append([]migrate.Problem{}, r.Notes...),
	}
	if f.out != "" && r.File != nil {
		if err := createFile(f.out, r.File, f.force); err != nil {
			return usageError{err}
		}
	}
	if err := a.print(doc, func(w io.Writer) {
		for _, p := range r.Notes {
			fmt.Fprintln(a.stderr, plain.Line(p.Where+": note: "+p.Msg))
		}
		for _, p := range r.Problems {
			fmt.Fprintln(a.stderr, plain.Line(p.Error()))
		}
		switch {
		case r.File == nil:
		case f.out == "":
			_, _ = w.Write(r.File) // a buffer
		default:
			fmt.Fprintf(w, "%s: %s\n", plain.Line(f.out), plain.Count(r.Jobs, "job"))
		}
	}); err != nil {
		return err
	}
	switch problems := plain.Count(len(r.Problems), "problem"); {
	case len(r.Problems) > 0 && r.File != nil:
		return usageError{fmt.Errorf("%s: %s; only the other jobs were written", f.Name, problems)}
	case len(r.Problems) > 0 && r.Jobs > 0:
		return usageError{fmt.Errorf("%s: %s, so nothing was written; --keep-going writes the jobs that are good", f.Name, problems)}
	case len(r.Problems) > 0:
		return usageError{fmt.Errorf("%s: %s, so nothing was written", f.Name, problems)}
	}
	return nil
}
