package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/notify"
	"github.com/globus-runner/globus-runner/internal/notify/channel"
	"github.com/globus-runner/globus-runner/internal/shape"
	"github.com/globus-runner/globus-runner/login"
)

const schemaJobs = `version: 1
collections: {lab: %s, vault: %s}
notify: {ops: {webhook: {url: "http://127.0.0.1:2"}}, away: {webhook: {url: "http://127.0.0.1:1"}}}
jobs:
  nightly:
    description: frames
    notify: {runs: [ops, away]}
    labels: {team: lab7}
    schedule: "30 1 * * *"
    time_zone: America/Chicago
    receipts: true
    transfer: {source: "lab:/data/", destination: "vault:/data/", recursive: true, filter_rules: [{method: exclude, type: file, name: "*.tmp"}]}
  broken:
    transfer: {source: "lab:/none/", destination: "vault:/none/", recursive: true}
  arrivals:
    for_each: {folder: "lab:/", match: "da*", ready: {marker: frame.h5}}
    transfer: {source: "lab:/{{ .Item.Name }}/", destination: "vault:/items/{{ .Item.Name }}/"}
  move:
    steps:
      - transfer: {source: "lab:/move/", destination: "vault:/move/"}
      - prune: {}
      - audit: {}
  tidy:
    steps:
      - mkdir: {collection: vault, path: /inbox/}
      - delete: {collection: vault, paths: [/old], ignore_missing: true}
  hand-out:
    steps:
      - share: {collection: vault, path: /inbox/, with: {user: ada@sim.example}, expires: 90d, notify: ada@sim.example, message: look}
`

// TestPrintedDocumentsAreAsTheirSchemas runs the commands on a simulated Globus
// and holds what they print with -F json against docs/schemas, where a change
// of a document shows. With -update it writes that folder.
func TestPrintedDocumentsAreAsTheirSchemas(t *testing.T) {
	t.Parallel() // it waits for tasks
	lab, vault, dir := t.TempDir(), t.TempDir(), t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return name
	}
	write(filepath.Join(lab, "data", "frame.h5"), "frame")
	write(filepath.Join(lab, "data", "draft.tmp"), "draft")
	write(filepath.Join(lab, "move", "frame.h5"), "frame")
	sim, err := globussim.New(globussim.Config{
		Accounts: []globussim.Account{{ID: simClientID(), Secret: canary}},
		Persons:  []globussim.Person{{Username: "ada@sim.example"}},
		Collections: []globussim.Collection{{Name: "lab", Dir: lab}, {
			Name: "vault", Dir: vault, Roles: []globussim.Role{{Principal: simClientID(), Role: globussim.AccessManager}},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(sim)
	defer sim.Close() //nolint:errcheck // it returns nil
	defer server.Close()
	receiver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer receiver.Close()
	good := write(filepath.Join(dir, "jobs.yaml"), strings.Replace(fmt.Sprintf(schemaJobs, globussim.CollectionID("lab"), globussim.CollectionID("vault")), "http://127.0.0.1:2", receiver.URL, 1))
	bad := write(filepath.Join(dir, "bad.yaml"), "version: 1\njobs:\n  x: {transfr: 1}\n")
	batch := write(filepath.Join(dir, "batch"), "a b\n")
	environ := []string{
		"CLIENT_ID=" + simClientID(), "CLIENT_SECRET=" + canary, "HOME=" + dir, "RUNNER_JOBS=" + good,
		"GLOBUS_SDK_SERVICE_URL_AUTH=" + server.URL, "GLOBUS_SDK_SERVICE_URL_TRANSFER=" + server.URL,
		"RUNNER_STATE=sqlite:" + filepath.Join(dir, "runner.db"),
	}
	id := globussim.CollectionID("lab")
	printed := map[string][][]byte{}
	for _, c := range []struct {
		document string
		args     string
	}{
		{"env", "env"},
		{"version", "version"},
		{"validate", "validate"},
		{"validate", "validate " + bad},
		{"next", "next --explain --count 3"},
		{"plan", "plan nightly"},
		{"plan", "plan tidy"},
		{"plan", "plan nightly --diff"},
		{"change", "plan nightly --diff --list"},
		{"result", "run nightly"},
		{"result", "run broken --timeout 200ms"},
		{"result", "transfer " + id + ":/data/frame.h5 " + globussim.CollectionID("vault") + ":/f"},
		{"results", "run tidy nightly"},
		{"plan", "plan hand-out"},
		{"share", "share vault:/open/ --all-authenticated"},
		{"action", "pause nightly --until 8h --reason x"},
		{"jobs", "jobs"},
		{"action", "resume nightly"},
		{"action", "trigger nightly"},
		{"runs", "runs"},
		{"result", "run move"},
		{"runs", "runs --limit 1 --state succeeded"},
		{"run", "runs show 1"},
		{"notice", "notify test ops"},
		{"notices", "notify list"},
		{"receipts", "receipt 1"},
		{"proof", "receipt prove 1"},
		{"audit", "audit"},
		{"finding", "audit --list"},
		{"run", "runs show 2"},
		{"results", "run arrivals"},
		{"items", "items arrivals"},
		{"items", "items arrivals --look"},
		{"why", "why arrivals"},
		{"why", "why broken"},
		{"result", "run hand-out"},
		{"doctor", "doctor"},
		{"whoami", "whoami"},
		{"logout", "logout"},
		{"export", "export kubernetes --kind deployment"},
		{"import", "import batch " + batch + " --source " + id + ":/a/ --destination " + id + ":/b/"},
	} {
		var out bytes.Buffer
		var said bytes.Buffer
		run(t.Context(), append(strings.Fields(c.args), "-F", "json"), environ, strings.NewReader(""), &out, &said)
		if out.Len() == 0 {
			t.Fatalf("%s printed nothing:\n%s", c.args, said.String())
		}
		if !strings.Contains(c.args, "--list") {
			printed[c.document] = append(printed[c.document], out.Bytes())
			continue
		}
		for line := range bytes.Lines(out.Bytes()) {
			printed[c.document] = append(printed[c.document], line)
		}
	}
	made := func(name string, doc any) {
		t.Helper()
		text, err := encode(doc)
		if err != nil {
			t.Fatal(err)
		}
		printed[name] = append(printed[name], text)
	}
	made("sim", describeSim(server.URL, globussim.Config{Accounts: []globussim.Account{{}}, Collections: []globussim.Collection{{Name: "lab"}}}))
	made("login", describeLogin(login.Login{ClientID: id, Tokens: map[string]auth.Token{"x": {Scope: "y"}}}, login.NewStore(filepath.Join(dir, "login.json"))))
	made("logout", newList([]logoutDocument{{ClientID: id}}))
	for _, event := range notify.Events() {
		made("webhook", channel.NewMessage(&notify.Notice{Event: event, Error: &notify.Cause{}, Tasks: []notify.Task{{}}, Files: new(int64(1))}))
	}

	for _, name := range slices.Sorted(maps.Keys(documents())) {
		text, err := shape.Of(name, documents()[name])
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join("../../docs/schemas", name+".json")
		if *update {
			write(file, string(text))
		}
		if kept, err := os.ReadFile(file); err != nil || !bytes.Equal(kept, text) {
			t.Errorf("%s is not the schema of the document: %v; go test ./cmd/runner -run Schemas -update", file, err)
		}
		var schema map[string]any
		if err := json.Unmarshal(text, &schema); err != nil {
			t.Fatal(err)
		}
		if len(printed[name]) == 0 {
			t.Errorf("no command has printed %s", name)
		}
		for _, doc := range printed[name] {
			var value any
			if err := json.Unmarshal(doc, &value); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			for _, problem := range mismatches(name, schema, value) {
				t.Errorf("%s\n%s", problem, doc)
			}
		}
	}
}

// mismatches says where a value is not what a schema says. A key that the schema
// does not have is one of them: it would be undocumented.
func mismatches(at string, schema map[string]any, value any) []string {
	words, _ := schema["type"].([]any)
	if word, ok := schema["type"].(string); ok {
		words = []any{word}
	}
	if len(words) == 0 {
		return nil
	}
	if kind := kindOfJSON(value); !slices.Contains(words, any(kind)) && (kind != "integer" || !slices.Contains(words, any("number"))) {
		return []string{fmt.Sprintf("%s is %s, want %v", at, kind, words)}
	}
	var found []string
	switch value := value.(type) {
	case string:
		if _, err := time.Parse(time.RFC3339, value); err != nil && schema["format"] == "date-time" {
			found = append(found, at+" is not a time: "+value)
		}
		if words, few := schema["enum"].([]any); few && !slices.Contains(words, any(value)) {
			found = append(found, at+" is none of the words that are described: "+value)
		}
	case []any:
		items, _ := schema["items"].(map[string]any)
		for i, item := range value {
			found = append(found, mismatches(fmt.Sprintf("%s[%d]", at, i), items, item)...)
		}
	case map[string]any:
		required, _ := schema["required"].([]any)
		for _, key := range required {
			if _, ok := value[key.(string)]; !ok {
				found = append(found, fmt.Sprintf("%s has no %s", at, key))
			}
		}
		properties, _ := schema["properties"].(map[string]any)
		values, _ := schema["additionalProperties"].(map[string]any)
		for key, v := range value {
			known, ok := properties[key].(map[string]any)
			if !ok && values == nil {
				found = append(found, at+" has the key "+key+", which is not described")
				continue
			}
			if !ok {
				known = values
			}
			found = append(found, mismatches(at+"."+key, known, v)...)
		}
	}
	return found
}

func kindOfJSON(value any) string {
	switch value := value.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case float64:
		if value == float64(int64(value)) {
			return "integer"
		}
		return "number"
	case []any:
		return "array"
	}
	return "object"
}

func TestSeveralDocumentsOfADryRunAreOneList(t *testing.T) {
	file := filepath.Join(t.TempDir(), "jobs.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, schemaJobs, globussim.CollectionID("lab"), globussim.CollectionID("vault")), 0o644); err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string]int{"run nightly broken": 2, "run tidy": 2, "run tidy --jmespath @": 2} {
		var out, said bytes.Buffer
		if status := run(t.Context(), append(strings.Fields(args), "--dry-run", "--jobs", file), nil, nil, &out, &said); status != 0 {
			t.Fatalf("%s: got status %d\n%s", args, status, said.String())
		}
		var got struct{ Data []map[string]any }
		if err := json.Unmarshal(out.Bytes(), &got); err != nil || len(got.Data) != want {
			t.Errorf("%s: got %s (%v), want a list of %d documents", args, out.String(), err, want)
		}
	}
}
