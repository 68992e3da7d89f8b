package jobs

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/transfer"
)

// Render returns the steps of one occurrence, with the templates in their paths
// resolved. at is the instant that the occurrence is about: when it was due, or
// when somebody started it. item is what it is about, nil if that is not an item.
// The steps are the caller's to change.
//
// A template knows .Job, .Time (at, in the job's zone), .Key, and of an item
// .Item.Name, .Item.Path, .Item.Time, .Item.Size and .Item.<group> for each named
// group of the match. It knows the functions
//
//	strftime "%Y/%m/%d"   the time as text, as in C
//	date                  the same as strftime "%Y-%m-%d"
//	add "-24h"            another time: s, m and h are elapsed time, d are
//	                      days of the calendar
//	env "NAME"            a variable of Job.Env
//
// A variable that is not set is an error, as is a group that matched nothing, and
// what [Step.Check] finds.
func (j *Job) Render(key Key, at time.Time, item *Item) ([]Step, error) {
	if j.Literal {
		return slices.Clone(j.Steps), nil
	}
	r := renderer{moment: momentOf(j, key, at, item), scope: scope{env: j.Env, item: item}}
	steps := make([]Step, len(j.Steps))
	for i := range j.Steps {
		steps[i] = r.step(&j.Steps[i])
		if r.err == nil {
			r.err = steps[i].Check()
		}
	}
	if r.err != nil {
		return nil, fmt.Errorf("job %s: %w", j.Name, r.err)
	}
	return steps, nil
}

// RenderLabels returns the labels of one occurrence, as [Job.Render] does with
// the steps.
func (j *Job) RenderLabels(key Key, at time.Time, item *Item) (map[string]string, error) {
	m, in := momentOf(j, key, at, item), scope{env: j.Env, item: item}
	labels := make(map[string]string, len(j.Labels))
	for _, name := range slices.Sorted(maps.Keys(j.Labels)) {
		text, err := renderText(j.Labels[name], m, in)
		if err == nil {
			err = transfer.CheckLabel(text)
		}
		if err != nil {
			return nil, fmt.Errorf("job %s: label %s: %w", j.Name, name, err)
		}
		labels[name] = text
	}
	return labels, nil
}

// A renderer resolves the templates of one occurrence and keeps the first error.
type renderer struct {
	moment moment
	scope  scope
	err    error
}

// text resolves a text.
func (r *renderer) text(text string) string {
	if !strings.Contains(text, "{{") || r.err != nil {
		return text
	}
	rendered, err := renderText(text, r.moment, r.scope)
	if err != nil {
		r.err = fmt.Errorf("%s: %w", text, err)
	}
	return rendered
}

func (r *renderer) step(s *Step) Step {
	step := *s
	step.Manifest = r.text(s.Manifest)
	switch {
	case s.Transfer != nil:
		doc := *s.Transfer
		doc.FilterRules = slices.Clone(doc.FilterRules)
		doc.Items = slices.Clone(doc.Items)
		for i := range doc.Items {
			item := &doc.Items[i]
			item.SourcePath = r.text(item.SourcePath)
			item.DestinationPath = r.text(item.DestinationPath)
		}
		step.Transfer = &doc
	case s.Delete != nil:
		doc := *s.Delete
		doc.Items = slices.Clone(doc.Items)
		for i := range doc.Items {
			doc.Items[i].Path = r.text(doc.Items[i].Path)
		}
		step.Delete = &doc
	case s.Audit != nil:
		step.Audit = new(*s.Audit)
		step.Audit.Of, step.Audit.Jobs = slices.Clone(s.Audit.Of), slices.Clone(s.Audit.Jobs)
	case s.Prune != nil:
		step.Prune = new(*s.Prune)
		step.Prune.Of, step.Prune.Jobs = slices.Clone(s.Prune.Of), slices.Clone(s.Prune.Jobs)
	case s.Mkdir != nil:
		step.Mkdir = &Mkdir{Collection: s.Mkdir.Collection, Path: r.text(s.Mkdir.Path), LocalUser: s.Mkdir.LocalUser}
	case s.Share != nil:
		step.Share = new(*s.Share)
		step.Share.Path, step.Share.Message = ShareFolder(r.text(s.Share.Path)), r.text(s.Share.Message)
	case s.Flow != nil:
		body, _ := r.value(s.Flow.Body).(map[string]any) // as it was one
		step.Flow = &Flow{ID: s.Flow.ID, Body: body, DataAccess: slices.Clone(s.Flow.DataAccess)}
	}
	return step
}

// A moment is what templates see.
type moment struct {
	Job  string
	Time instant
	Key  Key
	Item map[string]any // nil if there is none
}

func momentOf(j *Job, key Key, at time.Time, item *Item) moment {
	zone := j.Zone
	if zone == nil {
		zone = time.UTC
	}
	m := moment{Job: j.Name, Time: instant{at.In(zone)}, Key: key}
	if item != nil {
		m.Item = map[string]any{"Name": item.Name, "Path": item.Path, "Time": instant{item.Time.In(zone)}, "Size": item.Size}
		for group, text := range item.Groups {
			m.Item[group] = text
		}
	}
	return m
}

// itemParts are what templates know of every item.
func itemParts() []string { return []string{"Name", "Path", "Time", "Size"} }

// An instant is a time that a template shows as RFC 3339.
type instant struct{ time time.Time }

func (i instant) String() string { return i.time.Format(time.RFC3339) }
