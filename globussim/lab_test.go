package globussim_test

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/globus-runner/globus-runner/globussim"
)

// A lab is a Globus with the guest collections "lab" and "vault", used by the
// robot.
type lab struct {
	*globussim.Server
	t              *testing.T
	token          string
	lab, vault     string // folders
	labID, vaultID string
}

// inLab runs a test in a bubble of its own, where waiting costs no time.
func inLab(t *testing.T, test func(t *testing.T, l *lab), edit ...func(*globussim.Config)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, newLab(t, edit...)) })
}

func newLab(t *testing.T, edit ...func(*globussim.Config)) *lab {
	t.Helper()
	l := &lab{
		t: t, lab: t.TempDir(), vault: t.TempDir(),
		labID: globussim.CollectionID("lab"), vaultID: globussim.CollectionID("vault"),
	}
	l.Server = startWorld(t, append([]func(*globussim.Config){func(cfg *globussim.Config) {
		cfg.Collections = []globussim.Collection{{Name: "lab", Dir: l.lab}, {Name: "vault", Dir: l.vault}}
	}}, edit...)...)
	l.token = bearer(t, l.Server, transferAll)
	return l
}

// becomeOther makes the lab call as the other account.
func (l *lab) becomeOther() {
	l.t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {transferAll}}
	a := ask(l.t, l.Client(), http.MethodPost, authBase+"/v2/oauth2/token", basic(other, otherSecret), formType, form.Encode())
	if a.status != http.StatusOK {
		l.t.Fatalf("token request: %d %s", a.status, a.body)
	}
	l.token = "Bearer " + a.text("access_token")
}

// call sends a request below /v0.10 as the robot. A body is sent as JSON,
// unless it is a string. It checks what holds for every answer.
func (l *lab) call(method, path string, body any) answer {
	l.t.Helper()
	text, ok := body.(string)
	if !ok && body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			l.t.Fatal(err)
		}
		text = string(data)
	}
	contentType := ""
	if text != "" {
		contentType = "application/json"
	}
	a := ask(l.t, l.Client(), method, transferBase+"/v0.10"+path, l.token, contentType, text)
	always := []string{"DATA_TYPE"}
	switch {
	case a.status >= 300:
		always = []string{"code", "message", "request_id", "resource"}
	case strings.Contains(path, "fields="):
		always = nil
	}
	for _, key := range always {
		if a.text(key) == "" {
			l.t.Errorf("%s %s answers %d without %s: %s", method, path, a.status, key, a.body)
		}
	}
	for _, row := range a.rows() {
		if always != nil && row.text("DATA_TYPE") == "" {
			l.t.Errorf("%s %s answers with a row without DATA_TYPE: %v", method, path, row.doc)
		}
	}
	return a
}

type doc = map[string]any

// transfer is a transfer document of one item, changed by the edits.
func (l *lab) transfer(src, dst string, edits ...doc) doc {
	d := doc{
		"DATA_TYPE": "transfer", "submission_id": uuid.NewString(),
		"source_endpoint": l.labID, "destination_endpoint": l.vaultID,
		"DATA": []doc{{"DATA_TYPE": "transfer_item", "source_path": src, "destination_path": dst}},
	}
	for _, edit := range edits {
		maps.Copy(d, edit)
	}
	return d
}

func (l *lab) deletion(path string, edits ...doc) doc {
	d := doc{
		"DATA_TYPE": "delete", "submission_id": uuid.NewString(), "endpoint": l.labID,
		"DATA": []doc{{"DATA_TYPE": "delete_item", "path": path}},
	}
	for _, edit := range edits {
		maps.Copy(d, edit)
	}
	return d
}

// submit posts a document that must be accepted, and returns the task's id.
func (l *lab) submit(d doc) string {
	l.t.Helper()
	a := l.call(http.MethodPost, "/"+d["DATA_TYPE"].(string), d)
	if a.status != http.StatusAccepted || a.text("code") != "Accepted" {
		l.t.Fatalf("submission: %d %s", a.status, a.body)
	}
	return a.text("task_id")
}

// task returns a task document as it is once nothing moves any more.
func (l *lab) task(id string) answer {
	l.t.Helper()
	synctest.Wait()
	return l.call(http.MethodGet, "/task/"+id, nil)
}

// wait returns the task document when the task has ended.
func (l *lab) wait(id string) answer {
	l.t.Helper()
	for range 100_000 {
		a := l.call(http.MethodGet, "/task/"+id, nil)
		if s := a.text("status"); s == "SUCCEEDED" || s == "FAILED" {
			return a
		}
		time.Sleep(time.Minute)
	}
	l.t.Fatal("the task does not end")
	return answer{}
}

// do submits a document and returns the task at its end.
func (l *lab) do(d doc) answer {
	l.t.Helper()
	return l.wait(l.submit(d))
}

func (a answer) number(key string) int {
	n, ok := a.doc[key].(float64)
	if !ok {
		return -1 << 31
	}
	return int(n)
}

// rows returns the rows of a list.
func (a answer) rows() []answer {
	list, _ := a.doc["DATA"].([]any)
	rows := make([]answer, len(list))
	for i, row := range list {
		rows[i].doc, _ = row.(map[string]any)
	}
	return rows
}

// column returns one field of all rows.
func (a answer) column(key string) []string {
	values := []string{}
	for _, row := range a.rows() {
		values = append(values, row.text(key))
	}
	return values
}

// fatal returns the code of a task's fatal error.
func (a answer) fatal() string {
	e, _ := a.doc["fatal_error"].(map[string]any)
	code, _ := e["code"].(string)
	return code
}

// want checks fields of a document.
func (a answer) want(t *testing.T, fields doc) {
	t.Helper()
	for key, want := range fields {
		if n, ok := want.(int); ok {
			want = float64(n)
		}
		if got, ok := a.doc[key]; !ok || got != want {
			t.Errorf("%s is %#v, want %#v", key, got, want)
		}
	}
}

func query(path string, pairs ...string) string {
	q := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		q.Add(pairs[i], pairs[i+1])
	}
	return path + "?" + q.Encode()
}

// plant writes files below a folder; a name that ends in "/" is a folder.
func plant(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		full := filepath.Join(dir, name)
		folder := filepath.Dir(full)
		if name[len(name)-1] == '/' {
			folder = full
		}
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		if folder == full {
			continue
		}
		now := time.Now() // in a bubble, not that of the disk
		if err := errors.Join(os.WriteFile(full, []byte(content), 0o644), os.Chtimes(full, now, now)); err != nil {
			t.Fatal(err)
		}
	}
}

// tree reads what plant writes; of folders only empty ones are shown, and
// links as "-> target".
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := make(map[string]string)
	err := filepath.WalkDir(dir, func(full string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, full)
		switch {
		case err != nil:
			return err
		case entry.IsDir():
			below, err := os.ReadDir(full)
			if len(below) == 0 && name != "." {
				files[name+"/"] = ""
			}
			return err
		case entry.Type()&os.ModeSymlink != 0:
			target, err := os.Readlink(full)
			files[name] = "-> " + target
			return err
		}
		data, err := os.ReadFile(full)
		files[name] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
