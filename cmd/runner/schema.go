package main

import (
	"encoding/json"
	"io"

	"github.com/spf13/cobra"

	"github.com/globus-runner/globus-runner/jobs"
)

func (a *app) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of the jobs file, for editors",
		Long: `Print the JSON Schema (draft 2020-12) of the jobs file.

An editor that knows it completes keys and shows mistakes while you write. For
those that use the YAML language server, put this into the first line:

  # yaml-language-server: $schema=jobs.schema.json

"runner validate" checks more than a schema can say.`,
		Example: `  runner schema >jobs.schema.json`,
		Args:    arguments(0, 0),
		RunE: func(*cobra.Command, []string) error {
			schema := jobs.Schema()
			return a.print(json.RawMessage(schema), func(w io.Writer) {
				_, _ = w.Write(schema) // w keeps its error
			})
		},
	}
}
