package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/globus-runner/globus-runner/globussim"
)

// maxMemory is what the process may take at most, in KiB: 32 MiB more than
// without any reply. It then lives in a container of 64 MiB.
const maxMemory = (24 + 32) << 10

// peak is runner, and prints as its last line how much memory it took.
func peak() {
	exit := run(context.Background(), os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr)
	status, _ := os.ReadFile("/proc/self/status") // the test misses the line
	for line := range strings.Lines(string(status)) {
		if strings.HasPrefix(line, "VmHWM:") {
			fmt.Print(line)
		}
	}
	os.Exit(exit)
}

// TestNoReplyFillsTheMemory has a service answer without an end, in the ways
// that have a client keep most.
func TestNoReplyFillsTheMemory(t *testing.T) {
	build, _ := debug.ReadBuildInfo()
	if runtime.GOOS != "linux" || build != nil && slices.Contains(build.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		t.Skip("memory is measured on Linux, without the race detector")
	}
	endless := func(w io.Writer, head, unit string) {
		_, err := io.WriteString(w, head)
		block := bytes.Repeat([]byte(unit), 1<<16/len(unit))
		for n := 0; err == nil && n < 1<<30; n += len(block) {
			_, err = w.Write(block)
		}
	}
	replies := map[string]func(w http.ResponseWriter){
		"one text":  func(w http.ResponseWriter) { endless(w, `{"access_token":"`, "x") },
		"tiny rows": func(w http.ResponseWriter) { endless(w, `{"DATA":[{}`, ",{}") },
		"rows that just fit": func(w http.ResponseWriter) {
			_, _ = io.WriteString(w, `{"DATA":[{}`+strings.Repeat(",{}", (8<<20-64)/3)+"]}") // the client may have gone
		},
		"tiny tokens that just fit": func(w http.ResponseWriter) {
			_, _ = io.WriteString(w, `{"other_tokens":[{}`+strings.Repeat(",{}", (128<<10-64)/3)+"]}") // the client may have gone
		},
		"an error": func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusBadRequest)
			endless(w, `{"code":[{}`, ",{}")
		},
		"a bomb": func(w http.ResponseWriter) {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			endless(z, `{"DATA":[`, " ")
		},
	}
	for name, reply := range replies {
		for _, victim := range []string{"auth", "transfer"} {
			t.Run(name+" of "+victim, func(t *testing.T) {
				service := hostileGlobus{}
				server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if strings.HasPrefix(r.URL.Path, "/v2/") != (victim == "auth") {
						service.ServeHTTP(w, r)
						return
					}
					reply(w)
				}))
				defer server.Close()
				cmd := exec.CommandContext(t.Context(), "peak", "ls", globussim.CollectionID("evil")+":/")
				cmd.Env = []string{
					"CLIENT_ID=" + simClientID(), "CLIENT_SECRET=" + canary, "RUNNER_HTTP_RETRIES=1",
					"GLOBUS_SDK_SERVICE_URL_AUTH=" + server.URL, "GLOBUS_SDK_SERVICE_URL_TRANSFER=" + server.URL,
				}
				said, err := cmd.CombinedOutput()
				if err == nil {
					t.Error("it succeeded")
				}
				var most int // KiB
				if _, err := fmt.Sscanf(string(said[max(0, bytes.LastIndex(said, []byte("VmHWM:"))):]), "VmHWM: %d kB", &most); err != nil || most > maxMemory {
					t.Errorf("it took %d KiB (%v), more than %d", most, err, maxMemory)
				}
				t.Logf("%d KiB", most)
				if len(said) > 1<<16 {
					t.Errorf("it said %d bytes", len(said))
				}
			})
		}
	}
}
