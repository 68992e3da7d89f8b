package jobs_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/globus-runner/globus-runner/jobs"
)

var update = flag.Bool("update", false, "write the reference in docs/jobs-file.md anew")

const (
	manual       = "../docs/jobs-file.md"
	beginOfTable = "<!-- What follows is made from the schema: go test ./jobs -run Reference -update -->\n"
	endOfTable   = "<!-- end -->\n"
)

// sections are the parts of the reference, by their pointers into the schema.
var sections = []struct{ title, pointer, about string }{
	{"The file", "", ""},
	{"collections.NAME", "$defs/collection", "In short the id alone: `lab: 0b6c8f2e-0000-4000-8000-000000000001`."},
	{"history", "properties/history", ""},
	{"notify.NAME", "$defs/channel", "Exactly one of these keys, and `digest`."},
	{"webhook", "$defs/channel/properties/webhook", "Either `url` or `url_file`. The same keys but `secret_file` have `slack`, `teams` and `ping`."},
	{"mail", "$defs/channel/properties/mail", ""},
	{"defaults", "properties/defaults", "The policies of a job, and:"},
	{"jobs.NAME", "$defs/job", "Exactly one of `transfer`, `delete`, `prune`, `audit` and `steps`; at most one of `schedule` and `after`; `for_each` only without `after`."},
	{"for_each", "$defs/for_each", "See [when data are ready](arrival.md)."},
	{"ready", "$defs/ready", "At least one of `unchanged_for`, `older_than` and `marker`."},
	{"on", "$defs/job/properties/on", ""},
	{"guard", "$defs/job/properties/guard", ""},
	{"notify", "$defs/job/properties/notify", "A job's lists replace those of the `defaults`, each by itself."},
	{"expect", "$defs/job/properties/expect", ""},
	{"steps", "$defs/step", "Each step has exactly one of these keys."},
	{"transfer", "$defs/transfer", "`source` and `destination`, or `items`. The `defaults` may have all keys that are not about paths."},
	{"items", "$defs/item", ""},
	{"filter_rules", "$defs/filter_rule", ""},
	{"delete", "$defs/delete", "The `defaults` may have all keys but `collection` and `paths`."},
	{"prune", "$defs/prune", ""},
	{"audit", "$defs/audit", ""},
	{"mkdir", "$defs/mkdir", ""},
	{"share", "$defs/share", "See [sharing](sharing.md)."},
	{"with", "$defs/with", "Exactly one of these keys."},
	{"flow", "$defs/flow", "See [flows](flows.md)."},
}

// An ordered is a JSON object with its keys in the order of the text.
type ordered struct {
	keys   []string
	values map[string]json.RawMessage
}

func (o *ordered) UnmarshalJSON(text []byte) error {
	if err := json.Unmarshal(text, &o.values); err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	if _, err := dec.Token(); err != nil {
		return err
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return err
		}
		var skipped json.RawMessage
		if err := dec.Decode(&skipped); err != nil {
			return err
		}
		o.keys = append(o.keys, key.(string))
	}
	return nil
}

func (o *ordered) get(t *testing.T, key string) *ordered {
	t.Helper()
	var v ordered
	if err := json.Unmarshal(o.values[key], &v); err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	return &v
}

// text is a member as text, if there is one.
func (o *ordered) text(key string) string {
	var v any
	_ = json.Unmarshal(o.values[key], &v) // what is missing is empty
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	}
	return string(o.values[key])
}

// reference writes the tables of the manual.
func reference(t *testing.T) string {
	t.Helper()
	var root ordered
	if err := json.Unmarshal(jobs.Schema(), &root); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	policies := root.get(t, "properties").get(t, "defaults").get(t, "properties").keys
	for _, s := range sections {
		at := &root
		for part := range strings.SplitSeq(s.pointer, "/") {
			if part != "" {
				at = at.get(t, part)
			}
		}
		var required []string
		_ = json.Unmarshal(at.values["required"], &required) // it may be missing
		fmt.Fprintf(&b, "\n### %s\n\n%s.", s.title, capital(at.text("description")))
		if s.about != "" {
			fmt.Fprintf(&b, " %s", s.about)
		}
		b.WriteString("\n\n| key | type | default | meaning | example |\n|---|---|---|---|---|\n")
		props := at.get(t, "properties")
		for _, key := range props.keys {
			if s.title == "defaults" && slices.Contains(policies, key) && key != "transfer" && key != "delete" {
				continue
			}
			row(&b, t, &root, key, props.get(t, key), slices.Contains(required, key))
		}
	}
	return b.String()
}

func row(b *strings.Builder, t *testing.T, root *ordered, key string, p *ordered, required bool) {
	t.Helper()
	fallback := p.text("default")
	switch {
	case required:
		fallback = "required"
	case fallback != "":
		fallback = "`" + fallback + "`"
	}
	var examples []json.RawMessage
	_ = json.Unmarshal(p.values["examples"], &examples) // it may be missing
	shown := make([]string, len(examples))
	for i, e := range examples {
		shown[i] = "`" + key + ": " + strings.NewReplacer(`,"`, `, "`, `,{`, `, {`, `":`, `": `).Replace(compact(t, e)) + "`"
	}
	if len(shown) == 0 && p.text("type") == "boolean" {
		shown = []string{"`" + key + ": true`"}
	}
	if words := p.text("enum"); len(shown) == 0 && words != "" {
		var choices []string
		if err := json.Unmarshal([]byte(words), &choices); err != nil {
			t.Fatal(err)
		}
		shown = []string{"`" + key + ": " + choices[len(choices)-1] + "`"}
	}
	about := p.text("description")
	if ref := p.text("$ref"); about == "" && ref != "" {
		about = root.get(t, "$defs").get(t, strings.TrimPrefix(ref, "#/$defs/")).text("description")
	}
	cells := []string{"`" + key + "`", typeOf(t, p), cmp.Or(fallback, "none"), about, strings.Join(shown, ", ")}
	for i, cell := range cells {
		cells[i] = strings.ReplaceAll(cell, "|", `\|`)
	}
	fmt.Fprintf(b, "| %s |\n", strings.Join(cells, " | "))
}

func compact(t *testing.T, raw json.RawMessage) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func typeOf(t *testing.T, p *ordered) string {
	t.Helper()
	var words []string
	_ = json.Unmarshal(p.values["enum"], &words) // it may be missing
	switch {
	case len(words) > 0:
		return "`" + strings.Join(words, "`, `") + "`"
	case p.values["$ref"] != nil:
		name := strings.TrimPrefix(p.text("$ref"), "#/$defs/")
		return map[string]string{
			"id": "UUID", "location": "location",
			"transfer": "mapping: [transfer](#transfer)", "delete": "mapping: [delete](#delete)", "prune": "mapping: [prune](#prune)", "audit": "mapping: [audit](#audit)", "mkdir": "mapping: [mkdir](#mkdir)",
			"share": "mapping: [share](#share)", "with": "mapping: [with](#with)", "flow": "mapping: [flow](#flow)",
			"for_each": "mapping: [for_each](#for_each)", "ready": "mapping: [ready](#ready)",
		}[name]
	case p.values["anyOf"] != nil && strings.Contains(string(p.values["anyOf"]), "%"):
		return "share, number or `none`"
	case p.values["anyOf"] != nil && strings.Contains(string(p.values["anyOf"]), "url_file"):
		return "text or mapping"
	case p.values["anyOf"] != nil && strings.Contains(string(p.values["anyOf"]), "array"):
		return "text, list or mapping"
	case p.values["anyOf"] != nil:
		return "word or 0 to 3"
	case p.text("type") == "array":
		return "list"
	case p.text("type") == "object":
		return "mapping"
	case strings.Contains(p.text("pattern"), "smhd"):
		return "duration"
	case p.text("type") == "string":
		return "text"
	}
	return p.text("type")
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// The tables are made from the schema, so they have every key and no other.
func TestReferenceIsThatOfTheSchema(t *testing.T) {
	text, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), beginOfTable)
	got, after, ok2 := strings.Cut(rest, endOfTable)
	if !ok || !ok2 {
		t.Fatalf("%s has not the marks of the reference", manual)
	}
	want := reference(t)
	if *update {
		if err := os.WriteFile(manual, []byte(before+beginOfTable+want+endOfTable+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got != want {
		t.Errorf("%s is not that of the schema; go test ./jobs -run Reference -update", manual)
	}
	for line := range strings.SplitSeq(want, "\n") {
		if strings.HasPrefix(line, "| `") && (strings.Contains(line, "|  |") || strings.Count(line, "|") < 6) {
			t.Errorf("a cell is empty: %s", line)
		}
	}
}

var yamlBlock = regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$")

func TestExamplesInTheManualAreGood(t *testing.T) {
	text, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	blocks := yamlBlock.FindAllSubmatch(text, -1)
	if len(blocks) < 3 {
		t.Errorf("got %d examples", len(blocks))
	}
	for _, m := range blocks {
		if _, err := parseText(string(m[1])); err != nil {
			t.Errorf("%v in\n%s", err, m[1])
		}
	}
}
