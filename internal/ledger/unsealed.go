package ledger

import (
	"context"
	"database/sql"
	"iter"
	"time"
)

const (
	// ofReceipt joins a submission to its receipt.
	ofReceipt = `s.run = receipts.run AND s.step = receipts.step AND s.part = receipts.part AND s.attempt = receipts.attempt`
	// maySent selects the submissions that Globus has or may have: all but those that
	// are known to have been refused.
	maySent = `NOT (s.task_id = '' AND s.status <> '')`
	// pageOfUnsealed is how many documents are read at once: each may have MiBs of paths.
	pageOfUnsealed = 10
	// overtime is how long after its run a task may still be at work, if its end is not
	// known.
	overtime = 31 * 24 * time.Hour
)

// An Unsealed submission has no sealed receipt: its task did not succeed or has not
// ended, or its job keeps no receipts.
type Unsealed struct {
	Run                 int64
	Step, Part, Attempt int
	Document            []byte    // as it was sent
	Ended               time.Time // when its task had ended at the latest; zero if that is not known
	// Receipt, Listed and Snapshot are those of the receipt that was begun (see
	// [Receipt]); Receipt is 0 if there is none.
	Receipt  int64
	Listed   time.Time
	Snapshot string

	finished int64 // the run
}

// Unsealed yields the submissions without a sealed receipt that Globus has, or may have,
// if their tasks may have been at work at an instant or later. It fetches them by pages
// as it goes. If a receipt was begun, it yields them even after their runs are forgotten.
// It leaves out flows, and submissions that were sent once. After an error, which is the
// last value, the submission is empty.
func (l *Ledger) Unsealed(ctx context.Context, since time.Time) iter.Seq2[Unsealed, error] {
	const ofRuns = `
		SELECT runs.finished, s.run, s.attempt, s.step, s.part, s.document, CASE WHEN s.status = '' THEN 0 ELSE runs.finished END,
			COALESCE(receipts.id, 0), COALESCE(receipts.listed, 0), COALESCE(receipts.snapshot, '')
		FROM runs JOIN submissions s ON s.run = runs.id LEFT JOIN receipts ON ` + ofReceipt + `
		WHERE s.once = 0 AND s.flow = '' AND ` + maySent + ` AND COALESCE(receipts.sealed, 0) = 0
			AND runs.finished >= $1 AND (runs.finished, s.run, s.attempt, s.step, s.part) > ($1, $2, $3, $4, $5) AND `
	const last = ` ORDER BY runs.finished, s.run, s.attempt, s.step, s.part LIMIT $6`
	ended, began := stamp(since), stamp(since.Add(-overtime))
	return func(yield func(Unsealed, error) bool) {
		_ = l.unsealed(ctx, yield, ofRuns+`runs.finished = 0`+last) &&
			l.unsealed(ctx, yield, ofRuns+`runs.finished > 0 AND runs.finished >= $7 AND (s.status = '' OR runs.finished >= $8)`+last, began, ended) &&
			l.unsealed(ctx, yield, `
				SELECT 0, run, attempt, step, part, document, ended, id, listed, snapshot FROM receipts
				WHERE document IS NOT NULL AND (ended >= $8 OR ended = 0 AND created >= $7)
					AND (0, run, attempt, step, part) > ($1, $2, $3, $4, $5) ORDER BY run, attempt, step, part LIMIT $6`, began, ended)
	}
}

// unsealed yields the pages of a query. It reports whether more is wanted.
func (l *Ledger) unsealed(ctx context.Context, yield func(Unsealed, error) bool, query string, args ...any) bool {
	for last := (Unsealed{}); ; {
		var page []Unsealed
		err := l.read(ctx, "read what tasks without receipts may have copied", func(ctx context.Context, s session) error {
			page = nil
			return s.query(ctx, func(rows *sql.Rows) error {
				var u Unsealed
				err := rows.Scan(&u.finished, &u.Run, &u.Attempt, &u.Step, &u.Part, &u.Document, instant{&u.Ended}, &u.Receipt, instant{&u.Listed}, &u.Snapshot)
				page = append(page, u)
				return err
			}, query, append([]any{last.finished, last.Run, last.Attempt, last.Step, last.Part, pageOfUnsealed}, args...)...)
		})
		if err != nil {
			yield(Unsealed{}, err)
			return false
		}
		for _, u := range page {
			if !yield(u, nil) {
				return false
			}
			last = u
		}
		if len(page) < pageOfUnsealed {
			return true
		}
	}
}
