package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"time"

	"github.com/globus-runner/globus-runner/internal/evidence"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/transfer"
)

// A prunedList is a list of files that a prune has deleted, as recorded in the
// ledger. A list that may or may not have reached Globus is one as well.
type prunedList struct {
	source  evidence.Place
	paths   []string
	shelves []shelf // nil if an older program recorded the list
	run     int64
	sent    time.Time
}

// A shelf is the copies on one collection that allowed files of a list to be deleted.
type shelf struct {
	Collection string   `json:"collection"`
	Paths      []string `json:"paths"`
}

// prunedLists yields the lists of prunes among lists. An error is the last pair.
func prunedLists(lists iter.Seq2[ledger.Submission, error]) iter.Seq2[prunedList, error] {
	return func(yield func(prunedList, error) bool) {
		for s, err := range lists {
			var doc transfer.Document
			switch {
			case err == nil && s.Status == statusRefused:
				continue
			case err == nil:
				doc, err = decode(s)
			}
			d, ok := doc.(*transfer.Delete)
			if err == nil && (!ok || d.Recursive) { // skips folders that were set aside
				continue
			}
			var list prunedList
			if err == nil {
				list, err = newPrunedList(s, d)
			}
			if !yield(list, err) || err != nil {
				return
			}
		}
	}
}

func newPrunedList(s ledger.Submission, doc *transfer.Delete) (prunedList, error) {
	l := prunedList{source: evidence.Place{Collection: doc.Endpoint, LocalUser: doc.LocalUser}, run: s.Run, sent: s.Created}
	l.paths = pathsOf(doc)
	if s.Copies != nil {
		if err := json.Unmarshal(s.Copies, &l.shelves); err != nil {
			return l, fmt.Errorf("read where the copies of submission %s are: %w", s.ID, err)
		}
	}
	return l, nil
}

// pathsOf returns the paths that a list deletes.
func pathsOf(doc *transfer.Delete) []string {
	paths := make([]string, 0, len(doc.Items))
	for _, i := range doc.Items {
		paths = append(paths, i.Path)
	}
	return paths
}

// addTo adds the files of a list.
func (l *prunedList) addTo(d *evidence.Deletions) {
	for _, path := range l.paths {
		d.Add(l.source, path, l.sent)
	}
}

// AddPruned adds the files that prunes of any job have deleted, according to the
// ledger. Lists that may or may not have reached Globus count as well, because
// only files that are gone are looked up.
func AddPruned(ctx context.Context, l *ledger.Ledger, to *evidence.Deletions) error {
	for list, err := range prunedLists(l.Lists(ctx)) {
		if err != nil {
			return err
		}
		list.addTo(to)
	}
	return nil
}

// shelved encodes where the copies of the files of a list are.
func (l *list) shelved() ([]byte, error) {
	all := []shelf{}
	at := map[string]int{}
	for _, f := range l.files {
		for _, c := range f.copies {
			i, there := at[c.At.Collection]
			if !there {
				i = len(all)
				at[c.At.Collection] = i
				all = append(all, shelf{Collection: c.At.Collection})
			}
			all[i].Paths = append(all[i].Paths, c.Path)
		}
	}
	return json.Marshal(all)
}
