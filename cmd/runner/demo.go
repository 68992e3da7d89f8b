package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/clientcreds"
	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/login"
	"github.com/globus-runner/globus-runner/transfer"
)

const aboutDemo = `Run a real job on a simulated Globus, on this machine alone.

It makes a folder with some hundred files, starts the simulator on loopback,
logs in as a service account, and copies the folder to another one. The answer
to the submission is lost on the way, which must neither stop the job nor start
it twice. Then both folders are compared byte for byte.`

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

// demo runs the demonstration in dir.
func (a *app) demo(ctx context.Context, dir string) error {
	lab, vault := filepath.Join(dir, "lab"), filepath.Join(dir, "vault")
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return usageError{fmt.Errorf("--dir %s is not empty", dir)}
	}
	if err := errors.Join(os.MkdirAll(lab, 0o755), os.MkdirAll(vault, 0o755)); err != nil {
		return err
	}
	made, err := makeTree(filepath.Join(lab, "run 7"))
	if err != nil {
		return fmt.Errorf("make the source folder: %w", err)
	}
	say := func(format string, args ...any) { fmt.Fprintf(a.stderr, format+"\n", args...) }
	say("made %d files (%s) in %s", made.files, size(made.bytes), filepath.Join(lab, "run 7"))

	account := globussim.Account{ID: simClientID(), Secret: rand.Text()}
	sim, err := globussim.New(globussim.Config{
		Accounts: []globussim.Account{account},
		Collections: []globussim.Collection{
			{Name: "lab", Dir: lab, EntityType: globussim.MappedCollection},
			{Name: "vault", Dir: vault},
		},
		Log: a.log,
	})
	if err != nil {
		return err
	}
	defer sim.Close() //nolint:errcheck // it returns nil
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: sim, ReadHeaderTimeout: 30 * time.Second}
	go server.Serve(l)   //nolint:errcheck // it ends when the server is closed
	defer server.Close() //nolint:errcheck // nobody uses it any more
	url := "http://" + l.Addr().String() + "/"
	say("a simulated Globus listens on %s; it will drop the connection after the first submission", url)
	sim.Fail(globussim.Fault{Method: http.MethodPost, Path: "/v0.10/transfer", Skip: 1, Drop: globussim.DropAfter})

	if err := a.demoJob(ctx, url, account); err != nil {
		return err
	}
	differences, err := compare(filepath.Join(lab, "run 7"), filepath.Join(vault, "archive", "run 7"))
	if err != nil {
		return err
	}
	if len(differences) > 0 {
		return fmt.Errorf("the folders differ: %s", strings.Join(differences, "; "))
	}
	a.demoSummary(say, sim.State())
	return nil
}

// demoJob runs the job as a service account of the simulator.
func (a *app) demoJob(ctx context.Context, url string, account globussim.Account) error {
	a.env.Environment = clientcreds.Environment{ClientID: account.ID, ClientSecret: auth.NewSecret(account.Secret)}
	a.env.Login = login.Environment{}
	for _, u := range []*serviceURL{&a.env.AuthURL, &a.env.TransferURL} {
		if err := u.UnmarshalText([]byte(url)); err != nil {
			return err
		}
	}
	job := &jobs.Job{Name: "demo", Steps: jobs.Single(&transfer.Transfer{
		SourceEndpoint:      globussim.CollectionID("lab"),
		DestinationEndpoint: globussim.CollectionID("vault"),
		VerifyChecksum:      true,
		PreserveTimestamp:   true,
		SyncLevel:           new(transfer.SyncChecksum),
		Items:               []transfer.Item{{SourcePath: "/run 7/", DestinationPath: "/archive/run 7/", Recursive: new(true)}},
	})}
	if err := job.Check(); err != nil {
		return err
	}
	key := jobs.ScheduledKey(time.Now().Truncate(time.Minute))
	return a.follow(ctx, engine.Order{Job: job, Key: key}, following{})
}

func (a *app) demoSummary(say func(string, ...any), state globussim.State) {
	tasks := 0
	for _, t := range state.Tasks {
		if t.Status == "SUCCEEDED" {
			tasks++
		}
	}
	say("both folders are equal, byte for byte (a symbolic link was left out, as Globus does)")
	say("%d requests were sent; the submission was sent %d times, and there is %d task",
		len(state.Requests), state.Routes["POST /v0.10/transfer"], tasks)
	say(`
what to try next:
  runner demo --dir /tmp/demo           keep the folders and look into them
  runner sim --collection lab=DIR ...   a simulated Globus for your own jobs and tests
  runner env                            what to set for a run on the real one`)
}

// A tree is what makeTree has made.
type tree struct {
	files int
	bytes int64
}

// makeTree fills dir with files of many sizes and names: the same at each call
// but for the content of the files.
func makeTree(dir string) (tree, error) {
	var t tree
	write := func(name string, n int) error {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		data := make([]byte, n)
		_, _ = rand.Read(data) // never fails
		t.files++
		t.bytes += int64(n)
		return os.WriteFile(path, data, 0o644)
	}
	random := mathrand.New(mathrand.NewPCG(7, 7))
	for i := range 300 {
		name := fmt.Sprintf("frames/%02d/frame %04d.h5", i/50, i)
		if err := write(name, random.IntN(1<<(8+i%9))); err != nil {
			return t, err
		}
	}
	deep := "deep" + strings.Repeat("/level", 12) + "/bottom.txt"
	for name, n := range map[string]int{
		"empty": 0, "Größe in Ångström.csv": 4096, "日本語.txt": 128, "100% done?.log": 77, "it's \"quoted\".txt": 10,
		".hidden": 5, "large.bin": 8 << 20, deep: 1000,
	} {
		if err := write(name, n); err != nil {
			return t, err
		}
	}
	return t, errors.Join(os.MkdirAll(filepath.Join(dir, "no files in here"), 0o755), os.Symlink("large.bin", filepath.Join(dir, "link to large")))
}

// compare names the differences between two folders, the first ten of them.
// Symbolic links count as not there.
func compare(a, b string) ([]string, error) {
	left, err := contents(a)
	if err != nil {
		return nil, err
	}
	right, err := contents(b)
	if err != nil {
		return nil, err
	}
	var differences []string
	for path, dir := range left {
		other, ok := right[path]
		switch {
		case !ok:
			differences = append(differences, path+" is missing")
		case dir != other:
			differences = append(differences, path+" is a file on one side only")
		case !dir:
			same, err := sameContent(filepath.Join(a, path), filepath.Join(b, path))
			if err != nil {
				return nil, err
			}
			if !same {
				differences = append(differences, path+" differs")
			}
		}
	}
	for path := range right {
		if _, ok := left[path]; !ok {
			differences = append(differences, path+" is too many")
		}
	}
	slices.Sort(differences)
	return differences[:min(len(differences), 10)], nil
}

// contents maps the path of each file and folder below dir to whether it is a
// folder.
func contents(dir string) (map[string]bool, error) {
	found := map[string]bool{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type()&fs.ModeSymlink == 0 {
			found[path] = d.IsDir()
		}
		return err
	})
	return found, err
}

func sameContent(a, b string) (bool, error) {
	left, err := os.ReadFile(a)
	if err != nil {
		return false, err
	}
	right, err := os.ReadFile(b)
	return bytes.Equal(left, right), err
}
