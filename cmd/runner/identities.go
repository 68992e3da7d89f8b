package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/internal/plain"
)

const aboutIdentities = `Look identities up. For each username it prints the id, and for each id the
username, a line each in the order of the arguments. NO_SUCH_IDENTITY stands for
one that Globus Auth does not know.

With --verbose it prints a table of those that there are.`

// nobody is printed for an identity that does not exist, as in globus-cli.
const nobody = "NO_SUCH_IDENTITY"

func (a *app) identitiesCommand() *cobra.Command {
	var q auth.IdentityQuery
	c := &cobra.Command{
		Use:   "get-identities USERNAME|ID…",
		Short: "Look up the ids of usernames, and the usernames of ids",
		Long:  aboutIdentities,
		Example: `  runner get-identities ada@example.edu
  runner get-identities --verbose 0b6c8f2e-0000-4000-8000-000000000001 ada@example.edu`,
		Args: arguments(1, maxIdentities),
		RunE: func(c *cobra.Command, args []string) error {
			for i, name := range args {
				switch id, err := uuid.Parse(name); {
				case err == nil:
					args[i] = id.String()
					q.IDs = append(q.IDs, args[i])
				case strings.Contains(name, "@") && !strings.ContainsAny(name, ", \t"):
					q.Usernames = append(q.Usernames, name)
				default:
					return usageError{fmt.Errorf("%q is not a username, such as ada@example.edu, and not an id", name)}
				}
			}
			return a.showIdentities(c.Context(), q, args, c.Flags().Changed("verbose"))
		},
	}
	c.Flags().BoolVar(&q.Provision, "provision", false, "make an identity of each username that has none")
	return c
}

// maxIdentities is how many identities can be looked up by one command.
const maxIdentities = 10_000

// showIdentities looks identities up and prints them: as a table, or else the username of
// each id and the id of each username, in the order in which they were asked for.
func (a *app) showIdentities(ctx context.Context, q auth.IdentityQuery, asked []string, table bool) error {
	globus, err := a.connect(wiring{acts: q.Provision})
	if err != nil {
		return err
	}
	found, err := globus.account.Identities(ctx, q)
	if err != nil {
		return err
	}
	raw := []json.RawMessage{}
	other := map[string]string{}
	var rows [][]string
	for _, who := range found {
		raw = append(raw, who.Raw)
		rows = append(rows, []string{who.ID, who.Username, who.Name, who.Organization, who.Email})
		other[who.ID], other[strings.ToLower(who.Username)] = who.Username, who.ID
	}
	return a.print(map[string]any{"identities": raw}, func(w io.Writer) {
		if table {
			tableOr(w, "no identities", []string{"ID", "USERNAME", "FULL NAME", "ORGANIZATION", "EMAIL ADDRESS"}, rows)
			return
		}
		for _, name := range asked {
			is, ok := other[strings.ToLower(name)]
			if !ok {
				is = nobody
			}
			fmt.Fprintln(w, plain.Line(is))
		}
	})
}
