package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/globus-runner/globus-runner/globussim"
)

// batchItems is how many files the batch names.
const batchItems = 100_000

// batchRuns is how often the batch is measured: it takes long, and so differs
// less from run to run.
func batchRuns(runs int) int { return max(min(runs, 3), runs/8) }

// batch measures "runner transfer --batch --no-wait" with many files.
func (b *bench) batch(ctx context.Context) (table, error) {
	file := filepath.Join(b.dir, "batch.txt")
	if err := writeBatch(file); err != nil {
		return nil, err
	}
	var mine, theirs sink
	env, stop, err := listen(ctx, mine.routes())
	if err != nil {
		return nil, err
	}
	defer stop()
	bareEnv, bareStop, err := listen(ctx, theirs.routes())
	if err != nil {
		return nil, err
	}
	defer bareStop()

	source, destination := globussim.CollectionID("lab")+":/data/", globussim.CollectionID("vault")+":/raw/"
	ours := process{path: b.runner, env: same(env...), args: same("transfer", source, destination, "--batch", file, "--label", "bench", "--no-wait")}
	bare := process{path: filepath.Join(b.bare, "submit"), env: same(bareEnv...), args: same("-label", "bench", "-batch", file, source, destination)}
	a, z, err := b.compare(ctx, batchRuns(b.runs), ours, bare)
	if err != nil {
		return nil, err
	}
	rows := ratios("batch of 100 000", a, z, 0)
	return append(rows, ratio("batch of 100 000, document", size(mine.document.Load()), size(theirs.document.Load()), 0)), nil
}

// writeBatch writes a batch in globus-cli's format.
func writeBatch(name string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	for i := range batchItems {
		fmt.Fprintf(w, "frames/%03[1]d/frame-%06[2]d.h5 2026/%03[1]d/frame-%06[2]d.h5\n", i/1000, i)
	}
	return errors.Join(w.Flush(), f.Close())
}

// A sink answers to a submission like Globus and does nothing about it, so that
// no copying goes on while a program is measured.
type sink struct {
	document atomic.Int64 // bytes of the document that came last
}

func (s *sink) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v2/oauth2/token", answer(http.StatusOK, `{
		"access_token": "simulated", "token_type": "Bearer", "expires_in": 172800,
		"resource_server": "transfer.api.globus.org",
		"scope": "urn:globus:auth:scope:transfer.api.globus.org:all", "other_tokens": []}`))
	mux.HandleFunc("GET /v0.10/submission_id", answer(http.StatusOK, `{
		"DATA_TYPE": "submission_id", "value": "5b0e5a8e-0000-4000-8000-000000000002"}`))
	accepted := answer(http.StatusAccepted, `{
		"DATA_TYPE": "transfer_result", "code": "Accepted", "message": "The transfer has been accepted",
		"submission_id": "5b0e5a8e-0000-4000-8000-000000000002",
		"task_id": "5b0e5a8e-0000-4000-8000-000000000003",
		"request_id": "simulated", "resource": "/transfer"}`)
	mux.HandleFunc("POST /v0.10/transfer", func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			return // the program has gone, and says why
		}
		s.document.Store(n)
		accepted(w, r)
	})
	return mux
}

func answer(status int, document string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, document) // a program that has gone says so itself
	}
}
