package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
)

// schema returns the migrations: the one at index i leads from version i to version i+1.
// A migration that was released is never changed; append a new one. Instants are
// microseconds since 1970, and 0 means none. No index has lease_until in it, so that
// PostgreSQL can renew a lease in place.
func schema() []string {
	return []string{`
CREATE TABLE ledger (
	version BIGINT NOT NULL,
	checked BIGINT NOT NULL
);
CREATE TABLE runs (
	id               @id,
	job              TEXT   NOT NULL,
	key              TEXT   NOT NULL,
	due              BIGINT NOT NULL,
	state            TEXT   NOT NULL DEFAULT 'claimed',
	step             BIGINT NOT NULL DEFAULT 0,
	attempt          BIGINT NOT NULL DEFAULT 1,
	holder           TEXT   NOT NULL,
	lease_until      BIGINT NOT NULL,
	cancel_requested BIGINT NOT NULL DEFAULT 0,
	claims           BIGINT NOT NULL DEFAULT 1,
	claimed          BIGINT NOT NULL,
	finished         BIGINT NOT NULL DEFAULT 0,
	exit_code        BIGINT NOT NULL DEFAULT 0,
	class            TEXT   NOT NULL DEFAULT '',
	code             TEXT   NOT NULL DEFAULT '',
	message          TEXT   NOT NULL DEFAULT '',
	request_id       TEXT   NOT NULL DEFAULT '',
	files            BIGINT NOT NULL DEFAULT 0,
	files_skipped    BIGINT NOT NULL DEFAULT 0,
	bytes            BIGINT NOT NULL DEFAULT 0,
	skipped_errors   BIGINT NOT NULL DEFAULT 0,
	faults           BIGINT NOT NULL DEFAULT 0,
	UNIQUE (job, key)
);
CREATE INDEX runs_of_job     ON runs (job, id);
CREATE INDEX runs_due        ON runs (job, due, id);
CREATE INDEX runs_finished   ON runs (finished) WHERE finished > 0;
CREATE INDEX runs_unfinished ON runs (holder) WHERE finished = 0;
CREATE INDEX runs_open       ON runs (job) WHERE finished = 0;
CREATE TABLE submissions (
	id       TEXT   NOT NULL PRIMARY KEY,
	run      BIGINT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
	step     BIGINT NOT NULL,
	part     BIGINT NOT NULL,
	attempt  BIGINT NOT NULL,
	label    TEXT   NOT NULL,
	document @bytes,
	task_id  TEXT   NOT NULL DEFAULT '',
	status   TEXT   NOT NULL DEFAULT '',
	created  BIGINT NOT NULL,
	accepted BIGINT NOT NULL DEFAULT 0,
	UNIQUE (run, attempt, step, part)
);
CREATE TABLE notes (
	id      @id,
	run     BIGINT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
	at      BIGINT NOT NULL,
	kind    TEXT   NOT NULL,
	message TEXT   NOT NULL
);
CREATE INDEX notes_of_run ON notes (run);
INSERT INTO ledger (version, checked) VALUES (0, 0);
`, `
ALTER TABLE runs DROP COLUMN exit_code;
`, `
CREATE TABLE schedules (
	job       TEXT   NOT NULL PRIMARY KEY,
	expr      TEXT   NOT NULL,
	zone      TEXT   NOT NULL,
	suspended BIGINT NOT NULL,
	cursor    BIGINT NOT NULL
);
`, `
ALTER TABLE runs ADD COLUMN again BIGINT NOT NULL DEFAULT 0;
ALTER TABLE submissions ADD COLUMN tries BIGINT NOT NULL DEFAULT 0;
UPDATE submissions SET tries = attempt - 1;
UPDATE runs SET again = 1, attempt = attempt - 1 WHERE finished = 0 AND holder = '';
`, `
ALTER TABLE runs ADD COLUMN files_deleted BIGINT NOT NULL DEFAULT 0;
ALTER TABLE submissions ADD COLUMN deletes BIGINT;
ALTER TABLE submissions ADD COLUMN deletes_at_least BIGINT NOT NULL DEFAULT 0;
`, `
ALTER TABLE ledger ADD COLUMN pruned BIGINT NOT NULL DEFAULT 0;
`, `
ALTER TABLE ledger ADD COLUMN receipts BIGINT NOT NULL DEFAULT 0;
ALTER TABLE ledger ADD COLUMN receipt_digest TEXT NOT NULL DEFAULT '';
CREATE TABLE receipts (
	id        @id,
	run       BIGINT NOT NULL,
	step      BIGINT NOT NULL,
	part      BIGINT NOT NULL,
	attempt   BIGINT NOT NULL,
	job       TEXT   NOT NULL,
	key       TEXT   NOT NULL,
	created   BIGINT NOT NULL,
	listed    BIGINT NOT NULL DEFAULT 0,
	snapshot  TEXT   NOT NULL DEFAULT '',
	sealed    BIGINT NOT NULL DEFAULT 0,
	text      TEXT   NOT NULL DEFAULT '',
	number    BIGINT NOT NULL DEFAULT 0,
	content   TEXT   NOT NULL DEFAULT '',
	previous  TEXT   NOT NULL DEFAULT '',
	digest    TEXT   NOT NULL DEFAULT '',
	signature TEXT   NOT NULL DEFAULT '',
	items     BIGINT NOT NULL DEFAULT 0,
	copied    BIGINT NOT NULL DEFAULT 0,
	found     BIGINT NOT NULL DEFAULT 0,
	landed    BIGINT NOT NULL DEFAULT 0,
	skipped   BIGINT NOT NULL DEFAULT 0,
	UNIQUE (run, attempt, step, part)
);
CREATE INDEX receipts_of_job ON receipts (job, id);
CREATE INDEX receipts_open   ON receipts (run) WHERE sealed = 0;
CREATE INDEX receipts_by_age ON receipts (created);
CREATE TABLE texts (
	receipt BIGINT NOT NULL REFERENCES receipts (id) ON DELETE CASCADE,
	name    TEXT   NOT NULL,
	number  BIGINT NOT NULL,
	data    @bytes,
	PRIMARY KEY (receipt, name, number)
);
`, `
ALTER TABLE submissions ADD COLUMN once BIGINT NOT NULL DEFAULT 0;
`, `
ALTER TABLE ledger ADD COLUMN origin TEXT NOT NULL DEFAULT '';
`, `
CREATE TABLE items (
	job         TEXT   NOT NULL,
	name        TEXT   NOT NULL,
	key         TEXT   NOT NULL,
	generation  BIGINT NOT NULL,
	state       TEXT   NOT NULL,
	why         TEXT   NOT NULL,
	since       BIGINT NOT NULL,
	gone        BIGINT NOT NULL,
	size        BIGINT NOT NULL,
	modified    BIGINT NOT NULL,
	fingerprint TEXT   NOT NULL,
	unchanged   BIGINT NOT NULL,
	looked      BIGINT NOT NULL,
	clock       TEXT   NOT NULL,
	seen        BIGINT NOT NULL,
	PRIMARY KEY (job, name)
);
CREATE UNIQUE INDEX items_by_key ON items (job, key);
CREATE INDEX items_ready ON items (job, modified, name) WHERE state = 'ready';
CREATE TABLE watches (
	job         TEXT   NOT NULL PRIMARY KEY,
	holder      TEXT   NOT NULL,
	lease_until BIGINT NOT NULL
);
`, `
CREATE INDEX submissions_once ON submissions (created, id) WHERE once = 1;
`, `
CREATE TABLE actions (
	id    @id,
	at    BIGINT NOT NULL,
	what  TEXT   NOT NULL,
	job   TEXT   NOT NULL,
	run   BIGINT NOT NULL,
	who   TEXT   NOT NULL,
	why   TEXT   NOT NULL,
	until BIGINT NOT NULL
);
CREATE INDEX actions_of_job ON actions (job, id);
CREATE TABLE pauses (
	job   TEXT   NOT NULL PRIMARY KEY,
	who   TEXT   NOT NULL,
	why   TEXT   NOT NULL,
	since BIGINT NOT NULL,
	until BIGINT NOT NULL
);
`, `
CREATE TABLE notices (
	number   @id,
	id       TEXT   NOT NULL,
	channel  TEXT   NOT NULL,
	job      TEXT   NOT NULL,
	event    TEXT   NOT NULL,
	run      BIGINT NOT NULL,
	body     TEXT   NOT NULL,
	state    TEXT   NOT NULL DEFAULT 'waiting',
	created  BIGINT NOT NULL,
	tries    BIGINT NOT NULL DEFAULT 0,
	next_try BIGINT NOT NULL,
	ended    BIGINT NOT NULL DEFAULT 0,
	why      TEXT   NOT NULL DEFAULT '',
	UNIQUE (id, channel)
);
CREATE INDEX notices_waiting ON notices (channel, job, number) WHERE ended = 0;
CREATE INDEX notices_ended   ON notices (ended) WHERE ended > 0;
CREATE TABLE standings (
	job    TEXT   NOT NULL PRIMARY KEY,
	since  BIGINT NOT NULL DEFAULT 0,
	alarms TEXT   NOT NULL DEFAULT '[]'
);
`, `
ALTER TABLE watches ADD COLUMN looked BIGINT NOT NULL DEFAULT 0;
ALTER TABLE watches ADD COLUMN failed BIGINT NOT NULL DEFAULT 0;
ALTER TABLE watches ADD COLUMN why TEXT NOT NULL DEFAULT '';
`, `
CREATE INDEX items_by_name ON items (job, name @bytewise);
`, `
CREATE TABLE days (
	day   BIGINT NOT NULL,
	job   TEXT   NOT NULL,
	runs  BIGINT NOT NULL,
	files BIGINT NOT NULL,
	bytes BIGINT NOT NULL,
	PRIMARY KEY (day, job)
);
INSERT INTO days (day, job, runs, files, bytes)
SELECT finished / 86400000000, job, count(*), sum(files), sum(bytes) FROM runs WHERE finished > 0 GROUP BY 1, 2;
`, `
ALTER TABLE watches ADD COLUMN wanted BIGINT NOT NULL DEFAULT 0;
`, `
ALTER TABLE submissions ADD COLUMN copies @bytes;
`, `
ALTER TABLE submissions ADD COLUMN flow TEXT NOT NULL DEFAULT '';
`, `
ALTER TABLE runs ADD COLUMN began BIGINT NOT NULL DEFAULT 0;
`, `
ALTER TABLE receipts ADD COLUMN document @bytes;
ALTER TABLE receipts ADD COLUMN ended BIGINT NOT NULL DEFAULT 0;
CREATE INDEX receipts_orphaned ON receipts (id) WHERE document IS NOT NULL;
`, `
ALTER TABLE submissions ADD COLUMN files BIGINT NOT NULL DEFAULT 0;
ALTER TABLE submissions ADD COLUMN files_skipped BIGINT NOT NULL DEFAULT 0;
ALTER TABLE submissions ADD COLUMN bytes BIGINT NOT NULL DEFAULT 0;
ALTER TABLE submissions ADD COLUMN skipped_errors BIGINT NOT NULL DEFAULT 0;
ALTER TABLE submissions ADD COLUMN faults BIGINT NOT NULL DEFAULT 0;
UPDATE submissions SET files = runs.files, files_skipped = runs.files_skipped, bytes = runs.bytes,
	skipped_errors = runs.skipped_errors, faults = runs.faults FROM runs
WHERE runs.finished > 0 AND runs.state <> 'succeeded' AND submissions.id = (
	SELECT s.id FROM submissions s WHERE s.run = runs.id ORDER BY s.attempt DESC, s.step DESC, s.part DESC LIMIT 1);
`, `
CREATE INDEX submissions_open ON submissions (created, id) WHERE once = 1 AND status = '';
`, `
CREATE TABLE strips (
	job  TEXT NOT NULL PRIMARY KEY,
	ends TEXT NOT NULL
);
INSERT INTO strips (job, ends)
WITH RECURSIVE names (name) AS (
	SELECT min(job) FROM runs
	UNION ALL
	SELECT (SELECT min(job) FROM runs WHERE job > name) FROM names WHERE name IS NOT NULL
)
SELECT name, ends FROM (
	SELECT name, (
		SELECT string_agg(';' || concat_ws(' ', id, state, CASE WHEN began = 0 THEN claimed ELSE began END, finished), '')
		FROM runs WHERE job = name AND finished > 0 AND id >= COALESCE(
			(SELECT id FROM runs AS r WHERE r.job = name ORDER BY id DESC LIMIT 1 OFFSET 29), 0)) AS ends
	FROM names
) AS ended WHERE ends IS NOT NULL;
`}
}

// upgrade brings the schema to the version that the migrations lead to. If there is no
// schema, it makes one if create is set, and otherwise returns ErrAbsent.
func (l *Ledger) upgrade(ctx context.Context, migrations []string, create bool) error {
	have, want := 0, len(migrations)
	err := l.store.read(ctx, func(ctx context.Context, s session) (err error) {
		have, err = s.version(ctx, want)
		return err
	})
	if err != nil || have == want {
		return err
	}
	if have == 0 && !create {
		return fmt.Errorf("%w in %s", ErrAbsent, l.store.name())
	}
	return l.store.exclusive(ctx, func(ctx context.Context, s session) error {
		have, err := s.version(ctx, want) // another process may have been faster
		if err != nil || have == want {
			return err
		}
		for i, m := range migrations[have:] {
			if _, err := s.conn.ExecContext(ctx, s.words.Replace(m)); err != nil {
				return fmt.Errorf("bring its schema to version %d: %w", have+i+1, err)
			}
		}
		if _, err := s.exec(ctx, `UPDATE ledger SET version = $1`, want); err != nil {
			return err
		}
		if have > 0 {
			l.log.InfoContext(ctx, "ledger brought up to date", "from", have, "to", want)
		}
		return nil
	})
}

// version returns the version of the schema, 0 if there is no schema at all.
func (s session) version(ctx context.Context, newest int) (int, error) {
	var tables []string
	err := s.query(ctx, func(rows *sql.Rows) error {
		var name string
		err := rows.Scan(&name)
		tables = append(tables, name)
		return err
	}, s.tables)
	switch {
	case err != nil:
		return 0, err
	case len(tables) == 0:
		return 0, nil
	case !slices.Contains(tables, "ledger"):
		return 0, fmt.Errorf("it holds tables of another program, such as %q: give the ledger a place of its own", tables[0])
	}
	version := 0
	err = s.query(ctx, func(rows *sql.Rows) error { return rows.Scan(&version) }, `SELECT version FROM ledger`)
	if err == nil && version > newest {
		err = fmt.Errorf("its schema has version %d, and this program knows versions up to %d: use a newer program", version, newest)
	}
	return version, err
}
