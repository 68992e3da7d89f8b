package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/internal/settings"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

const aboutDemo = `Run a real job on a simulated Globus, on this machine alone, and tell its story.

The demo makes a folder with some hundred files, starts the simulator on
loopback, logs in as a service account, and copies the folder to another one.
The reply to the submission is lost on purpose, which must neither stop the job
nor start it twice. Then the demo starts the same occurrence again, and compares
both folders byte for byte.

Finally, another job empties the source: it deletes the files that are proven to be
at the destination. A file that is written in the meantime stays.

With --arrival, a detector writes three runs, and a job with for_each copies each of
them once, when it is complete.

With -F json, the demo prints the result of the first job, and the story goes to
standard error.`

func (a *app) demoCommand() *cobra.Command {
	var dir string
	var arrival bool
	c := &cobra.Command{
		Use:   "demo",
		Short: "Show a whole job on a simulated Globus, without an account",
		Long:  aboutDemo,
		Args:  arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			show := a.demo
			if arrival {
				show = a.demoArrival
			}
			if dir != "" {
				if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
					return usageError{fmt.Errorf("--dir %s is not empty", dir)}
				}
				return show(c.Context(), dir)
			}
			temporary, err := os.MkdirTemp("", "runner-demo-")
			if err != nil {
				return err
			}
			return errors.Join(show(c.Context(), temporary), os.RemoveAll(temporary))
		},
	}
	c.Flags().BoolVar(&arrival, "arrival", false, "show a job that starts when data are ready")
	c.Flags().StringVar(&dir, "dir", "", "work in this folder, which must be new or empty, and keep it")
	return c
}

// A demonstration is one start of "runner demo": a simulated Globus with two folders, and
// a story about them in numbered paragraphs.
type demonstration struct {
	app    *app // that was started
	inside *app // of the simulated service account
	sim    *simulation
	source string // the folder that is copied
	copied string // the copy of it
	files  int    // in the source, before it is emptied

	w         io.Writer // of the story
	paragraph int
}

// tell begins a paragraph.
func (d *demonstration) tell(format string, args ...any) {
	d.paragraph++
	fmt.Fprintf(d.w, "  %d. "+format+"\n", append([]any{d.paragraph}, args...)...)
}

// add is one more line of the paragraph.
func (d *demonstration) add(format string, args ...any) {
	fmt.Fprintf(d.w, "     "+format+"\n", args...)
}

// demo runs the demonstration in dir.
func (a *app) demo(ctx context.Context, dir string) error {
	lab, vault := filepath.Join(dir, "lab"), filepath.Join(dir, "vault")
	d := &demonstration{app: a, w: a.stdout, source: filepath.Join(lab, "run 7"), copied: filepath.Join(vault, "archive", "run 7")}
	if a.out.structured() {
		d.w = a.stderr
	}
	if err := errors.Join(makeTree(d.source), os.MkdirAll(vault, 0o755)); err != nil {
		return fmt.Errorf("make the folders: %w", err)
	}
	fmt.Fprint(d.w, "A night at the lab, on this machine alone:\n\n")
	if err := d.tellSource(); err != nil {
		return err
	}
	stop, err := d.simulate(ctx, dir, lab, vault)
	if err != nil {
		return err
	}
	defer stop()
	doc, err := d.night(ctx)
	if err != nil {
		return err
	}
	if err := d.compare(); err != nil {
		return err
	}
	if err := d.morning(ctx); err != nil {
		return err
	}
	next(d.w)
	if d.w == a.stdout {
		return nil
	}
	return a.print(doc, nil)
}

// tellSource says what there is to copy.
func (d *demonstration) tellSource() error {
	all, err := contents(d.source)
	bytes := 0
	for path, data := range all {
		if !isFolder(path) {
			d.files++
			bytes += len(data)
		}
	}
	d.tell("A detector has left %d files (%s) in lab/run 7, \"日本語.txt\" and \"100%% done?.log\" among them.", d.files, size(int64(bytes)))
	return err
}

// simulate starts the simulated Globus, which runs until stop is called.
func (d *demonstration) simulate(ctx context.Context, dir, lab, vault string) (stop func(), err error) {
	log := slog.New(slog.DiscardHandler) // the story has it all
	if d.app.level.Level() <= slog.LevelDebug {
		log = d.app.log
	}
	account := globussim.Account{ID: simClientID(), Secret: rand.Text()}
	d.sim, err = newSimulation(ctx, "127.0.0.1:0", globussim.Config{
		Accounts: []globussim.Account{account},
		Collections: []globussim.Collection{
			{Name: "lab", Dir: lab, EntityType: globussim.MappedCollection},
			{Name: "vault", Dir: vault},
		},
		Log: log,
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx)) // an interrupted run still asks it
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := d.sim.serve(ctx); err != nil {
			d.app.log.Error("the simulator has ended", "err", err)
		}
	})
	d.tell("A simulated Globus has the collections lab and vault, at %s.", d.sim.url())
	d.inside = &app{
		inputs: d.app.inputs, stdout: d.app.stdout, stderr: d.app.stderr, out: d.app.out, log: log, level: d.app.level,
		env: settings.Read([]string{
			"CLIENT_ID=" + account.ID, "CLIENT_SECRET=" + account.Secret,
			"GLOBUS_SDK_SERVICE_URL_AUTH=" + d.sim.url(), "GLOBUS_SDK_SERVICE_URL_TRANSFER=" + d.sim.url(),
			"RUNNER_STATE=sqlite:" + filepath.Join(dir, "runner.db"),
		}),
	}
	return func() {
		cancel()
		serving.Wait()
	}, nil
}

// order returns an order for a job that copies the folder and then does more steps. Its
// occurrence is this minute.
func (d *demonstration) order(name string, more ...jobs.Step) (engine.Order, error) {
	job := &jobs.Job{Name: name, Receipts: len(more) > 0, Steps: append(jobs.Single(&transfer.Transfer{
		SourceEndpoint:      globussim.CollectionID("lab"),
		DestinationEndpoint: globussim.CollectionID("vault"),
		VerifyChecksum:      true,
		PreserveTimestamp:   true,
		SyncLevel:           new(transfer.SyncChecksum),
		Items:               []transfer.Item{{SourcePath: "/run 7/", DestinationPath: "/archive/run 7/", Recursive: new(true)}},
	}), more...)}
	begin := time.Now()
	return engine.Order{Job: job, Key: jobs.ScheduledKey(begin.Truncate(time.Minute)), At: begin}, job.Check()
}

// result does an order, which must succeed.
func (d *demonstration) result(ctx context.Context, do doer, o engine.Order) (*engine.Result, error) {
	res, err := do(ctx, o)
	d.app.stderr.clear()
	if err == nil {
		err = res.Err
	}
	return res, err
}

// night does an order twice, as after a crash.
func (d *demonstration) night(ctx context.Context) (*resultDocument, error) {
	do, done, err := d.inside.recorder(ctx, recording{}, d.app.showProgress())
	if err != nil {
		return nil, err
	}
	defer done()
	o, err := d.order("nightly")
	if err != nil {
		return nil, err
	}
	// The first submission is answered with the wish for a consent.
	d.sim.Fail(globussim.Fault{Method: http.MethodPost, Path: "/v0.10/transfer", Skip: 1, Drop: globussim.DropAfter})
	d.tell("runner logs in as a service account and submits one task: lab/run 7 to vault/archive/run 7.")
	res, err := d.result(ctx, do, o)
	if err != nil {
		return nil, err
	}
	doc := d.app.document(ctx, res)
	d.add("Globus asks for a consent to the data of lab. runner gives it, and submits again.")
	d.add("Globus accepts the task, but the connection breaks before the answer arrives.")
	d.add("runner repeats the submission under the same id, and learns of task %s.", doc.TaskID)
	d.tell("%s after the start, the task has succeeded: %d files, %s, each checksum verified.",
		seconds(doc.elapsed), doc.Files, size(doc.Bytes))

	again, err := d.result(ctx, do, o)
	if err != nil {
		return nil, err
	}
	if !again.Adopted || again.Tasks[0].TaskID != doc.TaskID {
		return nil, fmt.Errorf("the second start made task %s, want %s", again.Tasks[0].TaskID, doc.TaskID)
	}
	d.tell("The same night is started once more, as after a crash. runner finds the task, and starts no other.")
	return doc, nil
}

// compare checks what the night has copied.
func (d *demonstration) compare() error {
	source, err := contents(d.source)
	if err != nil {
		return err
	}
	copied, err := contents(d.copied)
	if err != nil {
		return err
	}
	if !maps.Equal(source, copied) {
		return fmt.Errorf("the folders %s and %s differ", d.source, d.copied)
	}
	d.tell("Both folders are compared byte for byte. They are equal, but for a symbolic link: Globus leaves those out.")
	state := d.sim.State()
	sent := state.Routes["POST /v0.10/transfer"]
	if len(state.Tasks) != 1 || sent != 3 {
		return fmt.Errorf("%d tasks came of %d submissions, want 1 of 3", len(state.Tasks), sent)
	}
	d.add("Of %d requests, %d sent the submission, and there is %d task.", len(state.Requests), sent, len(state.Tasks))
	return nil
}

// next prints commands to try after the demonstration, ready to be pasted.
func next(w io.Writer) {
	fmt.Fprintf(w, `
Next, with the folders left for a look, a simulated Globus of your own, and the real one:
  %[1]s demo --dir /tmp/demo
  %[1]s sim --collection lab=/tmp/demo/lab --collection vault=/tmp/demo/vault
  %[1]s env
`, called())
}

// called returns how a shell in this folder can call the program.
func called() string {
	const name = "runner"
	if _, err := exec.LookPath(name); err == nil {
		return name
	}
	path, err := os.Executable()
	if err != nil {
		return name
	}
	if dir, err := os.Getwd(); err == nil {
		if below, err := filepath.Rel(dir, path); err == nil && filepath.IsLocal(below) {
			return "./" + below
		}
	}
	return path
}
