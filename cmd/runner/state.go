package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/plain"
	"github.com/globus-runner/globus-runner/internal/spelling"
	"github.com/globus-runner/globus-runner/jobs"
)

// lease is how long a run stays with a start that says nothing.
const lease = 30 * time.Second

// stateNone is the value of RUNNER_STATE for runs that Globus alone remembers.
const stateNone = "none"

// systemState is the folder of the ledger where the program is a service.
const systemState = "/var/lib/runner"

// stateURL says where the ledger is: what the environment says, else a file in
// the state folder of a service or of the user.
func (a *app) stateURL() (string, error) {
	if a.env.State != "" {
		if file, ok := strings.CutPrefix(a.env.State, "sqlite:"); ok {
			if err := a.checkLedgerFile(file); err != nil {
				return "", usageError{fmt.Errorf("RUNNER_STATE: %w", err)}
			}
		}
		return a.env.State, nil
	}
	if dir := a.serviceState(); dir != "" {
		return "sqlite:" + filepath.Join(dir, "runner.db"), nil
	}
	home := cmp.Or(a.env.XDGStateHome, filepath.Join(a.env.Home, ".local", "state"))
	if !filepath.IsAbs(home) {
		return "", usageError{errors.New("RUNNER_STATE is not set, and there is no state folder to keep the ledger in: set it, such as sqlite:/var/lib/runner/runner.db")}
	}
	return "sqlite:" + a.userLedger(filepath.Join(home, "runner")), nil
}

// checkLedgerFile returns why text is probably not meant as the name of a file: what a shell
// or a driver of SQLite would make of it is not done here.
func (a *app) checkLedgerFile(text string) error {
	name, _, parameters := strings.Cut(text, "?")
	switch rest, home := strings.CutPrefix(text, "~/"); {
	case strings.Contains(text, "://"):
		return errors.New("there is an address behind sqlite:, where the name of a file belongs: write sqlite:/var/lib/runner/runner.db, or the address of the database alone")
	case home:
		return fmt.Errorf("~ is not expanded here: write sqlite:%s", filepath.Join(cmp.Or(a.env.Home, "/home/NAME"), rest))
	case strings.HasPrefix(text, "~"), strings.HasPrefix(text, "$"):
		return fmt.Errorf("%s is not expanded here: write the whole path, such as sqlite:/var/lib/runner/runner.db", plain.Line(strings.Split(text, "/")[0]))
	case parameters:
		return fmt.Errorf("a file of SQLite has no parameters here: write sqlite:%s", plain.Line(name))
	}
	return nil
}

// serviceState is the state folder of a service, "" if it is a user who starts
// the program.
func (a *app) serviceState() string {
	if a.env.StateDirectory == "" && writable(systemState) {
		return systemState
	}
	return a.env.StateDirectory
}

// userLedger is the ledger of a user, in a folder. Tasks of a simulator, or of
// another of Globus's environments, are not those of the real service, so each
// service has its own. One that is not on this machine keeps the ledger that it
// shared before, so that nothing is forgotten.
func (a *app) userLedger(dir string) string {
	shared, service := filepath.Join(dir, "runner.db"), a.env.TransferURL()
	own := filepath.Join(dir, "runner-"+strings.ReplaceAll(plain.Line(service.Host), ":", "-")+".db")
	if a.env.Production() || !jobs.Loopback(service.Hostname()) && exists(shared) && !exists(own) {
		return shared
	}
	return own
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

// adopt makes the user's own ledger that of the jobs of a source. If it is that
// of another source, which is still there, their runs would be taken for those of
// jobs that were removed, and be canceled.
func (a *app) adopt(ctx context.Context, l *ledger.Ledger, source jobsSource) error {
	if a.env.State != "" || a.serviceState() != "" {
		return nil
	}
	mine, err := filepath.Abs(source.String())
	if err != nil {
		return err
	}
	before, err := l.Origin(ctx)
	if err != nil {
		return err
	}
	if before != "" && before != mine && exists(before) {
		return usageError{fmt.Errorf("the ledger of this user belongs to the jobs in %s: give those in %s another one, such as RUNNER_STATE=sqlite:%s",
			before, mine, filepath.Join(filepath.Dir(mine), "runner.db"))}
	}
	return l.SetOrigin(ctx, mine)
}

// writable reports whether dir is a folder in which files can be made.
func writable(dir string) bool {
	f, err := os.CreateTemp(dir, ".runner-*")
	if err != nil {
		return false
	}
	return errors.Join(f.Close(), os.Remove(f.Name())) == nil
}

// An absence says what to do if there is no ledger yet.
type absence int

const (
	// createIfAbsent is for a command that writes.
	createIfAbsent absence = iota
	// refuseIfAbsent is for a command that only reads. If RUNNER_STATE names a ledger that does
	// not exist, the name is probably misspelled, because nobody looks for records in a
	// ledger that was never used. The default ledger is created.
	refuseIfAbsent
	// nilIfAbsent is for a command that has something to say without a ledger.
	nilIfAbsent
)

// openLedger opens the ledger. It returns nil if RUNNER_STATE is none, or if there is no
// ledger and ifAbsent is nilIfAbsent.
func (a *app) openLedger(ctx context.Context, ifAbsent absence) (*ledger.Ledger, error) {
	url, err := a.stateURL()
	if err != nil || url == stateNone {
		return nil, err
	}
	if ifAbsent == createIfAbsent || ifAbsent == refuseIfAbsent && a.env.State == "" {
		return a.createLedger(ctx, url)
	}
	l, err := a.openURL(ctx, url, ledger.OpenExisting)
	if errors.Is(err, ledger.ErrAbsent) {
		if ifAbsent == nilIfAbsent {
			return nil, nil
		}
		err = fmt.Errorf("%w; name the one that runner serve or runner run uses", err)
	}
	return l, err
}

// needLedger is openLedger for a command that is of no use with RUNNER_STATE=none.
func (a *app) needLedger(ctx context.Context, ifAbsent absence) (*ledger.Ledger, error) {
	if url, err := a.stateURL(); err == nil && url == stateNone {
		return nil, usageError{errors.New("RUNNER_STATE=none: without a ledger there are no records of runs; runner task list shows what Globus knows")}
	}
	return a.openLedger(ctx, ifAbsent)
}

// schedulersLedger opens the ledger for a command that tells a scheduler something about
// a job. That is possible before the first start of the scheduler, but a misspelled name
// looks the same.
func (a *app) schedulersLedger(ctx context.Context, job *jobs.Job) (*ledger.Ledger, error) {
	const only = "; one that is running hears of this only if RUNNER_STATE names its ledger here"
	l, err := a.needLedger(ctx, nilIfAbsent)
	if err != nil {
		return nil, err
	}
	if l == nil {
		if l, err = a.openLedger(ctx, createIfAbsent); err == nil {
			a.log.Warn("the ledger is new, and no runner serve has used it" + only)
		}
		return l, err
	}
	planned, err := l.Schedules(ctx)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	if _, known := planned[job.Name]; !known && job.Schedule != nil {
		a.log.Warn("no runner serve has planned the job in this ledger"+only, "job", job.Name)
	}
	return l, nil
}

// createLedger opens the ledger at url, and creates it if it does not exist.
func (a *app) createLedger(ctx context.Context, url string) (*ledger.Ledger, error) {
	file, inFile := strings.CutPrefix(url, "sqlite:")
	if inFile && a.env.State == "" {
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, usageError{fmt.Errorf("make the state folder: %w; name another place for the ledger with RUNNER_STATE", err)}
		}
	}
	named := inFile && a.env.State != "" && !exists(file)
	l, err := a.openURL(ctx, url, ledger.Open)
	if err == nil && named {
		a.log.Info("a new ledger was made, because RUNNER_STATE names a file that was not there; it knows no earlier runs", "file", file)
	}
	return l, err
}

// openURL opens the ledger at url by one of the functions of package ledger.
func (a *app) openURL(ctx context.Context, url string, open func(context.Context, string, *slog.Logger) (*ledger.Ledger, error)) (*ledger.Ledger, error) {
	l, err := open(ctx, url, a.log)
	if errors.Is(err, ledger.ErrURL) {
		kind, _, found := strings.Cut(url, ":")
		hint := spelling.Hint(kind, stateNone, "sqlite", "postgres")
		if !found && hint == "" {
			hint = "; for a file write sqlite:" + plain.Short(url, maxShownLine)
		}
		err = fmt.Errorf(`%w nor "none", which keeps no records%s`, err, hint)
	}
	if err != nil {
		return nil, unusableLedger(err)
	}
	return l, nil
}

// unusableLedger returns the error for a ledger that could not be opened. If the cause
// is temporary, the same command should be started again.
func unusableLedger(err error) error {
	if fault.Transient(err) {
		return fmt.Errorf("RUNNER_STATE: %w; nothing was done: start the same command again when the ledger can be used", err)
	}
	return usageError{fmt.Errorf("RUNNER_STATE: %w", err)}
}

// holder names this start among those that share a ledger.
func holder() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%s:%d:%s", host, os.Getpid(), strings.ToLower(rand.Text()[:8]))
}

// keepLease renews the leases of a holder until ctx ends.
func (a *app) keepLease(ctx context.Context, l *ledger.Ledger, holder string) {
	tick := time.NewTicker(lease / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if _, err := l.Renew(ctx, holder, lease); err != nil && ctx.Err() == nil {
				a.log.Error("the lease of the run could not be renewed", "err", err)
			}
		}
	}
}
