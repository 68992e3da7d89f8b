package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/internal/notify"
	"github.com/globus-runner/globus-runner/jobs"
)

func TestAChannelOpensWhenItsFileIsThere(t *testing.T) {
	heard := 0
	receiver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { heard++ }))
	defer receiver.Close()
	file := filepath.Join(t.TempDir(), "hook")
	described := map[string]*jobs.Channel{"ops": {Name: "ops", Webhook: &jobs.Webhook{Hook: jobs.Hook{URLFile: file}}}}
	all, err := newApp(nil, nil, io.Discard, io.Discard).channels(described)
	if err == nil || all["ops"] == nil {
		t.Fatalf("got %v and %v", all["ops"], err)
	}
	n := notify.TestNotice("ops", time.Now())
	if err := all["ops"].Send(t.Context(), n); err == nil || notify.IsLasting(err) {
		t.Errorf("without the file: %v", err)
	}
	if err := os.WriteFile(file, []byte(receiver.URL+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := all["ops"].Send(t.Context(), n); err != nil || heard != 1 {
		t.Errorf("with the file: %v, and %d requests", err, heard)
	}
}
