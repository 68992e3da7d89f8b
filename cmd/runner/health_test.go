package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestHealthIsWhatTheSchedulerAnswers(t *testing.T) {
	tests := map[string]struct {
		status int // of /healthz; 0: nobody listens
		exit   int
		says   string
	}{
		"alive":        {http.StatusOK, 0, ""},
		"not healthy":  {http.StatusServiceUnavailable, 1, "the scheduler is not healthy: the loop has not turned"},
		"not there":    {0, 5, "the scheduler does not answer: "},
		"not a health": {http.StatusNotFound, 1, "the scheduler is not healthy: "},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/healthz" {
					t.Errorf("%s is asked for", r.URL)
				}
				w.WriteHeader(tt.status)
				_, _ = io.WriteString(w, "the loop has not turned\n")
			}))
			defer server.Close()
			address := server.Listener.Addr().String()
			if tt.status == 0 {
				address = "127.0.0.1:1"
			}
			for _, listen := range []string{address, strings.Replace(address, "127.0.0.1", "0.0.0.0", 1)} {
				var stderr bytes.Buffer
				exit := run(t.Context(), []string{"health"}, []string{"RUNNER_LISTEN=" + listen}, nil, io.Discard, &stderr)
				if exit != tt.exit || !strings.Contains(stderr.String(), tt.says) {
					t.Errorf("RUNNER_LISTEN=%s: got exit status %d and %q, want %d and %q", listen, exit, &stderr, tt.exit, tt.says)
				}
			}
		})
	}
}

func TestHealthNeedsAnAddress(t *testing.T) {
	var stderr bytes.Buffer
	exit := run(t.Context(), []string{"health"}, nil, nil, io.Discard, &stderr)
	if want := "RUNNER_LISTEN is not set: "; exit != 2 || !strings.Contains(stderr.String(), want) {
		t.Errorf("got exit status %d and %q, want 2 and %q", exit, &stderr, want)
	}
}
