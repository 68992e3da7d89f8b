package engine

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/internal/audit"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/plain"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

// mostHeld is how many items of earlier runs a Mender holds. Files of others are copied
// one by one.
const mostHeld = 10_000

// A Mender finds the commands that copy what an audit of a job found missing or lost. It
// reads the ledger when the first such file is there.
type Mender struct {
	engine *Engine
	ledger *ledger.Ledger // may be nil
	job    *jobs.Job
	since  time.Time

	ready bool
	now   []copying // what a run would do that started now
	sent  []copying // the newest run first
}

// A copying is a transfer that a job has submitted, or would submit.
type copying struct {
	run   int64
	state ledger.State
	doc   *transfer.Transfer
}

// A Mend says what to do about a file.
type Mend struct {
	Command string // that copies it again; empty if there is none
	Advice  string // in its place; may be empty
	Done    bool   // a run has succeeded that was about the file, and is not repeated
}

// Mender returns a Mender that knows the runs of a job since an instant.
func (e *Engine) Mender(l *ledger.Ledger, job *jobs.Job, since time.Time) *Mender {
	return &Mender{engine: e, ledger: l, job: job, since: since}
}

// Next returns what to do about a file; zero for one that is neither missing nor lost.
// name names a collection.
func (m *Mender) Next(ctx context.Context, f *audit.Finding, name func(id string) string) (Mend, error) {
	switch {
	case f.Verdict != audit.Lost && f.Verdict != audit.Missing:
		return Mend{}, nil
	case f.Pruned:
		return Mend{Advice: fmt.Sprintf("restore it from a backup, because the source does not have it any more; runner receipt %d says what was copied", f.Run)}, nil
	}
	if !m.ready {
		if err := m.read(ctx); err != nil {
			return Mend{}, err
		}
		m.ready = true
	}
	for _, c := range m.now {
		if f.ItemOf(c.doc) != nil && c.copies(f) {
			return Mend{Command: "runner run " + shellWord(m.job.Name)}, nil
		}
	}
	for _, c := range m.sent {
		item := f.ItemOf(c.doc)
		switch {
		case item == nil || !c.state.Final():
		case c.state != ledger.Succeeded && c.copies(f):
			return Mend{Command: fmt.Sprintf("runner runs retry %d", c.run)}, nil
		case len(c.doc.FilterRules) > 0 || strings.TrimSuffix(item.SourcePath, "/") == f.Source:
			return Mend{Command: copyAgain(f, f.Source, f.Destination, c.doc, name), Done: true}, nil
		default:
			return Mend{Command: copyAgain(f, folder(item.SourcePath), folder(item.DestinationPath), c.doc, name) + " --recursive --sync-level checksum", Done: true}, nil
		}
	}
	return Mend{Command: copyAgain(f, f.Source, f.Destination, &transfer.Transfer{}, name)}, nil
}

// read reads what the runs of the job have submitted, and what one would that starts now.
func (m *Mender) read(ctx context.Context) error {
	if m.job.Items == nil {
		for work, err := range m.engine.Works(Order{Job: m.job, Key: jobs.ManualKey(), At: time.Now()}) {
			if err != nil {
				return err
			}
			if t, ok := work.Document.(*transfer.Transfer); ok {
				m.now = append(m.now, copying{doc: t})
			}
		}
	}
	if m.ledger == nil {
		return nil
	}
	held := 0
	for run, err := range m.ledger.Runs(ctx, ledger.Query{Job: m.job.Name, Since: m.since}) {
		if err != nil {
			return err
		}
		_, docs, err := documents(ctx, m.ledger, run.ID)
		if err != nil {
			return err
		}
		for _, doc := range docs {
			if t, ok := doc.(*transfer.Transfer); ok {
				m.sent = append(m.sent, copying{run.ID, run.State, t})
				held += len(t.Items)
			}
		}
		if held > mostHeld {
			break
		}
	}
	return nil
}

// copyAgain returns the command that copies a path with the local accounts of like, but
// outside the job.
func copyAgain(f *audit.Finding, from, to string, like *transfer.Transfer, name func(id string) string) string {
	words := []string{"runner", "transfer", name(f.From) + ":" + from, name(f.To) + ":" + to}
	if like.SourceLocalUser != "" {
		words = append(words, "--source-local-user", like.SourceLocalUser)
	}
	if like.DestinationLocalUser != "" {
		words = append(words, "--destination-local-user", like.DestinationLocalUser)
	}
	for i := range words {
		words[i] = shellWord(plain.Line(words[i]))
	}
	return strings.Join(words, " ")
}

// folder returns the path of a folder with a slash at its end.
func folder(path string) string { return strings.TrimSuffix(path, "/") + "/" }

// copies reports whether the transfer would copy a file, whatever is in its place now.
func (c *copying) copies(f *audit.Finding) bool {
	level := c.doc.SyncLevel
	return f.Gone || level == nil || *level == transfer.SyncChecksum
}
