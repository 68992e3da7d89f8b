// Package ci_test holds the CI steps of deploy/ci against their documentation.
package ci_test

import (
	"bytes"
	"context"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/globus-runner/globus-runner/test/long"
)

const actionlint = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12"

var yamlBlock = regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$")

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestDocumentedBlocksAreInTheFiles(t *testing.T) {
	files := read(t, "deploy/ci/github/workflow.yml") + read(t, "deploy/ci/gitlab/pipeline.yml")
	blocks := yamlBlock.FindAllStringSubmatch(read(t, "docs/ci.md"), -1)
	if len(blocks) < 3 {
		t.Errorf("got %d YAML blocks, want one for each system at least", len(blocks))
	}
	for _, b := range blocks {
		if !strings.Contains(files, b[1]) {
			t.Errorf("no file of deploy/ci has this block:\n%s", b[1])
		}
	}
}

type action struct {
	Inputs  map[string]struct{ Description string }
	Outputs map[string]struct{ Description, Value string }
	Runs    struct {
		Using string
		Steps []struct {
			ID, Uses, Shell, Run string
			Env                  map[string]string
		}
	}
}

func load(t *testing.T, name string, to any) {
	t.Helper()
	if err := yaml.Unmarshal([]byte(read(t, name)), to); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

func TestDocumentationNamesEveryInputOutputAndVariable(t *testing.T) {
	var a action
	load(t, "deploy/ci/github/action.yml", &a)
	var template map[string]struct{ Variables map[string]string }
	load(t, "deploy/ci/gitlab/runner.yml", &template)
	names := slices.Concat(slices.Collect(maps.Keys(a.Inputs)), slices.Collect(maps.Keys(a.Outputs)),
		slices.Collect(maps.Keys(template[".globus-runner"].Variables)))
	if len(names) < 15 {
		t.Errorf("got %d names, want those of the action and of the template", len(names))
	}
	text := read(t, "docs/ci.md")
	for _, name := range names {
		if !strings.Contains(text, "`"+name+"`") {
			t.Errorf("docs/ci.md does not have `%s`", name)
		}
	}
}

// An input that stands in a script would be run as a part of it.
func TestActionKeepsInputsOutOfItsScripts(t *testing.T) {
	var a action
	load(t, "deploy/ci/github/action.yml", &a)
	var all strings.Builder
	for _, s := range a.Runs.Steps {
		if strings.Contains(s.Run, "${{") || s.Uses != "" || s.Shell != "bash" {
			t.Errorf("step %s: want a bash script without expressions and without other actions", s.ID)
		}
		for _, value := range s.Env {
			all.WriteString(value)
		}
	}
	for name := range a.Inputs {
		if !strings.Contains(all.String(), "inputs."+name+" ") {
			t.Errorf("no step uses the input %s", name)
		}
	}
}

func TestWorkflowPassesActionlint(t *testing.T) {
	if !long.Wanted() {
		t.Skip("actionlint is built for it, which make test-long does")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "go", "run", actionlint, "-version").CombinedOutput(); err != nil {
		t.Skipf("actionlint cannot be had: %v\n%s", err, out)
	}
	dir := t.TempDir()
	lint := func(workflow string) (string, error) {
		for name, text := range map[string]string{
			".github/workflows/archive.yml": strings.ReplaceAll(workflow, "globus-runner/globus-runner/deploy/ci/github@main", "./deploy/ci/github"),
			"deploy/ci/github/action.yml":   read(t, "deploy/ci/github/action.yml"),
			".git/HEAD":                     "ref: refs/heads/main\n", // marks the root
		} {
			name = filepath.Join(dir, filepath.FromSlash(name))
			if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		cmd := exec.CommandContext(ctx, "go", "run", actionlint, "-no-color")
		cmd.Dir = dir
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		err := cmd.Run()
		return out.String(), err
	}
	workflow := read(t, "deploy/ci/github/workflow.yml")
	if out, err := lint(workflow); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	for _, wrong := range [][2]string{{"source:", "sauce:"}, {"outputs.files", "outputs.fyles"}} {
		out, err := lint(strings.ReplaceAll(workflow, wrong[0], wrong[1]))
		if err == nil || !strings.Contains(out, strings.TrimPrefix(strings.TrimSuffix(wrong[1], ":"), "outputs.")) {
			t.Errorf("got %v, want a complaint about %s\n%s", err, wrong[1], out)
		}
	}
}
