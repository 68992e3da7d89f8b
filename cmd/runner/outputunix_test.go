package main

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestWriteUnix(t *testing.T) {
	tests := map[string]struct{ doc, want string }{
		"a word":             {`"x y"`, "x y\n"},
		"a large number":     {`{"bytes": 73400320123456789}`, "73400320123456789\n"},
		"no value":           {`[null, true, false, 1.5]`, "None\tTrue\tFalse\t1.5\n"},
		"an empty list":      {`[]`, ""},
		"an empty object":    {`{}`, ""},
		"words":              {`["a", "b"]`, "a\tb\n"},
		"rows":               {`[["a", 1], ["b", 2]]`, "a\t1\nb\t2\n"},
		"objects":            {`[{"b": 2, "a": 1}, {"a": 3}]`, "1\t2\n3\t\n"},
		"nested":             {`{"z": 1, "list": ["p", "q"], "deep": {"k": "v"}}`, "1\nDEEP\tv\nLIST\tp\nLIST\tq\n"},
		"objects in a list":  {`{"DATA": [{"id": "x", "tags": ["t"]}, {"id": "y", "tags": []}]}`, "DATA\tx\nTAGS\tt\nDATA\ty\n"},
		"a word and nested":  {`[{"a": 1}, {"a": [2]}]`, "A\t1\nA\t2\n"},
		"a line end, a tab":  {`["a\nb\tc"]`, `a\nb\tc` + "\n"},
		"a control sequence": {`"\u001b[31mred"`, `\u001b[31mred` + "\n"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			v, err := decoded(json.RawMessage(tt.doc), true)
			if writeUnix(&out, v); err != nil || out.String() != tt.want {
				t.Errorf("got %q, %v, want %q", out.String(), err, tt.want)
			}
		})
	}
}

func TestNumbersThatAQueryFindsHaveNoExponent(t *testing.T) {
	var q query
	if err := q.Set("bytes"); err != nil {
		t.Fatal(err)
	}
	doc, err := decoded(map[string]int64{"bytes": 73_400_320_123}, false)
	if err != nil {
		t.Fatal(err)
	}
	found, err := q.search(doc)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if writeUnix(&out, found); out.String() != "73400320123\n" {
		t.Errorf("got %q", out.String())
	}
}

func TestWordsBetweenBackticksNeedNoQuotes(t *testing.T) {
	for expr, want := range map[string]string{
		"DATA[?status==`ACTIVE`].task_id":      "DATA[?status==`\"ACTIVE\"`].task_id",
		"[?n==`5` || x==`\"a\"` || y==`null`]": "[?n==`5` || x==`\"a\"` || y==`null`]",
		"[?a=='`b`' && \"`c`\"==` d e`]":       "[?a=='`b`' && \"`c`\"==`\"d e\"`]",
		"a == `":                               "a == `",
		"a == `\"b`":                           "a == `\"\\\"b\"`",
	} {
		if got := literals(expr); got != want {
			t.Errorf("%s: got %s, want %s", expr, got, want)
		}
	}
}

func FuzzWriteUnix(f *testing.F) {
	f.Add(`{"DATA": [{"id": "x", "tags": ["t", null]}, 3, [true]]}`)
	f.Fuzz(func(t *testing.T, doc string) {
		if !json.Valid([]byte(doc)) {
			return
		}
		var out strings.Builder
		v, err := decoded(json.RawMessage(doc), true)
		if err != nil {
			t.Skip(err) // a number that no type holds, for one
		}
		writeUnix(&out, v)
		if s := out.String(); s != "" && !strings.HasSuffix(s, "\n") {
			t.Errorf("got %q, whose last line has no end", s)
		}
		for _, r := range out.String() {
			if r < ' ' && r != '\n' && r != '\t' {
				t.Errorf("got %q, with a control character", out.String())
			}
		}
	})
}
