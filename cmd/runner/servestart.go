package main

import (
	"cmp"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/internal/plain"
	"github.com/globus-runner/globus-runner/internal/settings"
)

// mostStarts is how many coming starts serve shows when it begins.
const mostStarts = 3

// A startUp is what serve shows first: where everything is, and what comes next.
type startUp struct {
	version, from, ledger, address string
	jobs, scheduled                int
	next                           []nextDocument
}

// describeStart describes a start of serve at the instant now.
func (a *app) describeStart(file *jobsFile, address string, now time.Time) (*startUp, error) {
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
	return &startUp{
		version: build().Version, from: file.from.String(), jobs: len(file.Jobs), scheduled: len(scheduled),
		ledger: ledger, address: address, next: comingOccurrences(scheduled, now, time.Time{}, mostStarts),
	}, nil
}

// greet describes a start of serve: to somebody in front of a terminal as a block,
// else as one line of the log. The listener is nil if serve has no address.
func (a *app) greet(file *jobsFile, listener net.Listener) error {
	address := ""
	if listener != nil {
		address = listener.Addr().String()
	}
	start, err := a.describeStart(file, address, time.Now())
	if err != nil {
		return err
	}
	if a.stderr.terminal && a.env.LogFormat != settings.LogJSON {
		start.text(a.stderr)
	} else {
		start.log(a.log)
	}
	return nil
}

// log writes the line.
func (s *startUp) log(log *slog.Logger) {
	next := []string{}
	for _, d := range s.next {
		next = append(next, d.Job+" "+d.Start.In(d.ScheduledFor.Location()).Format(time.RFC3339))
	}
	log.Info("serve started", "version", s.version, "jobs_file", s.from, "jobs", s.jobs, "scheduled", s.scheduled,
		"ledger", s.ledger, "address", s.address, "next", next)
}

// text prints the block.
func (s *startUp) text(w io.Writer) {
	all := fmt.Sprintf("%s, %s, %d on a schedule", s.from, plain.Count(s.jobs, "job"), s.scheduled)
	pairs := []string{"runner", s.version, "jobs", all, "ledger", s.ledger, "address", cmp.Or(s.address, "none; RUNNER_LISTEN sets one")}
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
