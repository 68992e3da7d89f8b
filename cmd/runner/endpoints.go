package main

import (
	"encoding/json"
	"errors"
	"strings"

	"github.com/spf13/cobra"

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
			if c.Flags().Changed("filter-non-functional") {
				q.NonFunctional = &nonFunctional
			}
			globus, err := a.connect(wiring{})
			if err != nil {
				return err
			}
			return globusList[*transfer.Endpoint]{
				"endpoint_list", "no collections",
				[]string{"ID", "TYPE", "OWNER", "NAME"},
				func(e *transfer.Endpoint) (json.RawMessage, []string) {
					return e.Raw, []string{e.ID, e.EntityType, e.OwnerString, e.DisplayName}
				},
			}.show(a, globus.transfer.SearchEndpoints(c.Context(), q))
		},
	}
	flags := c.Flags()
	flags.Var(oneOf(&q.Scope, "SCOPE", scopes[:]...), "filter-scope", strings.Join(scopes[:], ", "))
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
