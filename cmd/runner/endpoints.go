package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/globus-runner/globus-runner/internal/spelling"
	"github.com/globus-runner/globus-runner/transfer"
)

func (a *app) endpointsCommand() *cobra.Command {
	var q transfer.EndpointQuery
	var nonFunctional bool
	c := &cobra.Command{
		Use:   "endpoints [TEXT]",
		Short: "Find collections",
		Example: `  runner endpoints "advanced light source"
  runner endpoints --filter-scope my-endpoints`,
		Args: arguments(0, 1),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				q.Fulltext = args[0]
			}
			if q.Fulltext == "" && (q.Scope == "" || q.Scope == "all") {
				return usageError{errors.New("a text to search for is needed, or another --filter-scope, such as my-endpoints")}
			}
			if q.Scope != "" {
				scope, err := spelling.OneOf(q.Scope, scopes[:]...)
				if err != nil {
					return usageError{fmt.Errorf("--filter-scope: %w", err)}
				}
				q.Scope = scope
			}
			if c.Flags().Changed("filter-non-functional") {
				q.NonFunctional = &nonFunctional
			}
			globus, err := a.connect(wiring{})
			if err != nil {
				return err
			}
			data := []json.RawMessage{}
			var rows [][]string
			for e, err := range globus.transfer.SearchEndpoints(c.Context(), q) {
				if err != nil {
					return err
				}
				data = append(data, e.Raw)
				rows = append(rows, []string{e.ID, e.EntityType, e.OwnerString, e.DisplayName})
			}
			return a.print(globusList("endpoint_list", data), func(w io.Writer) {
				tableOr(w, "no collections", []string{"ID", "TYPE", "OWNER", "NAME"}, rows)
			})
		},
	}
	flags := c.Flags()
	flags.StringVar(&q.Scope, "filter-scope", "", strings.Join(scopes[:], ", "))
	flags.StringVar(&q.OwnerID, "filter-owner-id", "", "identity id of the owner")
	flags.StringVar(&q.HostEndpoint, "filter-host-endpoint", "", "guest collections of this collection")
	flags.StringVar(&q.EntityType, "filter-entity-type", "", "such as GCSv5_guest_collection")
	flags.BoolVar(&nonFunctional, "filter-non-functional", false, "collections that do not work, or with =false only those that do")
	flags.IntVar(&q.Limit, "limit", 0, "how many to list; default: all that Globus finds, at most 1000")
	return c
}

// scopes are the values of --filter-scope.
var scopes = [...]string{
	"all", "my-endpoints", "my-gcp-endpoints", "recently-used", "in-use", "shared-by-me", "shared-with-me", "administered-by-me",
}

// globusList is the document of a list as globus-cli prints it.
func globusList(dataType string, data []json.RawMessage) any {
	return map[string]any{"DATA_TYPE": dataType, "DATA": data}
}
