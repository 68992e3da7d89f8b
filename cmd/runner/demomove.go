package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

// late is the file that the detector of the demo writes on while it is copied.
const late = "100% done?.log"

// morning empties the source, while the detector writes on.
func (d *demonstration) morning(ctx context.Context) error {
	detector := &detector{Observer: &live{screen: d.app.stderr}, file: filepath.Join(d.source, late)}
	do, done, err := d.inside.recorder(ctx, recording{wanted: true}, engine.WithObserver(detector))
	if err != nil {
		return err
	}
	defer done()
	o, err := d.order("hand-over", jobs.Step{Prune: &jobs.Prune{}})
	if err != nil {
		return err
	}
	fmt.Fprint(d.w, "\nIn the morning, lab must be emptied:\n\n")
	d.tell("Another job copies what vault does not have, and then prunes lab: it deletes what is proven to be in vault.")
	res, err := d.result(ctx, do, o)
	if err = errors.Join(err, detector.err); err != nil {
		return err
	}
	doc := d.app.document(ctx, res)
	d.add("Globus finds all %d files equal, by their checksums. Meanwhile the detector writes on in %q.", d.files-int(doc.Files), late)
	left, err := filesOf(d.source)
	if err != nil {
		return err
	}
	copies, err := filesOf(d.copied)
	if err != nil {
		return err
	}
	if doc.FilesDeleted == nil || len(left) != 1 || left[0] != late || len(copies) != d.files {
		return fmt.Errorf("lab has %s, and vault %d of %d files", strings.Join(left, ", "), len(copies), d.files)
	}
	d.tell("%s after the start, %d files are gone from lab. %q stays, with its new line. vault has all %d.",
		seconds(doc.elapsed), *doc.FilesDeleted, late, d.files)
	d.add("A delete of the folder would have taken that line, which nobody has copied. So runner refuses such jobs.")
	return nil
}

// A detector writes a line to a file when the first task has succeeded.
type detector struct {
	engine.Observer
	file string
	once sync.Once
	err  error
}

// Observe sees whether the task has succeeded.
func (d *detector) Observe(e engine.Event) {
	if look, ok := e.(engine.Looked); ok && look.Task.Status == transfer.Succeeded {
		d.once.Do(d.write)
	}
	d.Observer.Observe(e)
}

func (d *detector) write() {
	f, err := os.OpenFile(d.file, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		d.err = err
		return
	}
	_, err = f.WriteString("one more frame\n")
	d.err = errors.Join(err, f.Close())
}
