package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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
The answer to the submission is lost on purpose, which must neither stop the job
nor start it twice. Then the demo starts the same occurrence again, and compares
both folders byte for byte.

At last another job empties the source: it deletes what is proven to be at the
destination. A file that is written meanwhile stays.

With -F json the demo prints the result of the first job, and the story goes to
standard error.`

func (a *app) demoCommand() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use:   "demo",
		Short: "Show a whole job on a simulated Globus, without an account",
		Long:  aboutDemo,
		Args:  arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			if dir != "" {
				return a.demo(c.Context(), dir)
			}
			temporary, err := os.MkdirTemp("", "runner-demo-")
			if err != nil {
				return err
			}
			return errors.Join(a.demo(c.Context(), temporary), os.RemoveAll(temporary))
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "work in this folder, which must be new or empty, and keep it")
	return c
}

// A story is told to people, in numbered paragraphs.
type story struct {
	w         io.Writer
	paragraph int
}

// tell begins a paragraph.
func (s *story) tell(format string, args ...any) {
	s.paragraph++
	fmt.Fprintf(s.w, "  %d. "+format+"\n", append([]any{s.paragraph}, args...)...)
}

// add is one more line of the paragraph.
func (s *story) add(format string, args ...any) { fmt.Fprintf(s.w, "     "+format+"\n", args...) }

// demo runs the demonstration in dir.
func (a *app) demo(ctx context.Context, dir string) error {
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return usageError{fmt.Errorf("--dir %s is not empty", dir)}
	}
	lab, vault := filepath.Join(dir, "lab"), filepath.Join(dir, "vault")
	if err := errors.Join(os.MkdirAll(lab, 0o755), os.MkdirAll(vault, 0o755)); err != nil {
		return err
	}
	made, err := makeTree(filepath.Join(lab, "run 7"))
	if err != nil {
		return fmt.Errorf("make the source folder: %w", err)
	}
	log := slog.New(slog.DiscardHandler) // the story has it all
	if a.level.Level() <= slog.LevelDebug {
		log = a.log
	}
	s := &story{w: a.stdout}
	if a.out.format == formatJSON || a.out.query.expr != nil {
		s.w = a.stderr
	}
	fmt.Fprint(s.w, "A night at the lab, on this machine alone:\n\n")
	s.tell("A detector has left %d files (%s) in lab/run 7, \"日本語.txt\" and \"100%% done?.log\" among them.", made.files, size(made.bytes))

	account := globussim.Account{ID: simClientID(), Secret: rand.Text()}
	sim, url, stop, err := startDemoSim(ctx, account, lab, vault, log)
	if err != nil {
		return err
	}
	defer stop()
	s.tell("A simulated Globus has the collections lab and vault, at %s.", url)

	inside := &app{
		lists: a.lists, stdout: a.stdout, stderr: a.stderr, out: a.out, log: log, level: a.level,
		env: settings.Read([]string{
			"CLIENT_ID=" + account.ID, "CLIENT_SECRET=" + account.Secret,
			"GLOBUS_SDK_SERVICE_URL_AUTH=" + url, "GLOBUS_SDK_SERVICE_URL_TRANSFER=" + url,
			"RUNNER_STATE=sqlite:" + filepath.Join(dir, "runner.db"),
		}),
	}
	do, done, err := inside.recorder(ctx, recording{}, a.showProgress())
	if err != nil {
		return err
	}
	defer done()
	o, err := demoOrder("nightly")
	if err != nil {
		return err
	}
	doc, err := a.demoNight(ctx, s, sim, do, o)
	if err != nil {
		return err
	}
	if err := demoMorning(s, sim, lab, vault); err != nil {
		return err
	}
	if err := inside.demoMove(ctx, s, made, filepath.Join(lab, "run 7"), filepath.Join(vault, "archive", "run 7")); err != nil {
		return err
	}
	next(s.w)
	if s.w == a.stdout {
		return nil
	}
	return a.print(doc, nil)
}

// startDemoSim serves a simulator with two collections on loopback.
func startDemoSim(ctx context.Context, account globussim.Account, lab, vault string, log *slog.Logger) (sim *globussim.Server, url string, stop func(), err error) {
	sim, err = globussim.New(globussim.Config{
		Accounts: []globussim.Account{account},
		Collections: []globussim.Collection{
			{Name: "lab", Dir: lab, EntityType: globussim.MappedCollection},
			{Name: "vault", Dir: vault},
		},
		Log: log,
	})
	if err != nil {
		return nil, "", nil, err
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		_ = sim.Close() // it returns nil
		return nil, "", nil, err
	}
	server := &http.Server{Handler: sim, ReadHeaderTimeout: 30 * time.Second}
	go server.Serve(l) //nolint:errcheck // it ends when the server is closed
	return sim, "http://" + l.Addr().String() + "/", func() {
		_ = server.Close() // nobody uses it any more
		_ = sim.Close()    // it returns nil
	}, nil
}

// demoOrder is the occurrence of this minute of a job that copies a folder, and
// then does more steps.
func demoOrder(name string, more ...jobs.Step) (engine.Order, error) {
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

// demoNight does the order twice, as after a crash.
func (a *app) demoNight(ctx context.Context, s *story, sim *globussim.Server, do doer, o engine.Order) (*resultDocument, error) {
	// The first submission is answered with the wish for a consent.
	sim.Fail(globussim.Fault{Method: http.MethodPost, Path: "/v0.10/transfer", Skip: 1, Drop: globussim.DropAfter})
	s.tell("runner logs in as a service account and submits one task: lab/run 7 to vault/archive/run 7.")
	res, err := do(ctx, o)
	a.stderr.clear()
	if err = errors.Join(err, outcome(res)); err != nil {
		return nil, err
	}
	doc := a.document(ctx, res)
	s.add("Globus asks for a consent to the data of lab. runner gives it, and submits again.")
	s.add("Globus accepts the task, but the connection breaks before the answer arrives.")
	s.add("runner repeats the submission under the same id, and learns of task %s.", doc.Tasks[0].TaskID)
	s.tell("%s after the start, the task has succeeded: %d files, %s, each checksum verified.",
		seconds(doc.elapsed), doc.FilesTransferred, size(doc.BytesTransferred))

	again, err := do(ctx, o)
	a.stderr.clear()
	if err = errors.Join(err, outcome(again)); err != nil {
		return nil, err
	}
	if !again.Adopted || again.Tasks[0].TaskID != doc.Tasks[0].TaskID {
		return nil, fmt.Errorf("the second start made task %s, want %s", again.Tasks[0].TaskID, doc.Tasks[0].TaskID)
	}
	s.tell("The same night is started once more, as after a crash. runner finds the task, and starts no other.")
	return doc, nil
}

// outcome is the error of a result, if there is a result.
func outcome(r *engine.Result) error {
	if r == nil {
		return nil
	}
	return r.Err
}

// demoMorning looks at what the night has brought.
func demoMorning(s *story, sim *globussim.Server, lab, vault string) error {
	differences, err := compare(filepath.Join(lab, "run 7"), filepath.Join(vault, "archive", "run 7"))
	if err != nil {
		return err
	}
	if len(differences) > 0 {
		return fmt.Errorf("the folders differ: %s", strings.Join(differences, "; "))
	}
	s.tell("Both folders are compared byte for byte. They are equal, but for a symbolic link: Globus leaves those out.")
	state := sim.State()
	sent := state.Routes["POST /v0.10/transfer"]
	if len(state.Tasks) != 1 || sent != 3 {
		return fmt.Errorf("%d tasks came of %d submissions, want 1 of 3", len(state.Tasks), sent)
	}
	s.add("Of %d requests, %d sent the submission, and there is %d task.", len(state.Requests), sent, len(state.Tasks))
	return nil
}

// next says what to try after the demonstration, such that it can be pasted.
func next(w io.Writer) {
	fmt.Fprintf(w, `
Next, with the folders left for a look, a simulated Globus of your own, and the real one:
  %[1]s demo --dir /tmp/demo
  %[1]s sim --collection lab=/tmp/demo/lab --collection vault=/tmp/demo/vault
  %[1]s env
`, called())
}

// called is how a shell here can call this program.
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
