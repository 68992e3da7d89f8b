package main

import (
	"cmp"
	"fmt"
	"io"
	"iter"
	"reflect"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/globus-runner/globus-runner/auth"
)

// A variableInfo is one line of "runner env".
type variableInfo struct {
	Name    string `json:"name"`
	Value   string `json:"value,omitempty"` // empty if not set, and for secrets
	Set     bool   `json:"set"`
	Default string `json:"default,omitempty"`
	Meaning string `json:"meaning"`
}

func (a *app) envCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "env",
		Short: "Print the environment variables that are read, and what is set",
		Args:  arguments(0, 0),
		// The table must be there to find out what is wrong with a variable.
		PersistentPreRunE: func(*cobra.Command, []string) error { return nil },
		RunE: func(*cobra.Command, []string) error {
			rows := a.variables()
			return a.print(map[string]any{"variables": rows}, func(w io.Writer) {
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

// variables lists every variable with what is set; secrets without their value.
func (a *app) variables() []variableInfo {
	set := settings(a.environ)
	var rows []variableInfo
	for v := range variables(reflect.TypeFor[environment](), "") {
		value, ok := set[v.name]
		if v.secret || v.address && strings.ContainsAny(value, "@?=") {
			value = "" // an address may hold a password
		}
		rows = append(rows, variableInfo{v.name, value, ok, v.fallback, v.meaning})
	}
	return rows
}

type variableTag struct {
	name, field, fallback, meaning string
	secret                         bool
	address                        bool // of a service or a database
}

// variables walks over the tags of an environment struct.
func variables(t reflect.Type, prefix string) iter.Seq[variableTag] {
	return func(yield func(variableTag) bool) {
		for f := range t.Fields() {
			if name, ok := f.Tag.Lookup("env"); ok {
				tag := variableTag{
					name: prefix + name, field: f.Name,
					fallback: f.Tag.Get("envDefault"), meaning: f.Tag.Get("desc"),
					secret:  f.Type == reflect.TypeFor[auth.Secret](),
					address: f.Type == reflect.TypeFor[serviceURL]() || name == "RUNNER_STATE",
				}
				if !yield(tag) {
					return
				}
				continue
			}
			if f.Type.Kind() != reflect.Struct {
				continue
			}
			for tag := range variables(f.Type, prefix+f.Tag.Get("envPrefix")) {
				if !yield(tag) {
					return
				}
			}
		}
	}
}
