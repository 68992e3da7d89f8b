package page

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
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

func (p *Page) routes() []route {
	all := []route{
		{method: "GET", path: apiPath + "jobs", about: "the jobs, by name", reply: jobsDocument{}, do: p.getJobs},
		{method: "GET", path: apiPath + "jobs/{job}", about: "one job", reply: jobDocument{}, do: p.getJob},
		{method: "GET", path: apiPath + "jobs/{job}/items", about: "the items of a job with for_each, by name", reply: itemsDocument{}, do: p.getItems},
		{method: "GET", path: apiPath + "jobs/{job}/actions", about: "what was asked of a job, newest first", reply: list[runlog.Action]{}, do: p.getActions},
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
		what  ledger.ActionKind
		about string
	}{
		{ledger.ActionTrigger, "have the job done now"},
		{ledger.ActionPause, "keep the job from starting"},
		{ledger.ActionResume, "let a paused job start again"},
	} {
		all = append(all, route{
			method: "POST", path: apiPath + "jobs/{job}/" + string(deed.what), about: deed.about, act: true,
			body: wishKeys(deed.what), reply: runlog.Action{}, status: http.StatusAccepted, do: p.actOnJob(deed.what),
		})
	}
	for _, deed := range []struct {
		what  ledger.ActionKind
		about string
	}{
		{ledger.ActionRetry, "do a run again that did not succeed"},
		{ledger.ActionCancel, "cancel a run that has not ended, and its task; or give up one that failed, timed out or was skipped"},
	} {
		all = append(all, route{
			method: "POST", path: apiPath + "runs/{run}/" + string(deed.what), about: deed.about, act: true,
			body: wishKeys(deed.what), reply: runlog.Action{}, status: http.StatusAccepted, do: p.actOnRun(deed.what),
		})
	}
	return append(all, p.pages()...)
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

// named returns the job in the path of a request.
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
	return p.items(r.Context(), job)
}

// items returns the items of a job, with their positions in the queue.
func (p *Page) items(ctx context.Context, job *jobs.Job) (all itemsDocument, err error) {
	if job.ForEach == nil {
		return all, notFound("the job has no for_each, so it has no items")
	}
	last, err := p.Ledger.LastLook(ctx, job.Name)
	if err != nil {
		return all, err
	}
	if last != (ledger.LastLook{}) {
		all.Look = &lookDocument{runlog.Known(last.Looked), runlog.Known(last.Failed), plain.Line(last.Why)}
	}
	queue, err := engine.Queue(ctx, p.Ledger, job)
	if err != nil {
		return all, err
	}
	all.Data = []itemDocument{}
	states := map[int64]ledger.State{}
	for row, err := range p.Ledger.Items(ctx, job.Name) {
		if err != nil {
			return all, err
		}
		states[row.Run] = row.RunState
		d := describeItem(row)
		d.Position = slices.Index(queue, jobs.Key(row.Key)) + 1
		if all.Data = append(all.Data, d); len(all.Data) == mostItems {
			break
		}
	}
	held, err := runlog.HeldRuns(ctx, p.Ledger, states)
	for i := range all.Data {
		if why := held[all.Data[i].Run]; why != "" {
			all.Data[i].Why += "; " + why
		}
	}
	return all, err
}

func (p *Page) getActions(_ http.ResponseWriter, r request) (any, error) {
	_, job, err := p.named(r)
	if err != nil {
		return nil, err
	}
	all, err := p.actions(r.Context(), job.Name)
	return list[runlog.Action]{Data: all}, err
}

func (p *Page) actions(ctx context.Context, job string) ([]runlog.Action, error) {
	all, err := p.Ledger.Actions(ctx, job, fewRuns)
	docs := make([]runlog.Action, len(all))
	for i, a := range all {
		docs[i] = runlog.DescribeAction(a)
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

// asked reads the parameters that choose runs.
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

// number returns the number of the run in the path of a request.
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

// run returns a run with its tasks and events.
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

// absent makes a refusal of the error that the ledger does not have a run.
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
			panic(http.ErrAbortHandler) // so that the client sees that it is incomplete
		}
	}
	return nil, nil
}

// unhurried returns a writer for an answer that may take long: only each single write is
// limited in time.
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
