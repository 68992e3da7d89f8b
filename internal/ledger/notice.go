package ledger

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"time"
)

// A NoticeState is what has become of a notice.
type NoticeState string

// The states of a notice.
const (
	NoticeWaiting NoticeState = "waiting"
	NoticeSent    NoticeState = "sent"
	NoticeGivenUp NoticeState = "given_up"
)

// A Notice is a message that is to be sent on a channel. There is one for each
// channel, under the same id.
type Notice struct {
	ID      string // unique, also among several ledgers
	Channel string
	Job     string // may be empty
	Event   string
	Run     int64  // 0 if there is none
	Body    string // what is sent; opaque to the ledger

	// The ledger sets the fields below.
	State   NoticeState
	Created time.Time
	Tries   int
	Next    time.Time // of a waiting notice: when it is tried next
	Ended   time.Time // when it was sent or given up; zero before that
	Why     string    // why the last try did not succeed; may be empty
}

// An Alarm is something that is wrong with a job, from when it is seen until it
// is over.
type Alarm struct {
	Kind  string    `json:"kind"` // a job has one of each kind at most
	Since time.Time `json:"since"`
	Told  time.Time `json:"told"`            // when a notice was made of it last; zero while it may pass by itself
	Count int       `json:"count"`           // how often it was seen
	Why   string    `json:"why,omitempty"`   // what was seen last
	Heard []string  `json:"heard,omitempty"` // the channels that a notice of it was made for, since Told
	Quiet bool      `json:"quiet,omitempty"` // nobody was told, so nobody is told when it ends

	// Event is the event of its notices, if it differs from the kind.
	Event string `json:"event,omitempty"`
	// Notice is the id of the notice of Told; empty if an older program made it.
	Notice string `json:"notice,omitempty"`
	// Unheard says that the notice of Told was given up on every channel.
	Unheard bool `json:"unheard,omitempty"`
	// GivenUp says who has given up the last run that it is about, and why: it is over,
	// and ends once people are told.
	GivenUp string `json:"given_up,omitempty"`
}

// A Standing is what is remembered of a job between its notices. The standing of the job
// with the empty name is the scheduler's own.
type Standing struct {
	Job    string
	Since  time.Time // since when the job is watched for what does not happen
	Alarms []Alarm   // open ones
}

// A Transition says what follows from an event of a job: the standing of the job after
// it, and the notices to send. It may be called again with the same standing, and must
// then return the same.
type Transition func(now Standing) (Standing, []Notice)

// Tell puts the notices of an event of a job into the outbox, and records the standing
// after it. Transitions of one job are made one after the other. A notice that is in the
// outbox already stays as it is.
func (l *Ledger) Tell(ctx context.Context, job string, t Transition) error {
	return l.write(ctx, "write the notices of job "+job, func(ctx context.Context, s session) error {
		return s.together(ctx, func() error { return s.tell(ctx, job, t) })
	})
}

// FinishAndTell is [Ledger.Finish] and [Ledger.Tell] in one transaction.
// If the run had ended in the same way before, nothing is told.
func (l *Ledger) FinishAndTell(ctx context.Context, run int64, holder string, o Outcome, job string, t Transition) error {
	return l.finish(ctx, run, holder, o, func(ctx context.Context, s session) error { return s.tell(ctx, job, t) })
}

func (s session) tell(ctx context.Context, job string, t Transition) error {
	before, alarms, err := s.standing(ctx, job)
	if err != nil {
		return err
	}
	after, notices := t(before)
	if after.Alarms == nil {
		after.Alarms = []Alarm{}
	}
	kept, err := json.Marshal(after.Alarms)
	if err != nil {
		return err
	}
	if string(kept) != alarms || !after.Since.Equal(before.Since) {
		if _, err := s.exec(ctx, `UPDATE standings SET since = $2, alarms = $3 WHERE job = $1`, text(job), stamp(after.Since), text(string(kept))); err != nil {
			return err
		}
	}
	for _, n := range notices {
		if _, err := s.exec(ctx, `
			INSERT INTO notices (id, channel, job, event, run, body, created, next_try)
			VALUES ($1, $2, $3, $4, $5, $6, @now, @now)
			ON CONFLICT (id, channel) DO NOTHING`,
			text(n.ID), text(n.Channel), text(n.Job), text(n.Event), n.Run, text(n.Body)); err != nil {
			return err
		}
	}
	return nil
}

// standing returns the standing of a job, and its alarms as they are kept. Nobody else
// changes it before the transaction ends.
func (s session) standing(ctx context.Context, job string) (is Standing, alarms string, err error) {
	is.Job = job
	// This locks the row, as a SELECT of one that is not there cannot.
	err = s.query(ctx, func(rows *sql.Rows) error { return rows.Scan(instant{&is.Since}, &alarms) }, `
		INSERT INTO standings (job) VALUES ($1)
		ON CONFLICT (job) DO UPDATE SET job = excluded.job
		RETURNING since, alarms`, text(job))
	if err != nil {
		return is, "", err
	}
	if err := json.Unmarshal([]byte(alarms), &is.Alarms); err != nil {
		return is, "", fmt.Errorf("the alarms of job %s are damaged: %w", job, err)
	}
	return is, alarms, nil
}

// Standings returns the standing of each job, by its name.
func (l *Ledger) Standings(ctx context.Context) (map[string]Standing, error) {
	var known map[string]Standing
	err := l.read(ctx, "read the alarms", func(ctx context.Context, s session) error {
		known = map[string]Standing{}
		return s.query(ctx, func(rows *sql.Rows) error {
			var is Standing
			var alarms string
			err := rows.Scan(&is.Job, instant{&is.Since}, &alarms)
			if err == nil {
				err = json.Unmarshal([]byte(alarms), &is.Alarms)
			}
			known[is.Job] = is
			return err
		}, `SELECT job, since, alarms FROM standings`)
	})
	return known, err
}

const noticeColumns = `id, channel, job, event, run, body, state, created, tries, next_try, ended, why`

func scanNotice(rows *sql.Rows, more ...any) (*Notice, error) {
	n := new(Notice)
	err := rows.Scan(append([]any{
		&n.ID, &n.Channel, &n.Job, &n.Event, &n.Run, &n.Body, &n.State,
		instant{&n.Created},
		&n.Tries,
		instant{&n.Next},
		instant{&n.Ended},
		&n.Why,
	}, more...)...)
	return n, err
}

// longestWait is how long a notice waits for its next try, at most. A longer wait was
// written by a clock that was ahead, and would hold up the job's other notices as well.
const longestWait = 24 * time.Hour

// TakeNotice returns a notice of a channel that is due to be tried, or nil if there is
// none. Nobody else gets it for the length of a lease; after that, unless
// [Ledger.EndNotice] or [Ledger.PostponeNotice] was called, somebody else does. Notices
// of one job come in the order in which they were made: none is returned while an
// earlier one waits.
func (l *Ledger) TakeNotice(ctx context.Context, channel string, lease time.Duration) (*Notice, error) {
	var n *Notice
	err := l.write(ctx, "take a notice of channel "+channel, func(ctx context.Context, s session) error {
		n = nil
		return s.query(ctx, func(rows *sql.Rows) (err error) {
			n, err = scanNotice(rows)
			return err
		}, `
			UPDATE notices SET tries = tries + 1, next_try = @now + $2
			WHERE number = (
				SELECT number FROM notices AS due
				WHERE channel = $1 AND ended = 0 AND (next_try <= @now OR next_try > @now + $3) AND NOT EXISTS (
					SELECT 1 FROM notices AS earlier
					WHERE earlier.channel = due.channel AND earlier.job = due.job AND earlier.ended = 0 AND earlier.number < due.number
				)
				ORDER BY number LIMIT 1 @skip
			)
			RETURNING `+noticeColumns, channel, lease.Microseconds(), longestWait.Microseconds())
	})
	return n, err
}

// EndNotice records that a notice was sent, or was given up and why. If it was given up
// on every channel, the alarm that it is about becomes [Alarm.Unheard].
func (l *Ledger) EndNotice(ctx context.Context, id, channel string, state NoticeState, why string) error {
	if state != NoticeSent && state != NoticeGivenUp {
		return errors.New("end a notice: it is neither sent nor given up")
	}
	return l.write(ctx, "note that a notice is "+string(state), func(ctx context.Context, s session) error {
		return s.together(ctx, func() error {
			_, err := s.exec(ctx, `UPDATE notices SET state = $3, why = $4, ended = @now WHERE id = $1 AND channel = $2 AND ended = 0`,
				id, channel, string(state), text(why))
			if err != nil || state == NoticeSent {
				return err
			}
			return s.unheard(ctx, id)
		})
	})
}

// unheard records that nobody has heard of an alarm, if its notice was given up on every
// channel.
func (s session) unheard(ctx context.Context, id string) error {
	var job, event string
	err := s.query(ctx, func(rows *sql.Rows) error { return rows.Scan(&job, &event) }, `
		SELECT job, event FROM notices WHERE id = $1
		GROUP BY job, event HAVING min(CASE WHEN state = 'given_up' THEN 1 ELSE 0 END) = 1`, id)
	if err != nil || event == "" {
		return err
	}
	return s.tell(ctx, job, func(now Standing) (Standing, []Notice) {
		for i := range now.Alarms {
			a := &now.Alarms[i]
			if a.Notice == id || a.Notice == "" && cmp.Or(a.Event, a.Kind) == event {
				a.Unheard = true
			}
		}
		return now, nil
	})
}

// PostponeNotice records why a notice could not be sent, and has it tried again after a
// wait.
func (l *Ledger) PostponeNotice(ctx context.Context, id, channel string, wait time.Duration, why string) error {
	return l.write(ctx, "postpone a notice", func(ctx context.Context, s session) error {
		_, err := s.exec(ctx, `UPDATE notices SET next_try = @now + $3, why = $4 WHERE id = $1 AND channel = $2 AND ended = 0`,
			id, channel, wait.Microseconds(), text(why))
		return err
	})
}

// WaitingNotices returns how many notices wait, by channel.
func (l *Ledger) WaitingNotices(ctx context.Context) (map[string]int, error) {
	var waiting map[string]int
	err := l.read(ctx, "count the notices that wait", func(ctx context.Context, s session) error {
		waiting = map[string]int{}
		return s.query(ctx, func(rows *sql.Rows) error {
			var channel string
			var n int
			err := rows.Scan(&channel, &n)
			waiting[channel] = n
			return err
		}, `SELECT channel, count(*) FROM notices WHERE ended = 0 GROUP BY channel`)
	})
	return waiting, err
}

const pageOfNotices = 200

// Notices yields the notices that wait, or all that are remembered, the newest first.
// After an error, which is the last value, the notice is nil.
func (l *Ledger) Notices(ctx context.Context, waiting bool) iter.Seq2[*Notice, error] {
	condition := ""
	if waiting {
		condition = " AND ended = 0"
	}
	return func(yield func(*Notice, error) bool) {
		for below := int64(1<<63 - 1); ; {
			var page []*Notice
			err := l.read(ctx, "list notices", func(ctx context.Context, s session) error {
				page = nil
				return s.query(ctx, func(rows *sql.Rows) error {
					n, err := scanNotice(rows, &below)
					page = append(page, n)
					return err
				}, `SELECT `+noticeColumns+`, number FROM notices WHERE number < $1`+condition+` ORDER BY number DESC LIMIT $2`, below, pageOfNotices)
			})
			if err != nil {
				yield(nil, err)
				return
			}
			for _, n := range page {
				if !yield(n, nil) {
					return
				}
			}
			if len(page) < pageOfNotices {
				return
			}
		}
	}
}

// ForgetNotices gives up the notices that were made before an instant and still
// wait, returns them, and deletes those that ended before another.
func (l *Ledger) ForgetNotices(ctx context.Context, made, ended time.Time) ([]Notice, error) {
	var given []Notice
	err := l.write(ctx, "forget old notices", func(ctx context.Context, s session) error {
		return s.together(ctx, func() error {
			var err error
			given, err = s.forgetNotices(ctx, made, ended)
			return err
		})
	})
	return given, err
}

func (s session) forgetNotices(ctx context.Context, made, ended time.Time) (given []Notice, err error) {
	err = s.query(ctx, func(rows *sql.Rows) error {
		n, err := scanNotice(rows)
		given = append(given, *n)
		return err
	}, `UPDATE notices SET state = 'given_up', ended = @now WHERE ended = 0 AND created < $1 RETURNING `+noticeColumns, stamp(made))
	if err != nil {
		return nil, err
	}
	for i := range given {
		if err := s.unheard(ctx, given[i].ID); err != nil {
			return nil, err
		}
	}
	_, err = s.exec(ctx, `DELETE FROM notices WHERE ended > 0 AND ended < $1`, stamp(ended))
	return given, err
}
