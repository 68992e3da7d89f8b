package migrate_test

import (
	"github.com/spf13/pflag"
)

// flags are some of the flags that the program shares with globus-cli; those
// that it really has are tried with the program.
func flags(command string) *pflag.FlagSet {
	f := pflag.NewFlagSet(command, pflag.ContinueOnError)
	f.BoolP("recursive", "r", false, "")
	f.Bool("dry-run", false, "")
	f.Bool("no-wait", false, "")
	for _, name := range []string{"batch", "deadline", "label", "notify", "submission-id", "timeout"} {
		f.String(name, "", "")
	}
	if command == "delete" {
		f.BoolP("ignore-missing", "f", false, "")
		f.Bool("enable-globs", false, "")
		f.String("local-user", "", "")
		return f
	}
	for _, name := range []string{
		"preserve-timestamp", "no-verify-checksum", "encrypt-data", "skip-source-errors", "allow-skipped",
		"fail-on-quota-errors", "delete", "delete-destination-extra", "allow-empty-source",
	} {
		f.Bool(name, false, "")
	}
	f.Bool("verify-checksum", true, "")
	f.StringP("sync-level", "s", "", "")
	for _, name := range []string{"external-checksum", "checksum-algorithm", "include", "exclude", "max-delete", "look", "source-local-user", "destination-local-user"} {
		f.String(name, "", "")
	}
	return f
}
