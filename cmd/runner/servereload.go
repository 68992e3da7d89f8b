package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/globus-runner/globus-runner/jobs"
)

const (
	// watchEvery is how often the jobs file is looked at for changes.
	watchEvery = 5 * time.Second
	// settleTime is how long a jobs file that has changed must stay the same
	// before it is read: whoever writes it may be in the middle.
	settleTime = 2 * time.Second
)

// A jobsVersion is what the jobs file, or the files of the folder, have at an instant.
type jobsVersion struct {
	sources []jobs.Source
	err     error // why it could not be read
	sum     [sha256.Size]byte
}

// readVersion reads the jobs file of that path.
func readVersion(path string) jobsVersion {
	sources, err := readJobs(path)
	h := sha256.New()
	if err != nil {
		fmt.Fprint(h, err)
	}
	for _, src := range sources {
		fmt.Fprintf(h, "%s %d\n", src.Name, len(src.Data))
		h.Write(src.Data)
	}
	return jobsVersion{sources, err, [sha256.Size]byte(h.Sum(nil))}
}

// fault says what is wrong with a jobs file that cannot be put in force.
func (l *jobsVersion) fault() string {
	_, absent := errors.AsType[absentError](l.err)
	switch {
	case absent:
		return "the jobs file is not there"
	case l.err != nil:
		return "the jobs file cannot be read"
	}
	return "the jobs file has mistakes"
}

// A reloader puts the jobs file in force whenever it has changed: all of it or
// nothing, and again and again until it succeeds.
type reloader struct {
	read  func() jobsVersion
	parse func([]jobs.Source) (*jobs.File, error)
	force func(context.Context, *jobs.File) error // an error means that the old jobs are in force
	log   *slog.Logger
	seen  [sha256.Size]byte // the jobs file that was read last, be it good or bad

	mu      sync.Mutex
	problem error     // with the newest jobs file
	refused error     // why it is not in force, in full; nil while it is put in force for the first time
	since   time.Time // when the first one was refused after the one in force
}

// check returns why the newest jobs file is not in force, or nil if it is.
func (r *reloader) check() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.problem
}

func (r *reloader) setProblem(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.problem = err
}

// refusal returns since when the jobs file in force is not the newest, and why; nil if
// it is.
func (r *reloader) refusal() (since time.Time, why error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.since, r.refused
}

func (r *reloader) refuse(why error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if why == nil || r.refused == nil {
		r.since = time.Now()
	}
	r.refused = why
}

// watch reloads the jobs file when it has changed, or when it is asked to,
// until ctx ends. Two looks in a row must be equal before it does.
func (r *reloader) watch(ctx context.Context, asked <-chan os.Signal) {
	last, wanted := r.seen, false
	timer := time.NewTimer(watchEvery)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-asked:
			wanted = true
		case <-timer.C:
		}
		now, wait := r.read(), watchEvery
		switch {
		case now.sum == r.seen && !wanted:
		case now.sum != last:
			wait = settleTime
		case r.reload(ctx, now):
			r.seen, wanted = now.sum, false
		default:
			wanted = true // whatever the file becomes meanwhile
		}
		last = now.sum
		timer.Reset(wait)
	}
}

// reload puts what was seen in force, or finds out that it is bad. If neither
// could be done, it has to be tried again.
func (r *reloader) reload(ctx context.Context, now jobsVersion) (done bool) {
	err := now.err
	var file *jobs.File
	if err == nil {
		file, err = r.parse(now.sources)
	}
	if err != nil {
		what := now.fault()
		r.setProblem(errors.New(what + ", an older one is in force"))
		r.refuse(err)
		r.log.Error("the newest jobs file is not in force, the old one stays", "reason", what, "err", err)
		return true
	}
	r.setProblem(errors.New("the new jobs are not in force yet"))
	if err := r.force(ctx, file); err != nil {
		if ctx.Err() == nil {
			r.setProblem(fmt.Errorf("the new jobs are not in force yet: %w", err))
			r.refuse(errors.New("the ledger cannot be used, as the log of the scheduler says; it is tried again"))
			r.log.Error("the new jobs are not in force yet, the old ones stay until the ledger can be used", "err", err)
		}
		return false
	}
	r.setProblem(nil)
	r.refuse(nil)
	r.log.Info("jobs file reloaded", "jobs", len(file.Jobs),
		"history_keep", file.History.Keep, "history_max_runs", file.History.MaxRuns)
	return true
}
