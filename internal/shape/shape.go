// Package shape makes JSON Schemas of the documents that the program prints,
// from their Go types.
package shape

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strings"
	"time"
)

// A schema is the part of JSON Schema that the documents need.
type schema struct {
	Schema     string             `json:"$schema,omitempty"`
	Title      string             `json:"title,omitempty"`
	Type       any                `json:"type,omitempty"` // a word, or several
	Format     string             `json:"format,omitempty"`
	Enum       []string           `json:"enum,omitempty"`
	Properties map[string]*schema `json:"properties,omitempty"`
	Required   []string           `json:"required,omitempty"`
	Items      *schema            `json:"items,omitempty"`
	Values     *schema            `json:"additionalProperties,omitempty"` // of a map
}

// An enumerated is a text that must be one of some words.
type enumerated interface{ Words() []string }

// Of returns the JSON Schema (draft 2020-12) for the type of v as encoding/json writes
// it. A field with omitempty or omitzero is not required. A type that encodes itself may
// be anything, and a text with a method Words is one of those words. Additional keys are
// always allowed.
func Of(title string, v any) ([]byte, error) {
	s := of(reflect.TypeOf(v))
	s.Schema, s.Title = "https://json-schema.org/draft/2020-12/schema", title
	text, err := json.MarshalIndent(s, "", "  ")
	return append(text, '\n'), err
}

func of(t reflect.Type) *schema {
	switch {
	case t.ConvertibleTo(reflect.TypeFor[time.Time]()), t == reflect.TypeFor[*time.Time]():
		return &schema{Type: "string", Format: "date-time"}
	case t.Implements(reflect.TypeFor[json.Marshaler]()):
		return &schema{}
	case t.Implements(reflect.TypeFor[encoding.TextMarshaler]()):
		return &schema{Type: "string"}
	}
	switch t.Kind() {
	case reflect.Bool:
		return &schema{Type: "boolean"}
	case reflect.String:
		s := &schema{Type: "string"}
		if few, is := reflect.TypeAssert[enumerated](reflect.Zero(t)); is {
			s.Enum = few.Words()
		}
		return s
	case reflect.Float32, reflect.Float64:
		return &schema{Type: "number"}
	case reflect.Pointer:
		return of(t.Elem())
	case reflect.Slice, reflect.Array:
		return &schema{Type: "array", Items: of(t.Elem())}
	case reflect.Map:
		return &schema{Type: "object", Values: of(t.Elem())}
	case reflect.Struct:
		s := &schema{Type: "object", Properties: map[string]*schema{}}
		s.fields(t)
		return s
	case reflect.Interface:
		return &schema{}
	}
	return &schema{Type: "integer"}
}

// fields adds the fields of a struct.
func (s *schema) fields(t reflect.Type) {
	for f := range t.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			s.fields(f.Type)
			continue
		case name == "-" || name == "":
			continue
		}
		s.Properties[name] = of(f.Type)
		switch {
		case strings.Contains(options, "omit"):
		case f.Type.Kind() == reflect.Pointer || f.Type.Kind() == reflect.Slice:
			s.Properties[name].nullable()
			fallthrough
		default:
			s.Required = append(s.Required, name)
		}
	}
}

// nullable also allows null.
func (s *schema) nullable() {
	if word, ok := s.Type.(string); ok && word != "array" {
		s.Type = []string{word, "null"}
	}
}
