package browser_test

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	pictures = flag.String("browser.pictures", "", "a folder that gets pictures of the pages")
	axe      = flag.String("browser.axe", "", "axe.min.js, which looks for what keeps people from using a page")
)

const (
	pageAdmin = "0123456789abcdef-admin"
	hostile   = `</b><script>document.title='gone'</script><img src=x onerror=alert(1)> \u202e`
)

// pageJobs are jobs of each kind: they succeed, fail, wait, follow and are paused.
const pageJobs = `version: 1
collections: {lab: %[1]s, vault: %[2]s}
jobs:
  nightly-archive:
    description: raw frames to the vault
    schedule: "30 1 * * *"
    time_zone: Europe/Zurich
    transfer: {source: "lab:/data/", destination: "vault:/raw/"}
  hand-over:
    description: %[3]q
    schedule: "0 5 * * *"
    transfer: {source: "lab:/none/", destination: "vault:/none/"}
  publish:
    description: figures for the web
    after: nightly-archive
    transfer: {source: "lab:/data/", destination: "vault:/web/"}
  archive-runs:
    description: each run when it is finished
    schedule: "*/10 * * * *"
    for_each: {folder: "lab:/runs/", ready: {older_than: 1m}}
    transfer: {source: "lab:/runs/{{ .Item.Name }}/", destination: "vault:/runs/{{ .Item.Name }}/"}
  mirror-references:
    schedule: "0 3 * * 0"
    transfer: {source: "lab:/data/", destination: "vault:/references/"}
`

// A facility is a simulated Globus with a scheduler.
type facility struct {
	t       *testing.T
	environ []string
	lab     string // ids of collections
	vault   string
	dir     string
	address string // of the page
}

func newFacility(t *testing.T) *facility {
	t.Helper()
	if *program == "" {
		t.Skip("no -browser.runner")
	}
	f := &facility{t: t, dir: t.TempDir()}
	for _, name := range []string{"lab/data/frame.h5", "lab/runs/run_0412/a.h5", "lab/runs/run_0413/<i>.h5", "vault/x"} {
		f.write(name, "frame")
	}
	sim := exec.CommandContext(t.Context(), *program, "sim", "--collection", "lab="+filepath.Join(f.dir, "lab"), "--collection", "vault="+filepath.Join(f.dir, "vault"))
	sim.Stderr, sim.WaitDelay = t.Output(), 5*time.Second
	out, err := sim.StdoutPipe()
	if err == nil {
		err = sim.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sim.Wait() }) // it was killed
	f.environ = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + f.dir, "USER=ada"}
	for lines := bufio.NewScanner(out); f.vault == "" && lines.Scan(); {
		switch m := exported.FindStringSubmatch(lines.Text()); {
		case m == nil:
		case m[1] == "COLLECTION_LAB":
			f.lab = m[2]
		case m[1] == "COLLECTION_VAULT":
			f.vault = m[2]
		default:
			f.environ = append(f.environ, m[1]+"="+m[2])
		}
	}
	if f.vault == "" {
		t.Fatal("the simulator did not start")
	}
	f.environ = append(f.environ, "RUNNER_STATE=sqlite:"+filepath.Join(f.dir, "runner.db"), "RUNNER_JOBS="+filepath.Join(f.dir, "jobs.yaml"))
	return f
}

func (f *facility) write(name, text string) {
	f.t.Helper()
	name = filepath.Join(f.dir, name)
	err := os.MkdirAll(filepath.Dir(name), 0o755) //nolint:gosec // of a test
	if err == nil {
		err = os.WriteFile(name, []byte(text), 0o600)
	}
	if err != nil {
		f.t.Fatal(err)
	}
}

// run starts the program and waits for its end.
func (f *facility) run(args ...string) {
	f.t.Helper()
	cmd := exec.CommandContext(f.t.Context(), *program, args...)
	cmd.Env = f.environ
	if out, err := cmd.CombinedOutput(); err != nil && !strings.Contains(string(out), "hand-over") {
		f.t.Errorf("%v: %v\n%s", args, err, out)
	}
}

// serve starts the scheduler with jobs, and waits for its page.
func (f *facility) serve(jobs string) {
	f.t.Helper()
	f.write("jobs.yaml", jobs)
	l, err := new(net.ListenConfig).Listen(f.t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		f.t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close() // the program opens it again
	cmd := exec.CommandContext(f.t.Context(), *program, "serve")
	cmd.Env = slices.Concat(f.environ, []string{"RUNNER_LISTEN=" + address, "RUNNER_ADMIN_TOKEN=" + pageAdmin})
	cmd.Stderr, cmd.WaitDelay = f.t.Output(), 5*time.Second
	if err := cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = cmd.Wait() }) // it was killed
	f.address = "http://" + address
	for begin := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		r, err := http.NewRequestWithContext(f.t.Context(), http.MethodGet, f.address+"/healthz", nil)
		if err != nil {
			f.t.Fatal(err)
		}
		if resp, err := http.DefaultTransport.RoundTrip(r); err == nil {
			_ = resp.Body.Close() // it was not read
			return
		}
		if time.Since(begin) > 30*time.Second {
			f.t.Fatal("the page did not come")
		}
	}
}

// A look is how a page is looked at.
type look struct {
	name        string
	width, high int
	dark        bool
	noScript    bool
}

func looks() []look {
	return []look{
		{"wide", 1280, 900, false, false},
		{"wide-dark", 1280, 900, true, false},
		{"phone", 390, 844, false, false},
		{"phone-dark", 390, 844, true, false},
		{"plain", 1280, 900, false, true},
	}
}

// dev sends a command to the browser's developer tools.
func (b *browser) dev(command string, params map[string]any) (value map[string]any) {
	b.t.Helper()
	b.do(http.MethodPost, "/goog/cdp/execute", map[string]any{"cmd": command, "params": params}, &value)
	return value
}

func (b *browser) as(l look) {
	b.t.Helper()
	scheme := "light"
	if l.dark {
		scheme = "dark"
	}
	b.dev("Emulation.setDeviceMetricsOverride", map[string]any{"width": l.width, "height": l.high, "deviceScaleFactor": 1, "mobile": l.width < 500})
	b.dev("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}})
	b.dev("Emulation.setScriptExecutionDisabled", map[string]any{"value": l.noScript})
}

// eval returns what an expression is worth in the page, as text.
func (b *browser) eval(expression string) string {
	b.t.Helper()
	got := b.dev("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true, "awaitPromise": true})
	result, _ := got["result"].(map[string]any)
	if result["subtype"] == "error" {
		b.t.Errorf("%s: %v", expression, result["description"])
	}
	return fmt.Sprint(result["value"])
}

// waitFor waits until an expression is true.
func (b *browser) waitFor(expression string) {
	b.t.Helper()
	for begin := time.Now(); b.eval(expression) != "true"; time.Sleep(50 * time.Millisecond) {
		if time.Since(begin) > 30*time.Second {
			b.t.Fatalf("%s does not come true; the page:\n%s", expression, b.eval("document.body.innerText"))
		}
	}
}

// picture keeps how the page looks.
func (b *browser) picture(name string) {
	b.t.Helper()
	if *pictures == "" {
		return
	}
	got := b.dev("Page.captureScreenshot", map[string]any{"format": "png"})
	data, err := base64.StdEncoding.DecodeString(fmt.Sprint(got["data"]))
	if err == nil {
		err = os.WriteFile(filepath.Join(*pictures, name+".png"), data, 0o600)
	}
	if err != nil {
		b.t.Error(err)
	}
}

// accessible reports what keeps people from using the page, as axe-core finds it.
func (b *browser) accessible(about string) {
	b.t.Helper()
	if *axe == "" {
		return
	}
	script, err := os.ReadFile(*axe)
	if err != nil {
		b.t.Fatal(err)
	}
	b.eval(string(script) + "; 1")
	text := b.eval("axe.run().then((r) => JSON.stringify(r.violations.map((v) => v.id + ': ' + v.nodes.map((n) => n.html + ' ' + n.failureSummary).slice(0, 3).join(' | '))))")
	var found []string
	if err := json.Unmarshal([]byte(text), &found); err != nil {
		b.t.Fatalf("%s: %v: %s", about, err, text)
	}
	for _, f := range found {
		b.t.Errorf("%s: %s", about, f)
	}
}

func TestPagesAreReadable(t *testing.T) {
	f := newFacility(t)
	about := hostile
	if *pictures != "" { // for the documents
		about = "what the instrument wrote, to the group"
	}
	file := fmt.Sprintf(pageJobs, f.lab, f.vault, about)
	f.write("jobs.yaml", file)
	for _, args := range []string{
		"run nightly-archive", "run nightly-archive", "run hand-over", "run hand-over", "run archive-runs", "run nightly-archive",
		"pause mirror-references --until 3d --reason moving",
	} {
		f.run(strings.Fields(args)...)
	}
	f.serve(file)
	b := start(t)
	for _, l := range looks() {
		b.as(l)
		for name, path := range map[string]string{
			"jobs": "/", "alarms": "/alarms", "job": "/jobs/nightly-archive", "failing": "/jobs/hand-over", "runs": "/runs", "run": "/runs/3", "items": "/items/archive-runs",
			"sign-in": "/sign-in", "missing": "/none", "found": "/?q=figures",
		} {
			about := name + " " + l.name
			b.open(f.address + path)
			if b.eval("document.documentElement.scrollWidth <= innerWidth") != "true" {
				t.Errorf("%s is wider than its window", about)
			}
			if got := b.eval("document.title"); !strings.HasSuffix(got, " · globus-runner") {
				t.Errorf("%s: the title is %q", about, got)
			}
			if !l.noScript {
				b.accessible(about)
			}
			b.picture("page-" + name + "-" + l.name)
		}
		for _, message := range b.log() {
			if !strings.Contains(message, "/none") { // the page that is not there
				t.Errorf("%s: the browser complains: %s", l.name, message)
			}
		}
	}
}

func TestPageFollowsWhatHappens(t *testing.T) {
	f := newFacility(t)
	f.serve(fmt.Sprintf(pageJobs, f.lab, f.vault, "hand-over"))
	b := start(t)
	b.as(looks()[0])
	b.open(f.address + "/")
	b.waitFor("document.querySelector('#job-nightly-archive .in').textContent.startsWith('(in ')")
	b.eval("window.same = true")
	f.run("trigger", "nightly-archive", "--reason", "now")
	b.waitFor("document.querySelector('#job-nightly-archive .last').textContent.startsWith('succeeded 1 file')")
	b.waitFor("document.querySelector('#job-publish .last').textContent.startsWith('succeeded 1 file')")
	if b.eval("window.same") != "true" {
		t.Error("the page was loaded again")
	}
	f.run("trigger", "hand-over")
	b.waitFor("document.querySelector('.alarms')?.textContent.includes('hand-over has failed')")
	b.waitFor("document.getElementById('said').textContent === 'hand-over has failed'")
	for _, page := range []struct{ path, comes string }{
		{"/runs", "[...document.querySelectorAll('tbody tr')].filter((r) => r.className === 'bad').length === 2"},
		{"/alarms", "document.querySelector('.alarms').textContent.includes('hand-over has failed 3 times')"},
	} {
		b.open(f.address + page.path)
		b.eval("window.same = true")
		f.run("trigger", "hand-over")
		b.waitFor(page.comes)
		if b.eval("window.same") != "true" {
			t.Errorf("%s was loaded again", page.path)
		}
	}
	if messages := b.log(); len(messages) > 0 {
		t.Errorf("the browser complains: %q", messages)
	}
}

func TestPageByKeyboard(t *testing.T) {
	const tab, enter = "\uE004", "\uE007"
	f := newFacility(t)
	f.serve(fmt.Sprintf(pageJobs, f.lab, f.vault, "hand-over"))
	b := start(t)
	b.as(looks()[0])
	b.open(f.address + "/")
	b.find("body").press(tab)
	if got := b.eval("document.activeElement.textContent"); got != "Skip to the content" {
		t.Errorf("the first thing to reach is %q", got)
	}
	b.open(f.address + "/sign-in?to=/jobs/publish")
	b.find("input[name=name]").press("Ada" + tab + pageAdmin + enter)
	b.arrives("publish · globus-runner")
	b.find("form[action$=pause] input").press("moving" + tab + tab + enter)
	b.waitFor("document.querySelector('form[action$=resume]') !== null")
	if text := b.find("main").get("text"); !strings.Contains(text, "paused by Ada: moving") {
		t.Errorf("the page says:\n%s", text)
	}
	b.find("form[action$=resume] button").press(enter)
	b.waitFor("document.querySelector('form[action$=pause]') !== null")
	b.find("form[action$=trigger] input").press("now" + enter)
	b.waitFor("location.pathname.startsWith('/runs/')")
	b.waitFor("document.querySelector('.state').textContent.startsWith('succeeded')")
	b.find(".quiet").press(enter)
	b.arrives("Jobs · globus-runner")
	b.find("a[href='/sign-in']")
}

func TestPageWithAnyNumberOfJobs(t *testing.T) {
	for _, n := range []int{1, 1000} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			f := newFacility(t)
			text := &strings.Builder{}
			fmt.Fprintf(text, "version: 1\ncollections: {lab: %s, vault: %s}\njobs:\n", f.lab, f.vault)
			for i := range n {
				fmt.Fprintf(text, "  job-%04d: {description: %q, schedule: \"%d 1 * * *\", transfer: {source: \"lab:/data/\", destination: \"vault:/%d/\"}}\n", i, hostile, i%60, i)
			}
			f.serve(text.String())
			b := start(t)
			for _, l := range looks() {
				b.as(l)
				b.open(f.address + "/")
				if got := b.eval("document.querySelectorAll('.job').length"); !l.noScript && got != fmt.Sprint(n) {
					t.Errorf("%s: %s jobs are shown, want %d", l.name, got, n)
				}
				if b.eval("document.documentElement.scrollWidth <= innerWidth") != "true" {
					t.Errorf("%s: the page is wider than its window", l.name)
				}
			}
			if messages := b.log(); len(messages) > 0 {
				t.Errorf("the browser complains: %q", messages)
			}
		})
	}
}
