package ledger

import (
	"context"
	"iter"
)

// pageOfLists is how many lists are read at once: each may have a MiB of paths.
const pageOfLists = 10

// Lists yields the submissions that were sent once (see [Submission].Once), the
// oldest first, and fetches them by pages as it goes. Their runs may have been of
// any job. After an error, which is the last value, the submission is empty.
func (l *Ledger) Lists(ctx context.Context) iter.Seq2[Submission, error] {
	return l.lists(ctx, `once = 1`)
}

// OpenLists is [Ledger.Lists] for those whose end is not known.
func (l *Ledger) OpenLists(ctx context.Context) iter.Seq2[Submission, error] {
	return l.lists(ctx, `once = 1 AND status = ''`)
}

func (l *Ledger) lists(ctx context.Context, which string) iter.Seq2[Submission, error] {
	return func(yield func(Submission, error) bool) {
		created, id := int64(-1), ""
		for {
			var page []Submission
			err := l.read(ctx, "read what prunes have deleted", func(ctx context.Context, s session) (err error) {
				page, err = s.someSubmissions(ctx, which+` AND (created > $1 OR created = $1 AND id > $2)`, `created, id LIMIT $3`, created, id, pageOfLists)
				return err
			})
			if err != nil {
				yield(Submission{}, err)
				return
			}
			for _, m := range page {
				if !yield(m, nil) {
					return
				}
				created, id = stamp(m.Created), m.ID
			}
			if len(page) < pageOfLists {
				return
			}
		}
	}
}
