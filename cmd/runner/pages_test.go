package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/globus-runner/globus-runner/internal/settings"
)

// TestEnvironmentPageIsComplete compares the table of docs/environment.md with
// the variables that the program reads.
func TestEnvironmentPageIsComplete(t *testing.T) {
	const (
		page  = "../../docs/environment.md"
		begin = "<!-- What follows is what runner env prints: go test ./cmd/runner -run EnvironmentPage -update -->\n"
		end   = "<!-- end -->\n"
	)
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), begin)
	table, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("%s has lost its marks %q and %q", page, begin, end)
	}
	var b strings.Builder
	b.WriteString("\n| variable | default | meaning |\n|---|---|---|\n")
	for _, v := range settings.Read(nil).Variables() {
		if v.Name == "HOME" {
			continue
		}
		fallback := cmp.Or(v.Default, "none")
		if v.Default != "" {
			fallback = "`" + fallback + "`"
		}
		meaning := strings.NewReplacer("|", `\|`, "*", `\*`, "<", `\<`).Replace(v.Meaning)
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", v.Name, fallback, meaning)
	}
	b.WriteString("\n")
	if *update {
		if err := os.WriteFile(page, []byte(before+begin+b.String()+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if b.String() != table {
		t.Errorf("the table in %s is not that of runner env; go test ./cmd/runner -run EnvironmentPage -update", page)
	}
}

// TestCommandsPageIsComplete looks for every command in docs/commands.md.
func TestCommandsPageIsComplete(t *testing.T) {
	text, err := os.ReadFile("../../docs/commands.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range newApp(nil, nil, io.Discard, io.Discard).command().Commands() {
		if c.Hidden || c.Name() == "help" {
			continue
		}
		if name := c.Name(); !strings.Contains(string(text), "`runner "+name) && !strings.Contains(string(text), "`"+name+"`") {
			t.Errorf("docs/commands.md does not have runner %s", name)
		}
	}
}

// TestGlobusCLIPageIsTrue looks for every command and flag that docs/globus-cli.md
// has in its second column, and compares it with what is answered to a command that is
// not here.
func TestGlobusCLIPageIsTrue(t *testing.T) {
	text, err := os.ReadFile("../../docs/globus-cli.md")
	if err != nil {
		t.Fatal(err)
	}
	root := newApp(nil, nil, io.Discard, io.Discard).command()
	seen, answered := 0, 0
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		if len(cells) != 5 {
			continue
		}
		for _, code := range regexp.MustCompile("`([a-z][^`]*)`").FindAllStringSubmatch(cells[1], -1) {
			words := strings.Fields(code[1])
			if c, rest, err := root.Find(words); err == nil && c != root && len(rest) == 0 {
				continue
			}
			answered++
			answer := answerCommand(root, words)
			_, here, _ := strings.Cut(answer, " is ")
			here, found := strings.CutSuffix(here, " here")
			if answer == "" || found == (strings.TrimSpace(cells[2]) == "-") || found && !strings.Contains(cells[2], here) {
				t.Errorf("the answer to globus %s is %q, want one of %s", code[1], answer, cells[2])
			}
		}
		for _, code := range regexp.MustCompile("`runner ([^`]*)`").FindAllStringSubmatch(cells[2], -1) {
			words := strings.Fields(code[1])
			c, rest, err := root.Find(words)
			if err != nil || c == root && words[0] != "--help" {
				t.Errorf("there is no command runner %s: %v", code[1], err)
				continue
			}
			for _, word := range rest {
				seen++
				name, isFlag := strings.CutPrefix(word, "--")
				if isFlag && name != "help" && c.Flag(name) == nil {
					t.Errorf("%s has no flag %s", c.CommandPath(), word)
				}
			}
		}
	}
	if answered < 40 {
		t.Errorf("only %d commands that have another name here were found in the table", answered)
	}
	for _, f := range cliCommands() {
		if !strings.Contains(string(text), "`"+f.words) {
			t.Errorf("the table does not have globus %s", f.words)
		}
	}
	if seen < 50 {
		t.Errorf("only %d words of commands were found in the table", seen)
	}
}

// TestGlobusCLIPageIsComplete looks for every command of globus-cli in the first
// column of docs/globus-cli.md, where a group stands for its commands. It also looks
// for commands there that globus-cli does not have.
func TestGlobusCLIPageIsComplete(t *testing.T) {
	page, err := os.ReadFile("../../docs/globus-cli.md")
	if err != nil {
		t.Fatal(err)
	}
	requests, err := os.ReadFile("../../globussim/testdata/globus-cli.txt")
	if err != nil {
		t.Fatal(err)
	}
	commands := regexp.MustCompile("(?m)^[a-z].*$").FindAllString(string(requests), -1)
	if len(commands) < 130 {
		t.Errorf("only %d commands of globus-cli are listed", len(commands))
	}
	var rows []string
	for _, row := range regexp.MustCompile("(?m)^\\| (`[^|]*`) \\|").FindAllStringSubmatch(string(page), -1) {
		for _, code := range regexp.MustCompile("`([^`]*)`").FindAllStringSubmatch(row[1], -1) {
			rows = append(rows, code[1])
		}
	}
	covers := func(row, command string) bool { return row == command || strings.HasPrefix(command, row+" ") }
	for _, command := range commands {
		if !slices.ContainsFunc(rows, func(row string) bool { return covers(row, command) }) {
			t.Errorf("docs/globus-cli.md does not have globus %s", command)
		}
	}
	for _, row := range rows {
		if !slices.ContainsFunc(commands, func(command string) bool { return covers(row, command) }) {
			t.Errorf("docs/globus-cli.md has %s, which is not a command of globus-cli", row)
		}
	}
}

// TestReadmeWorksInOrder runs all shell blocks of the README in one shell, as a
// reader does who pastes them one after the other.
func TestReadmeWorksInOrder(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var script strings.Builder
	for _, m := range shellBlock.FindAllSubmatch(text, -1) {
		for line := range strings.Lines(string(m[1])) {
			if !strings.HasPrefix(line, "make ") {
				script.WriteString(line)
			}
		}
	}
	runBlock(t, script.String())
}
