package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/globus-runner/globus-runner/internal/export"
	"github.com/globus-runner/globus-runner/internal/notify/channel"
	"github.com/globus-runner/globus-runner/internal/runlog"
	"github.com/globus-runner/globus-runner/internal/settings"
	"github.com/globus-runner/globus-runner/internal/shape"
	"github.com/globus-runner/globus-runner/internal/sharing"
	"github.com/globus-runner/globus-runner/internal/spelling"
	"github.com/globus-runner/globus-runner/jobs"
)

// documents are what -F json prints, by name, and what a webhook is sent. What
// Globus answers is printed as it is, and described by Globus.
func documents() map[string]any {
	return map[string]any{
		"action":   runlog.Action{},
		"audit":    list[auditDocument]{},
		"change":   changeDocument{},
		"doctor":   diagnosis{},
		"env":      list[settings.Variable]{},
		"export":   export.Result{},
		"finding":  findingDocument{},
		"import":   importDocument{},
		"items":    itemsResult{},
		"jobs":     list[jobInfo]{},
		"login":    loginDocument{},
		"logout":   list[logoutDocument]{},
		"next":     nextResult{},
		"notice":   noticeDocument{},
		"notices":  list[noticeDocument]{},
		"plan":     plan{},
		"proof":    proofDocument{},
		"receipts": list[receiptDocument]{},
		"result":   resultDocument{},
		"results":  resultsDocument{},
		"run":      runDocument{},
		"runs":     list[runDocument]{},
		"share":    sharing.Rule{},
		"sim":      simDocument{},
		"validate": validation{},
		"version":  buildInfo{},
		"webhook":  channel.Message{},
		"why":      list[whyDocument]{},
		"whoami":   identityDocument{},
	}
}

func (a *app) schemaCommand() *cobra.Command {
	names := slices.Sorted(maps.Keys(documents()))
	return &cobra.Command{
		Use:   "schema [DOCUMENT]",
		Short: "Print the JSON Schema of the jobs file, or of a result",
		Long: `Print the JSON Schema (draft 2020-12) of the jobs file.

An editor that knows the schema completes keys and shows mistakes while you write.
For editors with the YAML language server, put this into the first line:

  # yaml-language-server: $schema=jobs.schema.json

"runner validate" checks more than a schema can express.

With a name, print the schema of a document that commands print with -F json,
or of what a webhook is sent:
` + strings.Join(names[:10], ", ") + ",\n" + strings.Join(names[10:], ", ") + ".",
		Example: `  runner schema >jobs.schema.json
  runner schema result`,
		Args: arguments(0, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			schema := jobs.Schema()
			if len(args) > 0 {
				doc, ok := documents()[args[0]]
				if !ok {
					return usageError{fmt.Errorf("there is no document %q%s; there are %s", args[0], spelling.Hint(args[0], names...), strings.Join(names, ", "))}
				}
				var err error
				if schema, err = shape.Of(args[0], doc); err != nil {
					return err
				}
			}
			return a.print(json.RawMessage(schema), func(w io.Writer) {
				_, _ = w.Write(schema) // w keeps its error
			})
		},
	}
}
