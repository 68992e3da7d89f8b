package globussim

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
)

// Answers choose between answers of the services that nobody has confirmed. It
// is also a document of the control path, /_sim/answers. The zero value has the
// defaults.
type Answers struct {
	// Accepted is the status of an accepted submission: 202 (the default) or 200.
	Accepted int `json:"accepted,omitempty"`
	// Made is the status of a folder that was made: 202 (the default) or 200.
	Made int `json:"made,omitempty"`
	// Paused is the status of an operation that a pause rule stops: 409 (the
	// default) or 403.
	Paused int `json:"paused,omitempty"`
	// Throttled is the status of too many requests: 429 (the default) or 503.
	Throttled int `json:"throttled,omitempty"`
	// PastDeadline accepts a submission whose deadline has passed, and its task
	// ends EXPIRED; by default it is refused.
	PastDeadline bool `json:"past_deadline,omitempty"`
}

// complete fills in the defaults. The error names an answer that there is not.
func (a Answers) complete() (Answers, error) {
	for _, choice := range []struct {
		name     string
		status   *int
		possible []int // the default first
	}{
		{"accepted", &a.Accepted, []int{http.StatusAccepted, http.StatusOK}},
		{"made", &a.Made, []int{http.StatusAccepted, http.StatusOK}},
		{"paused", &a.Paused, []int{http.StatusConflict, http.StatusForbidden}},
		{"throttled", &a.Throttled, []int{http.StatusTooManyRequests, http.StatusServiceUnavailable}},
	} {
		*choice.status = cmp.Or(*choice.status, choice.possible[0])
		if !slices.Contains(choice.possible, *choice.status) {
			return a, fmt.Errorf("answers: %s is %d, and must be one of %v", choice.name, *choice.status, choice.possible)
		}
	}
	return a, nil
}

// Answer changes which answers are given from now on. The error names one that
// there is not; then nothing has changed.
func (s *Server) Answer(answers Answers) error {
	answers, err := answers.complete()
	if err == nil {
		s.answers.Store(&answers)
	}
	return err
}

// answerRoutes adds the orders about answers to the control path.
func (s *Server) answerRoutes(mux *router) {
	mux.HandleFunc("GET /_sim/answers", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, s.answers.Load())
	})
	mux.HandleFunc("POST /_sim/answers", func(w http.ResponseWriter, r *http.Request) {
		var answers Answers
		dec := json.NewDecoder(r.Body)
		dec.DisallowUnknownFields()
		err := dec.Decode(&answers)
		if err == nil {
			err = s.Answer(answers)
		}
		if err != nil {
			writeError(w, r, badOrder(err))
			return
		}
		writeJSON(w, http.StatusOK, s.answers.Load())
	})
}
