// Package export writes the jobs of a jobs file for other schedulers: as CronJobs or
// a Deployment for Kubernetes, as a service for compose, as timers for systemd.
//
// Each policy of a job becomes its equivalent in the target. What the target cannot
// express is an error that names it; nothing is dropped silently. Secrets are not
// written: the manifests refer to the place where they are kept. Begin with
// [CronJobs]; [Compose], [Deployment] and [Timers] work the same way.
package export

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"text/template"
	"time"

	"github.com/globus-runner/globus-runner/jobs"
)

// An Input is what is exported.
type Input struct {
	File    *jobs.File    // what [jobs.Parse] made of the sources
	Sources []jobs.Source // at least one
	// Path is the jobs file, or the folder of the sources.
	Path string
}

// A Result is the result of an export.
type Result struct {
	Files []File `json:"files"`
	// Warnings name jobs that the target starts more often than the
	// scheduler of this program would.
	Warnings []*jobs.Problem `json:"warnings,omitempty"`
}

// A File is one file of a [Result].
type File struct {
	Name string `json:"name"` // without a folder
	Text string `json:"text"`
}

// folder reports whether the jobs are a folder of files, and not a single one.
func (in *Input) folder() bool { return len(in.Sources) > 1 || in.Sources[0].Name != in.Path }

// checksum returns a checksum of the text of the jobs file.
func (in *Input) checksum() string {
	h := sha256.New()
	for _, src := range in.Sources {
		fmt.Fprintf(h, "%s %d\n", filepath.Base(src.Name), len(src.Data))
		h.Write(src.Data)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// variables returns the names of the variables that templates of the jobs may
// read, without those in set.
func variables(all []*jobs.Job, set ...string) []scalar {
	names := map[string]bool{}
	for _, j := range all {
		for name := range j.Env {
			names[name] = !slices.Contains(set, name)
		}
	}
	maps.DeleteFunc(names, func(_ string, wanted bool) bool { return !wanted })
	var sorted []scalar
	for _, name := range slices.Sorted(maps.Keys(names)) {
		sorted = append(sorted, scalar(name))
	}
	return sorted
}

// A report collects what a target cannot express.
type report struct {
	input    Input
	refusals []*jobs.Problem
	warnings []*jobs.Problem
}

// refuse records that a field of a job cannot be expressed, and what to do
// instead.
func (r *report) refuse(j *jobs.Job, field, format string, args ...any) {
	r.refusals = append(r.refusals, problem(j, field, format, args...))
}

func (r *report) warn(j *jobs.Job, field, format string, args ...any) {
	r.warnings = append(r.warnings, problem(j, field, format, args...))
}

func problem(j *jobs.Job, field, format string, args ...any) *jobs.Problem {
	return &jobs.Problem{Field: strings.TrimSuffix("jobs."+j.Name+"."+field, "."), Msg: fmt.Sprintf(format, args...)}
}

// manifests refuses jobs with a manifest, a file that would not exist in the target.
func (r *report) manifests(where string) {
	for _, j := range r.input.File.Jobs {
		for i := range j.Steps {
			if j.Steps[i].Manifest == "" {
				continue
			}
			r.refuse(j, stepField(j, i, "transfer.manifest"), "the file would not be in %s; name the files in items; if the list changes, export systemd-timers, or let runner serve do it on a host that has the file", where)
		}
	}
}

// stepField returns the name of a field of a step.
func stepField(j *jobs.Job, i int, field string) string {
	if len(j.Steps) > 1 {
		return fmt.Sprintf("steps[%d].%s", i, field)
	}
	return field
}

// noLedger refuses what needs a ledger, because the target has none.
func (r *report) noLedger(j *jobs.Job, where, instead string) {
	prunes := false
	for i := range j.Steps {
		if j.Steps[i].Prune == nil {
			continue
		}
		prunes = true
		r.refuse(j, stepField(j, i, "prune"), "the receipts by which it deletes are in the ledger, which %s does not have; %s", where, instead)
	}
	pruner := r.pruner(j)
	switch {
	case prunes || !j.Receipts:
	case pruner != "":
		r.refuse(j, "", "it keeps receipts, because %s prunes by them, and they are in the ledger, which %s does not have; %s", pruner, where, instead)
	default:
		r.refuse(j, "receipts", "the receipts of the job are in the ledger, which %s does not have; %s", where, instead)
	}
	if j.ForEach == nil {
		return
	}
	if j.ForEach.Ready.UnchangedFor > 0 {
		r.refuse(j, "for_each.ready.unchanged_for", "the result of the look before is in the ledger, which %s does not have; use marker or older_than, or %s", where, instead)
	}
	if j.ForEach.Again == jobs.AgainChanged {
		r.refuse(j, "for_each.again", "the earlier copies of an item are in the ledger, which %s does not have; leave again out, or %s", where, instead)
	}
}

// pruner returns the name of a job that prunes by the receipts of another one, or "".
func (r *report) pruner(of *jobs.Job) string {
	for _, j := range r.input.File.Jobs {
		for i := range j.Steps {
			if p := j.Steps[i].Prune; p != nil && slices.Contains(p.Of, of.Name) {
				return j.Name
			}
		}
	}
	return ""
}

// result returns the files, or all refusals as an error.
func (r *report) result(files func() ([]File, error)) (*Result, error) {
	if len(r.refusals) > 0 {
		jobs.Locate(r.refusals, r.input.Sources...)
		errs := make([]error, len(r.refusals))
		for i, p := range r.refusals {
			errs[i] = p
		}
		return nil, errors.Join(errs...)
	}
	made, err := files()
	if err != nil {
		return nil, err
	}
	jobs.Locate(r.warnings, r.input.Sources...)
	return &Result{Files: made, Warnings: r.warnings}, nil
}

//go:embed templates
var files embed.FS

// templates are parsed when the first one is needed. Texts in them are a
// [scalar], which quotes itself for YAML.
var templates = sync.OnceValues(func() (*template.Template, error) {
	return template.New("").Funcs(template.FuncMap{"indent": indent}).ParseFS(files, "templates/*")
})

// render executes a template.
func render(name string, data any) (string, error) {
	all, err := templates()
	if err != nil {
		return "", fmt.Errorf("parse the templates: %w", err)
	}
	var b strings.Builder
	if err := all.ExecuteTemplate(&b, name, data); err != nil {
		return "", fmt.Errorf("execute the template %s: %w", name, err)
	}
	return b.String(), nil
}

// indent puts n blanks before each line of text except the first, and drops the
// last line end.
func indent(n int, text string) string {
	return strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n"+strings.Repeat(" ", n))
}

// period writes a duration in the form of jobs files.
func period(d time.Duration) string {
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}} {
		if d > 0 && d%u.unit == 0 {
			return fmt.Sprintf("%d%s", d/u.unit, u.name)
		}
	}
	return fmt.Sprintf("%ds", (d+time.Second-1)/time.Second)
}
