package main

import (
	"bytes"
	"testing"
)

func TestAWrongCommandLineIsToldBeforeAnythingRuns(t *testing.T) {
	tests := map[string][]string{
		"unknown flag": {"-fast"},
		"no runs":      {"-runs", "0"},
		"no jobs due":  {"-due", "0"},
		"unknown name": {"-only", "weight"},
		"an argument":  {"bin/runner"},
	}
	for name, args := range tests {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			status := run(t.Context(), args, &stdout, &stderr)
			if status != 2 || stdout.Len() > 0 || stderr.Len() == 0 {
				t.Errorf("got status %d, %q and %q, want status 2 and a message", status, &stdout, &stderr)
			}
		})
	}
}
