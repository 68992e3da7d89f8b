package main

import (
	"io"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestCommandsOfAlertsExist holds the next steps that the alerts name against the
// command line.
func TestCommandsOfAlertsExist(t *testing.T) {
	text, err := os.ReadFile("../../deploy/prometheus/rules.yaml")
	must(t, err)
	root := newApp(nil, strings.NewReader(""), io.Discard, io.Discard).command()
	all := regexp.MustCompile(`"runner ([^"]*)"`).FindAllStringSubmatch(string(text), -1)
	if len(all) == 0 {
		t.Error("the alerts name no command")
	}
	for _, m := range all {
		words := strings.Fields(strings.NewReplacer("{{ $labels.job }}", "nightly", "{{ $labels.channel }}", "ops").Replace(m[1]))
		command, rest, err := root.Find(words)
		if err != nil || command == root || command.HasSubCommands() && len(rest) > 0 && !strings.HasPrefix(rest[0], "-") {
			t.Errorf("there is no command runner %s", m[1])
			continue
		}
		wanted(t, command, rest, m[1])
	}
}

// wanted checks that a command takes its flags and arguments.
func wanted(t *testing.T, command *cobra.Command, args []string, line string) {
	t.Helper()
	if err := command.ParseFlags(args); err != nil {
		t.Errorf("runner %s: %v", line, err)
		return
	}
	if err := command.ValidateArgs(command.Flags().Args()); err != nil {
		t.Errorf("runner %s: %v", line, err)
	}
}
