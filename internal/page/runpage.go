package page

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/plain"
)

// A runView is a run in a list.
type runView struct {
	runDocument
	Word, Class, Text, Took string
}

func viewRun(d runDocument) runView {
	v := runView{runDocument: d}
	v.Word, v.Class, v.Text = outcome(&d, 0)
	if d.Finished != nil {
		v.Took = took(d.took())
	}
	return v
}

func viewRuns(all []runDocument) []runView {
	views := make([]runView, len(all))
	for i, d := range all {
		views[i] = viewRun(d)
	}
	return views
}

// A runsView is a list of runs.
type runsView struct {
	frame
	Job, State string
	States     []ledger.State
	Runs       []runView
	Older      string // the address of the next page
	Live       bool   // it has the newest runs
}

func (p *Page) showRuns(w http.ResponseWriter, r request) (any, error) {
	q, err := asked(r)
	if err != nil {
		return nil, err
	}
	s, err := p.board.look(r.Context())
	if err != nil {
		return nil, err
	}
	runs, err := once(r.Context(), s, fmt.Sprintf("runs %+v", q), func() (list[runDocument], error) { return p.runs(r.Context(), q) })
	if err != nil {
		return nil, err
	}
	v := runsView{
		frame: p.frame("Runs", r.who), Job: plain.Line(q.Job), State: string(q.State), Runs: viewRuns(runs.Data),
		States: ledger.States(), Live: q.Below == 0,
	}
	v.Here = "runs"
	if runs.Next != "" {
		values := r.URL.Query()
		values.Set("cursor", runs.Next)
		v.Older = (&url.URL{Path: "/runs", RawQuery: values.Encode()}).String()
	}
	p.views.write(w, http.StatusOK, "runs", v)
	return nil, nil
}

// A runPage is the page of a run.
type runPage struct {
	frame
	Run     runView
	Whole   *wholeRun
	Receipt bool

	MayRetry, MayEnd, MayGiveUp bool
}

func (p *Page) showRun(w http.ResponseWriter, r request) (any, error) {
	id, err := number(r)
	if err != nil {
		return nil, err
	}
	s, err := p.board.look(r.Context())
	if err != nil {
		return nil, err
	}
	known, err := once(r.Context(), s, fmt.Sprintf("run %d", id), func() (runHistory, error) { return p.whole(r.Context(), id) })
	if err != nil {
		return nil, err
	}
	d := known.run
	v := runPage{frame: p.frame(fmt.Sprintf("Run %d of %s", d.Run, d.Job), r.who), Run: viewRun(d.runDocument), Whole: d, Receipt: known.receipt}
	v.MayEnd = d.Finished == nil
	v.MayRetry = d.Finished != nil && d.State != string(ledger.Succeeded)
	v.MayGiveUp = v.MayRetry && d.State != string(ledger.Canceled)
	p.views.write(w, http.StatusOK, "run", v)
	return nil, nil
}

// A runHistory is what a ledger has of a run.
type runHistory struct {
	run     *wholeRun
	receipt bool
}

func (p *Page) whole(ctx context.Context, id int64) (h runHistory, err error) {
	if h.run, err = p.run(ctx, id); err != nil {
		return h, err
	}
	kept, err := p.Ledger.Receipts(ctx, ledger.ReceiptQuery{Run: id})
	h.receipt = len(kept) > 0
	return h, err
}
