package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"iter"
	"time"
)

// The states of an item that a ledger knows. All others are the caller's.
const (
	ItemReady = "ready" // its occurrence is to be done, see [Ledger.ReadyItems]
	ItemTaken = "taken" // somebody has claimed its occurrence
)

// An Item is what is kept about an entry of a watched folder.
type Item struct {
	Job        string // that watches the folder
	Name       string // in the folder
	Key        string // of its occurrence
	Generation int    // how many occurrences it has had, with this one

	State string    // at the last look, [ItemTaken] once its occurrence is claimed; or how its run ended, once that is forgotten
	Why   string    // the state in words
	Since time.Time // when it came into that state
	Gone  time.Time // since when the folder does not have it; zero if it is there

	Size        int64     // bytes
	Modified    time.Time // zero if that is not known
	Fingerprint string    // of all that is below it; empty if it was not listed
	Unchanged   time.Duration
	Looked      time.Time // when it was listed last
	Clock       string    // whose time Looked is
	Seen        time.Time // for the first time

	// Run is the run of the occurrence Key, RunState its state, and RunLease its
	// LeaseUntil; all are zero if there is none. The ledger ignores them in [Ledger.KeepItems].
	Run      int64
	RunState State
	RunLease time.Time
}

const (
	itemColumns = `items.job, name, items.key, generation, items.state, why, since, gone, size, modified, fingerprint, unchanged, looked, clock, seen,
		COALESCE(runs.id, 0), COALESCE(runs.state, ''), COALESCE(runs.lease_until, 0)`
	itemsWithRuns = `items LEFT JOIN runs ON runs.job = items.job AND runs.key = items.key`
)

// items returns what a statement selects, as [Item]s.
func (s session) items(ctx context.Context, query string, args ...any) ([]Item, error) {
	var all []Item
	err := s.query(ctx, func(rows *sql.Rows) error {
		var i Item
		var unchanged int64
		err := rows.Scan(&i.Job, &i.Name, &i.Key, &i.Generation, &i.State, &i.Why, instant{&i.Since}, instant{&i.Gone},
			&i.Size, instant{&i.Modified}, &i.Fingerprint, &unchanged, instant{&i.Looked}, &i.Clock, instant{&i.Seen}, &i.Run, &i.RunState, instant{&i.RunLease})
		i.Unchanged = time.Duration(unchanged) * time.Microsecond
		all = append(all, i)
		return err
	}, query, args...)
	return all, err
}

// pageOfItems is how many items are read at once.
const pageOfItems = 500

// Items yields all items of a job, by byte order of their names, and fetches them by
// pages as it goes. After an error, which is the last value, the item is nil.
func (l *Ledger) Items(ctx context.Context, job string) iter.Seq2[*Item, error] {
	return func(yield func(*Item, error) bool) {
		for last := ""; ; {
			var page []Item
			err := l.read(ctx, "read the items of job "+job, func(ctx context.Context, s session) (err error) {
				page, err = s.items(ctx, `
					SELECT `+itemColumns+` FROM `+itemsWithRuns+` WHERE items.job = $1 AND name @bytewise > $2
					ORDER BY name @bytewise LIMIT $3`, job, last, pageOfItems)
				return err
			})
			if err != nil {
				yield(nil, err)
				return
			}
			for i := range page {
				if !yield(&page[i], nil) {
					return
				}
			}
			if len(page) < pageOfItems {
				return
			}
			last = page[len(page)-1].Name
		}
	}
}

// ItemByKey returns the item of a job whose occurrence has this key now. If there
// is none, the error is ErrNone.
func (l *Ledger) ItemByKey(ctx context.Context, job, key string) (*Item, error) {
	return l.item(ctx, job, key, `items.key = $2`)
}

// ItemByName returns the item of a job that has a name. If there is none, the error
// is ErrNone.
func (l *Ledger) ItemByName(ctx context.Context, job, name string) (*Item, error) {
	return l.item(ctx, job, name, `name = $2`)
}

// item returns the one item that meets a condition.
func (l *Ledger) item(ctx context.Context, job, what, condition string) (*Item, error) {
	var found *Item
	err := l.read(ctx, fmt.Sprintf("read item %s of job %s", what, job), func(ctx context.Context, s session) error {
		all, err := s.items(ctx, `SELECT `+itemColumns+` FROM `+itemsWithRuns+` WHERE items.job = $1 AND `+condition, job, text(what))
		if err != nil {
			return err
		}
		if len(all) == 0 {
			return ErrNone
		}
		found = &all[0]
		return nil
	})
	return found, err
}

// An ItemOrder is the order in which ready items start.
type ItemOrder string

// The orders. Items of the same time come by name.
const (
	ItemsOldest ItemOrder = "modified, name"
	ItemsNewest ItemOrder = "modified DESC, name"
	ItemsByName ItemOrder = "name"
)

// ReadyItems returns the first items, in an order, that are ready and whose occurrence
// nobody has claimed: as many as may start with at most most unfinished runs of the job.
func (l *Ledger) ReadyItems(ctx context.Context, job string, order ItemOrder, most int) ([]Item, error) {
	var ready []Item
	err := l.read(ctx, "read the ready items of job "+job, func(ctx context.Context, s session) (err error) {
		ready = nil
		unfinished := 0
		if err := s.query(ctx, func(rows *sql.Rows) error { return rows.Scan(&unfinished) },
			`SELECT count(*) FROM runs WHERE job = $1 AND finished = 0`, job); err != nil || unfinished >= most {
			return err
		}
		ready, err = s.items(ctx, `
			SELECT `+itemColumns+` FROM `+itemsWithRuns+` WHERE items.job = $1 AND items.state = 'ready' AND gone = 0 AND runs.id IS NULL
			ORDER BY `+string(order)+` LIMIT $2`, job, most-unfinished)
		return err
	})
	return ready, err
}

// LeftItems returns the items of a job that are in the folder and whose newest run has
// failed, timed out or was skipped: nothing starts them again by itself. They are sorted
// by name; first has at most most of them, and all says how many there are.
func (l *Ledger) LeftItems(ctx context.Context, job string, most int) (first []Item, all int, err error) {
	err = l.read(ctx, "read the items of job "+job+" that did not succeed", func(ctx context.Context, s session) (err error) {
		const left = itemsEnded + `('failed', 'timed_out', 'skipped')`
		if err := s.query(ctx, func(rows *sql.Rows) error { return rows.Scan(&all) }, `SELECT count(*)`+left, job); err != nil {
			return err
		}
		first, err = s.items(ctx, `SELECT `+itemColumns+left+` ORDER BY name LIMIT $2`, job, most)
		return err
	})
	return first, all, err
}

// itemsEnded selects the items of a job that are in the folder and whose newest run ended
// in one of the states that follow.
const itemsEnded = ` FROM ` + itemsWithRuns + ` WHERE items.job = $1 AND gone = 0 AND COALESCE(runs.state, items.state) IN `

// KeepItems records the items of a job as a look has found them, all or none. An item
// stays as it is if the ledger has a later generation of it, or if it is taken.
func (l *Ledger) KeepItems(ctx context.Context, job string, all []Item) error {
	if len(all) == 0 {
		return nil
	}
	type row struct {
		Key         string `json:"key"`
		Generation  int    `json:"generation"`
		State       string `json:"state"`
		Why         string `json:"why"`
		Since       int64  `json:"since"`
		Gone        int64  `json:"gone"`
		Size        int64  `json:"size"`
		Modified    int64  `json:"modified"`
		Fingerprint string `json:"fingerprint"`
		Unchanged   int64  `json:"unchanged"`
		Looked      int64  `json:"looked"`
		Clock       string `json:"clock"`
		Seen        int64  `json:"seen"`
	}
	rows := make(map[string]row, len(all))
	for _, i := range all {
		rows[text(i.Name)] = row{
			text(i.Key), i.Generation, text(i.State), text(i.Why), stamp(i.Since), stamp(i.Gone),
			i.Size, stamp(i.Modified), text(i.Fingerprint), i.Unchanged.Microseconds(), stamp(i.Looked), text(i.Clock), stamp(i.Seen),
		}
	}
	doc, err := json.Marshal(rows)
	if err != nil {
		return err
	}
	return l.write(ctx, "write the items of job "+job, func(ctx context.Context, s session) error {
		_, err := s.exec(ctx, `
			INSERT INTO items (job, name, key, generation, state, why, since, gone, size, modified, fingerprint, unchanged, looked, clock, seen)
			SELECT $2, key, value ->> 'key', CAST(value ->> 'generation' AS BIGINT), value ->> 'state', value ->> 'why',
				CAST(value ->> 'since' AS BIGINT), CAST(value ->> 'gone' AS BIGINT),
				CAST(value ->> 'size' AS BIGINT), CAST(value ->> 'modified' AS BIGINT), value ->> 'fingerprint',
				CAST(value ->> 'unchanged' AS BIGINT), CAST(value ->> 'looked' AS BIGINT), value ->> 'clock', CAST(value ->> 'seen' AS BIGINT)
			FROM json_each($1) WHERE true ORDER BY key
			ON CONFLICT (job, name) DO UPDATE SET key = excluded.key, generation = excluded.generation, state = excluded.state, why = excluded.why,
				since = excluded.since, gone = excluded.gone, size = excluded.size, modified = excluded.modified,
				fingerprint = excluded.fingerprint, unchanged = excluded.unchanged, looked = excluded.looked, clock = excluded.clock
			WHERE items.generation < excluded.generation OR (items.generation = excluded.generation AND items.state <> 'taken')`,
			string(doc), job)
		return err
	})
}

// SetGone records that some items have left the folder of a job, whatever their states.
func (l *Ledger) SetGone(ctx context.Context, job string, names []string) error {
	return l.setGone(ctx, job, names, `gone = @now WHERE gone = 0`)
}

// SetBack records that some items are in the folder of a job again, as a look has found
// that began at an instant. Items that left the folder after that instant stay gone.
func (l *Ledger) SetBack(ctx context.Context, job string, names []string, begun time.Time) error {
	return l.setGone(ctx, job, names, `gone = 0 WHERE gone > 0 AND gone < $3`, stamp(begun))
}

func (l *Ledger) setGone(ctx context.Context, job string, names []string, change string, args ...any) error {
	if len(names) == 0 {
		return nil
	}
	kept := make(map[string]int, len(names))
	for _, name := range names {
		kept[text(name)] = 1
	}
	doc, err := json.Marshal(kept)
	if err != nil {
		return err
	}
	return l.write(ctx, "write which items of job "+job+" are gone", func(ctx context.Context, s session) error {
		_, err := s.exec(ctx, `UPDATE items SET `+change+` AND job = $2 AND name IN (SELECT key FROM json_each($1))`, append([]any{string(doc), job}, args...)...)
		return err
	})
}

// take records that the occurrence of an item is claimed. Nothing depends on it: it only
// makes [Ledger.ReadyItems] fast.
func (s session) take(ctx context.Context, job, key string) error {
	_, err := s.exec(ctx, `UPDATE items SET state = 'taken', since = @now WHERE job = $1 AND key = $2 AND state = 'ready'`, job, key)
	return err
}
