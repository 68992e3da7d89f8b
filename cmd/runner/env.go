package main

import (
	"io"

	"github.com/spf13/cobra"
)

func (a *app) envCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "env",
		Short: "Print the environment variables that runner reads, and which are set",
		Args:  arguments(0, 0),
		// The table must be there to find out what is wrong with a variable.
		PersistentPreRunE: func(*cobra.Command, []string) error { return nil },
		RunE: func(*cobra.Command, []string) error {
			all := a.env.Variables()
			return a.print(newList(all), func(w io.Writer) {
				var rows [][]string
				for _, v := range all {
					value := v.Value
					switch {
					case v.Set && value == "":
						value = "(set, not shown)"
					case !v.Set && v.Default != "":
						value = "(" + v.Default + ")"
					}
					rows = append(rows, []string{v.Name, value, v.Meaning})
				}
				table(w, []string{"VARIABLE", "VALUE", "MEANING"}, rows)
			})
		},
	}
}
