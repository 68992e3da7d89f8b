package page

import (
	"fmt"
	"net/http"

	"github.com/globus-runner/globus-runner/internal/ledger"
)

// postJob does something with a job, for a person.
func (p *Page) postJob(w http.ResponseWriter, r request) (any, error) {
	what := ledger.Deed(r.PathValue("deed"))
	if what != ledger.DidPause && what != ledger.DidResume && what != ledger.DidTrigger {
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

// postRun does something with a run, for a person.
func (p *Page) postRun(w http.ResponseWriter, r request) (any, error) {
	what := ledger.Deed(r.PathValue("deed"))
	if what != ledger.DidRetry && what != ledger.DidCancel {
		return nil, notFound("there is no such page")
	}
	done, err := p.askOfRun(r, what, wish{Reason: r.PostFormValue("reason")})
	if err != nil {
		return nil, err
	}
	http.Redirect(w, r.Request, fmt.Sprintf("/runs/%d", done.Run), http.StatusSeeOther)
	return nil, nil
}
