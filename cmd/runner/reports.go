package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"slices"

	"github.com/spf13/pflag"

	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/report"
	"github.com/globus-runner/globus-runner/jobs"
)

// maxAnnotations is how many annotations GitHub takes from one step.
const maxAnnotations = 10

// reporting says into which files the reports of a run go; empty means none.
type reporting struct{ junit, summary, output string }

func (r *reporting) flags(flags *pflag.FlagSet) {
	flags.StringVar(&r.junit, "junit", "", "write a JUnit report to this file")
	flags.StringVar(&r.summary, "summary", "", "write a summary in Markdown to this file")
	flags.StringVar(&r.output, "output", "", "write task_id, state, bytes, files and exit_code to this file, as key=value lines")
}

// writeReports writes the reports on what was done about the orders, and on err, with
// which the command ends. A file that cannot be written changes nothing about
// the run, so it is logged.
func (a *app) writeReports(ctx context.Context, files reporting, docs []*resultDocument, orders []engine.Order, err error) {
	came := report.Report{ExitCode: a.status(ctx, err)}
	if len(docs) == 0 && err != nil { // it ended before there was a result, or even a job
		if len(orders) == 0 {
			orders = []engine.Order{{Job: &jobs.Job{}}}
		}
		for _, o := range orders {
			docs = append(docs, a.undone(ctx, o, err))
		}
	}
	for _, d := range docs {
		came.Runs = append(came.Runs, d.report(a.env.TaskPage))
	}
	type target struct {
		file  string
		mode  int
		write func(io.Writer, report.Report) error
	}
	targets := []target{
		{files.junit, os.O_TRUNC, report.JUnit},
		{files.summary, os.O_TRUNC, report.Summary},
		{files.output, os.O_TRUNC, report.Outputs},
	}
	if ci := a.env.CI; ci.OnGitHub() {
		// What else the step does writes into these files too. A flag that
		// names one of them asks for no more than this.
		targets = slices.DeleteFunc(targets, func(t target) bool { return t.file == ci.GitHubSummary || t.file == ci.GitHubOutput })
		targets = append(targets,
			target{ci.GitHubSummary, os.O_APPEND, report.Summary},
			target{ci.GitHubOutput, os.O_APPEND, report.Outputs})
	}
	for _, t := range targets {
		if t.file != "" {
			a.writeReport(t.file, t.mode, t.write, came)
		}
	}
	a.annotate(err)
}

// endsInside reports whether a file ends in the middle of a line.
func endsInside(name string) bool {
	f, err := os.Open(name)
	if err != nil {
		return false // it is not there, or the write meets the same error
	}
	defer f.Close() //nolint:errcheck // it was only read
	last := make([]byte, 1)
	if _, err := f.Seek(-1, io.SeekEnd); err != nil {
		return false
	}
	_, err = f.Read(last)
	return err == nil && last[0] != '\n'
}

// writeReport writes a report to a file, or logs why it could not.
func (a *app) writeReport(name string, mode int, write func(io.Writer, report.Report) error, r report.Report) {
	var buf bytes.Buffer
	if mode == os.O_APPEND && endsInside(name) {
		buf.WriteByte('\n')
	}
	err := write(&buf, r)
	if err == nil {
		err = writeFile(name, mode, buf.Bytes())
	}
	if err != nil {
		a.stderr.clear()
		a.log.Warn("a report could not be written", "file", name, "err", err)
	}
}

// annotate has GitHub show an error; those of the jobs file at their lines.
// Annotations go to standard error: GitHub reads both streams, and results on
// standard output stay what they are.
func (a *app) annotate(err error) {
	if err == nil || !a.env.CI.OnGitHub() {
		return
	}
	list := []report.Annotation{{Title: "runner", Message: a.sentence(err)}}
	if problems := jobs.Problems(err); len(problems) > 0 {
		list = nil
		for _, p := range problems[:min(len(problems), maxAnnotations)] {
			text := jobs.Problem{Field: p.Field, Msg: p.Msg}
			list = append(list, report.Annotation{Title: "runner", File: p.File, Line: p.Line, Col: p.Col, Message: text.Error()})
		}
	}
	a.stderr.clear()
	for _, n := range list {
		_ = report.Annotate(a.stderr, n) // the exit status and the message tell it too
	}
}

// undone is the document of an order that came to nothing because of err.
func (a *app) undone(ctx context.Context, o engine.Order, err error) *resultDocument {
	r := &engine.Result{Job: o.Job.Name, Key: o.Key, State: ledger.Failed, Err: err}
	return a.document(ctx, r)
}

// report is the document as a report has it; page returns the address of a task, or of a run of a flow.
func (d *resultDocument) report(page func(id, flow string) string) report.Run {
	r := report.Run{
		Job: d.Job, Key: d.Key, State: string(d.State), ExitCode: d.ExitCode, Attempt: d.Attempt, Adopted: d.Adopted,
		Files: d.Files, Bytes: d.Bytes, SkippedErrors: d.SkippedErrors, Faults: d.Faults,
		Started: d.Started, Elapsed: d.elapsed, Note: d.Note,
	}
	for _, t := range d.Tasks {
		r.Tasks = append(r.Tasks, report.Task{ID: t.TaskID, URL: page(t.TaskID, t.Flow)})
	}
	if d.Error != nil && d.State != ledger.Skipped { // its note says why
		r.Class, r.Error = string(d.Error.Class), d.Error.Message
	}
	return r
}
