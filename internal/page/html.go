package page

import (
	"context"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/plain"
	"github.com/globus-runner/globus-runner/jobs"
)

const (
	chartDays   = 30
	comingShown = 5
	mostAlarms  = 5
	// mostProblems bounds what is shown of a jobs file that is not in force.
	mostProblems = 5
	longestWhy   = 140 // of a row, in characters
)

// pages are the routes for people.
func (p *Page) pages() []route {
	return []route{
		{method: "GET", path: "/{$}", do: p.showJobs, query: []parameter{{"q", "only jobs with this in the name, description or state"}}},
		{method: "GET", path: "/alarms", do: p.showAlarms},
		{method: "GET", path: "/jobs/{job}", do: p.showJob},
		{method: "GET", path: "/items/{job}", do: p.showItems},
		{method: "GET", path: "/runs", do: p.showRuns, query: runsQuery()},
		{method: "GET", path: "/runs/{run}", do: p.showRun},
		{method: "POST", path: "/jobs/{job}/{deed}", act: true, do: p.postJob},
		{method: "POST", path: "/runs/{run}/{deed}", act: true, do: p.postRun},
	}
}

// A frame is what is around each page.
type frame struct {
	Title, Name string
	Here        string // the part of the menu
	Who         string // "" if nobody has signed in
	Acts        bool
	Signed      bool
}

func (p *Page) frame(title string, who caller) frame {
	return frame{Title: title, Name: p.Name, Who: who.name, Acts: who.role == admin, Signed: who.signed}
}

// A refusedView says why a page is not there.
type refusedView struct {
	frame
	Why string
}

// A jobsView is the first page.
type jobsView struct {
	frame
	Top    topView
	Rows   []rowView
	All    int
	Filter string
}

// A topView is what needs somebody, and the sums of all jobs.
type topView struct {
	Pending          *pendingDocument
	Alarms           []alarmView
	More             int
	Running, Failing int
	Paused           int
	Bytes            int64 // today
	Files            int64
	Chart            chart
}

// An alarmView is a job that needs somebody.
type alarmView struct{ Job, Text string }

// A rowView is a job in the list.
type rowView struct {
	Name, When, What string
	Class            string // ok, run, bad, warn or mute
	State, Last      string // what became of the newest run
	Progress         *Progress
	Strip            strip
	Next             string // why it does not start, or how
	At               *startView
}

// A startView is when a job starts.
type startView struct{ At, Local string } // for programs, and in its time zone

// class is how a state is colored.
func class(state string) string {
	switch ledger.State(state) {
	case ledger.Succeeded:
		return "ok"
	case ledger.Claimed, ledger.Submitted:
		return "run"
	case ledger.Failed, ledger.TimedOut:
		return "bad"
	case ledger.Skipped, ledger.Canceled:
		return "mute"
	}
	return "mute"
}

// row is what the list shows of a job.
func (s *scene) row(job *jobs.Job) rowView {
	d := s.job(job)
	v := rowView{Name: d.Name, What: what(job), When: when(job), Class: class(d.State), State: d.State, Strip: drawStrip(s.strips[job.Name].Bars, s.at), Progress: d.Progress}
	if r := d.LastRun; r != nil {
		v.State, v.Class, v.Last = told(r, d.FailingFor)
	}
	switch {
	case d.Paused != nil:
		v.Next = pauseText(d.Paused)
		if d.State == "paused" {
			v.Class = "mute"
		}
	case job.Suspend:
		v.Next = "suspended in the jobs file"
	case job.After != "":
		v.Next = "starts after " + job.After
	case job.Schedule == nil:
		v.Next = "starts by hand"
	case d.Next != nil:
		v.At = &startView{d.Next.Format(time.RFC3339), d.Next.In(job.Schedule.Location()).Format("Mon 2 Jan 15:04")}
	}
	return v
}

// what says what a job is about, in one line.
func what(job *jobs.Job) string {
	text := job.Description
	if job.ForEach != nil {
		text = strings.TrimSuffix("for each item of "+job.ForEach.Folder+"; "+text, "; ")
	}
	return plain.Line(text)
}

// when says when a job is due, in one line.
func when(job *jobs.Job) string {
	switch {
	case job.After != "":
		return "after " + job.After
	case job.Schedule == nil:
		return "by hand"
	}
	text := job.Schedule.String()
	if zone := job.Schedule.Location().String(); zone != "UTC" && job.Schedule.Every() == 0 {
		text += " " + zone
	}
	return text
}

func pauseText(p *pauseDocument) string {
	text := "paused by " + p.Who
	if p.Until != nil {
		text += " until " + moment(*p.Until)
	}
	if p.Why != "" {
		text += ": " + p.Why
	}
	return plain.Short(text, 2*longestWhy)
}

// told says what became of a run: a word, its color, and the rest.
func told(r *runDocument, failing int) (state, class2, text string) {
	state, class2 = words(r.State), class(r.State)
	switch {
	case r.Began == nil:
		return "waiting", "run", "until a scheduler takes it up"
	case r.Finished == nil:
		return "running", "run", "since " + moment(*r.Began)
	case r.Error != nil && r.Error.Class == "guard":
		state, class2 = "refused", "warn"
	}
	if r.State != string(ledger.Succeeded) {
		text = r.cause
		if failing > 1 && failed(ledger.State(r.State)) {
			text = strings.TrimPrefix(text+fmt.Sprintf(" · %d runs in a row", failing), " · ")
		}
		return state, class2, text
	}
	var parts []string
	if r.Files > 0 || r.FilesDeleted == 0 {
		parts = append(parts, plainCount(r.Files, "file"))
	}
	if r.Bytes > 0 {
		parts = append(parts, size(r.Bytes))
	}
	if r.FilesDeleted > 0 {
		parts = append(parts, plainCount(r.FilesDeleted, "file")+" deleted")
	}
	return state, class2, strings.Join(parts, ", ") + " in " + took(r.took())
}

func plainCount(n int64, what string) string {
	if n != 1 {
		what += "s"
	}
	return count(n) + " " + what
}

// top sums up the jobs.
func (s *scene) top() topView {
	v := topView{Pending: s.pending, Chart: drawChart(s.days, s.at)}
	for _, d := range s.days {
		if d.Day.Equal(s.at.Truncate(24 * time.Hour)) {
			v.Bytes, v.Files = d.Bytes, d.Files
		}
	}
	for _, job := range s.file.Jobs {
		d := s.job(job)
		if d.LastRun != nil && d.LastRun.Finished == nil {
			v.Running++
		}
		if d.Paused != nil || d.Suspend {
			v.Paused++
		}
		if d.FailingFor > 0 {
			v.Failing++
		}
	}
	v.Alarms = s.attention()
	if v.More = len(v.Alarms) - mostAlarms; v.More > 0 {
		v.Alarms = v.Alarms[:mostAlarms]
	}
	return v
}

// attention lists the jobs that need somebody, by name.
func (s *scene) attention() (all []alarmView) {
	for _, job := range s.file.Jobs {
		d := s.job(job)
		if d.FailingFor > 0 {
			all = append(all, alarmView{d.Name, failing(&d)})
		}
		for _, a := range d.Alarms {
			if a.Kind == "canceled" || a.Kind == "failed" && d.FailingFor > 0 { // it is nobody's task, or is said above
				continue
			}
			all = append(all, alarmView{d.Name, alarm(a)})
		}
	}
	return all
}

// alarm says what has not happened, or what else needs somebody.
func alarm(a alarmDocument) string {
	text := trouble(a.Kind) + " since " + moment(a.Since)
	if a.Why != "" {
		text += ": " + plain.Short(a.Why, longestWhy)
	}
	return text
}

// trouble says what an alarm of a kind is about, after the name of the job.
func trouble(kind string) string {
	switch kind {
	case "failed":
		return "has failed"
	case "canceled":
		return "was canceled"
	case "refused":
		return "is refused by a guard"
	case "missing":
		return "has files without a copy"
	case "nothing":
		return "copies less than expected"
	case "needs_human":
		return "waits for a person"
	case "stalled":
		return "has a task without progress"
	case "late":
		return "is late"
	case "overdue":
		return "is overdue"
	case "skipped":
		return "is skipped"
	case "access":
		return "has an access that ends"
	}
	return words(kind)
}

// failing says how often a job has failed, and why.
func failing(d *jobDocument) string {
	text := "has failed"
	if d.FailingFor > 1 {
		text += fmt.Sprintf(" %d times", d.FailingFor)
	}
	if r := d.LastRun; r != nil && r.Error != nil && failed(ledger.State(r.State)) {
		text += ": " + r.cause
	}
	return text
}

func (p *Page) showJobs(w http.ResponseWriter, r request) (any, error) {
	s, err := p.board.look(r.Context())
	if err != nil {
		return nil, err
	}
	v := jobsView{frame: p.frame("Jobs", r.who), Top: s.top(), All: len(s.file.Jobs), Filter: plain.Short(r.URL.Query().Get("q"), longestName)}
	v.Here = "jobs"
	for _, job := range s.file.Jobs {
		row := s.row(job)
		if v.Filter == "" || strings.Contains(job.Name+" "+job.Description+" "+row.State, v.Filter) {
			v.Rows = append(v.Rows, row)
		}
	}
	p.views.write(w, http.StatusOK, "jobs", v)
	return nil, nil
}

// An alarmsView is the page of all that needs somebody.
type alarmsView struct {
	frame
	Alarms []alarmView
}

func (p *Page) showAlarms(w http.ResponseWriter, r request) (any, error) {
	s, err := p.board.look(r.Context())
	if err != nil {
		return nil, err
	}
	p.views.write(w, http.StatusOK, "alarms", alarmsView{frame: p.frame("Alarms", r.who), Alarms: s.attention()})
	return nil, nil
}

// A jobView is the page of a job.
type jobView struct {
	frame
	Row     rowView
	Job     jobDocument
	Labels  []string
	Alarms  []string
	Coming  []time.Time // in the zone of the schedule
	Remarks []string
	Runs    []runView
	Actions []actionDocument
	Chart   chart
	Items   bool
}

// A runView is a run in a list.
type runView struct {
	runDocument
	Word, Class, Text, Took string
	Waited                  bool // from when it was asked for until it began
}

func viewRun(d runDocument) runView {
	v := runView{runDocument: d, Waited: d.Began == nil || d.Began.Sub(d.Claimed) >= time.Second}
	v.Word, v.Class, v.Text = told(&d, 0)
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

func (p *Page) showJob(w http.ResponseWriter, r request) (any, error) {
	s, job, err := p.named(r)
	if err != nil {
		return nil, err
	}
	v := jobView{frame: p.frame(job.Name, r.who), Row: s.row(job), Job: s.job(job), Items: job.ForEach != nil}
	for key, value := range job.Labels {
		v.Labels = append(v.Labels, plain.Line(key+" "+value))
	}
	slices.Sort(v.Labels)
	for _, a := range v.Job.Alarms {
		v.Alarms = append(v.Alarms, alarm(a))
	}
	if job.Schedule != nil {
		v.Remarks, v.Coming = job.Schedule.Remarks(), s.coming(job, v.Job.Paused)
	}
	past, err := once(r.Context(), s, "job "+job.Name, func() (jobHistory, error) { return p.history(r.Context(), s, job) })
	if err != nil {
		return nil, err
	}
	v.Runs, v.Actions, v.Chart = past.runs, past.actions, past.chart
	p.views.write(w, http.StatusOK, "job", v)
	return nil, nil
}

// A jobHistory is what a ledger has of a job.
type jobHistory struct {
	runs    []runView
	actions []actionDocument
	chart   chart
}

func (p *Page) history(ctx context.Context, s *scene, job *jobs.Job) (h jobHistory, err error) {
	runs, err := p.runs(ctx, ledger.Query{Job: job.Name, Limit: stripLength})
	if err != nil {
		return h, err
	}
	h.runs = viewRuns(runs.Data)
	if h.actions, err = p.actions(ctx, job.Name); err != nil {
		return h, err
	}
	days, err := p.Ledger.Days(ctx, job.Name, s.at.AddDate(0, 0, 1-chartDays))
	h.chart = drawChart(days, s.at)
	return h, err
}

// coming are the next starts of a job with a schedule, in its zone: after the pause, if
// there is one that ends.
func (s *scene) coming(job *jobs.Job, paused *pauseDocument) (starts []time.Time) {
	at := s.at
	if paused != nil && paused.Until != nil {
		at = *paused.Until
	}
	if job.Suspend || paused != nil && paused.Until == nil {
		return nil
	}
	for range comingShown {
		if at = job.Schedule.Next(at); !at.IsZero() {
			starts = append(starts, job.Due(jobs.ScheduledKey(at), at).In(job.Schedule.Location()))
		}
	}
	return starts
}

// An itemsView is the page of the items of a job.
type itemsView struct {
	frame
	Job   string
	Items []itemDocument
	Sums  []string
	More  bool
}

func (p *Page) showItems(w http.ResponseWriter, r request) (any, error) {
	s, job, err := p.named(r)
	if err != nil {
		return nil, err
	}
	all, err := once(r.Context(), s, "items "+job.Name, func() ([]itemDocument, error) { return p.items(r.Context(), job) })
	if err != nil {
		return nil, err
	}
	v := itemsView{frame: p.frame("Items of "+job.Name, r.who), Job: job.Name, Items: all, More: len(all) == mostItems}
	sums := map[string]int64{}
	for _, i := range all {
		sums[i.State]++
	}
	for state, n := range sums {
		v.Sums = append(v.Sums, words(state)+" "+count(n))
	}
	slices.Sort(v.Sums)
	p.views.write(w, http.StatusOK, "items", v)
	return nil, nil
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
	Run              runView
	Whole            *wholeRun
	Receipt          bool
	MayRetry, MayEnd bool
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

// A chart has a bar for each day.
type chart struct {
	Bars  []bar
	Label string
}

// A bar is a rectangle of a chart.
type bar struct {
	X, Y, Height int
	Title        string
}

const (
	chartHeight = 88
	chartStep   = 24
)

// drawChart draws how many bytes each of the last days has moved.
func drawChart(days []ledger.Day, at time.Time) chart {
	today := at.Truncate(24 * time.Hour)
	most := int64(1)
	for _, d := range days {
		most = max(most, d.Bytes)
	}
	c := chart{Label: "bytes a day, last 30 days; at most " + size(most)}
	for _, d := range days {
		if d.Bytes <= 0 {
			continue
		}
		i := chartDays - 1 - int(today.Sub(d.Day)/(24*time.Hour))
		h := max(2, int(d.Bytes*chartHeight/max(most, 1)))
		if most > 1<<55 {
			h = max(2, int(float64(d.Bytes)/float64(most)*chartHeight))
		}
		c.Bars = append(c.Bars, bar{
			X: i*chartStep + 4, Y: chartHeight - h, Height: h,
			Title: fmt.Sprintf("%s: %s, %s", d.Day.Format("2 Jan"), size(d.Bytes), plainCount(d.Files, "file")),
		})
	}
	return c
}

// A strip has a bar for each of the newest runs, as high as the run was long.
type strip struct {
	Bars  template.HTML // a path for each color
	Label string
}

const (
	stripHeight = 34
	stripStep   = 10
	leastHeight = 6
)

// drawStrip draws runs, the newest at the right.
func drawStrip(runs []ledger.Bar, at time.Time) strip {
	long := time.Second
	length := func(r *ledger.Bar) time.Duration {
		if r.Finished.IsZero() {
			return at.Sub(r.Began)
		}
		return r.Finished.Sub(r.Began)
	}
	for i := range runs {
		long = max(long, length(&runs[i]))
	}
	colors := [...]string{"ok", "run", "bad", "mute"}
	var paths [len(colors)][]byte
	counts := map[ledger.State]int{}
	for i := range runs {
		r := &runs[i]
		x := (stripLength - len(runs) + i) * stripStep
		h := leastHeight + int(int64(stripHeight-leastHeight)*int64(max(length(r), 0)/time.Millisecond)/int64(max(long/time.Millisecond, 1)))
		counts[r.State]++
		c := slices.Index(colors[:], class(string(r.State)))
		paths[c] = appendBar(paths[c], x, h)
	}
	var svg []byte
	for c, path := range paths {
		if path != nil {
			svg = append(append(append(append(append(svg, `<path class="`...), colors[c]...), `" d="`...), path...), `"/>`...)
		}
	}
	return strip{template.HTML(svg), stripLabel(counts, len(runs))} //nolint:gosec // it is made of numbers
}

// appendBar appends a bar to a path.
func appendBar(path []byte, x, height int) []byte {
	const width = "7" // of a bar
	path = strconv.AppendInt(append(path, 'M'), int64(x), 10)
	path = strconv.AppendInt(append(path, ' '), int64(stripHeight-height), 10)
	path = strconv.AppendInt(append(path, "h"+width+"v"...), int64(height), 10)
	return append(path, "h-"+width+"z"...)
}

// stripLabel says what a strip shows, for those who do not see it.
func stripLabel(counts map[ledger.State]int, all int) string {
	if all == 0 {
		return "no runs yet"
	}
	var parts []string
	for state, n := range counts {
		parts = append(parts, strconv.Itoa(n)+" "+words(string(state)))
	}
	slices.Sort(parts)
	return "last " + strconv.Itoa(all) + " runs: " + strings.Join(parts, ", ")
}
