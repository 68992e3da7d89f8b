package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/globus-runner/globus-runner/transfer"
)

func (a *app) endpointsCommand() *cobra.Command {
	c := a.endpointSearch()
	c.Use, c.Short = "endpoints [TEXT]", "Find collections"
	return c
}

// endpointCommand has the words of globus-cli for looking at collections.
func (a *app) endpointCommand() *cobra.Command {
	c := &cobra.Command{Use: "endpoint", Short: "Look at a collection: what it is, who may use it", Args: cobra.ArbitraryArgs, RunE: group}
	c.AddCommand(a.endpointSearch(), a.endpointShow(), a.endpointPermissions(), a.endpointRoles())
	return c
}

// onEndpoint makes a command with a collection as its argument.
func (a *app) onEndpoint(use, short string, do func(ctx context.Context, globus *transfer.Client, id string) error) *cobra.Command {
	return &cobra.Command{
		Use:   use + " COLLECTION",
		Short: short,
		Args:  arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			on, err := a.collection(args[0])
			if err != nil {
				return err
			}
			globus, err := a.connect(wiring{})
			if err != nil {
				return err
			}
			return do(c.Context(), globus.transfer, on.ID)
		},
	}
}

func (a *app) endpointShow() *cobra.Command {
	return a.onEndpoint("show", "Show a collection", func(ctx context.Context, globus *transfer.Client, id string) error {
		e, err := globus.Endpoint(ctx, id)
		if err != nil {
			return err
		}
		return a.print(e.Raw, func(w io.Writer) {
			properties(w, "id", e.ID, "name", e.DisplayName, "type", e.EntityType, "owner", e.OwnerString)
		})
	})
}

// endpointPermissions lists the access rules of a guest collection, and deletes them.
func (a *app) endpointPermissions() *cobra.Command {
	c := &cobra.Command{Use: "permission", Short: "Who may read and write a guest collection", Args: cobra.ArbitraryArgs, RunE: group}
	c.AddCommand(a.onEndpoint("list", "List the access rules of a guest collection", func(ctx context.Context, globus *transfer.Client, id string) error {
		return globusList[*transfer.AccessRule]{
			"access_list", "no rules",
			[]string{"RULE ID", "PERMISSIONS", "SHARED WITH", "PATH", "EXPIRES"},
			func(r *transfer.AccessRule) (json.RawMessage, []string) {
				return r.Raw, []string{string(r.ID), r.Permissions, strings.TrimSpace(r.PrincipalType + " " + r.Principal), r.Path, when(r.ExpirationDate.Time)}
			},
		}.show(a, globus.AccessRules(ctx, id))
	}), a.permissionDelete())
	return c
}

// endpointRoles lists the roles on a collection.
func (a *app) endpointRoles() *cobra.Command {
	c := &cobra.Command{Use: "role", Short: "Look at who manages a collection", Args: cobra.ArbitraryArgs, RunE: group}
	c.AddCommand(a.onEndpoint("list", "List the roles on a collection", func(ctx context.Context, globus *transfer.Client, id string) error {
		return globusList[*transfer.Role]{
			"role_list", "no roles",
			[]string{"ROLE ID", "ROLE", "PRINCIPAL"},
			func(r *transfer.Role) (json.RawMessage, []string) {
				return r.Raw, []string{string(r.ID), r.Role, strings.TrimSpace(r.PrincipalType + " " + r.Principal)}
			},
		}.show(a, globus.Roles(ctx, id))
	}))
	return c
}

func (a *app) endpointSearch() *cobra.Command {
	var q transfer.EndpointQuery
	var nonFunctional bool
	c := &cobra.Command{
		Use:   "search [TEXT]",
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
