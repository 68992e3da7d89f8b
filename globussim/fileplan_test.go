package globussim_test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/globussim"
)

// plan begins a file plan over the control path.
func (l *lab) plan(steps string) answer {
	l.t.Helper()
	return order(l.t, l.Server, http.MethodPost, "files", `{"steps": [`+steps+`]}`)
}

// ages lists a folder of the lab: each name with its size and how long ago it
// changed.
func (l *lab) ages(path string) map[string]string {
	l.t.Helper()
	a := l.call(http.MethodGet, "/operation/endpoint/"+l.labID+"/ls?path="+path, nil)
	list := map[string]string{}
	for _, row := range a.rows() {
		at, err := time.Parse("2006-01-02 15:04:05+00:00", row.text("last_modified"))
		if err != nil {
			l.t.Fatal(err)
		}
		size := ""
		if row.text("type") == "file" {
			size = fmt.Sprintf("%v bytes, ", row.doc["size"])
		}
		list[row.text("name")] = fmt.Sprintf("%s%v ago", size, time.Since(at).Truncate(time.Second))
	}
	return list
}

func TestAFilePlanWritesLikeAnInstrument(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		begin := time.Now()
		if a := l.plan(`
			{"at": "10s", "collection": "lab", "write": {"path": "/runs/tmp_1/frame", "size": 100, "rate": 10}},
			{"collection": "lab", "mkdir": "/runs/empty"},
			{"at": "15s", "collection": "` + l.labID + `", "rename": {"from": "/runs/tmp_1", "to": "/runs/run_1"}},
			{"at": "40s", "collection": "lab", "write": {"path": "/runs/run_1/done", "content": "ok"}},
			{"at": "50s", "collection": "lab", "touch": "/runs/run_1/frame"},
			{"at": "55s", "collection": "lab", "write": {"path": "/runs/run_1/done", "content": "ay", "append": true}},
			{"at": "60s", "collection": "lab", "remove": "/runs/run_1"},
			{"at": "5s", "collection": "lab", "write": {"path": "/deep/a/b/c", "size": 1}}`); a.status != http.StatusOK || a.doc["pending"].(float64)+a.doc["done"].(float64) != 8 { // the first step is due at once
			t.Fatalf("got %d %s", a.status, a.body)
		}
		for _, tt := range []struct {
			at     time.Duration
			folder string
			want   map[string]string
		}{
			{5 * time.Second, "/runs/", map[string]string{"empty": "5s ago"}},
			{13 * time.Second, "/runs/tmp_1/", map[string]string{"frame": "30 bytes, 0s ago"}},
			{18 * time.Second, "/runs/", map[string]string{"empty": "18s ago", "run_1": "8s ago"}},
			{18 * time.Second, "/runs/run_1/", map[string]string{"frame": "80 bytes, 0s ago"}},
			{30 * time.Second, "/runs/run_1/", map[string]string{"frame": "100 bytes, 10s ago"}},
			{45 * time.Second, "/runs/run_1/", map[string]string{"frame": "100 bytes, 25s ago", "done": "2 bytes, 5s ago"}},
			{59 * time.Second, "/runs/run_1/", map[string]string{"frame": "100 bytes, 9s ago", "done": "4 bytes, 4s ago"}},
			{60 * time.Second, "/deep/", map[string]string{"a": "55s ago"}},
			{61 * time.Second, "/runs/", map[string]string{"empty": "1m1s ago"}},
		} {
			time.Sleep(time.Until(begin.Add(tt.at + time.Millisecond)))
			if tt.at == 59*time.Second {
				got, err := os.ReadFile(filepath.Join(l.lab, "runs/run_1/frame"))
				if want := globussim.FileContent("/runs/tmp_1/frame", 100); err != nil || !bytes.Equal(got, want) {
					t.Errorf("the file has %q (%v), want %q", got, err, want)
				}
			}
			if diff := cmp.Diff(tt.want, l.ages(tt.folder)); diff != "" {
				t.Errorf("%s after %v (-want +got):\n%s", tt.folder, tt.at, diff)
			}
		}
		if diff := cmp.Diff(globussim.FilePlanState{Done: 8}, l.FileState()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestFilePlansThatCannotBeAreRefused(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		good := `{"collection": "lab", "mkdir": "/x"}, `
		for steps, want := range map[string]string{
			``: "the plan has no steps",
			good + `{"collection": "vualt", "mkdir": "/x"}`:                                                              `step 2: there is no collection "vualt"`,
			good + `{"collection": "lab", "mkdir": "x"}`:                                                                 `step 2: mkdir: the path "x" is not absolute`,
			good + `{"collection": "lab", "remove": "/a/.."}`:                                                            `step 2: remove: the top of a collection cannot be changed`,
			good + `{"collection": "lab", "touch": "/~/x"}`:                                                              `step 2: touch: the path "/~/x" is not absolute`,
			good + `{"collection": "lab", "write": {"size": 1}}`:                                                         `step 2: write: the path "" is not absolute`,
			good + `{"collection": "lab", "write": {"path": "/x", "size": -1}}`:                                          `step 2: write: a size or a rate is negative`,
			good + `{"collection": "lab", "write": {"path": "/x", "rate": -1}}`:                                          `step 2: write: a size or a rate is negative`,
			good + `{"collection": "lab", "write": {"path": "/x", "size": 1073741825}}`:                                  `step 2: write: the size 1073741825 is more than 1073741824`,
			good + `{"collection": "lab", "write": {"path": "/x", "size": 1, "content": "a"}}`:                           `step 2: write: it has a content and a size`,
			good + `{"collection": "lab", "rename": {"from": "/a"}}`:                                                     `step 2: rename: the path "" is not absolute`,
			good + `{"collection": "lab", "rename": {"to": "/a"}}`:                                                       `step 2: rename: the path "" is not absolute`,
			good + `{"collection": "lab"}`:                                                                               `step 2: it has 0 of write, rename, mkdir, touch and remove, and must have one`,
			good + `{"collection": "lab", "mkdir": "/a", "touch": "/a"}`:                                                 `step 2: it has 2 of write`,
			good + `{"collection": "lab", "mkdir": "/a", "at": "soon"}`:                                                  `step 2: at: time: invalid duration "soon"`,
			good + `{"collection": "lab", "mkdir": "/a", "at": "-1s"}`:                                                   `step 2: at: -1s is not between 0s and`,
			good + `{"collection": "lab", "mkdir": "/a", "at": "9000h"}`:                                                 `step 2: at: 9000h0m0s is not between 0s and`,
			good + `{"collection": "lab", "mkdri": "/a"}`:                                                                `unknown field "mkdri"`,
			strings.Repeat(`{"collection":"lab","mkdir":"/x"},`, 20_000) + strings.TrimRight(good, ", "):                 `the plan has 20001 steps, more than 20000`,
			strings.TrimSuffix(strings.Repeat(`{"collection":"lab","write":{"path":"/x","size":1073741824}},`, 17), ","): `the plan writes 18253611008 bytes, more than 17179869184`,
		} {
			a := l.plan(steps)
			if a.status != http.StatusBadRequest || !strings.Contains(a.text("message"), want) {
				t.Errorf("%.200s: got %d %s, want %s", steps, a.status, a.body, want)
			}
		}
		if diff := cmp.Diff(globussim.FilePlanState{}, l.FileState()); diff != "" {
			t.Errorf("something was begun (-want +got):\n%s", diff)
		}
		if got := tree(t, l.lab); len(got) != 0 {
			t.Errorf("the lab holds %v", got)
		}
	})
}

func TestTheStepsOfAllFilePlansAreBounded(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		many := globussim.FilePlan{Steps: make([]globussim.FileStep, 10_001)}
		for i := range many.Steps {
			many.Steps[i] = globussim.FileStep{At: time.Hour, Collection: "lab", Touch: "/x"}
		}
		if err := l.Files(many); err != nil {
			t.Fatal(err)
		}
		if err := l.Files(many); err == nil || !strings.Contains(err.Error(), "10001 steps are still to be done, and 10001 more") {
			t.Errorf("got %v", err)
		}
	})
}

func TestAStepThatCannotBeDoneIsReported(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		plant(t, l.lab, map[string]string{"file": "x"})
		l.plan(`
			{"collection": "lab", "rename": {"from": "/nothing", "to": "/a"}},
			{"collection": "lab", "remove": "/nothing"},
			{"collection": "lab", "touch": "/nothing"},
			{"collection": "lab", "mkdir": "/file/x"},
			{"collection": "lab", "write": {"path": "/file/x", "size": 1, "rate": 1}},
			{"collection": "lab", "write": {"path": "/file/x", "size": 1}},
			{"at": "1s", "collection": "lab", "mkdir": "/after"}`)
		time.Sleep(2 * time.Second)
		a := order(t, l.Server, http.MethodGet, "files", "")
		if failed, _ := a.doc["failed"].([]any); len(failed) != 6 || a.doc["done"] != 1.0 || a.doc["pending"] != 0.0 {
			t.Errorf("got %s, want six failures and one success", a.body)
		}
		if l.ages("/")["after"] == "" {
			t.Error("a failure has ended the plan")
		}
	})
}

func TestFilePlansEndOnOrder(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		const growing = `{"collection": "lab", "write": {"path": "/x", "size": 1000, "rate": 10}}, {"at": "1m", "collection": "lab", "mkdir": "/later"}`
		l.plan(growing)
		time.Sleep(10*time.Second + 100*time.Millisecond)
		if a := order(t, l.Server, http.MethodDelete, "files", ""); a.status != http.StatusNoContent {
			t.Errorf("got %d %s", a.status, a.body)
		}
		time.Sleep(2 * time.Minute)
		if got := tree(t, l.lab); len(got["x"]) != 100 || len(got) != 1 {
			t.Errorf("the lab holds %d bytes of x, and %d entries", len(got["x"]), len(got))
		}
		if diff := cmp.Diff(globussim.FilePlanState{}, l.FileState()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}

		l.plan(growing)
		time.Sleep(time.Second)
		if err := l.Close(); err != nil { // hangs the bubble if something is left
			t.Fatal(err)
		}
		if a := l.plan(growing); a.status != http.StatusBadRequest || !strings.Contains(a.text("message"), "closed") {
			t.Errorf("got %d %s", a.status, a.body)
		}
	})
}
