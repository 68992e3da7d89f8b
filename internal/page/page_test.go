package page_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/page"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/test/scratch"
)

func TestMain(m *testing.M) { os.Exit(scratch.Run(m)) }

const (
	viewToken  = "view-0123456789abcdef"
	adminToken = "admin-0123456789abcdef"
	collection = "0b6c8f2e-0000-4000-8000-000000000001"
)

const someJobs = `
version: 1
collections: {lab: ` + collection + `}
jobs:
  nightly:
    description: raw frames to the vault
    labels: {group: imaging}
    schedule: "30 1 * * *"
    time_zone: Europe/Zurich
    transfer: {source: "lab:/a/", destination: "lab:/b/"}
  second:
    after: nightly
    transfer: {source: "lab:/b/", destination: "lab:/c/"}
  each:
    schedule: "@every 10m"
    for_each: {folder: "lab:/in/", ready: {older_than: 1m}}
    transfer: {source: "lab:/in/{{ .Item.Name }}/", destination: "lab:/out/{{ .Item.Name }}/"}
  held:
    suspend: true
    schedule: "@daily"
    transfer: {source: "lab:/d/", destination: "lab:/e/"}
`

// A desk is a page with its ledger, before somebody on the same machine.
type desk struct {
	t      *testing.T
	ledger *ledger.Ledger
	page   *page.Page
	log    *safeBuffer
	file   *jobs.File

	from, host string // where requests come from, and to which name
	header     http.Header
}

type safeBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func newDesk(t *testing.T, text string, edits ...func(*page.Config)) *desk {
	t.Helper()
	file, err := jobs.Parse(nil, jobs.Source{Name: "jobs.yaml", Data: []byte(text)})
	if err != nil {
		t.Fatal(err)
	}
	d := &desk{t: t, log: &safeBuffer{}, file: file, from: "127.0.0.1:4000", host: "localhost:9090", header: http.Header{}}
	log := slog.New(slog.NewTextHandler(d.log, nil))
	if d.ledger, err = ledger.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "runner.db"), log); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.ledger.Close() }) // it was only for the test
	c := page.Config{
		Ledger: d.ledger, Jobs: func() *jobs.File { return d.file }, Log: log, Name: "test",
		TaskPage: func(id, flow string) string {
			if flow != "" {
				return "https://app.globus.org/runs/" + id
			}
			return "https://app.globus.org/activity/" + id
		},
		Access: page.Access{
			View:  func() (string, error) { return viewToken, nil },
			Admin: func() (string, error) { return adminToken, nil },
		},
	}
	for _, edit := range edits {
		edit(&c)
	}
	d.page = page.New(c)
	return d
}

// run makes a run of a job that ends in a state, or goes on if that is not final.
func (d *desk) run(job, key string, o ledger.Outcome) int64 {
	d.t.Helper()
	r, _, err := d.ledger.Claim(d.t.Context(), ledger.Claim{Job: job, Key: key, Holder: "me", Lease: time.Hour})
	if err == nil && o.State.Final() {
		err = d.ledger.Finish(d.t.Context(), r.ID, "me", o)
	}
	if err != nil {
		d.t.Fatal(err)
	}
	return r.ID
}

// An answer is what came of a request.
type answer struct {
	status int
	header http.Header
	text   string
}

func (d *desk) send(method, path, body string, header ...string) answer {
	d.t.Helper()
	r := httptest.NewRequestWithContext(d.t.Context(), method, "http://"+d.host+path, strings.NewReader(body))
	r.RemoteAddr, r.Header = d.from, d.header.Clone()
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	d.page.Handler().ServeHTTP(w, r)
	text, err := io.ReadAll(w.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	return answer{w.Code, w.Header(), string(text)}
}

func (d *desk) get(path string, header ...string) answer {
	d.t.Helper()
	return d.send(http.MethodGet, path, "", header...)
}

// post acts with the admin token.
func (d *desk) post(path, body string) answer {
	d.t.Helper()
	return d.send(http.MethodPost, path, body, "Authorization", "Bearer "+adminToken)
}

func (d *desk) want(what string, got answer, status int, texts ...string) {
	d.t.Helper()
	if got.status != status {
		d.t.Errorf("%s: got status %d, want %d:\n%s", what, got.status, status, got.text)
	}
	for _, text := range texts {
		if !strings.Contains(got.text, text) {
			d.t.Errorf("%s: %q is not in the answer:\n%s", what, text, got.text)
		}
	}
}

func decode[T any](t *testing.T, a answer) T {
	t.Helper()
	var doc T
	if err := json.Unmarshal([]byte(a.text), &doc); err != nil {
		t.Fatalf("%v: %s", err, a.text)
	}
	return doc
}

func TestJobsAreShownWithTheirRuns(t *testing.T) {
	d := newDesk(t, someJobs)
	d.run("nightly", "1", ledger.Outcome{State: ledger.Succeeded, Totals: ledger.Totals{Files: 38214, Bytes: 4_100_000_000_000}})
	d.run("second", "1", ledger.Outcome{State: ledger.Failed, Class: "refused", Message: "no write access to lab:/c/"})
	d.run("second", "2", ledger.Outcome{State: ledger.Failed, Class: "refused", Message: "no write access to lab:/c/"})
	d.run("each", "item:a", ledger.Outcome{})
	d.page.Progress("each", page.Progress{Task: "t", Class: "stalled", Files: 1000, FilesTransferred: 412, Bytes: 1_200_000, Rate: 910_000})
	tell := func(now ledger.Standing) (ledger.Standing, []ledger.Notice) {
		now.Alarms = []ledger.Alarm{{Kind: "overdue", Since: time.Now(), Why: "no success for 26h"}, {Kind: "failed", Why: "the same"}}
		return now, nil
	}
	if err := d.ledger.Tell(t.Context(), "nightly", tell); err != nil {
		t.Fatal(err)
	}
	d.want("the job", d.get("/jobs/nightly"), 200, `<span class="when">every day at 01:30 · 30 1 * * * Europe/Zurich</span>`, `<p class="error">This job is overdue since `, ": no success for 26h")
	d.want("the jobs", d.get("/"), 200,
		`<a href="/jobs/nightly">nightly</a> is overdue since `, ": no success for 26h",
		`<a href="/jobs/nightly">nightly</a>`, "30 1 * * * Europe/Zurich", "raw frames to the vault",
		"<b>succeeded</b> 38\u202f214 files, 4.1\u202fTB in", `aria-label="last 1 runs: 1 succeeded"`,
		`<a href="/jobs/second">second</a> has failed 2 times: no write access to lab:/c/`, "starts after nightly",
		"<b>running</b>", "412 of 1\u202f000 files", "910.0\u202fkB/s", "stalled", `<progress value="412" max="1000"`,
		"suspended in the jobs file", "<dd>4.1\u202fTB</dd>")
	all := decode[struct {
		Data []struct {
			Name, State string
			FailingFor  int `json:"failing_for"`
			Next        *time.Time
			Runs        []struct {
				Run             int64
				Began, Finished *time.Time
			}
		}
	}](t, d.get("/api/v1/jobs"))
	var got strings.Builder
	for _, j := range all.Data {
		fmt.Fprintf(&got, "%s %s %d %t, ", j.Name, j.State, j.FailingFor, j.Next != nil)
		for _, run := range j.Runs {
			kept, err := d.ledger.Run(t.Context(), run.Run)
			if err != nil {
				t.Fatal(err)
			}
			if ended := run.Finished != nil; !run.Began.Equal(kept.Began) || ended != kept.State.Final() || ended && !run.Finished.Equal(kept.Finished) {
				t.Errorf("run %d has begun at %v and ended at %v; the ledger has %v and %v", run.Run, run.Began, run.Finished, kept.Began, kept.Finished)
			}
		}
	}
	if want := "each claimed 0 true, held suspended 0 false, nightly succeeded 0 true, second failed 2 false, "; got.String() != want {
		t.Errorf("got %s\nwant %s", &got, want)
	}
}

func TestWhatWasCopiedIsShownBeforeAllFilesAreFound(t *testing.T) {
	d := newDesk(t, someJobs)
	d.run("nightly", "1", ledger.Outcome{})
	d.page.Progress("nightly", page.Progress{Class: "progressing", FilesTransferred: 1, Bytes: 2000})
	got := d.get("/")
	d.want("the jobs", got, 200, " · 1 file · 2.0\u202fkB</p>")
	if strings.Contains(got.text, "<progress") {
		t.Errorf("there is a bar, of no files:\n%s", got.text)
	}
}

func TestACanceledRunIsNeitherAFailureNorTheEndOfOne(t *testing.T) {
	d := newDesk(t, someJobs)
	canceled := ledger.Outcome{State: ledger.Canceled, Class: "canceled", Message: "canceled on request"}
	d.run("nightly", "1", canceled)
	for _, key := range []string{"1", "2"} {
		d.run("second", key, ledger.Outcome{State: ledger.Failed, Class: "refused", Message: "no write access to lab:/c/"})
	}
	d.run("second", "3", canceled)
	list := d.get("/")
	d.want("the jobs", list, 200, `<dt>failing</dt><dd class="bad">1</dd>`, `<a href="/jobs/second">second</a> has failed 2 times</p>`, "<b>canceled</b> canceled on request</p>")
	d.want("the alarms", d.get("/alarms"), 200, `<a href="/jobs/second">second</a> has failed 2 times</p>`)
	if strings.Contains(list.text, `<a href="/jobs/nightly">nightly</a> has failed`) || strings.Contains(list.text, "in a row") {
		t.Errorf("a canceled run counts as a failure: %s", list.text)
	}
}

func TestAllAlarmsAreOnAPageOfTheirOwn(t *testing.T) {
	d := newDesk(t, someJobs)
	d.want("without alarms", d.get("/alarms"), 200, "Nothing needs attention.")
	kinds := []string{"nothing", "missing", "refused", "needs_human", "stalled", "late", "failed", "canceled"}
	err := d.ledger.Tell(t.Context(), "nightly", func(now ledger.Standing) (ledger.Standing, []ledger.Notice) {
		for _, kind := range kinds {
			now.Alarms = append(now.Alarms, ledger.Alarm{Kind: kind, Since: time.Now(), Why: "why " + kind})
		}
		return now, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	d.post("/api/v1/jobs/nightly/pause", "") // the page looks again
	first := d.get("/")
	d.want("the first page", first, 200, "nightly</a> copies less than expected since ", `<a href="/alarms">and 2 more</a>`)
	all := d.get("/alarms")
	d.want("all alarms", all, 200, "copies less than expected since", "has files without a copy since", "is refused by a guard since",
		"waits for a person since", "has a task without progress since", "is late since", ": why late", "has failed since")
	d.want("the job", d.get("/jobs/nightly"), 200, "was canceled since")
	if strings.Contains(first.text, "why late") || strings.Count(all.text, `href="/jobs/nightly"`) != len(kinds)-1 { // that a run was canceled needs nobody
		t.Errorf("the first page has more than five alarms, or the page of all not each once: %s", all.text)
	}
}

func TestAJobsFileThatIsNotInForceIsShown(t *testing.T) {
	_, mistakes := jobs.Parse(nil, jobs.Source{Name: "/etc/jobs<i>.yaml", Data: []byte("version: 1\njobs:\n  nightly:\n    schedule: \"30 25 * * *\"\n    steps: []\n")})
	since := time.Date(2026, 11, 28, 2, 0, 0, 0, time.UTC)
	var pending *page.Pending
	d := newDesk(t, someJobs, func(c *page.Config) { c.Pending = func() *page.Pending { return pending } })
	if got := d.get("/"); strings.Contains(got.text, "not in force") {
		t.Errorf("the newest jobs file is in force, but: %s", got.text)
	}
	show := func(p *page.Pending) (html, api answer) {
		pending = p
		d.post("/api/v1/jobs/nightly/pause", "") // the page looks again
		return d.get("/"), d.get("/api/v1/jobs")
	}
	html, api := show(&page.Pending{Since: since, Why: mistakes})
	d.want("the page", html, 200, "The newest jobs file is not in force</b> since Sat 28 Nov 02:00:00 UTC",
		"<code>/etc/jobs&lt;i&gt;.yaml:4</code> jobs.nightly.schedule: ", `href="/jobs/nightly"`)
	d.want("the API", api, 200, `"pending":{"since":"2026-11-28T02:00:00Z","problems":[{"file":"/etc/jobs`, `"line":4,"field":"jobs.nightly.schedule","message":"`)
	var many []error
	for i := range 8 {
		many = append(many, &jobs.Problem{Msg: fmt.Sprint("mistake ", i)})
	}
	html, api = show(&page.Pending{Since: since, Why: errors.Join(many...)})
	d.want("many mistakes", html, 200, "<p>mistake 4</p>", "and 3 more: <code>runner validate</code>")
	d.want("many mistakes", api, 200, `{"message":"mistake 4"}],"more":3}`)
	html, _ = show(&page.Pending{Since: since, Why: errors.New("there is no file")})
	d.want("no file", html, 200, "<p>there is no file</p>")
}

func TestPageWithoutJobsSaysSo(t *testing.T) {
	d := newDesk(t, someJobs)
	d.file = &jobs.File{}
	d.want("no jobs", d.get("/"), 200, "There are no jobs in the jobs file yet.")
}

func TestJobsAreFound(t *testing.T) {
	d := newDesk(t, someJobs)
	got := d.get("/?q=frames")
	d.want("found", got, 200, `href="/jobs/nightly"`, "all 4 jobs")
	if strings.Contains(got.text, `href="/jobs/second"`) {
		t.Error("a job that does not match is shown")
	}
	d.want("nothing", d.get("/?q=<i>"), 200, "No job of 4 matches.", `value="&lt;i&gt;"`)
}

func TestRunIsShownWithItsTasksAndEvents(t *testing.T) {
	d := newDesk(t, someJobs)
	r, _, err := d.ledger.Claim(t.Context(), ledger.Claim{Job: "nightly", Key: "k", Holder: "me", Lease: time.Hour})
	if err == nil {
		err = d.ledger.Submit(t.Context(), "me", ledger.Submission{ID: "s1", Run: r.ID, Attempt: 1, Label: "nightly k", Document: []byte("{}")})
	}
	if err == nil {
		err = d.ledger.Accepted(t.Context(), "s1", "t1")
	}
	if err == nil {
		err = d.ledger.Submit(t.Context(), "me", ledger.Submission{ID: "s2", Run: r.ID, Step: 2, Attempt: 1, Label: "nightly k s2", Flow: "f1", Document: []byte("{}")})
	}
	if err == nil {
		err = d.ledger.Accepted(t.Context(), "s2", "r1")
	}
	if err == nil {
		err = d.ledger.Note(t.Context(), r.ID, time.Now(), "stalled", "no progress for 30m")
	}
	if err != nil {
		t.Fatal(err)
	}
	d.want("run", d.get("/runs/1"), 200, "<b>running</b>", `<a href="https://app.globus.org/activity/t1">t1</a>`, `<a href="https://app.globus.org/runs/r1">r1</a>`, "no progress for 30m", "runner runs cancel 1")
	doc := decode[struct {
		State, Holder, Next string
		Tasks               []struct{ URL string }
		Events              []struct{ Kind string }
	}](t, d.get("/api/v1/runs/1"))
	if doc.State != "submitted" || doc.Holder != "me" || len(doc.Tasks) != 2 || len(doc.Events) != 6 || doc.Next != "runner runs cancel 1" {
		t.Errorf("got %+v", doc)
	}
	for _, path := range []string{"/runs/99", "/runs/x", "/runs/-1", "/api/v1/runs/99", "/api/v1/runs/0/receipt", "/api/v1/runs/1/receipt", "/jobs/none", "/api/v1/jobs/none", "/items/nightly", "/api/v1/none", "/none"} {
		d.want(path, d.get(path), 404)
	}
}

func TestARunThatWaitsHasNotStarted(t *testing.T) {
	d := newDesk(t, someJobs)
	d.want("trigger", d.post("/api/v1/jobs/nightly/trigger", ""), 202)
	waits := d.get("/runs/1")
	d.want("the run", waits, 200, "<b>waiting</b>", "<dt>asked for</dt>")
	if strings.Contains(waits.text, "<dt>started</dt>") {
		t.Errorf("a run that waits has started: %s", waits.text)
	}
	d.want("the runs", d.get("/runs"), 200, "<b>waiting</b></td><td></td><td></td>")
	if _, err := d.ledger.TakeOver(t.Context(), "me", time.Hour, 1); err != nil {
		t.Fatal(err)
	}
	d.post("/api/v1/jobs/second/pause", "") // the page looks again
	d.want("begun", d.get("/runs/1"), 200, "<b>running</b>", "<dt>started</dt>")
	d.want("begun", d.get("/api/v1/runs/1"), 200, `"began":"`)
}

func TestWhatHoldsARunIsSaidWhereItsJobStands(t *testing.T) {
	d := newDesk(t, someJobs)
	run := d.run("nightly", "1", ledger.Outcome{})
	d.want("nothing", d.get("/"), 200, "<b>running</b> since ")
	note := func(kind, text string) {
		if err := d.ledger.Note(t.Context(), run, time.Now(), kind, text); err != nil {
			t.Fatal(err)
		}
		d.post("/api/v1/jobs/second/pause", "") // the page looks again
	}
	note("waiting", "collection <lab> is offline")
	const why = "; nothing could be submitted at "
	for _, path := range []string{"/", "/jobs/nightly"} {
		d.want(path, d.get(path), 200, why, ": collection &lt;lab&gt; is offline")
	}
	d.want("the API", d.get("/api/v1/jobs/nightly"), 200, `"held":"nothing could be submitted at `)
	note("resumed", "by me")
	if got := d.get("/"); strings.Contains(got.text, why) {
		t.Errorf("it goes on, and the page says %s", got.text)
	}
}

func TestWhatHoldsAnItemIsSaid(t *testing.T) {
	d := newDesk(t, someJobs)
	err := d.ledger.KeepItems(t.Context(), "each", []ledger.Item{{Name: "a", Key: "item:a", Generation: 1, State: "ready", Since: time.Now()}})
	run := d.run("each", "item:a", ledger.Outcome{})
	if err := errors.Join(err, d.ledger.Note(t.Context(), run, time.Now(), "waiting", "collection lab is offline")); err != nil {
		t.Fatal(err)
	}
	for path, job := range map[string]string{"/items/each": "", "/": "<b>waiting</b> since "} {
		d.want(path, d.get(path), 200, "nothing could be submitted at ", ": collection lab is offline", job)
	}
}

// A job that is done for each item has not recovered because another one succeeded.
func TestFailedItemsNeedAttention(t *testing.T) {
	d := newDesk(t, someJobs)
	var all []ledger.Item
	for _, name := range []string{"a", "b", "c"} {
		all = append(all, ledger.Item{Name: name, Key: "item:" + name, Generation: 1, State: "ready", Since: time.Now()})
	}
	err := d.ledger.KeepItems(t.Context(), "each", all)
	for _, name := range []string{"a", "b"} {
		d.run("each", "item:"+name, ledger.Outcome{State: ledger.Failed, Class: "refused", Message: "it is a folder"})
	}
	d.run("each", "item:c", ledger.Outcome{State: ledger.Succeeded})
	err = errors.Join(err, d.ledger.Tell(t.Context(), "each", func(now ledger.Standing) (ledger.Standing, []ledger.Notice) {
		now.Alarms = append(now.Alarms, ledger.Alarm{Kind: "failed", Since: time.Now(), Why: "it is a folder"})
		return now, nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	d.want("alarms", d.get("/alarms"), 200, "each</a> has 2 failed items: it is a folder")
	d.want("jobs", d.get("/"), 200, "<b>succeeded</b> ", " · 2 failed items")
	d.want("the API", d.get("/api/v1/jobs/each"), 200, `"failed_items":2`)

	d.header.Set("Authorization", "Bearer "+adminToken)
	d.want("a run that failed", d.get("/runs/1"), 200, "Give it up", "Retry")
	d.want("the API", d.post("/api/v1/runs/1/cancel", `{"reason": "the sample was bad"}`), 202, `"run":1`)
	d.want("the API again", d.post("/api/v1/runs/1/cancel", ""), 409, "was canceled")
	d.want("alarms", d.get("/alarms"), 200, "each</a> has 1 failed item")
	d.want("the page", d.send(http.MethodPost, "/runs/2/cancel", "reason=it+too", "Content-Type", "application/x-www-form-urlencoded"), 303)
	if got := d.get("/alarms"); strings.Contains(got.text, "each</a>") {
		t.Errorf("all was given up, and it says %s", got.text)
	}
	if got := d.get("/runs/1"); strings.Contains(got.text, "Give it up") || !strings.Contains(got.text, "given up by ") {
		t.Errorf("what was given up shows %s", got.text)
	}
	d.want("items", d.get("/jobs/each"), 200, "canceled")
}

func TestARefusalOfAGuardNeedsAttentionOnce(t *testing.T) {
	d := newDesk(t, someJobs)
	alarm := func(kinds ...string) {
		err := d.ledger.Tell(t.Context(), "second", func(now ledger.Standing) (ledger.Standing, []ledger.Notice) {
			for _, kind := range kinds {
				now.Alarms = append(now.Alarms, ledger.Alarm{Kind: kind, Since: time.Now(), Why: "why " + kind})
			}
			return now, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for class, tt := range map[string]struct{ kind, text string }{
		"guard":   {"refused", "is refused by a guard 2 times: "},
		"missing": {"missing", "has files without a copy 2 times: "},
		"refused": {"failed", "has failed 2 times: "},
	} {
		t.Run(class, func(t *testing.T) {
			d = newDesk(t, someJobs)
			for _, key := range []string{"1", "2"} {
				d.run("second", key, ledger.Outcome{State: ledger.Failed, Class: class, Message: "it is <empty>"})
			}
			alarm(tt.kind, "stalled")
			got := d.get("/alarms")
			d.want(class, got, 200, "second</a> "+tt.text+"it is &lt;empty&gt;", "has a task without progress")
			cause := "it is &lt;empty&gt;"
			if class == "guard" {
				cause = "refused by a guard: " + cause
			}
			d.want("the list", d.get("/"), 200, "<b>failed</b> "+cause) // the state is that of runner runs
			d.want("the run", d.get("/runs/1"), 200, `<p class="error">`+cause)
			d.want("the runs", d.get("/runs"), 200, `<td class="why">`+cause)
			if strings.Count(got.text, `href="/jobs/second"`) != 2 || strings.Contains(got.text, "why "+tt.kind) {
				t.Errorf("it is not said once: %s", got.text)
			}
		})
	}
}

func TestALookIsOfferedWhileTheSchedulerLooks(t *testing.T) {
	for name, tt := range map[string]struct{ of, edit, want string }{
		"scheduled":    {"", "", "Look now"},
		"suspended":    {"    for_each:", "    suspend: true\n    for_each:", "It looks for items again when the jobs file does not suspend it any more."},
		"not due ever": {"    schedule: \"@every 10m\"\n", "", "It has no schedule, so the scheduler does not look for its items."},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, strings.Replace(someJobs, tt.of, tt.edit, 1))
			d.header.Set("Authorization", "Bearer "+adminToken)
			d.want("the job", d.get("/jobs/each"), 200, tt.want)
			d.post("/api/v1/jobs/each/pause", "")
			got := d.get("/jobs/each")
			d.want("paused", got, 200, "It looks for items again when it is resumed.")
			if strings.Contains(got.text, "Look now") {
				t.Errorf("a look is offered, and none is made: %s", got.text)
			}
		})
	}
	d := newDesk(t, someJobs)
	d.header.Set("Authorization", "Bearer "+adminToken)
	d.post("/api/v1/jobs/nightly/pause", "")
	d.want("a job without items", d.get("/jobs/nightly"), 200, "Run now")
}

func TestRunsComeByPages(t *testing.T) {
	d := newDesk(t, someJobs)
	for i := range 5 {
		d.run("nightly", fmt.Sprint(i), ledger.Outcome{State: ledger.Failed})
	}
	d.run("second", "1", ledger.Outcome{State: ledger.Succeeded})
	var got []int64
	path := "/api/v1/runs?job=nightly&state=failed&limit=2"
	for cursor := ""; ; {
		doc := decode[struct {
			Data []struct{ Run int64 }
			Next string
		}](t, d.get(path+cursor))
		for _, r := range doc.Data {
			got = append(got, r.Run)
		}
		if doc.Next == "" {
			break
		}
		cursor = "&cursor=" + doc.Next
	}
	if fmt.Sprint(got) != "[5 4 3 2 1]" {
		t.Errorf("got the runs %v, want each once, the newest first", got)
	}
	for _, query := range []string{"state=done", "since=yesterday", "cursor=x", "cursor=-1", "limit=0", "limit=501", "limit=x"} {
		d.want(query, d.get("/api/v1/runs?"+query), 400, `{"error":"`)
	}
	d.want("since", d.get("/api/v1/runs?since="+time.Now().Add(time.Hour).UTC().Format(time.RFC3339)), 200, `{"data":[]}`)
	d.want("older", d.get("/runs?job=nightly"), 200, `<option value="failed">failed</option>`)
}

func TestQueriesWithUnknownKeysAreRefused(t *testing.T) {
	d := newDesk(t, someJobs)
	d.want("misspelled", d.get("/api/v1/runs?jbo=nightly"), 400, `unknown key \"jbo\" in the query; it can have job, state, since, cursor, limit`)
	d.want("none", d.get("/api/v1/jobs?limit=1"), 400, `unknown key \"limit\" in the query: there are none here`)
	d.want("a page", d.get("/runs?jbo=nightly"), 400, "unknown key")
	d.want("the jobs", d.get("/?q=nightly"), 200)
}

func TestOtherMethodsAreRefusedWithThoseThatThereAre(t *testing.T) {
	d := newDesk(t, someJobs)
	for path, want := range map[string]string{
		"/api/v1/jobs": "GET, HEAD", "/api/v1/jobs/nightly/pause": "POST", "/": "GET, HEAD", "/runs/1": "GET, HEAD", "/sign-in": "GET, HEAD, POST",
	} {
		got := d.send("PUT", path, "", "Authorization", "Bearer "+adminToken)
		d.want(path, got, 405, "PUT is not possible here: use "+want)
		if allow := got.header.Get("Allow"); allow != want {
			t.Errorf("%s: got Allow: %s, want %s", path, allow, want)
		}
	}
	d.want("no such path", d.send("PUT", "/none", ""), 404)
	if got := d.send("HEAD", "/api/v1/jobs", ""); got.status != 200 {
		t.Errorf("HEAD: got status %d", got.status)
	}
}

func TestAPauseEndsAfterADurationOrAtAnInstant(t *testing.T) {
	d := newDesk(t, someJobs)
	const path = "/api/v1/jobs/nightly/pause"
	for _, until := range []string{"8h", "2d", "2100-01-01T00:00:00Z", "2100-01-01"} {
		d.want(until, d.post(path, `{"until": "`+until+`"}`), 202, `"until":"2`)
		d.post("/api/v1/jobs/nightly/resume", "")
	}
	d.want("no word for it", d.post(path, `{"until": "tomorrow"}`), 400, "until is neither a duration such as 8h nor an instant such as 2026-11-21T08:00:00Z")
	d.want("over", d.post(path, `{"until": "2020-01-01T00:00:00Z"}`), 409, "over already")

	// The next start is the first after the pause.
	d.post(path, `{"until": "2100-01-01T00:00:00Z"}`)
	d.want("the job", d.get("/api/v1/jobs/nightly"), 200, `"next":"2100-01-01T00:30:00Z"`)
	d.want("its page", d.get("/jobs/nightly"), 200, "Fri 1 Jan 01:30:00 CET")
	d.post("/api/v1/jobs/nightly/resume", "")
	d.post(path, "")
	if got := d.get("/api/v1/jobs/nightly"); strings.Contains(got.text, `"next"`) {
		t.Errorf("a job that is paused until it is resumed has a next start: %s", got.text)
	}
}

func TestItemsAreShownWithTheirReasons(t *testing.T) {
	d := newDesk(t, someJobs)
	err := d.ledger.KeepItems(t.Context(), "each", []ledger.Item{
		{Name: "run_1", Key: "item:run_1", Generation: 1, State: "waiting", Why: "unchanged for 7 of 15m", Since: time.Now(), Size: 5},
		{Name: "run_2<b>", Key: "item:run_2", Generation: 1, State: "ready", Since: time.Now()},
	})
	if err != nil {
		t.Fatal(err)
	}
	d.want("items", d.get("/items/each"), 200, "run_1", "unchanged for 7 of 15m", "run_2&lt;b&gt;", "place 1 in the queue", "queued 1 · waiting 1")
	d.want("items", d.get("/api/v1/jobs/each/items"), 200, `"name":"run_1"`, `"size":5`, `"position":1`)
	for path, size := range map[string]string{"/items/each": ">0\u202fB<", "/api/v1/jobs/each/items": `"size":0`} {
		if strings.Contains(d.get(path).text, size) {
			t.Errorf("%s has a size of the item that was not listed", path)
		}
	}
	d.want("the job", d.get("/jobs/each"), 200, `href="/items/each"`)
}

func TestALookThatFailsIsShown(t *testing.T) {
	d := newDesk(t, someJobs)
	const why = "403 PermissionDenied"
	failed := func(told time.Time) {
		_, err := d.ledger.Watch(t.Context(), "each", "me", time.Hour)
		err = errors.Join(err, d.ledger.EndLook(t.Context(), "each", ""), d.ledger.EndLook(t.Context(), "each", why),
			d.ledger.Tell(t.Context(), "each", func(s ledger.Standing) (ledger.Standing, []ledger.Notice) {
				s.Alarms = []ledger.Alarm{{Kind: "look", Since: time.Now(), Told: told, Why: why, Quiet: told.IsZero()}}
				return s, nil
			}))
		if err != nil {
			t.Fatal(err)
		}
	}
	failed(time.Time{})
	d.want("what may pass", d.get("/alarms"), 200, "Nothing needs attention")
	d.want("items", d.get("/items/each"), 200, "The last look failed at", why, "The last one that saw the folder was at")

	d = newDesk(t, someJobs)
	failed(time.Now())
	d.want("alarms", d.get("/alarms"), 200, "each</a> cannot look for items since", why)
	d.want("the list", d.get("/"), 200, "cannot look")
	d.want("the job", d.get("/jobs/each"), 200, "This job cannot look for items since")
	d.want("the API", d.get("/api/v1/jobs/each"), 200, `"kind":"look"`)
}
