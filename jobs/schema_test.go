package jobs_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/test/long"
)

// readFull returns a document in which every key occurs.
func readFull(t *testing.T) map[string]any {
	t.Helper()
	text, err := os.ReadFile("testdata/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return plain(t, text)
}

// plain decodes YAML as JSON would.
func plain(t *testing.T, text []byte) map[string]any {
	t.Helper()
	var doc map[string]any
	if err := yaml.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	doc = nil
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

// parse parses a document, as JSON, which is YAML too.
func parse(t *testing.T, doc any) error {
	t.Helper()
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(doc); err != nil {
		t.Fatal(err)
	}
	_, err := jobs.Parse(nil, jobs.Source{Name: "jobs.yaml", Data: text.Bytes()})
	return err
}

// slots yields every place in doc that has a value, with a function that puts
// another value there.
func slots(path string, doc any, yield func(path string, old any, set func(any))) {
	switch doc := doc.(type) {
	case map[string]any:
		for key, value := range doc {
			slots(below(path, key), value, yield)
			yield(below(path, key), value, func(v any) { doc[key] = v })
		}
	case []any:
		for i, value := range doc {
			slots(path, value, yield)
			yield(path, value, func(v any) { doc[i] = v })
		}
	}
}

func TestSchemaAndParserAgreeOnEveryValue(t *testing.T) {
	v := newValidator(t)
	doc := readFull(t)
	if msg := v.check(doc); msg != "" {
		t.Fatalf("the schema refuses testdata/full.yaml: %s", msg)
	}
	if err := parse(t, doc); err != nil {
		t.Fatalf("the parser refuses testdata/full.yaml: %v", err)
	}
	every, turn := long.Or(1, 12), 0 // in the short form each place has some of the values
	next := func() bool { turn++; return turn%every == 0 }
	slots("", doc, func(path string, old any, set func(any)) {
		defer set(old)
		// What only the parser can judge is not compared: a text may be of
		// the right form and still name nothing, and without what a mapping
		// or a list said, others may refer to nothing.
		for _, value := range []any{7.0, -1.0, 1.5, true, nil} {
			set(value)
			switch {
			case !next():
				continue
			case path == "jobs.expire.prune.copies" && value == 7.0:
				continue // there are not so many destinations
			case path == "defaults.transfer.delete_destination_extra" && value == true:
				continue // the copies of what a prune deletes must not be deleted
			}
			if msg, err := v.check(doc), parse(t, doc); (msg == "") != (err == nil) {
				t.Errorf("%s: %v: the schema says %q, the parser %v", path, value, msg, err)
			}
		}
		for _, value := range []any{"", "odd one", []any{}, map[string]any{"x": 1.0}} {
			set(value)
			if !next() {
				continue
			}
			if msg, err := v.check(doc), parse(t, doc); msg != "" && err == nil {
				t.Errorf("%s: %v: the schema says %q, the parser nothing", path, value, msg)
			}
		}
	})
}

func TestSchemaAndParserKnowTheSameKeys(t *testing.T) {
	const unknown = "qqqqqqqqqqqqqqqqqqqq"
	v := newValidator(t)
	doc := readFull(t)
	want := map[string]string{} // the keys by path
	v.object = func(path string, keys []string) { want[below(path, unknown)] = strings.Join(keys, ", ") }
	v.check(doc)

	used := map[string]bool{}
	spoil := func(_ string, old any, _ func(any)) {
		if m, ok := old.(map[string]any); ok {
			for key := range m {
				used[key] = true
			}
			m[unknown] = 1.0
		}
	}
	for key := range doc {
		used[key] = true
	}
	slots("", doc, spoil)
	doc[unknown] = 1

	got := map[string]string{}
	for _, p := range jobs.Problems(parse(t, doc)) {
		if _, keys, ok := strings.Cut(p.Msg, "possible are "); ok && strings.HasPrefix(p.Msg, "unknown key") {
			got[p.Field] = keys
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("keys by path (-schema +parser):\n%s", diff)
	}
	for _, keys := range want {
		for key := range strings.SplitSeq(keys, ", ") {
			if !used[key] {
				t.Errorf("testdata/full.yaml does not use the key %s", key)
			}
		}
	}
}

// TestSchemaAndParserAgreeOnFiles wants that both take the files in good and
// refuse those in bad; those in beyond break rules that no schema can tell.
func TestSchemaAndParserAgreeOnFiles(t *testing.T) {
	v := newValidator(t)
	for folder, want := range map[string]struct{ schema, parser bool }{
		"good": {true, true}, "bad": {false, false}, "beyond": {true, false}, "../../examples": {true, true},
	} {
		files, err := filepath.Glob(filepath.Join("testdata", folder, "*.yaml"))
		if err != nil || len(files) < 4 {
			t.Fatalf("%s: got %d files, %v", folder, len(files), err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			msg := v.check(plain(t, text))
			_, err = jobs.Parse(nil, jobs.Source{Name: file, Data: text})
			if (msg == "") != want.schema || (err == nil) != want.parser {
				t.Errorf("%s: the schema says %q, the parser %v", file, msg, err)
			}
		}
	}
}

func TestSchemaDescribesEveryKey(t *testing.T) {
	v := newValidator(t)
	n := 0
	var walk func(path string, s any)
	walk = func(path string, s any) {
		switch s := s.(type) {
		case map[string]any:
			if props, ok := s["properties"].(map[string]any); ok && s["type"] == "object" {
				for key, p := range props {
					n++
					p := p.(map[string]any)
					if ref, ok := p["$ref"].(string); ok && p["description"] == nil {
						p = v.root["$defs"].(map[string]any)[strings.TrimPrefix(ref, "#/$defs/")].(map[string]any)
					}
					if p["description"] == nil {
						t.Errorf("%s.%s has no description", path, key)
					}
				}
			}
			for key, sub := range s {
				walk(path+"/"+key, sub)
			}
		case []any:
			for _, sub := range s {
				walk(path, sub)
			}
		}
	}
	walk("", v.root)
	if n < 80 || !slices.Contains([]any{"https://json-schema.org/draft/2020-12/schema"}, v.root["$schema"]) {
		t.Errorf("got %d keys by %v", n, v.root["$schema"])
	}
}
