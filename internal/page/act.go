package page

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/notify"
	"github.com/globus-runner/globus-runner/internal/plain"
	"github.com/globus-runner/globus-runner/internal/runlog"
	"github.com/globus-runner/globus-runner/jobs"
)

// actOnJob handles an action on a job, for programs.
func (p *Page) actOnJob(what ledger.ActionKind) func(http.ResponseWriter, request) (any, error) {
	return func(_ http.ResponseWriter, r request) (any, error) {
		why, err := wished(r, what)
		if err != nil {
			return nil, err
		}
		return p.askOfJob(r, what, why)
	}
}

// actOnRun handles an action on a run, for programs.
func (p *Page) actOnRun(what ledger.ActionKind) func(http.ResponseWriter, request) (any, error) {
	return func(_ http.ResponseWriter, r request) (any, error) {
		why, err := wished(r, what)
		if err != nil {
			return nil, err
		}
		return p.askOfRun(r, what, why)
	}
}

// A wish is the body of a request to act.
type wish struct {
	Reason string
	Until  string // of a pause: a duration such as 8h, or an instant
}

// wishKeys are the keys that a request to act may have.
func wishKeys(what ledger.ActionKind) []parameter {
	keys := []parameter{{"reason", "why, for those who read it later"}}
	if what == ledger.ActionPause {
		keys = append(keys, parameter{"until", "when the pause ends: a duration such as 8h, or an instant"})
	}
	return keys
}

// wished reads the body of a request to act; an empty body is a wish without a reason. An
// unknown key is refused: a pause with a misspelled until would not end.
func wished(r request, what ledger.ActionKind) (wish, error) {
	text, err := io.ReadAll(r.Body)
	if err != nil || len(text) == 0 {
		return wish{}, err
	}
	var values map[string]json.RawMessage
	if err := json.Unmarshal(text, &values); err != nil {
		return wish{}, badBody(`it is not a JSON object such as {"reason": "the disk is replaced"}`)
	}
	known := names(wishKeys(what))
	said := map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if !slices.Contains(known, key) {
			return wish{}, badBody(fmt.Sprintf("unknown key %q; a request to %s can have %s", plain.Short(key, longestName), what, strings.Join(known, ", ")))
		}
		var value string
		if err := json.Unmarshal(values[key], &value); err != nil {
			return wish{}, badBody(key + " is not a string")
		}
		said[key] = value
	}
	return wish{said["reason"], said["until"]}, nil
}

// badBody refuses a request because of its body.
func badBody(why string) error {
	return &refusal{http.StatusBadRequest, "the body cannot be used: " + why}
}

// ends returns when a pause ends, or zero if it does not end by itself.
func (w *wish) ends() (time.Time, error) {
	if w.Until == "" {
		return time.Time{}, nil
	}
	until, err := jobs.ParseInstant(w.Until)
	if length, short := jobs.ParseDuration(w.Until); short == nil {
		until, err = now().Add(length).Truncate(time.Second), nil
	}
	switch {
	case err != nil:
		return until, &refusal{http.StatusBadRequest, "until is neither a duration such as 8h nor an instant such as 2026-11-21T08:00:00Z or 2026-11-21"}
	case !until.After(now()):
		return until, &refusal{http.StatusConflict, "the pause would be over already"}
	}
	return until, nil
}

func (p *Page) askOfJob(r request, what ledger.ActionKind, w wish) (*runlog.Action, error) {
	_, job, err := p.named(r)
	if err != nil {
		return nil, err
	}
	a := ledger.Action{Kind: what, Job: job.Name}
	switch {
	case what == ledger.ActionTrigger && job.ForEach != nil && job.Schedule == nil:
		return nil, &refusal{http.StatusConflict, "the job has no schedule, so the scheduler does not look for its items"}
	case what == ledger.ActionTrigger:
		a.Key = string(job.TriggerKey())
	case what == ledger.ActionPause:
		if a.Until, err = w.ends(); err != nil {
			return nil, err
		}
	}
	return p.ask(r, a, w.Reason)
}

func (p *Page) askOfRun(r request, what ledger.ActionKind, w wish) (*runlog.Action, error) {
	id, err := number(r)
	if err != nil {
		return nil, err
	}
	return p.ask(r, ledger.Action{Kind: what, Run: id, Alarms: notify.Failures()}, w.Reason)
}

// ask carries out an action.
func (p *Page) ask(r request, a ledger.Action, reason string) (*runlog.Action, error) {
	if a.Why = strings.TrimSpace(reason); len(a.Why) > longestReason {
		return nil, &refusal{http.StatusBadRequest, fmt.Sprintf("the reason is longer than %d bytes", longestReason)}
	}
	a.Who = r.who.name
	done, err := p.Ledger.Act(r.Context(), a)
	switch {
	case errors.Is(err, ledger.ErrState):
		return nil, &refusal{http.StatusConflict, err.Error()}
	case err != nil:
		return nil, absent(err)
	}
	p.board.forget(r.Context())
	p.Log.Info("an action was taken", "what", string(done.Kind), "job", done.Job, "run", done.Run, "who", done.Who, "why", done.Why)
	return new(runlog.DescribeAction(done)), nil
}

// postJob handles an action on a job, for people.
func (p *Page) postJob(w http.ResponseWriter, r request) (any, error) {
	what := ledger.ActionKind(r.PathValue("deed"))
	if what != ledger.ActionPause && what != ledger.ActionResume && what != ledger.ActionTrigger {
		return nil, notFound("there is no such page")
	}
	done, err := p.askOfJob(r, what, wish{Reason: r.PostFormValue("reason"), Until: r.PostFormValue("for")})
	if err != nil {
		return nil, err
	}
	to := "/jobs/" + done.Job
	if done.Run != 0 {
		to = fmt.Sprintf("/runs/%d", done.Run)
	}
	http.Redirect(w, r.Request, to, http.StatusSeeOther)
	return nil, nil
}

// postRun handles an action on a run, for people.
func (p *Page) postRun(w http.ResponseWriter, r request) (any, error) {
	what := ledger.ActionKind(r.PathValue("deed"))
	if what != ledger.ActionRetry && what != ledger.ActionCancel {
		return nil, notFound("there is no such page")
	}
	done, err := p.askOfRun(r, what, wish{Reason: r.PostFormValue("reason")})
	if err != nil {
		return nil, err
	}
	http.Redirect(w, r.Request, fmt.Sprintf("/runs/%d", done.Run), http.StatusSeeOther)
	return nil, nil
}
