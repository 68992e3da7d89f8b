package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/globus-runner/globus-runner/internal/doctor"
	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/jobs"
)

// ledgerCheck checks the ledger. A job that RUNNER_JOB_* describe needs none, unless it
// keeps receipts.
func (a *app) ledgerCheck(list []*jobs.Job, described bool) *doctor.Check {
	c := &doctor.Check{Group: "ledger", Name: "ledger", Look: static()}
	if a.env.Check() != nil {
		return c
	}
	place, err := a.stateURL()
	file, isFile := strings.CutPrefix(place, "sqlite:")
	switch {
	case err != nil:
		c.Look = static(doctor.Bad(fault.Usage, err.Error(), ""))
	case place == stateNone, a.env.State == "" && described:
		c.Look = static(withoutLedger(list))
	case isFile:
		c.Look = func(ctx context.Context) []doctor.Finding { return a.ledgerFile(ctx, file) }
	default:
		c.Look = func(ctx context.Context) []doctor.Finding {
			return []doctor.Finding{a.tryLedger(ctx, "the database "+databaseName(place))}
		}
	}
	return c
}

// withoutLedger says whether the jobs can do without a ledger.
func withoutLedger(list []*jobs.Job) doctor.Finding {
	var names []string
	for _, j := range list {
		if j.Receipts {
			names = append(names, j.Name)
		}
	}
	if len(names) == 0 {
		return doctor.Good("none: Globus itself remembers, by the labels of tasks")
	}
	return doctor.Bad(fault.Usage, fmt.Sprintf("none, but the receipts of %s need one", strings.Join(names, ", ")),
		"set RUNNER_STATE to sqlite:<file> or postgres://…, or leave out receipts and prunes")
}

// databaseName names a database without the user and password.
func databaseName(place string) string {
	u, err := url.Parse(place)
	if err != nil {
		return "of RUNNER_STATE"
	}
	return strings.TrimPrefix(u.Path, "/") + " on " + u.Host
}

// ledgerFile checks a ledger that is a file. It does not create the file.
func (a *app) ledgerFile(ctx context.Context, file string) []doctor.Finding {
	chosen := a.env.State != "" || a.env.StateDirectory != ""
	storage := doctor.Storage(fileSystem(existing(file)), chosen)
	storage.Check = "file_system"
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		if dir := existing(file); !writable(dir) {
			return []doctor.Finding{doctor.Bad(fault.Usage, fmt.Sprintf("%s cannot be made: %s may not be written", file, dir),
				"let the program write there, or name another ledger with RUNNER_STATE")}
		}
		return []doctor.Finding{doctor.Good(file + " is not there yet; it will be made"), storage}
	}
	return []doctor.Finding{a.tryLedger(ctx, file), storage}
}

// existing returns the path, or the nearest folder above it that exists.
func existing(path string) string {
	for {
		_, err := os.Stat(path)
		above := filepath.Dir(path)
		if err == nil || above == path {
			return path
		}
		path = above
	}
}

// tryLedger opens the ledger and writes to it, as the health check does.
func (a *app) tryLedger(ctx context.Context, name string) doctor.Finding {
	l, err := a.openLedger(ctx, createIfAbsent)
	if err == nil {
		err = errors.Join(l.Check(ctx), l.Close())
	}
	if err != nil {
		kind := fault.Usage
		if fault.Transient(err) {
			kind = fault.Temporary
		}
		return doctor.Bad(kind, strings.ReplaceAll(err.Error(), "\n", "; "), "make sure that it can be reached and written, or name another ledger with RUNNER_STATE")
	}
	return doctor.Good(name + " can be written, and its schema is up to date")
}
