package main

import (
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/migrate"
)

// TestImportHasDecidedOnEveryFlag tells about a flag of the program that nobody
// has mapped to a key of the jobs file, or dropped.
func TestImportHasDecidedOnEveryFlag(t *testing.T) {
	a := newApp(nil, strings.NewReader(""), t.Output(), t.Output())
	for command, arguments := range map[string]string{
		"transfer": globussim.CollectionID("lab") + ":/a " + globussim.CollectionID("vault") + ":/b",
		"delete":   globussim.CollectionID("lab") + ":/a",
	} {
		a.cliFlags(command).VisitAll(func(f *pflag.Flag) {
			value := ""
			if f.NoOptDefVal == "" {
				value = "=succeeded"
			}
			line := "0 1 * * * globus " + command + " " + arguments + " --" + f.Name + value
			r, err := migrate.Crontab(strings.NewReader(line), time.Now(), migrate.Cron{Flags: a.cliFlags}, migrate.Options{Name: "crontab"})
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range r.Problems {
				if strings.Contains(p.Msg, "has no equivalent") {
					t.Errorf("%s: %v", command, p)
				}
			}
		})
	}
}
