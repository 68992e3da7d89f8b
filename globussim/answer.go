package globussim

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
)

// Answers chooses how the simulator answers where it is not confirmed how the services do. It
// is also a document of the control path, /_sim/answers. The zero value means the defaults.
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
	// Listed is the status of a listing of what is not a folder: 502 (the default)
	// or 400.
	Listed int `json:"listed,omitempty"`
	// CancelLater answers the cancel of a task with CancelAccepted, and the task
	// goes on for a second; by default it ends at once.
	CancelLater bool `json:"cancel_later,omitempty"`
	// NoFatalError leaves the fatal_error of a canceled task null; by default its
	// code is CANCELED.
	NoFatalError bool `json:"no_fatal_error,omitempty"`
	// AuthErrors is the form of the errors of the token endpoint: AuthBoth (the
	// default), AuthOAuth or AuthList.
	AuthErrors AuthForm `json:"auth_errors,omitempty"`
	// CutAccess ends an access rule when the collection allows, if a later end is
	// asked for; by default such a rule is refused. See [Collection].MaxAccess.
	CutAccess bool `json:"cut_access,omitempty"`
	// KeepEnd leaves the end of an access rule as it is if the change of the rule
	// sets it to null; by default the rule does not end then.
	KeepEnd bool `json:"keep_end,omitempty"`
	// RunsListed is after how many seconds a new run of a flow is in the list of
	// runs; by default it is there at once.
	RunsListed int `json:"runs_listed,omitempty"`
	// EndCanceledRuns gives a canceled run of a flow the status ENDED; by default
	// it has FAILED.
	EndCanceledRuns bool `json:"end_canceled_runs,omitempty"`
	// LowerLevels copies a file also if the test of a lower sync level finds it
	// different; by default each level applies its own test alone.
	LowerLevels bool `json:"lower_levels,omitempty"`
	// RenameReplaces lets a rename replace what has the new name, but for a folder
	// with entries; by default it is refused.
	RenameReplaces bool `json:"rename_replaces,omitempty"`
	// RefuseOtherDocument refuses a submission id that was used with another
	// document; by default it is a duplicate, and the document is not looked at.
	RefuseOtherDocument bool `json:"refuse_other_document,omitempty"`
	// RefuseDeletes refuses the list of the successful transfers of a delete; by
	// default it is empty.
	RefuseDeletes bool `json:"refuse_deletes,omitempty"`
	// PageLength is how many tasks or events a page has if the request does not
	// say it: 10 by default.
	PageLength int `json:"page_length,omitempty"`
	// RulesFull is the code of the refusal of an access rule above the limit, with
	// the status 409: LimitExceeded by default.
	RulesFull string `json:"rules_full,omitempty"`
	// RefusePolicies refuses a transfer that does not do about checksums and times
	// what the policies of its collections demand; by default it is made to do it.
	RefusePolicies bool `json:"refuse_policies,omitempty"`
	// PolicyCode is the code of what a policy of a collection does not allow, with
	// the status 403: PermissionDenied by default.
	PolicyCode string `json:"policy_code,omitempty"`
}

// An AuthForm is a form of errors of Globus Auth.
type AuthForm string

// The forms.
const (
	AuthBoth  AuthForm = "both"
	AuthOAuth AuthForm = "oauth" // with error and error_description
	AuthList  AuthForm = "list"  // with a list of errors
)

// complete fills in the defaults. The error names an unknown answer.
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
		{"listed", &a.Listed, []int{http.StatusBadGateway, http.StatusBadRequest}},
	} {
		*choice.status = cmp.Or(*choice.status, choice.possible[0])
		if !slices.Contains(choice.possible, *choice.status) {
			return a, fmt.Errorf("answers: %s is %d, and must be one of %v", choice.name, *choice.status, choice.possible)
		}
	}
	a.AuthErrors = cmp.Or(a.AuthErrors, AuthBoth)
	if forms := []AuthForm{AuthBoth, AuthOAuth, AuthList}; !slices.Contains(forms, a.AuthErrors) {
		return a, fmt.Errorf("answers: auth_errors is %q, and must be one of %v", a.AuthErrors, forms)
	}
	if a.RunsListed < 0 {
		return a, fmt.Errorf("answers: runs_listed is %d, and must not be negative", a.RunsListed)
	}
	a.PageLength = cmp.Or(a.PageLength, 10)
	if a.PageLength < 1 || a.PageLength > maxRows {
		return a, fmt.Errorf("answers: page_length is %d, and must be between 1 and %d", a.PageLength, maxRows)
	}
	a.RulesFull = cmp.Or(a.RulesFull, "LimitExceeded")
	a.PolicyCode = cmp.Or(a.PolicyCode, "PermissionDenied")
	return a, nil
}

// Answer changes the answers from now on. If one is unknown, the error names it, and nothing
// has changed.
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
