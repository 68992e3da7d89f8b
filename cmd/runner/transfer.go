package main

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/internal/spelling"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

const aboutTransfer = `Copy a file or a folder from one collection to another, and wait for the end.

The flags are those of "globus transfer". With --batch, each line of the file
(or of standard input, -) names a source and a destination, with quotes and
comments as in a shell:

  [--recursive|--no-recursive] [--external-checksum TEXT] SOURCE_PATH DEST_PATH

The paths in the arguments are put in front of the relative paths of the lines.
No two lines may have the same destination.

A collection is named by its id, or by its short name in the jobs file.`

// submitting is what the commands that submit share with globus-cli.
type submitting struct {
	following
	label        string
	deadline     string
	submissionID string
	notify       string
	batch        string
}

func (s *submitting) flags(flags *pflag.FlagSet) {
	s.following.flags(flags)
	flags.StringVar(&s.label, "label", "", "label of the task")
	flags.StringVar(&s.deadline, "deadline", "", "when Globus ends an unfinished task, such as 2026-11-22 or 2026-11-22T06:00:00Z (UTC); default: after 24 hours")
	flags.StringVar(&s.submissionID, "submission-id", "", "submission id of an earlier try, to repeat it safely; the other flags must be the same")
	flags.StringVar(&s.notify, "notify", "off", "mail to the owner: on, off, or some of succeeded, failed, inactive")
	flags.StringVar(&s.batch, "batch", "", "read the paths from this file, or - for the standard input")
}

// order makes the order of one fresh occurrence of an unscheduled job.
func (s *submitting) order(name string, doc transfer.Document, now time.Time) (engine.Order, error) {
	head := doc.Head()
	if err := transfer.CheckLabel(s.label); err != nil {
		return engine.Order{}, usageError{fmt.Errorf("--label: %w", err)}
	}
	if s.deadline != "" {
		if err := head.Deadline.UnmarshalText([]byte(s.deadline)); err != nil {
			return engine.Order{}, usageError{fmt.Errorf("--deadline: %w", err)}
		}
		if head.Deadline.Before(now) {
			return engine.Order{}, usageError{fmt.Errorf("--deadline %s is in the past", s.deadline)}
		}
	}
	if s.submissionID != "" {
		id, err := parseUUID("submission id", s.submissionID)
		if err != nil {
			return engine.Order{}, fmt.Errorf("--submission-id: %w", err)
		}
		s.submissionID = id
	}
	if err := setMails(head, s.notify); err != nil {
		return engine.Order{}, err
	}
	job := &jobs.Job{Name: name, Steps: jobs.Single(doc), Literal: true}
	if err := job.Check(); err != nil {
		return engine.Order{}, err
	}
	o := engine.Order{
		Job: job, Key: jobs.ManualKey(), Fresh: true, Label: s.label, SubmissionID: s.submissionID,
		Repeat: "--submission-id " + engine.SubmissionIDHere,
		Follow: "runner task wait " + engine.TaskIDHere,
	}
	if s.submissionID != "" {
		o.Key = jobs.Key("manual:" + s.submissionID) // the same label at each start
		return o, nil
	}
	if s.label == "" {
		o.Repeat += fmt.Sprintf(" --label %q", jobs.Label(name, o.Key, jobs.Position{}, 1))
	}
	if s.deadline == "" {
		o.Repeat += " --deadline " + engine.DeadlineHere
	}
	return o, nil
}

// setMails sets the mails that the owner gets.
func setMails(head *transfer.Header, value string) error {
	for word := range strings.SplitSeq(strings.ToLower(value), ",") {
		switch strings.TrimSpace(word) {
		case "on":
			head.NotifyOnSucceeded, head.NotifyOnFailed, head.NotifyOnInactive = true, true, true
		case "off", "":
		case "succeeded":
			head.NotifyOnSucceeded = true
		case "failed":
			head.NotifyOnFailed = true
		case "inactive":
			head.NotifyOnInactive = true
		default:
			return usageError{fmt.Errorf("--notify %q: want on, off, or some of succeeded, failed, inactive%s", value,
				spelling.Hint(word, "on", "off", "succeeded", "failed", "inactive"))}
		}
	}
	return nil
}

// open opens the batch, as often as it is called.
func (s *submitting) open(a *app) (r io.ReadCloser, err error) {
	if s.batch == "-" {
		r, err = a.inputs.openStdin()
	} else {
		r, err = a.inputs.open(s.batch)
	}
	if err != nil {
		return nil, usageError{fmt.Errorf("--batch: %w", err)}
	}
	return r, nil
}

// unusable is the error about a batch that was opened.
func (s *submitting) unusable(err error) error {
	if isUsage(err) {
		return err
	}
	if lines, ok := errors.AsType[jobs.LineFaults](err); ok { // each on a line of its own
		var all []error
		for _, line := range lines {
			all = append(all, fmt.Errorf("--batch %s: %w", s.batch, line))
		}
		return usageError{errors.Join(all...)}
	}
	return usageError{fmt.Errorf("--batch %s: %w", s.batch, err)}
}

// transferFlags are the flags of "runner transfer" beyond those of a submission.
type transferFlags struct {
	submitting
	guarding     guarding
	doc          transfer.Transfer
	recursive    bool
	syncLevel    string
	checksum     string
	algorithm    string
	allowSkipped bool
}

func (a *app) transferCommand() *cobra.Command {
	var f transferFlags
	c := &cobra.Command{
		Use:   "transfer SOURCE[:PATH] DESTINATION[:PATH]",
		Short: "Copy files between collections, and wait for the end",
		Long:  aboutTransfer,
		Example: `  runner transfer $LAB:/data/run7/ $VAULT:/raw/run7/ --recursive --sync-level checksum
  runner transfer $LAB:/data/ $VAULT:/raw/ --batch files.txt --label "run 7"`,
		Args: arguments(2, 2),
		RunE: func(c *cobra.Command, args []string) error {
			if err := f.fill(a, c, args); err != nil {
				return err
			}
			o, err := f.order("transfer", &f.doc, time.Now())
			if err != nil {
				return err
			}
			o.Job.AllowSkipped = f.allowSkipped
			if o.Job, err = f.guarding.of(o.Job); err != nil {
				return err
			}
			_, err = a.follow(c.Context(), o, f.following, recording{})
			return err
		},
	}
	f.flags(c.Flags())
	return c
}

func (f *transferFlags) flags(flags *pflag.FlagSet) {
	f.submitting.flags(flags)
	flags.BoolVarP(&f.recursive, "recursive", "r", false, "the source is a folder; default: Globus finds out")
	flags.BoolFunc("no-recursive", "the source is a file", func(string) error {
		return flags.Set("recursive", "false")
	})
	flags.StringVarP(&f.syncLevel, "sync-level", "s", "", "copy only what is missing (exists) or differs in size, mtime or checksum")
	flags.BoolVar(&f.doc.PreserveTimestamp, "preserve-timestamp", false, "set the modification times at the destination")
	flags.BoolVar(&f.doc.PreserveTimestamp, "preserve-mtime", false, "the same as --preserve-timestamp")
	flags.BoolVar(&f.doc.VerifyChecksum, "verify-checksum", true, "compare checksums after each file")
	flags.Bool("no-verify-checksum", false, "do not compare checksums")
	flags.BoolVar(&f.doc.EncryptData, "encrypt-data", false, "encrypt the data channel")
	flags.BoolVar(&f.doc.EncryptData, "encrypt", false, "the same as --encrypt-data")
	flags.BoolVar(&f.doc.SkipSourceErrors, "skip-source-errors", false, "skip source paths that are missing or unreadable")
	flags.BoolVar(&f.allowSkipped, "allow-skipped", false, "exit 0 even if source errors were skipped")
	flags.BoolVar(&f.doc.FailOnQuotaErrors, "fail-on-quota-errors", false, "fail at once when the destination is full")
	flags.BoolVar(&f.doc.DeleteDestinationExtra, "delete", false, "delete at the destination what the source does not have")
	flags.BoolVar(&f.doc.DeleteDestinationExtra, "delete-destination-extra", false, "the same as --delete")
	f.guarding.flags(flags, "how much of the destination --delete may delete, 50% by default")
	flags.StringVar(&f.checksum, "external-checksum", "", "what the file's checksum must be")
	flags.StringVar(&f.algorithm, "checksum-algorithm", "", "algorithm of --external-checksum; default: MD5")
	flags.Var(&ruleFlag{&f.doc.FilterRules, "include"}, "include", "file names to copy in folders, such as *.h5; the first --include or --exclude that matches decides")
	flags.Var(&ruleFlag{&f.doc.FilterRules, "exclude"}, "exclude", "file names to leave out in folders")
	flags.StringVar(&f.doc.SourceLocalUser, "source-local-user", "", "local account at the source, if there are several")
	flags.StringVar(&f.doc.DestinationLocalUser, "destination-local-user", "", "local account at the destination, if there are several")
	for _, name := range []string{"preserve-mtime", "encrypt", "delete-destination-extra"} {
		_ = flags.MarkHidden(name) // the flag exists
	}
}

// fill makes the document of flags and arguments.
func (f *transferFlags) fill(a *app, c *cobra.Command, args []string) error {
	locate := a.location
	if f.batch != "" {
		locate = a.folder
	}
	src, err := locate(args[0])
	if err != nil {
		return fmt.Errorf("source: %w", err)
	}
	dst, err := locate(args[1])
	if err != nil {
		return fmt.Errorf("destination: %w", err)
	}
	f.doc.SourceEndpoint, f.doc.DestinationEndpoint = src.Collection, dst.Collection
	if c.Flags().Changed("no-verify-checksum") {
		f.doc.VerifyChecksum = false
	}
	if f.syncLevel != "" {
		level, err := transfer.ParseSyncLevel(f.syncLevel)
		if err != nil {
			return usageError{fmt.Errorf("--sync-level: %w", err)}
		}
		f.doc.SyncLevel = &level
	}
	if f.batch != "" {
		return f.fillBatch(a, src.Path, dst.Path)
	}
	item := transfer.Item{
		SourcePath: src.Path, DestinationPath: dst.Path,
		ExternalChecksum: f.checksum, ChecksumAlgorithm: f.algorithm,
	}
	switch {
	case src.Path == "" || dst.Path == "":
		return usageError{errors.New("source and destination both need a path, as <collection>:/path, or --batch")}
	case f.recursive && f.checksum != "":
		return usageError{errors.New("--external-checksum is of a file and does not go with --recursive")}
	case c.Flags().Changed("recursive"):
		item.Recursive = &f.recursive
	case len(f.doc.FilterRules) > 0 && !strings.HasSuffix(src.Path, "/"):
		return usageError{errors.New("--include and --exclude are for folders: add --recursive")}
	}
	f.doc.Items = []transfer.Item{item}
	return usage((&jobs.Step{Transfer: &f.doc}).Check())
}

// fillBatch reads the items from a file.
func (f *transferFlags) fillBatch(a *app, src, dst string) error {
	if f.recursive || f.checksum != "" {
		return usageError{errors.New("with --batch, --recursive and --external-checksum belong on the lines that need them")}
	}
	if a.env.Lookup("GOGC") == "" {
		debug.SetGCPercent(50) // of the items, which stay, there are many megabytes
	}
	doc := f.doc
	doc.Items = []transfer.Item{{SourcePath: src, DestinationPath: dst, ChecksumAlgorithm: f.algorithm}}
	n, err := jobs.CheckItems(func() (io.ReadCloser, error) { return f.open(a) }, &doc)
	if err != nil {
		return f.unusable(err)
	}
	items := f.items(a, &doc)
	if n > itemsInMemory && !doc.DeleteDestinationExtra { // a mirror is looked at before it is submitted
		f.doc.More = items
		return nil
	}
	f.doc.Items = make([]transfer.Item, 0, n)
	for item, err := range items {
		if err != nil {
			return err
		}
		f.doc.Items = append(f.doc.Items, item)
	}
	return nil
}

// itemsInMemory is how many items of a batch are kept. More are read again
// whenever they are sent.
const itemsInMemory = 100_000

// items reads the items of a batch that was checked; doc has what they are below.
func (f *transferFlags) items(a *app, doc *transfer.Transfer) iter.Seq2[transfer.Item, error] {
	return func(yield func(transfer.Item, error) bool) {
		r, err := f.open(a)
		if err != nil {
			yield(transfer.Item{}, err)
			return
		}
		defer r.Close() //nolint:errcheck // it was only read
		for item, err := range jobs.CheckedItems(r, doc) {
			if err != nil {
				err = f.unusable(err)
			}
			if !yield(item, err) || err != nil {
				return
			}
		}
	}
}

// A ruleFlag adds filter rules, in the order of the command line.
type ruleFlag struct {
	rules  *[]transfer.FilterRule
	method string
}

func (r *ruleFlag) String() string { return "" }
func (r *ruleFlag) Type() string   { return "PATTERN" }

// Set adds a rule for files, as globus-cli does.
func (r *ruleFlag) Set(name string) error {
	if name == "" {
		return errors.New("the pattern is empty")
	}
	*r.rules = append(*r.rules, transfer.FilterRule{Method: r.method, Type: "file", Name: name})
	return nil
}
