// Package migrate makes jobs files from crontabs that call globus-cli, from its
// batch files, and from Globus Timers: [Crontab], [BatchFile], [Timers].
//
// What a job cannot express is reported as a [Problem]; nothing that changes what is
// moved, or when, is ignored. Package jobs checks the jobs file before it is
// returned. This package opens no files and sends no requests: the caller supplies
// names, streams and documents.
package migrate

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/pflag"

	"github.com/globus-runner/globus-runner/internal/pattern"
	"github.com/globus-runner/globus-runner/internal/plain"
	"github.com/globus-runner/globus-runner/jobs"
)

// Options configure an import.
type Options struct {
	// Name is the name of the input in messages and comments.
	Name string
	// Zone is the IANA name of the time zone of the schedules, such as that
	// of the crontab's machine. Empty means UTC, with a note.
	Zone string
	// Collections maps collection ids (UUIDs in lower case) to short names.
	// A collection without one gets one.
	Collections map[string]string
	// DisplayName returns Globus's name of a collection, from which a short
	// name is made, or "". It may be nil.
	DisplayName func(id string) string
	// KeepGoing returns a jobs file even if something was refused.
	KeepGoing bool
	// Nearest uses the nearest schedule, with a note, if there is none with
	// the same instants.
	Nearest bool
}

// A Result is the result of an import.
type Result struct {
	// File is the jobs file, which passes [jobs.Parse]. It is nil if no job
	// was found, or if there are problems and [Options.KeepGoing] is not
	// set.
	File     []byte
	Jobs     int       // number of good jobs, even if File is nil
	Problems []Problem // what was refused, in the order of the input
	Notes    []Problem // what was left out or changed without harm
}

// A Problem is something that a job cannot express, or a note.
type Problem struct {
	Where string `json:"where"`   // such as "crontab:7"
	Msg   string `json:"message"` // begins with the flag or key in question, if any
}

// Error returns the problem on one line.
func (p Problem) Error() string { return p.Where + ": " + p.Msg }

// Flags returns the flags of a command, "transfer" or "delete", in a new set.
type Flags func(command string) *pflag.FlagSet

// A job is a job of the future jobs file.
type job struct {
	where       string
	name        string // proposed name; [importer.nameJobs] makes it unique
	longer      string // proposed if that is taken; may be empty
	description string
	schedule    string
	zone        string
	suspend     bool
	policies    []field
	mail        []string // addresses to which failures are reported
	steps       []field  // transfer, delete, prune or mkdir, in this order
	deletes     []field  // the steps as they were before a delete became a prune; or nil
}

// An importer collects the jobs, problems and notes of an import.
type importer struct {
	Options
	jobs     []*job
	problems []Problem
	notes    []Problem
}

// newImporter returns an importer, after checking the options.
func newImporter(o Options) importer {
	im := importer{Options: o}
	im.Collections = map[string]string{}
	for _, id := range slices.Sorted(maps.Keys(o.Collections)) {
		name := o.Collections[id]
		if !shortPattern().MatchString(name) {
			im.problem("--collection", "name %q: want lower-case letters, digits, and inner dashes or underscores", short(name))
			continue
		}
		im.Collections[id] = name
	}
	return im
}

func (im *importer) problem(where, format string, args ...any) {
	im.problems = append(im.problems, Problem{where, plain.Line(fmt.Sprintf(format, args...))})
}

func (im *importer) note(where, format string, args ...any) {
	im.notes = append(im.notes, Problem{where, plain.Line(fmt.Sprintf(format, args...))})
}

// result writes the jobs file and checks it. A job that package jobs refuses is
// reported as a problem.
func (im *importer) result() Result {
	im.jobs = slices.DeleteFunc(im.jobs, func(j *job) bool {
		text := append([]string{j.schedule, j.description}, slices.Collect(texts(slices.Concat(j.policies, j.steps)))...)
		good := utf8.ValidString(strings.Join(text, ""))
		if !good {
			im.problem(j.where, "it is not UTF-8, which a jobs file must be")
		}
		return !good
	})
	for len(im.jobs) > 0 {
		names := im.nameJobs()
		text := im.write(names)
		file, err := jobs.Parse(nil, jobs.Source{Name: im.Name, Data: text})
		if err == nil {
			for _, w := range file.Warnings {
				im.note(im.origin(names, w.Field), "%s", w.Msg)
			}
			return im.done(text)
		}
		if problems := jobs.Problems(err); !im.prove(names, problems) && !im.unprove(names, problems) {
			im.drop(names, err)
		}
	}
	return im.done(nil)
}

// drop removes the jobs that err is about, at least one, and reports why.
func (im *importer) drop(names []string, err error) {
	bad := map[int]bool{}
	for _, p := range jobs.Problems(err) {
		i := jobOf(names, p.Field)
		if i < 0 || p.Prune != nil { // a delete may be accepted once the other jobs are gone
			continue
		}
		bad[i] = true
		im.problem(im.jobs[i].where, "%s", p.Msg)
	}
	if len(bad) == 0 { // a problem of the whole file, such as its size
		im.problem(im.Name, "%v", err)
		im.jobs = nil
		return
	}
	var rest []*job
	for i, j := range im.jobs {
		if !bad[i] {
			rest = append(rest, j)
		}
	}
	im.jobs = rest
}

// jobOf returns the index of the job that contains a field such as
// jobs.nightly.transfer.source, or -1.
func jobOf(names []string, field string) int {
	rest, ok := strings.CutPrefix(field, "jobs.")
	if !ok {
		return -1
	}
	name, _, _ := strings.Cut(rest, ".")
	return slices.Index(names, name)
}

// origin returns where the job of a field came from.
func (im *importer) origin(names []string, field string) string {
	if i := jobOf(names, field); i >= 0 {
		return im.jobs[i].where
	}
	return im.Name
}

func (im *importer) done(text []byte) Result {
	r := Result{Jobs: len(im.jobs), Problems: im.problems, Notes: im.notes}
	if len(r.Problems) == 0 || im.KeepGoing {
		r.File = text
	}
	byLine := func(a, b Problem) int { return cmp.Compare(lineOf(a.Where), lineOf(b.Where)) }
	slices.SortStableFunc(r.Problems, byLine)
	slices.SortStableFunc(r.Notes, byLine)
	return r
}

// lineOf returns the number at the end of where, or 0.
func lineOf(where string) int {
	var n int
	if i := strings.LastIndexByte(where, ':'); i >= 0 {
		_, _ = fmt.Sscanf(where[i+1:], "%d", &n) // without a number it stays 0, which comes first
	}
	return n
}

// maxQuote is how many characters of a text a message quotes.
const maxQuote = 120

// secretValue matches the assignment of a secret to a variable on a command line.
var secretValue = pattern.Lazy(`(?i)\b(\w*(?:SECRET|TOKEN|PASSWORD)\w*)=\S+`)

// short shortens a text for a message.
func short(text string) string {
	text = secretValue().ReplaceAllString(text, "$1=***")
	if r := []rune(text); len(r) > maxQuote {
		return string(r[:maxQuote-3]) + "..."
	}
	return text
}
