package main

import (
	"testing"

	"github.com/globus-runner/globus-runner/globussim"
)

// state is what a Globus has seen after so many requests and tasks.
func state(requests, tasks int) globussim.State {
	return globussim.State{
		Routes: map[string]int{"POST /v2/oauth2/token": tasks, "POST /v0.10/transfer": requests - tasks},
		Tasks:  make([]globussim.TaskState, tasks),
	}
}

func TestOneRequestTooManyInAllRunsIsOver(t *testing.T) {
	tests := map[string]struct {
		ours, bare int
		want       string
	}{
		"equal":             {164, 164, within},
		"one more":          {165, 164, over},
		"bare sends others": {123, 164, over},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r, err := requests(state(tt.ours, 41), state(tt.bare, 41), 41)
			if err != nil || r.verdict != tt.want || !r.fixed {
				t.Errorf("got %+v, %v, want a fixed row that is %s", r, err, tt.want)
			}
		})
	}
}

func TestRunsThatStartedNoTaskAreNotCompared(t *testing.T) {
	if r, err := requests(state(164, 40), state(164, 41), 41); err == nil {
		t.Errorf("got %+v, want an error", r)
	}
}
