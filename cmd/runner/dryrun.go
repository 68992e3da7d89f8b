package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

// dryRun prints the documents that would be submitted, and changes nothing: one document by
// itself, or several as a list, each as soon as it is made.
func (a *app) dryRun(orders ...engine.Order) error {
	if a.out.query.expr != nil {
		var docs []any
		for doc, err := range a.planned(orders) {
			if err != nil {
				return err
			}
			docs = append(docs, doc)
		}
		if len(docs) == 1 {
			return a.print(docs[0], nil)
		}
		return a.print(newList(docs), nil)
	}
	out := bufio.NewWriter(a.stdout)
	var held []byte // the first document, until there is a second one
	n := 0
	for doc, err := range a.planned(orders) {
		if err != nil {
			return errors.Join(err, out.Flush())
		}
		text, err := encode(doc)
		if err != nil {
			return fmt.Errorf("encode a document: %w", err)
		}
		text = bytes.TrimSuffix(text, []byte("\n"))
		switch n++; n {
		case 1:
			held = text
		case 2:
			fmt.Fprintf(out, "{\n\"data\": [\n%s,\n%s", held, text)
		default:
			fmt.Fprintf(out, ",\n%s", text)
		}
	}
	if n == 1 {
		fmt.Fprintf(out, "%s\n", held)
	} else if n > 1 {
		fmt.Fprint(out, "\n]\n}\n")
	}
	return unwritten(out.Flush())
}

// planned yields the documents that orders would submit.
func (a *app) planned(orders []engine.Order) iter.Seq2[any, error] {
	return func(yield func(any, error) bool) {
		for _, o := range orders {
			for work, err := range engine.New(nil, a.log, engine.WithManifests(a.inputs.open)).Works(o) {
				if err != nil {
					yield(nil, err)
					return
				}
				if !yield(plannedDocument(&o, work), nil) {
					return
				}
			}
		}
	}
}

// plannedDocument is what the work of an order would submit, or what describes it.
func plannedDocument(o *engine.Order, work engine.Work) any {
	switch {
	case work.Mkdir != nil:
		return map[string]any{"DATA_TYPE": "mkdir", "endpoint": work.Mkdir.Collection, "path": work.Mkdir.Path}
	case work.Share != nil:
		return shareDocument(work.Share)
	case work.Flow != nil:
		return struct {
			DataType string `json:"DATA_TYPE"`
			*plannedFlow
		}{"flow", newPlannedFlow(work.Flow, jobs.RunLabel(o.Job.Name, o.Key, work.Position, 1))}
	case work.Audit != nil:
		return struct {
			DataType string `json:"DATA_TYPE"`
			*plannedAudit
		}{"audit", newPlannedAudit(work.Audit)}
	case work.Prune != nil:
		return struct {
			DataType string `json:"DATA_TYPE"`
			*plannedPrune
		}{"prune", newPlannedPrune(work.Prune)}
	}
	if head := work.Document.Head(); head.Deadline.IsZero() && o.SubmissionID == "" {
		head.Deadline = transfer.Time{Time: time.Now().Add(o.Job.ActiveDeadline).Truncate(time.Second)}
	}
	return work.Document
}
