package main

import (
	"cmp"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

func (a *app) envCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "env",
		Short: "Print the environment variables that are read, and what is set",
		Args:  arguments(0, 0),
		// The table must be there to find out what is wrong with a variable.
		PersistentPreRunE: func(*cobra.Command, []string) error { return nil },
		RunE: func(*cobra.Command, []string) error {
			rows := a.env.Variables()
			return a.print(newList(rows), func(w io.Writer) {
				t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
				fmt.Fprintln(t, "VARIABLE\tVALUE\tMEANING")
				for _, v := range rows {
					value := v.Value
					switch {
					case v.Set && value == "":
						value = "(set, not shown)"
					case !v.Set && v.Default != "":
						value = "(" + v.Default + ")"
					}
					fmt.Fprintf(t, "%s\t%s\t%s\n", v.Name, cmp.Or(value, "-"), v.Meaning)
				}
				_ = t.Flush() // w keeps its error
			})
		},
	}
}
