package page

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/internal/account"
	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/plain"
	"github.com/globus-runner/globus-runner/internal/runlog"
	"github.com/globus-runner/globus-runner/jobs"
)

const apiPath = "/api/v1/"

const (
	fewRuns   = 50   // of a list, unless the request says it
	mostRuns  = 500  // of one list
	mostItems = 5000 // of one answer
	// longestReason bounds why somebody acts, in bytes.
	longestReason = 1000
)

// A refusal is an answer that is not what was asked for.
type refusal struct {
	status int
	text   string
}

func (r *refusal) Error() string { return r.text }

func notFound(text string) error { return &refusal{http.StatusNotFound, text} }

// explain returns the status of an error, and what is said about it. What the
// ledger says about itself is for its operator, and stands in the log.
func (p *Page) explain(err error) (int, string) {
	if r, ok := errors.AsType[*refusal](err); ok {
		return r.status, r.text
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return http.StatusRequestEntityTooLarge, "the request is too large"
	}
	if !errors.Is(err, context.Canceled) {
		p.Log.Warn("a request could not be answered", "err", err)
	}
	return http.StatusServiceUnavailable, "the ledger or a token could not be read: the scheduler's log says why; try again"
}

// A request is one of somebody who may make it.
type request struct {
	*http.Request
	who caller
}

// A route is something that can be asked for.
type route struct {
	method, path string
	about        string
	act          bool // only who may act
	query        []parameter
	body         []parameter // keys of the request's JSON object, each a text; nil: none
	reply        any         // of the answer; nil: not JSON
	status       int         // of the answer; 0 means 200
	do           func(w http.ResponseWriter, r request) (any, error)
}

// A parameter is one of a query or a body.
type parameter struct{ name, about string }

func (p *Page) routes() []route {
	all := []route{
		{method: "GET", path: apiPath + "jobs", about: "the jobs, by name", reply: jobsDocument{}, do: p.getJobs},
		{method: "GET", path: apiPath + "jobs/{job}", about: "one job", reply: jobDocument{}, do: p.getJob},
		{method: "GET", path: apiPath + "jobs/{job}/items", about: "the items of a job with for_each, by name", reply: list[itemDocument]{}, do: p.getItems},
		{method: "GET", path: apiPath + "jobs/{job}/actions", about: "what was asked of a job, newest first", reply: list[actionDocument]{}, do: p.getActions},
		{
			method: "GET", path: apiPath + "runs", about: "runs, newest first", reply: list[runDocument]{}, do: p.getRuns,
			query: runsQuery(),
		},
		{method: "GET", path: apiPath + "runs/{run}", about: "one run, with its tasks and events", reply: wholeRun{}, do: p.getRun},
		{method: "GET", path: apiPath + "runs/{run}/receipt", about: "its receipts, as JSON lines", do: p.getReceipt},
		{
			method: "GET", path: apiPath + "events", about: "server-sent events: a job of which something has changed", do: p.getEvents,
			query: []parameter{{"rows", "1: each event has the HTML of the job's row, as the page shows it"}},
		},
		{method: "GET", path: apiPath + "openapi.json", about: "this description", reply: object{}, do: p.getOpenAPI},
	}
	for _, deed := range []struct {
		what  ledger.Deed
		about string
	}{
		{ledger.DidTrigger, "have the job done now"},
		{ledger.DidPause, "keep the job from starting"},
		{ledger.DidResume, "let a paused job start again"},
	} {
		all = append(all, route{
			method: "POST", path: apiPath + "jobs/{job}/" + string(deed.what), about: deed.about, act: true,
			body: wishKeys(deed.what), reply: actionDocument{}, status: http.StatusAccepted, do: p.actOnJob(deed.what),
		})
	}
	for _, deed := range []struct {
		what  ledger.Deed
		about string
	}{
		{ledger.DidRetry, "do a run again that did not succeed"},
		{ledger.DidCancel, "cancel a run that has not ended, and its task"},
	} {
		all = append(all, route{
			method: "POST", path: apiPath + "runs/{run}/" + string(deed.what), about: deed.about, act: true,
			body: wishKeys(deed.what), reply: actionDocument{}, status: http.StatusAccepted, do: p.actOnRun(deed.what),
		})
	}
	return append(all, p.pages()...)
}

// runsQuery says which runs are listed.
func runsQuery() []parameter {
	return []parameter{
		{"job", "only of this job"},
		{"state", "only in this state"},
		{"since", "claimed then or later, as in RFC 3339"},
		{"cursor", "next of the answer before"},
		{"limit", fmt.Sprintf("how many: %d, at most %d", fewRuns, mostRuns)},
	}
}

// unknown refuses a query with a key that the route does not have: one that is
// misspelled would be answered with something else than was asked for.
func (r *route) unknown(query url.Values) error {
	known := names(r.query)
	for _, key := range slices.Sorted(maps.Keys(query)) {
		switch {
		case slices.Contains(known, key):
		case len(known) == 0:
			return &refusal{http.StatusBadRequest, fmt.Sprintf("unknown key %q in the query: there are none here", plain.Short(key, longestName))}
		default:
			return &refusal{http.StatusBadRequest, fmt.Sprintf("unknown key %q in the query; it can have %s", plain.Short(key, longestName), strings.Join(known, ", "))}
		}
	}
	return nil
}

func names(all []parameter) (names []string) {
	for _, p := range all {
		names = append(names, p.name)
	}
	return names
}

// answer serves a route to those who may use it.
func (p *Page) answer(route route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, err := p.door.caller(r)
		if err == nil {
			err = cmp.Or(p.allow(who, route), route.unknown(r.URL.Query()))
		}
		var doc any
		if err == nil {
			doc, err = route.do(w, request{r, who})
		}
		switch {
		case err != nil:
			p.fail(w, r, err)
		case doc != nil:
			status := route.status
			if status == 0 {
				status = http.StatusOK
			}
			reply(w, status, doc)
		}
	})
}

// allow returns why somebody may not use a route.
func (p *Page) allow(who caller, route route) error {
	switch {
	case who.role == admin || who.role == reader && !route.act:
		return nil
	case who.role == nobody && !route.act:
		return &refusal{http.StatusUnauthorized, "sign in: reading from another machine needs the view token"}
	}
	token, err := p.door.token(admin)
	switch {
	case err != nil:
		return err
	case token == "":
		return &refusal{http.StatusForbidden, "nobody can act here: RUNNER_ADMIN_TOKEN is not set for the scheduler"}
	case who.role == nobody || !who.signed && who.name == "":
		return &refusal{http.StatusUnauthorized, "sign in with the admin token: acting always needs it"}
	}
	return &refusal{http.StatusForbidden, "you may read, and not act: that needs the admin token"}
}

// fail answers a request that was refused, in JSON or for people.
func (p *Page) fail(w http.ResponseWriter, r *http.Request, err error) {
	status, text := p.explain(err)
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="globus-runner"`)
	}
	if status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "60")
	}
	if strings.HasPrefix(r.URL.Path, apiPath) {
		reply(w, status, failure{text})
		return
	}
	if status == http.StatusUnauthorized {
		to := r.URL.RequestURI()
		if r.Method != http.MethodGet {
			to = r.Header.Get("Referer")
			if u, err := r.URL.Parse(to); err == nil {
				to = u.RequestURI()
			}
		}
		p.views.write(w, status, "sign-in", signInView{frame: p.frame("Sign in", caller{}), To: within(to), Wrong: text})
		return
	}
	p.views.write(w, status, "refused", refusedView{p.frame("Not possible", caller{}), text})
}

func reply(w http.ResponseWriter, status int, doc any) {
	text, err := json.Marshal(doc)
	if err != nil {
		status, text = http.StatusInternalServerError, []byte(`{"error":"the answer could not be written"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(plain.JSON(text), '\n')) // who asked has gone
}

func (p *Page) getJobs(_ http.ResponseWriter, r request) (any, error) {
	s, err := p.board.look(r.Context())
	if err != nil {
		return nil, err
	}
	doc := jobsDocument{list[jobDocument]{Data: make([]jobDocument, len(s.file.Jobs))}, s.pending}
	for i, job := range s.file.Jobs {
		doc.Data[i] = s.document(job)
	}
	return doc, nil
}

// named returns the job that a path names.
func (p *Page) named(r request) (*scene, *jobs.Job, error) {
	s, err := p.board.look(r.Context())
	if err != nil {
		return nil, nil, err
	}
	job := s.byName[r.PathValue("job")]
	if job == nil {
		return nil, nil, notFound("there is no such job in the jobs file")
	}
	return s, job, nil
}

func (p *Page) getJob(_ http.ResponseWriter, r request) (any, error) {
	s, job, err := p.named(r)
	if err != nil {
		return nil, err
	}
	return s.document(job), nil
}

func (p *Page) getItems(_ http.ResponseWriter, r request) (any, error) {
	_, job, err := p.named(r)
	if err != nil {
		return nil, err
	}
	all, err := p.items(r.Context(), job)
	return list[itemDocument]{Data: all}, err
}

// items returns the items of a job, and which place those that are queued have.
func (p *Page) items(ctx context.Context, job *jobs.Job) ([]itemDocument, error) {
	if job.ForEach == nil {
		return nil, notFound("the job has no for_each, so it has no items")
	}
	queue, err := engine.Queue(ctx, p.Ledger, job)
	if err != nil {
		return nil, err
	}
	all := []itemDocument{}
	for row, err := range p.Ledger.Items(ctx, job.Name) {
		if err != nil {
			return nil, err
		}
		d := describeItem(row)
		d.Position = slices.Index(queue, jobs.Key(row.Key)) + 1
		if all = append(all, d); len(all) == mostItems {
			break
		}
	}
	return all, nil
}

func (p *Page) getActions(_ http.ResponseWriter, r request) (any, error) {
	_, job, err := p.named(r)
	if err != nil {
		return nil, err
	}
	all, err := p.actions(r.Context(), job.Name)
	return list[actionDocument]{Data: all}, err
}

func (p *Page) actions(ctx context.Context, job string) ([]actionDocument, error) {
	all, err := p.Ledger.Actions(ctx, job, fewRuns)
	docs := make([]actionDocument, len(all))
	for i, a := range all {
		docs[i] = describeAction(a)
	}
	return docs, err
}

func (p *Page) getRuns(_ http.ResponseWriter, r request) (any, error) {
	q, err := asked(r)
	if err != nil {
		return nil, err
	}
	return p.runs(r.Context(), q)
}

// runs returns a page of runs.
func (p *Page) runs(ctx context.Context, q ledger.Query) (list[runDocument], error) {
	doc := list[runDocument]{Data: []runDocument{}}
	limit := q.Limit
	q.Limit++
	for run, err := range p.Ledger.Runs(ctx, q) {
		if err != nil {
			return doc, err
		}
		if len(doc.Data) == limit {
			doc.Next = strconv.FormatInt(doc.Data[limit-1].Run, 10)
			break
		}
		doc.Data = append(doc.Data, describeRun(run))
	}
	return doc, nil
}

// asked reads which runs are asked for.
func asked(r request) (q ledger.Query, err error) {
	bad := func(name, want string) error {
		return &refusal{http.StatusBadRequest, fmt.Sprintf("%s is not %s", name, want)}
	}
	values := r.URL.Query()
	q = ledger.Query{Job: values.Get("job"), State: ledger.State(values.Get("state")), Limit: fewRuns}
	if s := q.State; s != "" && !s.Final() && s != ledger.Claimed && s != ledger.Submitted {
		return q, bad("state", "one of claimed, submitted, succeeded, failed, canceled, timed_out and skipped")
	}
	if text := values.Get("since"); text != "" {
		if q.Since, err = time.Parse(time.RFC3339, text); err != nil {
			return q, bad("since", "an instant such as 2026-11-21T02:00:00Z")
		}
	}
	if text := values.Get("cursor"); text != "" {
		if q.Below, err = strconv.ParseInt(text, 10, 64); err != nil || q.Below <= 0 {
			return q, bad("cursor", "what next said")
		}
	}
	if text := values.Get("limit"); text != "" {
		if q.Limit, err = strconv.Atoi(text); err != nil || q.Limit < 1 || q.Limit > mostRuns {
			return q, bad("limit", fmt.Sprintf("a number from 1 to %d", mostRuns))
		}
	}
	return q, nil
}

// number is that of the run that a path names.
func number(r request) (int64, error) {
	id, err := strconv.ParseInt(r.PathValue("run"), 10, 64)
	if err != nil || id <= 0 {
		return 0, notFound("there is no such run")
	}
	return id, nil
}

func (p *Page) getRun(_ http.ResponseWriter, r request) (any, error) {
	id, err := number(r)
	if err != nil {
		return nil, err
	}
	return p.run(r.Context(), id)
}

// run returns a run with all that belongs to it.
func (p *Page) run(ctx context.Context, id int64) (*wholeRun, error) {
	run, err := p.Ledger.Run(ctx, id)
	if err != nil {
		return nil, absent(err)
	}
	sent, err := p.Ledger.Submissions(ctx, id)
	if err != nil {
		return nil, err
	}
	notes, err := p.Ledger.Notes(ctx, id)
	if err != nil {
		return nil, err
	}
	d := &wholeRun{runDocument: describeRun(run), Events: runlog.Events(run, sent, notes), Next: runlog.Next(run, sent)}
	for _, s := range sent {
		t := taskDocument{TaskID: s.TaskID, Flow: s.Flow, SubmissionID: s.ID, Status: s.Status, Label: s.Label, Attempt: s.Attempt, Created: s.Created}
		if s.TaskID != "" {
			t.URL = p.TaskPage(s.TaskID, s.Flow)
		}
		d.Tasks = append(d.Tasks, t)
	}
	return d, nil
}

// absent puts into words that the ledger does not have a run.
func absent(err error) error {
	if errors.Is(err, ledger.ErrNone) {
		return notFound("there is no such run in the ledger; old ones are forgotten, as history in the jobs file says")
	}
	return err
}

func (p *Page) getReceipt(w http.ResponseWriter, r request) (any, error) {
	id, err := number(r)
	if err != nil {
		return nil, err
	}
	all, err := p.Ledger.Receipts(r.Context(), ledger.ReceiptQuery{Run: id})
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, notFound("the run has no receipt: only a transfer that succeeded has one, of a job that says receipts: true")
	}
	w.Header().Set("Content-Type", "application/jsonl")
	w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="run-%d.jsonl"`, id))
	for _, kept := range all {
		text, err := account.Text(r.Context(), p.Ledger, kept)
		if err == nil {
			_, err = io.Copy(unhurried(w), text)
		}
		if err != nil {
			p.Log.Warn("a receipt could not be written in full", "run", id, "err", err)
			panic(http.ErrAbortHandler) // so that who asked sees that it is not whole
		}
	}
	return nil, nil
}

// unhurried returns a writer of an answer that may take long, as long as it goes on.
func unhurried(w http.ResponseWriter) io.Writer {
	return patient{w, http.NewResponseController(w)}
}

type patient struct {
	http.ResponseWriter
	control *http.ResponseController
}

// patience is how long one write of a long answer may take.
const patience = 15 * time.Second

func (p patient) Write(b []byte) (int, error) {
	_ = p.control.SetWriteDeadline(time.Now().Add(patience)) // a test's recorder has none
	return p.ResponseWriter.Write(b)
}

// actOnJob does something with a job, for a program.
func (p *Page) actOnJob(what ledger.Deed) func(http.ResponseWriter, request) (any, error) {
	return func(_ http.ResponseWriter, r request) (any, error) {
		why, err := wished(r, what)
		if err != nil {
			return nil, err
		}
		return p.askOfJob(r, what, why)
	}
}

// actOnRun does something with a run, for a program.
func (p *Page) actOnRun(what ledger.Deed) func(http.ResponseWriter, request) (any, error) {
	return func(_ http.ResponseWriter, r request) (any, error) {
		why, err := wished(r, what)
		if err != nil {
			return nil, err
		}
		return p.askOfRun(r, what, why)
	}
}

// A wish is what a request to act says.
type wish struct {
	Reason string
	Until  string // of a pause: a duration such as 8h, or an instant
}

// wishKeys are the keys that a request to act may have.
func wishKeys(what ledger.Deed) []parameter {
	keys := []parameter{{"reason", "why, for those who read it later"}}
	if what == ledger.DidPause {
		keys = append(keys, parameter{"until", "when the pause ends: a duration such as 8h, or an instant"})
	}
	return keys
}

// wished reads what a request to act says; nothing is a wish without a reason. A key
// that the act does not have is refused: a pause with a misspelled until would not end.
func wished(r request, what ledger.Deed) (wish, error) {
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

func (p *Page) askOfJob(r request, what ledger.Deed, w wish) (*actionDocument, error) {
	_, job, err := p.named(r)
	if err != nil {
		return nil, err
	}
	a := ledger.Action{What: what, Job: job.Name}
	switch {
	case what == ledger.DidTrigger && job.ForEach != nil && job.Schedule == nil:
		return nil, &refusal{http.StatusConflict, "the job has no schedule, so the scheduler does not look for its items"}
	case what == ledger.DidTrigger:
		a.Key = string(job.TriggerKey())
	case what == ledger.DidPause:
		if a.Until, err = w.ends(); err != nil {
			return nil, err
		}
	}
	return p.ask(r, a, w.Reason)
}

func (p *Page) askOfRun(r request, what ledger.Deed, w wish) (*actionDocument, error) {
	id, err := number(r)
	if err != nil {
		return nil, err
	}
	return p.ask(r, ledger.Action{What: what, Run: id}, w.Reason)
}

// ask does what somebody asks for.
func (p *Page) ask(r request, a ledger.Action, reason string) (*actionDocument, error) {
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
	p.Log.Info("an action was taken", "what", string(done.What), "job", done.Job, "run", done.Run, "who", done.Who, "why", done.Why)
	return new(describeAction(done)), nil
}
