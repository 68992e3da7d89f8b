package engine_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/clientcreds"
	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

// The second start of an occurrence finds the task of the first.
func ExampleEngine_Run() {
	check := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	dir, err := os.MkdirTemp("", "engine")
	check(err)
	defer func() { _ = os.RemoveAll(dir) }() // it is the system's temporary folder
	check(os.WriteFile(filepath.Join(dir, "frame.tif"), nil, 0o600))
	globus, err := globussim.New(globussim.Config{
		Collections: []globussim.Collection{{Name: "lab", Dir: dir}},
		Accounts:    []globussim.Account{{ID: clientID, Secret: secret}},
	})
	check(err)
	defer func() { _ = globus.Close() }() // its tasks have ended

	account := clientcreds.New(clientID, secret, clientcreds.WithClient(auth.New(globus.Client())))
	hc := &http.Client{Transport: account.Transport(auth.TransferServer, globus.Client().Transport)}
	e := engine.New(transfer.New(hc), slog.New(slog.DiscardHandler))

	lab := globussim.CollectionID("lab")
	job := &jobs.Job{Name: "nightly", Steps: jobs.Single(&transfer.Transfer{
		SourceEndpoint: lab, DestinationEndpoint: lab,
		Items: []transfer.Item{{SourcePath: "/frame.tif", DestinationPath: "/copy.tif"}},
	})}
	check(job.Check())
	for range 2 {
		r := e.Run(context.Background(), engine.Order{Job: job, Key: "2026-11-21T02:00:00Z"})
		fmt.Printf("%s, %q, adopted: %t\n", r.State, r.Tasks[0].Last.Label, r.Adopted)
	}
	// Output:
	// succeeded, "nightly 2026-11-21T02:00:00Z", adopted: false
	// succeeded, "nightly 2026-11-21T02:00:00Z", adopted: true
}
