package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"time"

	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/arrival"
	"github.com/globus-runner/globus-runner/internal/plain"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

const (
	// betweenLooks is how often the demonstration looks at the folder of the runs.
	betweenLooks = time.Second
	// endOfShift is when the demonstration gives up.
	endOfShift = time.Minute
)

// shift is what the detector does: run_1 grows for some seconds, run_2 gets its name when
// it is complete, and run_3 is never complete.
func shift() globussim.FilePlan {
	write := func(at time.Duration, path string, size, rate int64) globussim.FileStep {
		return globussim.FileStep{At: at, Collection: "lab", Write: &globussim.FileWrite{Path: path, Size: size, Rate: rate}}
	}
	return globussim.FilePlan{Steps: []globussim.FileStep{
		write(0, "/runs/run_1/frame.h5", 3_000_000, 1_000_000),
		write(0, "/runs/tmp.x7/frame.h5", 500_000, 0),
		write(0, "/runs/run_3/frame.h5", 1_000_000_000, 100_000),
		write(4*time.Second, "/runs/tmp.x7/done", 0, 0),
		write(5*time.Second, "/runs/run_1/done", 0, 0),
		{At: 7 * time.Second, Collection: "lab", Rename: &globussim.FileRename{From: "/runs/tmp.x7", To: "/runs/run_2"}},
	}}
}

// arrivals is the job of the shift.
func arrivals() (*jobs.Job, error) {
	job := &jobs.Job{
		Name: "archive-runs",
		ForEach: &jobs.ForEach{
			Collection: globussim.CollectionID("lab"), Folder: "/runs/", Match: jobs.MatchGlobs("run_*"), Ready: jobs.Readiness{Marker: "done"},
		},
		Steps: jobs.Single(&transfer.Transfer{
			SourceEndpoint:      globussim.CollectionID("lab"),
			DestinationEndpoint: globussim.CollectionID("vault"),
			VerifyChecksum:      true,
			Items:               []transfer.Item{{SourcePath: "/runs/{{ .Item.Name }}/", DestinationPath: "/raw/{{ .Item.Name }}/", Recursive: new(true)}},
		}),
	}
	return job, job.Check()
}

// demoArrival shows a job that starts when data are ready.
func (a *app) demoArrival(ctx context.Context, dir string) error {
	lab, vault := filepath.Join(dir, "lab"), filepath.Join(dir, "vault")
	d := &demonstration{app: a, w: a.stdout, source: filepath.Join(lab, "runs"), copied: filepath.Join(vault, "raw")}
	if a.out.structured() {
		d.w = a.stderr
	}
	if err := errors.Join(os.MkdirAll(d.source, 0o755), os.MkdirAll(vault, 0o755)); err != nil {
		return fmt.Errorf("make the folders: %w", err)
	}
	fmt.Fprint(d.w, "A shift at the beamline, on this machine alone:\n\n")
	stop, err := d.simulate(ctx, dir, lab, vault)
	if err != nil {
		return err
	}
	defer stop()
	docs, err := d.watch(ctx)
	if err != nil {
		return err
	}
	if err := d.compareRuns(docs); err != nil {
		return err
	}
	next(d.w)
	if d.w == a.stdout {
		return nil
	}
	return a.print(resultsDocument{docs}, nil)
}

// watch looks at the folder until both complete runs are copied.
func (d *demonstration) watch(ctx context.Context) (docs []*resultDocument, err error) {
	job, err := arrivals()
	if err != nil {
		return nil, err
	}
	by, err := d.inside.worker(ctx, recording{wanted: true}, d.app.showProgress())
	if err != nil {
		return nil, err
	}
	defer by.done()
	if err := d.sim.Files(shift()); err != nil { //nolint:contextcheck // it ends with the simulator
		return nil, err
	}
	d.tell("A detector writes run_1, run_3, and a folder tmp.x7, each with a file that grows.")
	d.tell("A job looks each second. A run is complete when it has its final name, and a file done in it.")
	begin := time.Now()
	for len(docs) < 2 {
		if time.Since(begin) > endOfShift {
			return nil, fmt.Errorf("%d of 2 runs were found complete within %v", len(docs), endOfShift)
		}
		found, err := by.engine.Look(ctx, *by.rec, job, nil)
		if err != nil {
			return nil, err
		}
		orders, err := by.engine.ReadyOrders(ctx, *by.rec, job, 0)
		if err != nil {
			return nil, err
		}
		for _, o := range orders {
			res, err := d.result(ctx, by.do, o)
			if err != nil {
				return nil, err
			}
			doc := d.app.document(ctx, res)
			docs = append(docs, doc)
			d.tell("%s after the start, %s is complete, and task %s copies it: %s, %s.",
				seconds(res.Started.Sub(begin)), o.Key, doc.TaskID, plain.Count(doc.Files, "file"), size(doc.Bytes))
			d.add("Without their file done, others wait: %d.", found.States[arrival.IsUnmarked])
		}
		select {
		case <-time.After(betweenLooks):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	return docs, nil
}

// compareRuns checks what the shift has copied.
func (d *demonstration) compareRuns(docs []*resultDocument) error {
	for _, name := range []string{"run_1", "run_2"} {
		source, err := contents(filepath.Join(d.source, name))
		if err != nil {
			return err
		}
		copied, err := contents(filepath.Join(d.copied, name))
		if err != nil {
			return err
		}
		if !maps.Equal(source, copied) {
			return fmt.Errorf("the folders %s of both sides differ", name)
		}
	}
	entries, err := os.ReadDir(d.copied)
	if err != nil {
		return err
	}
	if tasks := len(d.sim.State().Tasks); tasks != len(docs) || len(entries) != len(docs) {
		return fmt.Errorf("%d tasks have copied %d folders, want %d", tasks, len(entries), len(docs))
	}
	d.tell("Both copies are equal to their runs, byte for byte. run_3 still grows, and nobody has touched it.")
	return nil
}
