package page_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/page"
	"github.com/globus-runner/globus-runner/jobs"
)

var update = flag.Bool("update", false, "rewrite docs/openapi.json")

type object = map[string]any

// TestDescriptionOfTheAPIHoldsForItsAnswers asks for every route, and compares what
// comes with docs/openapi.json: every key of an answer is described there, and every
// key that is described is in some answer.
func TestDescriptionOfTheAPIHoldsForItsAnswers(t *testing.T) {
	d := newDesk(t, someJobs, func(c *page.Config) {
		var mistakes []error
		for line := range 6 {
			mistakes = append(mistakes, &jobs.Problem{File: "jobs.yaml", Line: line + 1, Field: "jobs.nightly", Msg: "unknown key"})
		}
		c.Pending = func() *page.Pending { return &page.Pending{Since: time.Now(), Why: errors.Join(mistakes...)} }
	})
	var description object
	if err := json.Unmarshal([]byte(d.get("/api/v1/openapi.json").text), &description); err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(description); err != nil {
		t.Fatal(err)
	}
	const file = "../../docs/openapi.json"
	if *update {
		if err := os.WriteFile(file, text.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if kept, err := os.ReadFile(file); err != nil || !bytes.Equal(kept, text.Bytes()) {
		t.Errorf("%s is not what the page says: %v; go test ./internal/page -run Description -update", file, err)
	}

	fill(t, d)
	run := fmt.Sprint(d.run("nightly", "works", ledger.Outcome{}))
	seen := map[string]bool{}
	paths := description["paths"].(object)
	for _, path := range append(sorted(paths), sorted(paths)...) { // twice: what is asked for shows later
		for method, operation := range paths[path].(object) {
			if strings.HasSuffix(path, "/events") || strings.HasSuffix(path, "/receipt") || strings.HasSuffix(path, "openapi.json") {
				continue // each has a test of its own
			}
			for _, replaced := range []string{"1", run} {
				real := strings.NewReplacer("{job}", "nightly", "{run}", replaced).Replace(path)
				if strings.HasSuffix(path, "/items") {
					real = strings.Replace(path, "{job}", "each", 1)
				}
				if strings.HasSuffix(path, "/runs") {
					real += "?limit=1"
				}
				checkAnswer(t, d, strings.ToUpper(method), real, path, operation.(object), seen)
			}
		}
	}
	names := map[string]bool{}
	for key := range seen {
		names[ending(key)] = true
	}
	for _, path := range sorted(paths) {
		for method, operation := range paths[path].(object) {
			for _, key := range described(operation.(object)) {
				if !names[ending(key)] {
					t.Errorf("no answer has %s of %s %s", key, method, path)
				}
			}
		}
	}
}

// ending is the end of where a key stands: the same documents are in several answers,
// of which one that has the key will do.
func ending(key string) string {
	parts := strings.Split(strings.NewReplacer(".data[].", ".", ".last_run.", ".").Replace(key), ".")
	return strings.Join(parts[max(0, len(parts)-2):], ".")
}

// fill has the ledger know one of each thing.
func fill(t *testing.T, d *desk) {
	t.Helper()
	ctx := t.Context()
	r, _, err := d.ledger.Claim(ctx, ledger.Claim{Job: "nightly", Key: "1", Holder: "me", Lease: time.Hour})
	steps := []func() error{
		func() error { return err },
		func() error {
			return d.ledger.Submit(ctx, "me", ledger.Submission{ID: "s", Run: r.ID, Attempt: 1, Label: "l", Flow: "f", Document: []byte("{}")})
		},
		func() error { return d.ledger.Accepted(ctx, "s", "t") },
		func() error { return d.ledger.Ended(ctx, "s", "FAILED", ledger.Totals{}) },
		func() error {
			return d.ledger.Finish(ctx, r.ID, "me", ledger.Outcome{State: ledger.Failed, Class: "refused", Code: "C", Message: "m", RequestID: "q"})
		},
		func() error {
			return d.ledger.KeepItems(ctx, "each", []ledger.Item{
				{Name: "a", Key: "item:a", Generation: 1, State: "ready", Why: "w", Since: time.Now(), Size: 1, Modified: time.Now()},
				{Name: "c", Key: "item:c", Generation: 1, State: "failed", Why: "w", Since: time.Now(), Modified: time.Now()},
				{Name: "b", Key: "item:b", Generation: 1, State: "waiting", Why: "w", Since: time.Now(), Modified: time.Now()},
			})
		},
	}
	for _, why := range []string{"", "w"} {
		steps = append(steps, func() error {
			_, err := d.ledger.Watch(ctx, "each", "me", time.Hour)
			return err
		}, func() error { return d.ledger.EndLook(ctx, "each", why) })
	}
	for _, step := range steps {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.ledger.Note(ctx, d.run("each", "item:b", ledger.Outcome{}), time.Now(), "stalled", "w"); err != nil {
		t.Fatal(err)
	}
	d.run("second", "1", ledger.Outcome{State: ledger.Succeeded})
	d.run("second", "2", ledger.Outcome{State: ledger.Failed, Message: "m", Class: "c", Code: "C", RequestID: "q"})
	tell := func(now ledger.Standing) (ledger.Standing, []ledger.Notice) {
		now.Alarms = []ledger.Alarm{{Kind: "overdue", Since: time.Now(), Why: "w"}}
		return now, nil
	}
	failing := func(now ledger.Standing) (ledger.Standing, []ledger.Notice) {
		now.Alarms = []ledger.Alarm{{Kind: "failed", Since: time.Now(), Why: "w"}}
		return now, nil
	}
	if err := errors.Join(d.ledger.Tell(ctx, "held", tell), d.ledger.Tell(ctx, "each", failing)); err != nil {
		t.Fatal(err)
	}
	d.post("/api/v1/jobs/held/pause", `{"reason": "r", "until": "2100-01-01T00:00:00Z"}`)
	d.page.Progress("nightly", page.Progress{Task: "t", Class: "progressing"})
}

// checkAnswer asks for a path and compares what comes with its description.
func checkAnswer(t *testing.T, d *desk, method, real, path string, operation object, seen map[string]bool) {
	t.Helper()
	body := ""
	if method == http.MethodPost {
		body = `{"reason": "r"}`
		schema := operation["requestBody"].(object)["content"].(object)["application/json"].(object)["schema"].(object)
		if _, is := schema["properties"].(object)["until"]; is {
			body = fmt.Sprintf(`{"reason": "r", "until": %q}`, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
		}
	}
	got := d.send(method, real, body, "Authorization", "Bearer "+adminToken)
	if !strings.HasPrefix(real, "/api") {
		got = d.send(method, "/api/v1"+real, body, "Authorization", "Bearer "+adminToken)
	}
	responses := operation["responses"].(object)
	answer, ok := responses[fmt.Sprint(got.status)].(object)
	if !ok {
		t.Errorf("%s %s: the status %d is not described", method, path, got.status)
		answer = responses["default"].(object)
	}
	if got.status != 200 && got.status != 202 && got.status != 409 {
		t.Errorf("%s %s: status %d: %s", method, real, got.status, got.text)
	}
	var value any
	if err := json.Unmarshal([]byte(got.text), &value); err != nil {
		t.Fatalf("%s %s: %v", method, real, err)
	}
	schema := answer["content"].(object)["application/json"].(object)["schema"].(object)
	compare(t, strings.ToLower(method)+" "+path, "", schema, value, seen)
}

// TestRefusalsAreDescribed provokes each refusal of each route.
func TestRefusalsAreDescribed(t *testing.T) {
	d := newDesk(t, someJobs)
	d.run("nightly", "1", ledger.Outcome{State: ledger.Succeeded})
	description := decode[struct {
		Paths map[string]map[string]struct{ Responses object }
	}](t, d.get("/api/v1/openapi.json"))
	d.from = "192.0.2.1:1" // another machine
	admin, reader := "Bearer "+adminToken, "Bearer "+viewToken
	for path, operations := range description.Paths {
		there := "/api/v1" + strings.NewReplacer("{job}", "nightly", "{run}", "1").Replace(path)
		gone := "/api/v1" + strings.NewReplacer("{job}", "none", "{run}", "99").Replace(path)
		for method, operation := range operations {
			method = strings.ToUpper(method)
			type try struct {
				status int
				answer answer
			}
			tries := []try{
				{400, d.send(method, there+"?nights=1", "", "Authorization", admin)},
				{401, d.send(method, there, "")},
				{405, d.send("DELETE", there, "", "Authorization", admin)},
			}
			if gone != there {
				tries = append(tries, try{404, d.send(method, gone, "", "Authorization", admin)})
			}
			if method == "POST" {
				tries = append(tries, try{400, d.send(method, there, `{"til": "8h"}`, "Authorization", admin)}, try{403, d.send(method, there, "", "Authorization", reader)})
			}
			if strings.HasPrefix(path, "/runs/") && method == "POST" {
				tries = append(tries, try{409, d.send(method, there, "", "Authorization", admin)})
			}
			for _, try := range tries {
				d.want(method+" "+there, try.answer, try.status, `{"error":"`)
				if operation.Responses[fmt.Sprint(try.status)] == nil {
					t.Errorf("%s %s: the status %d is not described", method, path, try.status)
				}
			}
		}
	}
}

// compare says where a value is not what a schema says.
func compare(t *testing.T, about, at string, schema object, value any, seen map[string]bool) {
	t.Helper()
	seen[at] = true
	kinds := fmt.Sprint(schema["type"])
	switch value := value.(type) {
	case []any:
		if !strings.Contains(kinds, "array") {
			t.Errorf("%s%s is an array, want %s", about, at, kinds)
			return
		}
		for _, v := range value {
			compare(t, about, at+"[]", schema["items"].(object), v, seen)
		}
	case object:
		properties, _ := schema["properties"].(object)
		values, isMap := schema["additionalProperties"].(object)
		for key, v := range value {
			known, ok := properties[key].(object)
			if !ok && !isMap {
				t.Errorf("%s%s has the key %s, which is not described", about, at, key)
				continue
			}
			if !ok {
				known = values
			}
			compare(t, about, at+"."+key, known, v, seen)
		}
		required, _ := schema["required"].([]any)
		for _, key := range required {
			if _, ok := value[key.(string)]; !ok {
				t.Errorf("%s%s has no %s", about, at, key)
			}
		}
	case string:
		if _, err := time.Parse(time.RFC3339, value); !strings.Contains(kinds, "string") || schema["format"] == "date-time" && err != nil {
			t.Errorf("%s%s is %q, want %s %v", about, at, value, kinds, schema["format"])
		}
	case float64:
		if !strings.Contains(kinds, "integer") && !strings.Contains(kinds, "number") {
			t.Errorf("%s%s is a number, want %s", about, at, kinds)
		}
	case bool:
		if !strings.Contains(kinds, "boolean") {
			t.Errorf("%s%s is a boolean, want %s", about, at, kinds)
		}
	}
}

// described lists the keys of the good answer to an operation.
func described(operation object) []string {
	responses := operation["responses"].(object)
	var keys []string
	for status, answer := range responses {
		if content, ok := answer.(object)["content"].(object)["application/json"].(object); ok && strings.HasPrefix(status, "2") {
			keys = append(keys, keysOf("", content["schema"].(object))...)
		}
	}
	slices.Sort(keys)
	return keys
}

func keysOf(at string, schema object) (keys []string) {
	if items, ok := schema["items"].(object); ok {
		return keysOf(at+"[]", items)
	}
	properties, _ := schema["properties"].(object)
	for key, s := range properties {
		keys = append(append(keys, at+"."+key), keysOf(at+"."+key, s.(object))...)
	}
	return keys
}

func sorted(m object) []string {
	var keys []string
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
