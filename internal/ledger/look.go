package ledger

import (
	"context"
	"database/sql"
	"time"
)

// Watch makes the holder the only one that looks at the folder of a job, for the length
// of a lease, unless another holder is. The lease of another holder counts for at most
// one lease from now.
func (l *Ledger) Watch(ctx context.Context, job, holder string, lease time.Duration) (mine bool, err error) {
	err = l.write(ctx, "watch for job "+job, func(ctx context.Context, s session) error {
		n, err := s.exec(ctx, `
			INSERT INTO watches (job, holder, lease_until) VALUES ($1, $2, @now + $3)
			ON CONFLICT (job) DO UPDATE SET holder = excluded.holder, lease_until = excluded.lease_until
			WHERE watches.holder = excluded.holder OR watches.lease_until <= @now`, job, holder, lease.Microseconds())
		if mine = n > 0; mine || err != nil {
			return err
		}
		_, err = s.exec(ctx, `UPDATE watches SET lease_until = @now + $2 WHERE job = $1 AND lease_until > @now + $2`, job, lease.Microseconds())
		return err
	})
	return mine, err
}

// A LastLook says how the last looks at the folder of a job ended.
type LastLook struct {
	Looked time.Time // when the last one that saw the folder ended; zero if there was none
	Failed time.Time // when the last one ended early; zero if it did not
	Why    string    // it ended early
}

// EndLook records that a look of the holder that watches a folder has seen the folder,
// or why it ended early.
func (l *Ledger) EndLook(ctx context.Context, job, failure string) error {
	change := `looked = @now, failed = 0, why = ''`
	if failure != "" {
		change = `failed = @now, why = $2`
	}
	return l.write(ctx, "write how the look for job "+job+" has ended", func(ctx context.Context, s session) error {
		args := []any{job}
		if failure != "" {
			args = append(args, text(failure))
		}
		_, err := s.exec(ctx, `UPDATE watches SET `+change+` WHERE job = $1`, args...)
		return err
	})
}

// LastLook returns how the last looks at the folder of a job ended. It is zero if there
// were none.
func (l *Ledger) LastLook(ctx context.Context, job string) (last LastLook, err error) {
	err = l.read(ctx, "read how the last look for job "+job+" has ended", func(ctx context.Context, s session) error {
		return s.query(ctx, func(rows *sql.Rows) error {
			return rows.Scan(instant{&last.Looked}, instant{&last.Failed}, &last.Why)
		}, `SELECT looked, failed, why FROM watches WHERE job = $1`, job)
	})
	return last, err
}

// wantLook records that somebody wants a look at the folder of a job.
func (s session) wantLook(ctx context.Context, job string) error {
	_, err := s.exec(ctx, `
		INSERT INTO watches (job, holder, lease_until, wanted) VALUES ($1, '', 0, @now)
		ON CONFLICT (job) DO UPDATE SET wanted = excluded.wanted`, job)
	return err
}

// WantedLooks returns the jobs whose folders somebody wants to be looked at, and since
// when.
func (l *Ledger) WantedLooks(ctx context.Context) (map[string]time.Time, error) {
	var wanted map[string]time.Time
	err := l.read(ctx, "read which looks are wanted", func(ctx context.Context, s session) error {
		wanted = map[string]time.Time{}
		return s.query(ctx, func(rows *sql.Rows) error {
			var job string
			var at time.Time
			err := rows.Scan(&job, instant{&at})
			wanted[job] = at
			return err
		}, `SELECT job, wanted FROM watches WHERE wanted > 0`)
	})
	return wanted, err
}

// MetLook records that a look was made that somebody wanted.
func (l *Ledger) MetLook(ctx context.Context, job string, wanted time.Time) error {
	return l.write(ctx, "write that job "+job+" was looked at as wanted", func(ctx context.Context, s session) error {
		_, err := s.exec(ctx, `UPDATE watches SET wanted = 0 WHERE job = $1 AND wanted = $2`, job, stamp(wanted))
		return err
	})
}
