package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/internal/plain"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

const aboutPlan = `Print what an occurrence of a job would submit, with the templates filled in.
Globus is not asked for anything. The documents get their submission id and their
deadline only when they are submitted.

The occurrence is --scheduled-for; else the next one of the schedule, or now if
the job does not have a schedule. A job with for_each, or one after it, is shown for
--item, which is looked up in the ledger or else in the folder. Without --item, it
is shown for an item that is made up.

With --diff, plan lists both sides and says what would happen to each file if the
occurrence started now: copied, replaced, compared by Globus first, left as it is,
deleted, excluded, or why nothing can be done. Each step is judged as if the steps
before it did nothing. Nothing is changed. If a guard would refuse a step, the exit
status is 8. --list prints each file on its own line:
step, action, size, source, destination and reason, separated by tabs, or one JSON
object.`

// A plan is what an occurrence of a job would do.
type plan struct {
	Job          string            `json:"job"`
	Key          jobs.Key          `json:"key"`
	Sample       bool              `json:"sample,omitempty"` // the item is made up
	ScheduledFor string            `json:"scheduled_for"`    // RFC 3339, in the job's zone
	Labels       map[string]string `json:"labels,omitempty"`
	Deadline     string            `json:"deadline"` // of each task, after it is submitted
	Steps        []plannedStep     `json:"steps"`
	names        shortNames
}

// shortNames are the short names of collections by id, for people.
type shortNames map[string]string

// of returns the name of a collection, or its id if it has none.
func (n shortNames) of(id string) string { return cmp.Or(n[id], id) }

// A plannedStep is one step of a plan; one of the first six is set.
type plannedStep struct {
	Transfer *transfer.Transfer `json:"transfer,omitempty"`
	Delete   *transfer.Delete   `json:"delete,omitempty"`
	Prune    *plannedPrune      `json:"prune,omitempty"`
	Audit    *plannedAudit      `json:"audit,omitempty"`
	Mkdir    *plannedMkdir      `json:"mkdir,omitempty"`
	Share    *plannedShare      `json:"share,omitempty"`
	Flow     *plannedFlow       `json:"flow,omitempty"`
	Unproven bool               `json:"unproven,omitempty"` // the delete asks for no proof
	Manifest string             `json:"manifest,omitempty"` // file with the items of the transfer
	Items    int                `json:"items,omitempty"`    // in the manifest
	Tasks    int                `json:"tasks,omitempty"`    // that the items are split into
	Diff     *diffDocument      `json:"diff,omitempty"`     // what it would do now
}

type plannedMkdir struct {
	Collection string `json:"collection"`
	Path       string `json:"path"`
	LocalUser  string `json:"local_user,omitempty"`
}

type plannedShare struct {
	Collection  string             `json:"collection"`
	Path        string             `json:"path"`
	With        jobs.PrincipalKind `json:"with"`
	Name        string             `json:"name,omitempty"` // user name or id; empty for everybody
	Permissions string             `json:"permissions"`
	Expires     string             `json:"expires"` // never, a duration from the instant of the occurrence, or an instant
	Notify      string             `json:"notify,omitempty"`
	Message     string             `json:"message,omitempty"`
}

func newPlannedShare(sh *jobs.Share) *plannedShare {
	return &plannedShare{
		Collection: sh.Collection, Path: sh.Path, With: sh.With.Kind, Name: sh.With.Name,
		Permissions: cmp.Or(sh.Permissions, "r"), Expires: sh.Expires.String(), Notify: sh.Notify, Message: sh.Message,
	}
}

// A plannedFlow is the request that starts a flow, without its tag, which is made then.
type plannedFlow struct {
	ID         string         `json:"flow_id"`
	Label      string         `json:"label"`
	Body       map[string]any `json:"body"`
	DataAccess []string       `json:"data_access,omitempty"` // collections
}

// newPlannedFlow returns what a flow step of a job would start.
func newPlannedFlow(f *jobs.Flow, label string) *plannedFlow {
	return &plannedFlow{ID: f.ID, Label: label, Body: f.Body, DataAccess: f.DataAccess}
}

type plannedPrune struct {
	Of           []string       `json:"of"` // jobs; empty for the steps before
	OlderThan    string         `json:"older_than"`
	Copies       int            `json:"copies"`
	MaxDelete    jobs.MaxDelete `json:"max_delete"`
	EmptyFolders bool           `json:"empty_folders"` // are removed
	Accept       jobs.Accept    `json:"accept"`
}

// newPlannedPrune returns what a prune would do, with its defaults.
func newPlannedPrune(p *jobs.Prune) *plannedPrune {
	return &plannedPrune{
		Of: append([]string{}, p.Of...), OlderThan: p.OlderThan.String(), Copies: max(1, p.Copies),
		MaxDelete: cmp.Or(p.MaxDelete, jobs.NoMaxDelete), EmptyFolders: p.EmptyFolders, Accept: cmp.Or(p.Accept, jobs.AcceptChecksum),
	}
}

type plannedAudit struct {
	Of     []string        `json:"of"` // jobs; empty for the job itself
	Since  string          `json:"since"`
	Sample jobs.Percentage `json:"sample"` // of the folders
}

// newPlannedAudit returns what an audit would look at, with its defaults.
func newPlannedAudit(a *jobs.Audit) *plannedAudit {
	return &plannedAudit{Of: append([]string{}, a.Of...), Since: a.Window().String(), Sample: cmp.Or(a.Sample, "100%")}
}

func (a *app) planCommand() *cobra.Command {
	source := jobsSource{env: a.env}
	var scheduledFor, itemName string
	var d differ
	c := &cobra.Command{
		Use:   "plan JOB",
		Short: "Print what a job would submit, or what it would do with each file",
		Long:  aboutPlan,
		Example: `  runner plan nightly --scheduled-for 2026-11-21T02:00:00Z
  runner plan nightly -F json --jmespath 'steps[].transfer.DATA[].source_path'
  runner plan nightly --diff
  runner plan nightly --diff --list | grep ^1.delete`,
		Args: arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := d.check(a); err != nil {
				return err
			}
			file, err := source.load(args...)
			if err != nil {
				return err
			}
			job, err := file.job(args[0])
			if err != nil {
				return err
			}
			at, err := planInstant(job, scheduledFor, time.Now())
			if err != nil {
				return err
			}
			o := engine.Order{Job: job, Key: jobs.ScheduledKey(at), At: at}
			if itemName == "" {
				sample(&o)
			} else if err := a.findItem(c.Context(), file, &o, itemName); err != nil {
				return err
			}
			p, err := a.newPlan(&o)
			if err != nil {
				return usageError{err}
			}
			p.Sample, p.names = o.Item != nil && itemName == "", collectionNames(file.File)
			if err := d.run(c.Context(), a, o, p); err != nil {
				return err
			}
			if !d.list {
				err = a.print(p, p.show)
			}
			return cmp.Or(err, p.refused())
		},
	}
	source.flags(c.Flags())
	d.flags(c.Flags())
	c.Flags().StringVar(&scheduledFor, "scheduled-for", "", "the scheduled instant of the occurrence, such as 2026-11-21T02:00:00Z")
	c.Flags().StringVar(&itemName, "item", "", "the item that the occurrence is about, by its name or key")
	return c
}

// planInstant returns the instant of the occurrence to plan.
func planInstant(j *jobs.Job, scheduledFor string, now time.Time) (time.Time, error) {
	switch {
	case scheduledFor != "":
		t, err := time.Parse(time.RFC3339, scheduledFor)
		if err != nil {
			return t, usageError{fmt.Errorf("--scheduled-for %q is not an instant such as 2026-11-21T02:00:00Z", scheduledFor)}
		}
		return t, nil
	case j.Schedule != nil:
		return j.Schedule.Next(now), nil
	}
	return now.Truncate(time.Second), nil
}

// newPlan renders an occurrence.
func (a *app) newPlan(o *engine.Order) (*plan, error) {
	j, key, at, item := o.Job, o.Key, o.At, o.Item
	steps, err := j.Render(key, at, item)
	if err != nil {
		return nil, err
	}
	labels, err := j.RenderLabels(key, at, item)
	if err != nil {
		return nil, err
	}
	zone := j.Zone
	if zone == nil {
		zone = time.UTC
	}
	p := &plan{
		Job: j.Name, Key: key, ScheduledFor: at.In(zone).Format(time.RFC3339),
		Labels: labels, Deadline: j.ActiveDeadline.String(),
	}
	for i := range steps {
		s, err := a.planStep(&steps[i])
		if err != nil {
			return nil, err
		}
		var position jobs.Position
		if len(steps) > 1 {
			position.Step = i + 1
		}
		if s.Tasks > 1 {
			position.Part = 1
		}
		if s.Flow != nil {
			s.Flow.Label = jobs.RunLabel(j.Name, key, position, 1)
		}
		if doc := steps[i].Document(); doc != nil {
			doc.Head().Label = jobs.Label(j.Name, key, position, 1)
		}
		p.Steps = append(p.Steps, s)
	}
	return p, nil
}

// planStep describes a step, and counts the items of its manifest.
func (a *app) planStep(s *jobs.Step) (plannedStep, error) {
	step := plannedStep{Transfer: s.Transfer, Delete: s.Delete, Unproven: s.Unproven, Manifest: s.Manifest}
	switch {
	case s.Audit != nil:
		step.Audit = newPlannedAudit(s.Audit)
	case s.Prune != nil:
		step.Prune = newPlannedPrune(s.Prune)
	case s.Mkdir != nil:
		step.Mkdir = &plannedMkdir{s.Mkdir.Collection, s.Mkdir.Path, s.Mkdir.LocalUser}
	case s.Share != nil:
		step.Share = newPlannedShare(s.Share)
	case s.Flow != nil:
		step.Flow = newPlannedFlow(s.Flow, "")
	}
	if s.Manifest == "" {
		return step, nil
	}
	open := func() (io.ReadCloser, error) { return a.inputs.open(s.Manifest) }
	var err error
	if step.Items, err = jobs.CheckItems(open, s.Transfer); err != nil {
		return step, fmt.Errorf("manifest %s: %w", s.Manifest, err)
	}
	step.Tasks = (step.Items + s.ItemsPerTask - 1) / s.ItemsPerTask
	return step, nil
}

// refused returns the error of a plan whose run would be refused.
func (p *plan) refused() error {
	for i, s := range p.Steps {
		if s.Diff != nil && s.Diff.Refused != "" {
			return statusError{fmt.Errorf("job %s: step %d would be refused: %s", p.Job, i+1, s.Diff.Refused), exitGuard}
		}
	}
	return nil
}

// show prints a plan for people.
func (p *plan) show(w io.Writer) {
	key := string(p.Key)
	if p.Sample {
		key += " (made up; --item NAME shows one that is there)"
	}
	properties(w, "Job:", p.Job, "Occurrence:", key, "Time:", p.ScheduledFor,
		"Deadline:", p.Deadline+" after each task is submitted")
	for i, s := range p.Steps {
		fmt.Fprintf(w, "\nStep %d of %d: ", i+1, len(p.Steps))
		switch {
		case s.Prune != nil:
			s.Prune.show(w)
			if s.Diff != nil {
				s.Diff.show(w)
			}
		case s.Audit != nil:
			s.Audit.show(w)
		case s.Mkdir != nil:
			fmt.Fprintf(w, "make the folder %s on %s\n", plain.Line(s.Mkdir.Path), p.names.of(s.Mkdir.Collection))
		case s.Share != nil:
			s.Share.show(w, p.names)
		case s.Flow != nil:
			s.Flow.show(w)
		case s.Manifest != "":
			fmt.Fprintf(w, "transfer %s of %s in %s, below these paths\n", plain.Count(s.Items, "item"), plain.Line(s.Manifest), plain.Count(s.Tasks, "task"))
			s.details(w, s.Transfer)
		case s.Transfer != nil:
			fmt.Fprintln(w, "transfer"+s.where(p.names))
			s.details(w, s.Transfer)
		case s.Unproven:
			fmt.Fprintln(w, "delete"+s.where(p.names)+", without proof that there are copies")
			s.details(w, s.Delete)
		default:
			fmt.Fprintln(w, "delete"+s.where(p.names))
			s.details(w, s.Delete)
		}
	}
}

// where names the first paths of a step whose files are shown instead of its document.
func (s *plannedStep) where(names shortNames) string {
	if s.Diff == nil {
		return ""
	}
	var text string
	var items int
	if t := s.Transfer; t != nil {
		text, items = fmt.Sprintf(" %s on %s to %s on %s", t.Items[0].SourcePath, names.of(t.SourceEndpoint), t.Items[0].DestinationPath, names.of(t.DestinationEndpoint)), len(t.Items)
	} else {
		text, items = fmt.Sprintf(" %s on %s", s.Delete.Items[0].Path, names.of(s.Delete.Endpoint)), len(s.Delete.Items)
	}
	if items > 1 {
		text += ", and " + plain.Count(items-1, "other item")
	}
	return plain.Line(text)
}

// details prints the document of a step, or what it would do.
func (s *plannedStep) details(w io.Writer, doc transfer.Document) {
	if s.Diff != nil {
		s.Diff.show(w)
		return
	}
	printDocument(w, doc)
}

// show prints what a share would do.
func (p *plannedShare) show(w io.Writer, names shortNames) {
	with := jobs.Principal{Kind: p.With, Name: p.Name}
	fmt.Fprintf(w, "share the folder %s on %s with %s\n", plain.Line(p.Path), names.of(p.Collection), plain.Line(with.String()))
	properties(w, "Permissions:", p.Permissions, "Expires:", p.Expires, "E-mail to:", p.Notify, "Message:", plain.Line(p.Message))
}

// show prints what a prune would do.
func (p *plannedPrune) show(w io.Writer) {
	of := "this run"
	if len(p.Of) > 0 {
		of = strings.Join(p.Of, ", ")
	}
	fmt.Fprintf(w, "delete the files that receipts of %s prove to be elsewhere\n", of)
	folders := "kept"
	if p.EmptyFolders {
		folders = "removed"
	}
	age, most := "at least "+p.OlderThan, "at most "+string(p.MaxDelete)+" of the files"
	if p.OlderThan == "0s" {
		age = "any time"
	}
	if p.MaxDelete == jobs.NoMaxDelete {
		most = "as many files as are proven"
	}
	properties(w, "Proven for:", age, "Copies:", fmt.Sprintf("at least %d, compared by %s", p.Copies, p.Accept), "Deletes:", most, "Empty folders:", folders)
}

// show prints what would be sent to start a flow.
func (f *plannedFlow) show(w io.Writer) {
	fmt.Fprintf(w, "start the flow %s and wait for its end\n", f.ID)
	text, err := encode(f)
	if err == nil {
		_, _ = w.Write(text) // w is a buffer
	}
}

// show prints what an audit would look at.
func (p *plannedAudit) show(w io.Writer) {
	of := "this job"
	if len(p.Of) > 0 {
		of = strings.Join(p.Of, ", ")
	}
	fmt.Fprintf(w, "audit the files of %s: the run fails if some are missing or lost\n", of)
	properties(w, "Looks at:", fmt.Sprintf("%s of the folders of runs in the last %s", p.Sample, p.Since))
}

// printDocument prints a document as it would be sent.
func printDocument(w io.Writer, doc transfer.Document) {
	text, _ := encode(doc) // a document can be encoded
	_, _ = w.Write(text)   // w is a buffer
}
