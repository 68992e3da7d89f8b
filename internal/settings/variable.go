package settings

import (
	"iter"
	"reflect"
	"strings"

	"github.com/globus-runner/globus-runner/auth"
)

// A Variable is a variable that the program reads.
type Variable struct {
	Name    string `json:"name"`
	Value   string `json:"value,omitempty"` // empty if not set, and for secrets
	Set     bool   `json:"set"`
	Default string `json:"default,omitempty"`
	Meaning string `json:"meaning"`
}

// Variables lists every variable with its value, unless that is secret.
func (e *Environment) Variables() []Variable {
	set := present(e.environ)
	var rows []Variable
	for t := range tags(reflect.TypeFor[Environment](), "") {
		value, ok := set[t.name]
		if t.secret || t.address && strings.ContainsAny(value, "@?=") {
			value = "" // an address may contain a password
		}
		rows = append(rows, Variable{t.name, value, ok, t.fallback, t.meaning})
	}
	return rows
}

// A tag is the description of a variable in the tags of its field.
type tag struct {
	name, field, fallback, meaning string
	secret                         bool
	address                        bool // of a service or a database
}

// tags yields the tags of an environment struct.
func tags(t reflect.Type, prefix string) iter.Seq[tag] {
	return func(yield func(tag) bool) {
		for f := range t.Fields() {
			if name, ok := f.Tag.Lookup("env"); ok {
				v := tag{
					name: prefix + name, field: f.Name,
					fallback: f.Tag.Get("envDefault"), meaning: f.Tag.Get("desc"),
					secret:  f.Type == reflect.TypeFor[auth.Secret](),
					address: f.Type == reflect.TypeFor[ServiceURL]() || f.Type == reflect.TypeFor[PageURL]() || name == "RUNNER_STATE",
				}
				if !yield(v) {
					return
				}
				continue
			}
			if f.Type.Kind() != reflect.Struct {
				continue
			}
			for v := range tags(f.Type, prefix+f.Tag.Get("envPrefix")) {
				if !yield(v) {
					return
				}
			}
		}
	}
}
