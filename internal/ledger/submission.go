package ledger

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"time"
)

// A Submission is one document on its way to Globus, or there.
type Submission struct {
	ID  string // the submission id that Globus gave
	Run int64
	// Step, Part and Attempt identify it in the run. Part counts the tasks of one
	// step, from 0.
	Step, Part, Attempt int
	// Tries is how many attempts failed before this one, since the last
	// [Ledger.Retry] if there was one.
	Tries int

	Label    string
	Document []byte    // as it is sent
	TaskID   string    // empty until Accepted
	Status   string    // of the task when it ended; empty until then
	Totals             // what the task did; zero until it ended
	Created  time.Time // set by Submit
	Accepted time.Time // zero until Globus has confirmed it

	// Deletes is how many files a mirror deletes; nil if that is not known, or if it is
	// not a mirror. DeletesAtLeast says that there may be more.
	Deletes        *int64
	DeletesAtLeast bool

	// Flow is the id of the flow that it starts; empty if it is for Globus Transfer.
	// With a flow, TaskID is that of the flow's run, and ID is one of our own.
	Flow string

	// Once says that no later start may send it again, because it deletes files that
	// were proven to be elsewhere right before it was sent.
	Once bool
	// Copies says where the copies of these files are, in a form of the caller's; nil if
	// that is not recorded.
	Copies []byte
}

const submissionColumns = `id, run, step, part, attempt, tries, label, document, task_id, status, created, accepted, deletes, deletes_at_least, once, copies, flow,
	files, files_skipped, bytes, skipped_errors, faults`

func (s session) submissions(ctx context.Context, where string, args ...any) ([]Submission, error) {
	return s.someSubmissions(ctx, where, `attempt, step, part`, args...)
}

func (s session) someSubmissions(ctx context.Context, where, order string, args ...any) ([]Submission, error) {
	var all []Submission
	err := s.query(ctx, func(rows *sql.Rows) error {
		var m Submission
		err := rows.Scan(&m.ID, &m.Run, &m.Step, &m.Part, &m.Attempt, &m.Tries, &m.Label, &m.Document,
			&m.TaskID, &m.Status, instant{&m.Created}, instant{&m.Accepted}, &m.Deletes, &m.DeletesAtLeast, &m.Once, &m.Copies, &m.Flow,
			&m.Files, &m.FilesSkipped, &m.Bytes, &m.SkippedErrors, &m.Faults)
		all = append(all, m)
		return err
	}, `SELECT `+submissionColumns+` FROM submissions WHERE `+where+` ORDER BY `+order, args...)
	return all, err
}

// Submit records a submission before it is sent, and that the run has reached this step
// and attempt. After an error it must not be sent: ErrLost says that the run is not the
// holder's, ErrExists that another submission has the same step, part and attempt, or the
// same id. It is not an error if the same submission is recorded already. TaskID, Status,
// Totals and the instants of m are ignored.
func (l *Ledger) Submit(ctx context.Context, holder string, m Submission) error {
	if m.ID == "" {
		return fmt.Errorf("record a submission of run %d: it has no submission id", m.Run)
	}
	m.Label = text(m.Label)
	return l.write(ctx, fmt.Sprintf("record submission %s of run %d", m.ID, m.Run), func(ctx context.Context, s session) error {
		return s.together(ctx, func() error { return s.submit(ctx, holder, m) })
	})
}

func (s session) submit(ctx context.Context, holder string, m Submission) error {
	// The lock keeps the run from being taken over between the check of the holder
	// and the insert.
	n, err := s.exec(ctx, `
		INSERT INTO submissions (id, run, step, part, attempt, tries, label, document, created, deletes, deletes_at_least, once, copies, flow)
		SELECT CAST($3 AS TEXT), id, CAST($4 AS BIGINT), CAST($5 AS BIGINT), CAST($6 AS BIGINT), CAST($7 AS BIGINT),
			CAST($8 AS TEXT), CAST($9 AS @bytes), @now, CAST($10 AS BIGINT), CAST($11 AS BIGINT), CAST($12 AS BIGINT), CAST($13 AS @bytes), CAST($14 AS TEXT)
		FROM runs WHERE `+fence+` @lock
		ON CONFLICT DO NOTHING`, m.Run, holder, m.ID, m.Step, m.Part, m.Attempt, m.Tries, m.Label, m.Document,
		m.Deletes, bit(m.DeletesAtLeast), bit(m.Once), m.Copies, m.Flow)
	if err != nil {
		return err
	}
	if n > 0 {
		_, err = s.exec(ctx, `UPDATE runs SET step = $2, attempt = $3, again = 0 WHERE id = $1`, m.Run, m.Step, m.Attempt)
		return err
	}
	r, err := s.lost(ctx, m.Run)
	if r == nil || r.State.Final() || r.Holder != holder {
		return err
	}
	return s.resubmitted(ctx, m)
}

// bit returns a bool as the ledger stores it.
func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// resubmitted returns an error unless the ledger has m already.
func (s session) resubmitted(ctx context.Context, m Submission) error {
	there, err := s.submissions(ctx, `id = $1 OR (run = $2 AND attempt = $3 AND step = $4 AND part = $5)`,
		m.ID, m.Run, m.Attempt, m.Step, m.Part)
	if err != nil {
		return err
	}
	if len(there) != 1 {
		return fmt.Errorf("%w: its id or its place is taken", ErrExists)
	}
	t := there[0]
	switch {
	case t.ID != m.ID:
		return fmt.Errorf("%w: attempt %d, step %d, part %d is submission %s", ErrExists, t.Attempt, t.Step, t.Part, t.ID)
	case t.Run != m.Run || t.Step != m.Step || t.Part != m.Part || t.Attempt != m.Attempt:
		return fmt.Errorf("%w: in run %d, attempt %d, step %d, part %d", ErrExists, t.Run, t.Attempt, t.Step, t.Part)
	case !bytes.Equal(t.Document, m.Document):
		return fmt.Errorf("%w: with another document", ErrExists)
	}
	return nil
}

// Accepted records which task a submission became, and that its run is submitted, unless
// that has ended. It needs no lease, because it records a fact, whoever finds it out. If
// the submission has another task, the error is ErrExists.
func (l *Ledger) Accepted(ctx context.Context, submissionID, taskID string) error {
	return l.write(ctx, "record the task of submission "+submissionID, func(ctx context.Context, s session) error {
		n := 0
		err := s.together(ctx, func() (err error) {
			n, err = s.exec(ctx, `
				UPDATE submissions SET task_id = $2, status = CASE WHEN task_id = '' THEN '' ELSE status END,
					accepted = CASE WHEN accepted = 0 THEN @now ELSE accepted END
				WHERE id = $1 AND (task_id = '' OR task_id = $2)`, submissionID, taskID)
			if err != nil || n == 0 {
				return err
			}
			_, err = s.exec(ctx, `
				UPDATE runs SET state = 'submitted'
				WHERE id = (SELECT run FROM submissions WHERE id = $1) AND finished <= 0`, submissionID)
			return err
		})
		if err != nil || n > 0 {
			return err
		}
		there, err := s.submissions(ctx, `id = $1`, submissionID)
		if err != nil {
			return err
		}
		if len(there) == 0 {
			return ErrNone
		}
		return fmt.Errorf("%w: it is task %s, not %s", ErrExists, there[0].TaskID, taskID)
	})
}

// Ended records with which status the task of a submission ended, and what it did. If
// there is no such submission, the error is ErrNone.
func (l *Ledger) Ended(ctx context.Context, submissionID, status string, did Totals) error {
	return l.ofSubmission(ctx, submissionID, `
		UPDATE submissions SET status = $2, files = $3, files_skipped = $4, bytes = $5, skipped_errors = $6, faults = $7
		WHERE id = $1`, text(status), did.Files, did.FilesSkipped, did.Bytes, did.SkippedErrors, did.Faults)
}

// Mark records that Globus did not take a submission, as a word of the caller's, or with
// an empty status that it is about to be sent again. [Ledger.Accepted] clears the mark. A
// submission that has a task is not marked, because another process was faster. If there
// is no such submission, the error is ErrNone.
func (l *Ledger) Mark(ctx context.Context, submissionID, status string) error {
	return l.ofSubmission(ctx, submissionID, `UPDATE submissions SET status = CASE WHEN task_id = '' THEN $2 ELSE status END WHERE id = $1`, text(status))
}

// ofSubmission records what became of the submission $1.
func (l *Ledger) ofSubmission(ctx context.Context, id, change string, args ...any) error {
	return l.write(ctx, "record the end of submission "+id, func(ctx context.Context, s session) error {
		n, err := s.exec(ctx, change, append([]any{id}, args...)...)
		if err == nil && n == 0 {
			return ErrNone
		}
		return err
	})
}

// Submissions returns the submissions of a run by attempt, step and part. A
// run that does not exist has none.
func (l *Ledger) Submissions(ctx context.Context, run int64) ([]Submission, error) {
	var all []Submission
	err := l.read(ctx, fmt.Sprintf("submissions of run %d", run), func(ctx context.Context, s session) (err error) {
		all, err = s.submissions(ctx, `run = $1`, run)
		return err
	})
	return all, err
}
