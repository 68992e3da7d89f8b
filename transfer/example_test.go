package transfer_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/globus-runner/globus-runner/transfer"
)

// A program submits a transfer and prints the task's id. When it is unclear
// whether the service has it, the same document is submitted again: it starts
// one task at most.
func Example() {
	ctx := context.Background()
	c := transfer.New(account())

	doc := &transfer.Transfer{
		Header:              transfer.Header{Label: "nightly"},
		SourceEndpoint:      "0b6c8f2e-0000-4000-8000-000000000001",
		DestinationEndpoint: "94ef1c3a-0000-4000-8000-000000000002",
		SyncLevel:           new(transfer.SyncChecksum),
		Items:               []transfer.Item{{SourcePath: "/data/", DestinationPath: "/vault/"}},
	}
	s, err := c.Submit(ctx, doc)
	for errors.Is(err, transfer.ErrUnclear) {
		s, err = c.Submit(ctx, doc)
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(s.TaskID, s.Code)
	// Output: c1b2a3d4-0000-11f1-8000-00000000000b Duplicate
}

// account returns an HTTP client of an account whose first submission is
// accepted, while its answer gets lost.
func account() *http.Client {
	lost := true
	return &http.Client{Transport: inMemory{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/v0.10/submission_id":
			reply(200, `{"value": "7d1f6d2a-0000-4000-8000-00000000000a"}`)(w, r)
		case lost:
			lost = false
			reply(504, "<html>Gateway Timeout</html>")(w, r)
		default:
			reply(200, `{"code": "Duplicate", "task_id": "c1b2a3d4-0000-11f1-8000-00000000000b"}`)(w, r)
		}
	})}}
}
