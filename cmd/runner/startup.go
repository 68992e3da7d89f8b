package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/internal/plain"
	"github.com/globus-runner/globus-runner/internal/settings"
)

// mostStarts is how many coming starts serve shows when it begins.
const mostStarts = 3

// A startUp is what serve shows first in a terminal: where everything is, and
// what comes next.
type startUp struct {
	version, jobs, ledger, address string
	next                           []nextDocument
}

// describeStart describes a start of serve at the instant now.
func (a *app) describeStart(file *jobsFile, now time.Time) (*startUp, error) {
	scheduled, err := file.scheduled(nil)
	if err != nil {
		return nil, err
	}
	place, err := a.stateURL()
	if err != nil {
		return nil, err
	}
	ledger, isFile := strings.CutPrefix(place, "sqlite:")
	if !isFile {
		ledger = "database " + databaseName(place) // without the password
	}
	address := a.env.ListenAddress()
	if address == "" {
		address = "none; RUNNER_LISTEN sets one"
	}
	return &startUp{
		version: build().Version, jobs: fmt.Sprintf("%s, %s, %d on a schedule", file.from, plain.Count(len(file.Jobs), "job"), len(scheduled)),
		ledger: ledger, address: address, next: comingOccurrences(scheduled, now, mostStarts, false),
	}, nil
}

// greet describes a start of serve to somebody in front of a terminal.
func (a *app) greet(file *jobsFile) error {
	if !a.stderr.terminal || a.env.LogFormat == settings.LogJSON {
		return nil
	}
	block, err := a.describeStart(file, time.Now())
	if err == nil {
		block.text(a.stderr)
	}
	return err
}

// text prints the block.
func (s *startUp) text(w io.Writer) {
	pairs := []string{"runner", s.version, "jobs", s.jobs, "ledger", s.ledger, "address", s.address}
	label := "next"
	for _, d := range s.next {
		pairs = append(pairs, label, fmt.Sprintf("%s  %s", d.Start.In(d.ScheduledFor.Location()).Format("Mon 2006-01-02 15:04:05 MST"), d.Job))
		label = "then"
	}
	if len(s.next) == 0 {
		pairs = append(pairs, label, "no job has a schedule that is not suspended")
	}
	properties(w, pairs...)
	fmt.Fprintln(w)
}
