// Package library_test holds the programs of docs/library.md, run against the
// simulator in place of Globus.
package library_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/clientcreds"
	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/retry"
	"github.com/globus-runner/globus-runner/schedule"
	"github.com/globus-runner/globus-runner/transfer"
)

// TestMain has every request of the process answered by the simulator.
func TestMain(m *testing.M) {
	os.Exit(simulated(m))
}

func simulated(m *testing.M) int {
	const id, secret = "0b6c8f2e-0000-4000-8000-00000000c1d0", "made up"
	lab, err := os.MkdirTemp("", "library")
	if err == nil {
		err = os.WriteFile(filepath.Join(lab, "frame.h5"), []byte("frame"), 0o600)
	}
	if err == nil {
		err = os.Setenv("CLIENT_ID", id)
	}
	if err == nil {
		err = os.Setenv("CLIENT_SECRET", secret)
	}
	var globus *globussim.Server
	if err == nil {
		globus, err = globussim.New(globussim.Config{
			Accounts:    []globussim.Account{{ID: id, Secret: secret}},
			Collections: []globussim.Collection{{Name: "lab", Dir: lab}},
		})
	}
	if err != nil {
		log.Print(err)
		return 1
	}
	defer os.RemoveAll(lab) //nolint:errcheck // the system cleans its folder, too
	defer globus.Close()    //nolint:errcheck // its tasks have ended
	http.DefaultTransport = globus.Client().Transport
	return m.Run()
}

var lab = globussim.CollectionID("lab")

func Example_list() {
	ctx := context.Background()
	tokens := clientcreds.New(os.Getenv("CLIENT_ID"), os.Getenv("CLIENT_SECRET"))
	globus := transfer.New(&http.Client{Transport: tokens.Transport(auth.TransferServer, nil)})

	for entry, err := range globus.Ls(ctx, lab, transfer.LsQuery{Path: "/"}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(entry.Name, entry.Size)
	}
	// Output: frame.h5 5
}

func Example_copy() {
	ctx := context.Background()
	tokens := clientcreds.New(os.Getenv("CLIENT_ID"), os.Getenv("CLIENT_SECRET"))
	patient := retry.New(tokens.Transport(auth.TransferServer, nil), retry.Policy{}, slog.Default())
	globus := transfer.New(&http.Client{Transport: patient})

	sent, err := globus.Submit(ctx, &transfer.Transfer{
		SourceEndpoint: lab, DestinationEndpoint: lab,
		VerifyChecksum: true,
		Items:          []transfer.Item{{SourcePath: "/frame.h5", DestinationPath: "/copies/frame.h5"}},
	})
	if err != nil {
		log.Fatal(err)
	}
	task, err := globus.Wait(ctx, sent.TaskID)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(task.Status, task.FilesTransferred)
	// Output: SUCCEEDED 1
}

func Example_watch() {
	ctx := context.Background()
	globus, sent := endless(ctx)
	for task, err := range globus.Watch(ctx, sent.TaskID) {
		if err != nil {
			log.Fatal(err)
		}
		if task.NiceStatus == "FILE_NOT_FOUND" {
			_, err := globus.CancelTask(ctx, task.TaskID)
			fmt.Println("there is no such file; canceled:", err == nil)
			break
		}
	}
	// Output: there is no such file; canceled: true
}

// endless submits a task that has no end before its deadline.
func endless(ctx context.Context) (*transfer.Client, *transfer.Submitted) {
	tokens := clientcreds.New(os.Getenv("CLIENT_ID"), os.Getenv("CLIENT_SECRET"))
	globus := transfer.New(&http.Client{Transport: tokens.Transport(auth.TransferServer, nil)})
	sent, err := globus.Submit(ctx, &transfer.Transfer{
		SourceEndpoint: lab, DestinationEndpoint: lab,
		Items: []transfer.Item{{SourcePath: "/nowhere", DestinationPath: "/copy"}},
	})
	if err != nil {
		log.Fatal(err)
	}
	return globus, sent
}

func Example_stack() {
	logger := slog.New(slog.NewTextHandler(os.Stderr, nil))
	service := auth.New(&http.Client{Transport: retry.New(http.DefaultTransport, retry.Policy{}, logger)})
	tokens := clientcreds.New(os.Getenv("CLIENT_ID"), os.Getenv("CLIENT_SECRET"), clientcreds.WithClient(service))

	limited := retry.Limit(http.DefaultTransport, 200, 10*time.Second)
	patient := retry.New(tokens.Transport(auth.TransferServer, limited), retry.Policy{}, logger)
	globus := transfer.New(&http.Client{Transport: patient}, transfer.WithConsent(tokens.Consent))

	entry, err := globus.Stat(context.Background(), lab, "/frame.h5")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(entry.Type, entry.Size)
	// Output: file 5
}

func Example_schedule() {
	zone, err := time.LoadLocation("America/Chicago")
	if err != nil {
		log.Fatal(err)
	}
	nightly, err := schedule.Parse("30 1 * * *", zone)
	if err != nil {
		log.Fatal(err)
	}
	next := nightly.Next(time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC))
	fmt.Println(next.UTC().Format(time.RFC3339))
	// Output: 2026-11-22T07:30:00Z
}

var block = regexp.MustCompile("(?ms)^```go\n(.*?)^```$")

// TestDocumentedProgramsAreRun compares the blocks of the document with the
// examples above, which are run.
func TestDocumentedProgramsAreRun(t *testing.T) {
	text, err := os.ReadFile("../../docs/library.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("library_test.go")
	if err != nil {
		t.Fatal(err)
	}
	blocks := block.FindAllStringSubmatch(string(text), -1)
	for _, m := range blocks {
		if program := plain(m[1]); !strings.Contains(plain(string(source)), program) {
			t.Errorf("no example is this program:\n%s", m[1])
		}
	}
	if want := strings.Count(string(source), "\nfunc Example"); len(blocks) != want {
		t.Errorf("the document has %d programs, want the %d examples", len(blocks), want)
	}
}

// plain is a program without the blanks at the beginning of its lines.
func plain(program string) string {
	var b strings.Builder
	for line := range strings.Lines(program) {
		b.WriteString(strings.TrimSpace(line) + "\n")
	}
	return b.String()
}
