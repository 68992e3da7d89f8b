package ledger_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/globus-runner/globus-runner/internal/ledger"
)

func wantText(t testing.TB, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("got no error")
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("%q has more than one line", err)
	}
}

func openError(t testing.TB, url string) error {
	t.Helper()
	l, err := ledger.Open(t.Context(), url, logger(t))
	if err == nil {
		ok(t, l.Close())
	}
	return err
}

func TestOpenMakesAFileForItsOwner(t *testing.T) {
	for _, name := range []string{"runner.db", "a b?c%20#.db"} {
		dir := filepath.Join(t.TempDir(), "new", "folder")
		file := filepath.Join(dir, name)
		l := open(t, "sqlite:"+file)
		claim(t, l, "j", "1", "me", time.Hour)
		for path, want := range map[string]os.FileMode{file: 0o600, dir: 0o700} {
			info, err := os.Stat(path)
			ok(t, err)
			if got := info.Mode().Perm(); got != want {
				t.Errorf("%s has mode %v, want %v", path, got, want)
			}
		}
		if r, err := open(t, "sqlite:"+file).Find(t.Context(), "j", "1"); err != nil || r.Holder != "me" {
			t.Errorf("opened again: %v, %v", r, err)
		}
	}
}

func TestOpenOfARelativeName(t *testing.T) {
	t.Chdir(t.TempDir())
	open(t, "sqlite:runner.db")
	if _, err := os.Stat("runner.db"); err != nil {
		t.Error(err)
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, b []byte) string {
		file := filepath.Join(dir, name)
		ok(t, os.WriteFile(file, b, 0o600))
		return file
	}
	notes := write("notes", []byte(strings.Repeat("plain text\n", 1000)))
	foreign := write("foreign.db", nil)
	sqlExec(t, foreign, `CREATE TABLE bookmarks (id INTEGER)`)
	newer := filepath.Join(dir, "newer.db")
	ok(t, open(t, "sqlite:"+newer).Migrate(t.Context(), `ALTER TABLE runs ADD COLUMN shiny TEXT`))

	next := fmt.Sprintf("version %d, and this program knows versions up to %d", ledger.Version()+1, ledger.Version())
	tests := map[string]struct {
		url   string
		parts []string
	}{
		"nothing":              {"", []string{"sqlite:<file>", "postgres://"}},
		"a bare file":          {"/var/lib/runner.db", []string{"sqlite:<file>"}},
		"another scheme":       {"mysql://u:p@h/d", []string{"sqlite:<file>", "postgres://"}},
		"no file":              {"sqlite:", []string{"names no file"}},
		"a folder":             {"sqlite:" + dir, []string{dir, "not a file"}},
		"a folder in a file":   {"sqlite:" + notes + "/sub/runner.db", []string{notes, "not a directory"}},
		"a text":               {"sqlite:" + notes, []string{notes, "not a SQLite database"}},
		"another program's":    {"sqlite:" + foreign, []string{"another program", "bookmarks"}},
		"a newer schema":       {"sqlite:" + newer, []string{next, "newer program"}},
		"malformed PostgreSQL": {"postgres://h:port/d", []string{"malformed"}},
		"unknown sslmode":      {"postgres://u:p@h/d?sslmode=bogus", []string{"sets up TLS wrongly: sslmode is invalid;", "verify-full"}},
		"no CA file":           {"postgres://u:p@h/d?sslmode=verify-full&sslrootcert=" + dir + "/ca.pem", []string{"sets up TLS wrongly:", dir + "/ca.pem: no such file"}},
		"not a CA file":        {"postgres://u:p@h/d?sslmode=verify-full&sslrootcert=" + notes, []string{"sets up TLS wrongly: unable to add CA"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) { wantText(t, openError(t, tt.url), tt.parts...) })
	}
	if b, err := os.ReadFile(notes); err != nil || !bytes.HasPrefix(b, []byte("plain text\n")) || len(b) != 11000 {
		t.Errorf("the text was changed: %v", err)
	}
}

func TestAnOlderSchemaIsBroughtUpToDate(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		var log bytes.Buffer
		l, err := ledger.Open(t.Context(), url, slog.New(slog.NewTextHandler(&log, nil)))
		ok(t, err)
		defer func() { ok(t, l.Close()) }()
		r := claim(t, l, "j", "1", "me", time.Hour)
		for range 2 { // the second time there is nothing to do
			ok(t, l.Migrate(t.Context(), `ALTER TABLE runs ADD COLUMN shiny TEXT NOT NULL DEFAULT 'x'; CREATE INDEX shiny_runs ON runs (shiny)`))
		}
		if got := strings.Count(log.String(), "ledger brought up to date"); got != 1 {
			t.Errorf("logged %d times: %s", got, log.String())
		}
		if got := get(t, l, r.ID); got.Key != "1" {
			t.Errorf("got %+v", got)
		}
		wantText(t, openError(t, url), fmt.Sprintf("up to %d", ledger.Version()))
	})
}

func TestAnAttemptThatAnOlderProgramWasAskedForIsStillWanted(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		old, err := ledger.OpenVersion(t.Context(), url, logger(t), 1)
		ok(t, err)
		ok(t, old.Exec(t.Context(), `
			INSERT INTO runs (id, job, key, due, holder, lease_until, claimed, attempt) VALUES
				(1, 'j', 'asked for', 0, '', 0, 1, 3), (2, 'j', 'cut off', 0, 'dead', 1, 1, 3);
			INSERT INTO submissions (id, run, step, part, attempt, label, document, created)
				SELECT 's' || id, id, 0, 0, 2, '', '', 1 FROM runs`))
		ok(t, old.Close())

		l := open(t, url)
		if r := get(t, l, 1); !r.Again || r.Attempt != 2 {
			t.Errorf("got %+v, want another attempt after the second", r)
		}
		if r := get(t, l, 2); r.Again {
			t.Errorf("got %+v, want no attempt that nobody asked for", r)
		}
		if s, err := l.Submissions(t.Context(), 2); err != nil || len(s) != 1 || s[0].Tries != 1 {
			t.Errorf("got %+v, %v, want one try before the second attempt", s, err)
		}
	})
}

func TestWhatAnOlderProgramSawARunDoIsOfItsNewestAttempt(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		old, err := ledger.OpenVersion(t.Context(), url, logger(t), 21)
		ok(t, err)
		ok(t, old.Exec(t.Context(), `
			INSERT INTO runs (id, job, key, due, holder, lease_until, claimed, finished, state, files, bytes) VALUES
				(1, 'j', 'failed', 0, '', 0, 1, 2, 'failed', 3, 30), (2, 'j', 'succeeded', 0, '', 0, 1, 2, 'succeeded', 4, 40);
			INSERT INTO submissions (id, run, step, part, attempt, label, document, task_id, status, created)
				SELECT 's' || id || n, id, 0, 0, n, '', '', 't' || id || n, 'FAILED', 1 FROM runs, (SELECT 1 AS n UNION ALL SELECT 2) AS attempts`))
		ok(t, old.Close())

		all, err := open(t, url).Submissions(t.Context(), 1)
		ok(t, err)
		if len(all) != 2 || all[0].Totals != (ledger.Totals{}) || all[1].Totals != (ledger.Totals{Files: 3, Bytes: 30}) {
			t.Errorf("got %+v, want all that the run did with its second attempt", all)
		}
	})
}

func TestAMigrationThatFailsChangesNothing(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l := open(t, url)
		wantText(t, l.Migrate(t.Context(), `CREATE TABLE half (id BIGINT); CREATE TABLE runs (id BIGINT)`), fmt.Sprintf("version %d", ledger.Version()+1), "runs")
		ok(t, l.Migrate(t.Context(), `CREATE TABLE half (id BIGINT)`))
	})
}

func TestADamagedFileIsNamed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "runner.db")
	l := open(t, "sqlite:"+file)
	empty, err := os.Stat(file)
	ok(t, err)
	record(t, l, "j", 300)
	ok(t, l.Close())
	b, err := os.ReadFile(file)
	ok(t, err)
	for i := int(empty.Size()); i < len(b); i++ { // the tables are there, their rows are not
		b[i] = 0xAA
	}
	ok(t, os.WriteFile(file, b, 0o600))

	l = open(t, "sqlite:"+file)
	for _, err = range l.Runs(t.Context(), ledger.Query{}) {
		if err != nil {
			break
		}
	}
	wantText(t, err, file, "damaged", "move it away")
	if isTemporary(t, err) {
		t.Errorf("%v is temporary", err)
	}
}

func TestAFileThatIsLostWhileItIsInUseIsNoticed(t *testing.T) {
	tests := map[string]struct {
		lose      func(t *testing.T, file string)
		temporary bool // for who starts again
		parts     []string
	}{
		"deleted":                 {func(t *testing.T, file string) { ok(t, os.Remove(file)) }, true, []string{"deleted or moved away"}},
		"deleted with its folder": {func(t *testing.T, file string) { ok(t, os.RemoveAll(filepath.Dir(file))) }, true, []string{"deleted or moved away"}},
		"moved away":              {func(t *testing.T, file string) { ok(t, os.Rename(file, file+".old")) }, true, []string{"deleted or moved away"}},
		"replaced by another ledger": {func(t *testing.T, file string) {
			ok(t, open(t, "sqlite:"+file+".new").Check(t.Context()))
			ok(t, os.Rename(file+".new", file))
		}, true, []string{"another file", "start the program again"}},
		"emptied": {func(t *testing.T, file string) { ok(t, os.Truncate(file, 0)) }, false, []string{"tables are gone", "move it away"}},
		"overwritten": {func(t *testing.T, file string) {
			ok(t, os.WriteFile(file, bytes.Repeat([]byte("plain text\n"), 4000), 0o600))
		}, false, []string{"not a SQLite database"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "state", "runner.db")
			l := open(t, "sqlite:"+file)
			r := claim(t, l, "j", "1", "me", time.Hour)
			tt.lose(t, file)
			_, mine, err := l.Claim(t.Context(), ledger.Claim{Job: "j", Key: "2", Holder: "me", Lease: time.Hour})
			_, read := l.Run(t.Context(), r.ID)
			for doing, err := range map[string]error{
				"claim": err, "read": read, "check": l.Check(t.Context()),
				"submit": l.Submit(t.Context(), "me", ledger.Submission{ID: "s", Run: r.ID}),
			} {
				if err == nil {
					t.Fatalf("%s works, with mine %t", doing, mine)
				}
				wantText(t, err, append(tt.parts, file)...)
				if got := isTemporary(t, err); got != tt.temporary {
					t.Errorf("%v, temporary: %t, want %t", err, got, tt.temporary)
				}
				if got := errors.Is(err, ledger.ErrGone); got != tt.temporary { // it is damaged otherwise
					t.Errorf("%v is ErrGone: %t, want %t", err, got, tt.temporary)
				}
			}
		})
	}
}

// SQLite calls a file that was deleted since the transaction began one that it may not
// write.
func TestAFileThatGoesDuringAChangeIsGone(t *testing.T) {
	file := filepath.Join(t.TempDir(), "runner.db")
	l := open(t, "sqlite:"+file)
	err := l.Meanwhile(t.Context(), func() { ok(t, os.Remove(file)) })
	wantError(t, "the change", err, ledger.ErrGone)
	wantText(t, err, file+": it was deleted or moved away while it was in use")
	if !isTemporary(t, err) {
		t.Errorf("%v is not temporary: a supervisor would not start the program again", err)
	}
}

func TestAFileThatIsBackIsUsedAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "runner.db")
	l := open(t, "sqlite:"+file)
	claim(t, l, "j", "1", "me", time.Hour)
	ok(t, os.Rename(file, file+".old"))
	wantText(t, l.Check(t.Context()), "moved away")
	ok(t, os.Rename(file+".old", file))
	claim(t, l, "j", "2", "me", time.Hour)
}

func TestADiskWithoutRoomIsTemporary(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m,nr_inodes=2"); err != nil {
		t.Skip("skipped: a disk cannot be mounted here:", err)
	}
	t.Cleanup(func() { ok(t, syscall.Unmount(dir, syscall.MNT_DETACH)) })
	// There is room for one file: not for the journal of a change.
	err := openError(t, "sqlite:"+filepath.Join(dir, "runner.db"))
	wantText(t, err, "no space left")
	if !isTemporary(t, err) {
		t.Errorf("%v is not temporary", err)
	}
	// Nor for another file.
	err = openError(t, "sqlite:"+filepath.Join(dir, "other.db"))
	wantText(t, err, "no space left")
	if !isTemporary(t, err) {
		t.Errorf("%v is not temporary", err)
	}
}

func TestAFullDiskLosesNothing(t *testing.T) {
	tests := map[string]func(t *testing.T) (file string, fill, free func(*ledger.Ledger)){
		"by SQLite's limit": func(t *testing.T) (string, func(*ledger.Ledger), func(*ledger.Ledger)) {
			return filepath.Join(t.TempDir(), "runner.db"),
				func(l *ledger.Ledger) { ok(t, l.LimitPages(t.Context(), "60")) },
				func(l *ledger.Ledger) { ok(t, l.LimitPages(t.Context(), "100000")) }
		},
		"on a small disk": func(t *testing.T) (string, func(*ledger.Ledger), func(*ledger.Ledger)) {
			dir := t.TempDir()
			if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"); err != nil {
				t.Skip("skipped: a disk cannot be mounted here:", err)
			}
			t.Cleanup(func() { ok(t, syscall.Unmount(dir, syscall.MNT_DETACH)) })
			return filepath.Join(dir, "runner.db"), func(*ledger.Ledger) {},
				func(*ledger.Ledger) { ok(t, syscall.Mount("", dir, "", syscall.MS_REMOUNT, "size=4m")) }
		},
	}
	for name, disk := range tests {
		t.Run(name, func(t *testing.T) {
			file, fill, free := disk(t)
			l := open(t, "sqlite:"+file)
			r := claim(t, l, "j", "1", "me", time.Hour)
			fill(l)
			var recorded []string
			var err error
			for i := 0; err == nil && i < 1000; i++ {
				id := fmt.Sprint("s", i)
				err = l.Submit(t.Context(), "me", ledger.Submission{ID: id, Run: r.ID, Part: i, Document: make([]byte, 5000)})
				if err == nil {
					recorded = append(recorded, id)
				}
			}
			wantText(t, err, file, "the disk is full")
			if !isTemporary(t, err) {
				t.Errorf("%v is not temporary", err)
			}
			s, err := l.Submissions(t.Context(), r.ID)
			ok(t, err)
			if len(s) != len(recorded) || len(s) == 0 {
				t.Errorf("%d submissions are there, %d were recorded", len(s), len(recorded))
			}
			free(l)
			ok(t, l.Check(t.Context()))
			ok(t, l.Submit(t.Context(), "me", ledger.Submission{ID: "after", Run: r.ID, Part: 2000, Document: make([]byte, 5000)}))
		})
	}
}

func TestWhatDoesNotFitLeavesItsNeighboursAlone(t *testing.T) {
	l := open(t, engines["sqlite"](t))
	r := claim(t, l, "j", "1", "me", time.Hour)
	ok(t, l.LimitPages(t.Context(), "60"))
	var wg sync.WaitGroup
	for i := range 40 { // some of them share a transaction
		wg.Go(func() {
			if i%2 == 0 {
				err := l.Submit(t.Context(), "me", ledger.Submission{ID: fmt.Sprint(i), Run: r.ID, Part: i, Document: make([]byte, 1<<20)})
				wantText(t, err, "the disk is full")
			} else if err := l.Note(t.Context(), r.ID, due, "small", "note"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if notes, err := l.Notes(t.Context(), r.ID); err != nil || len(notes) != 20 {
		t.Errorf("%d notes are there, %v", len(notes), err)
	}
	if s, err := l.Submissions(t.Context(), r.ID); err != nil || len(s) != 0 {
		t.Errorf("%d submissions are there, %v", len(s), err)
	}
}

func TestAWaitForAnotherProcessEndsWithTheContext(t *testing.T) {
	url := engines["sqlite"](t)
	l := open(t, url)
	other, err := sql.Open("sqlite", strings.TrimPrefix(url, "sqlite:"))
	ok(t, err)
	defer func() { ok(t, other.Close()) }()
	other.SetMaxOpenConns(1)
	_, err = other.ExecContext(t.Context(), "BEGIN IMMEDIATE")
	ok(t, err)

	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	var wg sync.WaitGroup
	for i := range 3 { // one waits for the file, the others for their turn
		wg.Go(func() {
			_, mine, err := l.Claim(ctx, ledger.Claim{Job: "j", Key: fmt.Sprint(i), Holder: "me", Lease: time.Hour})
			if wantError(t, "claim", err, context.DeadlineExceeded); mine {
				t.Error("claimed")
			}
		})
	}
	wg.Wait()
	_, err = other.ExecContext(t.Context(), "ROLLBACK")
	ok(t, err)
	for i := range 3 {
		_, err := l.Find(t.Context(), "j", fmt.Sprint(i))
		wantError(t, "after that", err, ledger.ErrNone)
	}
	claim(t, l, "j", "0", "me", time.Hour)
}

func TestLeasesEndByTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := open(t, engines["sqlite"](t))
		for i := range 10 {
			go func() {
				if _, _, err := l.Claim(t.Context(), ledger.Claim{Job: "j", Key: fmt.Sprint(i), Holder: "a", Lease: time.Minute}); err != nil {
					t.Error(err)
				}
			}()
		}
		time.Sleep(40 * time.Second)
		if n, err := l.Renew(t.Context(), "a", time.Minute); err != nil || n != 10 {
			t.Errorf("renewed %d, %v", n, err)
		}
		time.Sleep(time.Minute - time.Microsecond)
		if runs, err := l.TakeOver(t.Context(), "b", time.Minute, 20); err != nil || len(runs) != 0 {
			t.Errorf("took over %d, %v, before the leases were over", len(runs), err)
		}
		time.Sleep(time.Microsecond)
		if runs, err := l.TakeOver(t.Context(), "b", time.Minute, 20); err != nil || len(runs) != 10 {
			t.Errorf("took over %d, %v, when the leases were over", len(runs), err)
		}
	})
}

// asOrdinaryUser calls f without root's right to write everywhere.
func asOrdinaryUser(t *testing.T, f func()) {
	t.Helper()
	if os.Geteuid() == 0 {
		runtime.LockOSThread() // the rights are the thread's
		defer runtime.UnlockOSThread()
		ok(t, syscall.Setfsuid(65534))
		defer func() { ok(t, syscall.Setfsuid(0)) }()
	}
	f()
}

func TestWhatCannotBeWrittenIsSaid(t *testing.T) {
	tests := map[string]struct {
		fileMode, dirMode os.FileMode
		parts             []string
	}{
		"a read-only file":   {0o444, 0o777, []string{"read but not written"}},
		"a read-only folder": {0o666, 0o555, []string{"read but not written", "folder"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, "runner.db")
			l := open(t, "sqlite:"+file)
			claim(t, l, "j", "1", "me", time.Hour)
			ok(t, l.Close())
			ok(t, os.Remove(file+"-journal"))
			ok(t, os.Chmod(filepath.Dir(dir), 0o755))
			ok(t, os.Chmod(file, tt.fileMode))
			ok(t, os.Chmod(dir, tt.dirMode))
			t.Cleanup(func() { ok(t, os.Chmod(dir, 0o700)) })
			asOrdinaryUser(t, func() {
				l := open(t, "sqlite:"+file)
				if r, err := l.Find(t.Context(), "j", "1"); err != nil || r.Holder != "me" {
					t.Errorf("reading: %v, %v", r, err)
				}
				_, mine, err := l.Claim(t.Context(), ledger.Claim{Job: "j", Key: "2", Holder: "me"})
				if mine {
					t.Error("claimed what is not recorded")
				}
				wantText(t, err, append(tt.parts, file)...)
				wantText(t, l.Check(t.Context()), append(tt.parts, file)...)
			})
		})
	}
	t.Run("a file of somebody else", func(t *testing.T) {
		dir := t.TempDir()
		file := filepath.Join(dir, "runner.db")
		ok(t, open(t, "sqlite:"+file).Check(t.Context()))
		ok(t, os.Chmod(filepath.Dir(dir), 0o755))
		ok(t, os.Chmod(file, 0))
		asOrdinaryUser(t, func() { wantText(t, openError(t, "sqlite:"+file), file, "cannot be opened") })
	})
	t.Run("no file, and a read-only folder", func(t *testing.T) {
		dir := t.TempDir()
		ok(t, os.Chmod(filepath.Dir(dir), 0o755))
		ok(t, os.Chmod(dir, 0o555))
		t.Cleanup(func() { ok(t, os.Chmod(dir, 0o700)) })
		asOrdinaryUser(t, func() {
			wantText(t, openError(t, "sqlite:"+dir+"/runner.db"), "make its file", dir, "permission denied")
			wantText(t, openError(t, "sqlite:"+dir+"/sub/runner.db"), "make its folder", dir, "permission denied")
		})
	})
}
