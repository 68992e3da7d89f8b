package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// A Receipt is the record of what one submission has copied. Its text, and that of the
// snapshot, are read with [Ledger.ReadText]. It stays when its run is forgotten.
type Receipt struct {
	ID       int64
	Run      int64
	Job, Key string
	// Step, Part and Attempt are those of the submission.
	Step, Part, Attempt int

	Created  time.Time
	Listed   time.Time // when the listing of the source began; zero if there is no snapshot
	Snapshot string    // the name of its text; empty if there is none
	Sealed   time.Time // zero until the receipt is complete
	Text     string    // the name of its text; empty until it is sealed

	Seal
}

// A Seal is the end of a receipt.
type Seal struct {
	Number    int64  // of the receipt in the ledger, from 1
	Content   string // the digest of its text
	Previous  string // the digest of the receipt with the number before
	Digest    string
	Signature string
	// Items, Copied, Found, Landed and SkippedRows are rows of the text.
	Items, Copied, Found, Landed, SkippedRows int64
}

const receiptColumns = `id, run, job, key, step, part, attempt, created, listed, snapshot, sealed, text,
	number, content, previous, digest, signature, items, copied, found, landed, skipped`

func (s session) receipts(ctx context.Context, rest string, args ...any) ([]*Receipt, error) {
	var all []*Receipt
	err := s.query(ctx, func(rows *sql.Rows) error {
		r := new(Receipt)
		err := rows.Scan(&r.ID, &r.Run, &r.Job, &r.Key, &r.Step, &r.Part, &r.Attempt,
			instant{&r.Created}, instant{&r.Listed}, &r.Snapshot, instant{&r.Sealed}, &r.Text,
			&r.Number, &r.Content, &r.Previous, &r.Digest, &r.Signature, &r.Items, &r.Copied, &r.Found, &r.Landed, &r.SkippedRows)
		all = append(all, r)
		return err
	}, `SELECT `+receiptColumns+` FROM receipts `+rest, args...)
	return all, err
}

// BeginReceipt returns the receipt of a submission, and makes it if there is none. It
// uses Run, Job, Key, Step, Part and Attempt of r.
func (l *Ledger) BeginReceipt(ctx context.Context, r Receipt) (*Receipt, error) {
	var all []*Receipt
	err := l.write(ctx, fmt.Sprintf("begin a receipt of run %d", r.Run), func(ctx context.Context, s session) error {
		_, err := s.exec(ctx, `
			INSERT INTO receipts (run, step, part, attempt, job, key, created) VALUES ($1, $2, $3, $4, $5, $6, @now)
			ON CONFLICT DO NOTHING`, r.Run, r.Step, r.Part, r.Attempt, text(r.Job), text(r.Key))
		if err != nil {
			return err
		}
		all, err = s.receipts(ctx, `WHERE run = $1 AND step = $2 AND part = $3 AND attempt = $4`, r.Run, r.Step, r.Part, r.Attempt)
		if err == nil && len(all) != 1 {
			err = ErrNone
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

// KeepSnapshot makes a text the snapshot of a receipt: what the source had when it was
// listed, from an instant on. If the submission is recorded already, which would be
// older, the error is ErrExists; if the run is not the holder's, it is ErrLost.
func (l *Ledger) KeepSnapshot(ctx context.Context, holder string, receipt int64, name string, listed time.Time) error {
	return l.write(ctx, fmt.Sprintf("keep the snapshot of receipt %d", receipt), func(ctx context.Context, s session) error {
		all, err := s.receipts(ctx, `WHERE id = $1`, receipt)
		if err != nil {
			return err
		}
		if len(all) == 0 {
			return ErrNone
		}
		r := all[0]
		n, err := s.exec(ctx, `
			UPDATE receipts SET snapshot = $3, listed = $4
			WHERE id = $5 AND sealed = 0
				AND EXISTS (SELECT 1 FROM runs WHERE `+fence+` @lock)
				AND NOT EXISTS (SELECT 1 FROM submissions WHERE run = $1 AND step = $6 AND part = $7 AND attempt = $8)`,
			r.Run, holder, name, stamp(listed), receipt, r.Step, r.Part, r.Attempt)
		if err != nil || n > 0 {
			return err
		}
		run, err := s.lost(ctx, r.Run)
		if run == nil || run.State.Final() || run.Holder != holder {
			return err
		}
		return fmt.Errorf("%w: the snapshot would be younger than the submission", ErrExists)
	})
}

// Seal completes a receipt with a text, once, and deletes its other texts. The function
// seal gets the number of the receipt and the digest of the one before it; it may be
// called several times. If the receipt is sealed already, the error is ErrExists.
func (l *Ledger) Seal(ctx context.Context, receipt int64, name string, seal func(number int64, previous string) Seal) error {
	return l.write(ctx, fmt.Sprintf("seal receipt %d", receipt), func(ctx context.Context, s session) error {
		return s.together(ctx, func() error { return s.seal(ctx, receipt, name, seal) })
	})
}

func (s session) seal(ctx context.Context, receipt int64, name string, seal func(number int64, previous string) Seal) error {
	// This locks the end of the chain until the commit.
	if _, err := s.exec(ctx, `UPDATE ledger SET receipts = receipts`); err != nil {
		return err
	}
	var number int64
	previous := ""
	err := s.query(ctx, func(rows *sql.Rows) error { return rows.Scan(&number, &previous) }, `SELECT receipts, receipt_digest FROM ledger`)
	if err != nil {
		return err
	}
	number++
	e := seal(number, previous)
	n, err := s.exec(ctx, `
		UPDATE receipts SET sealed = @now, text = $2, number = $3, content = $4, previous = $5, digest = $6, signature = $7,
			items = $8, copied = $9, found = $10, landed = $11, skipped = $12
		WHERE id = $1 AND sealed = 0`,
		receipt, name, number, e.Content, previous, e.Digest, e.Signature, e.Items, e.Copied, e.Found, e.Landed, e.SkippedRows)
	switch {
	case err != nil:
		return err
	case n == 0:
		there, err := s.receipts(ctx, `WHERE id = $1`, receipt)
		if err == nil && len(there) == 0 {
			return ErrNone
		}
		return errors.Join(err, ErrExists)
	}
	if _, err := s.exec(ctx, `UPDATE ledger SET receipts = $1, receipt_digest = $2`, number, e.Digest); err != nil {
		return err
	}
	_, err = s.exec(ctx, `DELETE FROM texts WHERE receipt = $1 AND name <> $2`, receipt, name)
	return err
}

// pageOfReceipts is how many receipts are read at once.
const pageOfReceipts = 200

// A ReceiptQuery says which receipts to list.
type ReceiptQuery struct {
	Run int64  // of this run; 0 is any
	Job string // of this job; empty is any
	// Pending lists those that are not sealed although the task has succeeded,
	// instead of those that are sealed.
	Pending bool
	Since   time.Time // sealed then or later; zero is any
	After   int64     // with a greater id
	Limit   int       // this many at most; 0 is all
}

// Receipts lists receipts by their ids.
func (l *Ledger) Receipts(ctx context.Context, q ReceiptQuery) (all []*Receipt, err error) {
	if q.Limit > 0 {
		return l.receiptPage(ctx, q)
	}
	for q.Limit = pageOfReceipts; ; {
		page, err := l.receiptPage(ctx, q)
		if err != nil {
			return nil, err
		}
		if all = append(all, page...); len(page) < q.Limit {
			return all, nil
		}
		q.After = page[len(page)-1].ID
	}
}

func (l *Ledger) receiptPage(ctx context.Context, q ReceiptQuery) ([]*Receipt, error) {
	which := `sealed > 0`
	if q.Pending {
		which = `sealed = 0 AND EXISTS (SELECT 1 FROM submissions s WHERE s.run = receipts.run AND s.step = receipts.step
			AND s.part = receipts.part AND s.attempt = receipts.attempt AND s.status = 'SUCCEEDED')`
	}
	var all []*Receipt
	err := l.read(ctx, "list receipts", func(ctx context.Context, s session) (err error) {
		all, err = s.receipts(ctx, `
			WHERE id > $1 AND ($2 = 0 OR run = $2) AND ($3 = '' OR job = $3) AND sealed >= $4 AND `+which+`
			ORDER BY id LIMIT $5`, q.After, q.Run, q.Job, stamp(q.Since), q.Limit)
		return err
	})
	return all, err
}

// batchOfReceipts is how many receipts one transaction deletes: each may have
// many MiB of text.
const batchOfReceipts = 10

// ForgetReceipts deletes the receipts that were begun before an instant, and returns how
// many. A receipt that is not sealed stays longer: as long as there are receipts that its
// task may contradict.
func (l *Ledger) ForgetReceipts(ctx context.Context, before time.Time) (total int, err error) {
	for {
		n := 0
		err := l.write(ctx, "forget receipts", func(ctx context.Context, s session) (err error) {
			n, err = s.exec(ctx, `
				DELETE FROM receipts WHERE id IN (
					SELECT id FROM receipts WHERE created < $1 AND (sealed > 0 OR created < $2) ORDER BY created LIMIT $3)`,
				stamp(before), stamp(before.Add(-overtime)), batchOfReceipts)
			return err
		})
		if total += n; err != nil || n < batchOfReceipts {
			return total, err
		}
	}
}
