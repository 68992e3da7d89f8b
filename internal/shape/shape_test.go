package shape_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/internal/shape"
)

type color string

func (color) Words() []string { return []string{"red", "blue"} }

func TestASchemaIsThatOfTheEncodedType(t *testing.T) {
	type inner struct {
		At time.Time `json:"at,omitzero"`
	}
	type document struct {
		Name   string            `json:"name"`
		Count  int64             `json:"count"`
		OK     bool              `json:"ok"`
		Rows   []inner           `json:"rows"`
		Maybe  *int              `json:"maybe,omitempty"`
		None   *string           `json:"none"`
		Labels map[string]string `json:"labels"`
		Raw    json.RawMessage   `json:"raw"`
		Color  color             `json:"color"`
		Hidden string            `json:"-"`
		secret string
	}
	_ = document{}.secret
	got, err := shape.Of("a document", document{})
	if err != nil {
		t.Fatal(err)
	}
	var s map[string]any
	if err := json.Unmarshal(got, &s); err != nil {
		t.Fatal(err)
	}
	required := []any{"name", "count", "ok", "rows", "none", "labels", "raw", "color"}
	if g, w := encoded(t, s["required"]), encoded(t, required); g != w {
		t.Errorf("got the required keys %s, want %s", g, w)
	}
	want := map[string]string{
		"name": `{"type":"string"}`, "count": `{"type":"integer"}`, "ok": `{"type":"boolean"}`, "maybe": `{"type":"integer"}`,
		"none": `{"type":["string","null"]}`, "labels": `{"additionalProperties":{"type":"string"},"type":"object"}`, "raw": `{}`,
		"color": `{"enum":["red","blue"],"type":"string"}`,
		"rows":  `{"items":{"properties":{"at":{"format":"date-time","type":"string"}},"type":"object"},"type":"array"}`,
	}
	properties := s["properties"].(map[string]any)
	for name, w := range want {
		if g := encoded(t, properties[name]); g != w {
			t.Errorf("%s: got %s, want %s", name, g, w)
		}
	}
	if len(properties) != len(want) || !strings.HasSuffix(string(got), "\n") {
		t.Errorf("got %s", got)
	}
}

func encoded(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
