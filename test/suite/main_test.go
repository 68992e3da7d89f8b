package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/globus-runner/globus-runner/test/long"
)

func TestTheSuiteSaysWhatFailedAndWhatWasSkipped(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module x\n\ngo 1.26\n",
		"a/a_test.go": `package a
import ("os"; "testing")
func TestGood(t *testing.T) { t.Log("nobody asked") }
func TestBad(t *testing.T) { t.Error("the reason") }
func TestLeftOut(t *testing.T) { t.Skip("skipped: there is no such program") }
func TestLong(t *testing.T) { if os.Getenv("TEST_LONG") != "" { t.Error("it is long") } }
`,
		"b/b.go":      "package b\n",
		"b/b_test.go": "package b\nfunc broken() { undefined() }\n",
	} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	t.Setenv("CGO_ENABLED", "0")
	t.Setenv("GOFLAGS", "-buildvcs=false -mod=mod")
	t.Setenv(long.Variable, "") // this test may be part of the long form itself
	tests := map[string]struct {
		args    []string
		status  int
		want    []string
		wantNot string
	}{
		"short":    {nil, 1, []string{"the reason", "a TestLeftOut: there is no such program", "2 tests passed, 1 failed, 2 skipped"}, "nobody asked"},
		"long":     {[]string{"-long", "-run", "Long"}, 1, []string{"it is long", "undefined: undefined"}, "the reason"},
		"all good": {[]string{"-run", "TestGood", "-vet=off", "-skip", "x"}, 1, []string{"skipped: the race detector: it needs a C compiler", "1 tests passed"}, "nobody asked"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			status := run(t.Context(), tt.args, &out, &out)
			if status != tt.status || strings.Contains(out.String(), tt.wantNot) {
				t.Errorf("got status %d, want %d, and no %q:\n%s", status, tt.status, tt.wantNot, &out)
			}
			for _, want := range tt.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("got no %q in:\n%s", want, &out)
				}
			}
		})
	}
}

func TestEveryModelExists(t *testing.T) {
	var all strings.Builder
	for _, name := range modeled {
		files, err := filepath.Glob("../../" + name + "/*_test.go")
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file) //nolint:gosec // it is one of ours
			if err != nil {
				t.Fatal(err)
			}
			all.Write(text)
		}
	}
	for name := range strings.SplitSeq(models+"|"+stories, "|") {
		if !strings.Contains(all.String(), "func "+name+"(t *testing.T)") {
			t.Errorf("%v have no %s", modeled, name)
		}
	}
}
