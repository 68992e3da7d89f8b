package jobs_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/globus-runner/globus-runner/jobs"
)

// A validator checks documents against the schema. It knows the keywords that
// the schema uses, and fails the test on any other.
type validator struct {
	t    *testing.T
	root map[string]any
	// object is called for each object that is described by properties.
	object func(path string, keys []string)
}

func newValidator(t *testing.T) *validator {
	t.Helper()
	v := &validator{t: t}
	if err := json.Unmarshal(jobs.Schema(), &v.root); err != nil {
		t.Fatal(err)
	}
	return v
}

// check returns the first thing wrong with a document, or empty.
func (v *validator) check(doc any) string { return v.at("", doc, v.root) }

func (v *validator) at(path string, doc, schema any) string {
	if b, ok := schema.(bool); ok {
		if !b {
			return path + ": is not allowed"
		}
		return ""
	}
	s := schema.(map[string]any)
	for _, keyword := range slices.Sorted(maps.Keys(s)) {
		if msg := v.keyword(path, doc, s, keyword); msg != "" {
			return msg
		}
	}
	return ""
}

func (v *validator) keyword(path string, doc any, s map[string]any, keyword string) string {
	value := s[keyword]
	bad := func(good bool) string {
		if good {
			return ""
		}
		return fmt.Sprintf("%s: %v breaks %s %v", path, doc, keyword, value)
	}
	object, isObject := doc.(map[string]any)
	list, isList := doc.([]any)
	text, isText := doc.(string)
	number, isNumber := doc.(float64)
	matches := func(schemas any) (n int) {
		for _, sub := range schemas.([]any) {
			if v.at(path, doc, sub) == "" {
				n++
			}
		}
		return n
	}
	each := func(yield func(string, any) string) string {
		for _, key := range slices.Sorted(maps.Keys(object)) {
			if msg := yield(key, object[key]); msg != "" {
				return msg
			}
		}
		return ""
	}
	switch keyword {
	case "$schema", "$id", "$defs", "title", "description", "default", "examples", "then":
	case "$ref":
		name := strings.TrimPrefix(value.(string), "#/$defs/")
		return v.at(path, doc, v.root["$defs"].(map[string]any)[name])
	case "type":
		switch value {
		case "object":
			return bad(isObject)
		case "array":
			return bad(isList)
		case "string":
			return bad(isText)
		case "boolean":
			_, ok := doc.(bool)
			return bad(ok)
		case "integer":
			return bad(isNumber && number == float64(int64(number)))
		}
		v.t.Fatalf("the schema has the type %v", value)
	case "const":
		return bad(reflect.DeepEqual(doc, value))
	case "enum":
		return bad(slices.Contains(value.([]any), doc))
	case "pattern":
		return bad(!isText || regexp.MustCompile(value.(string)).MatchString(text))
	case "minLength":
		return bad(!isText || utf8.RuneCountInString(text) >= int(value.(float64)))
	case "maxLength":
		return bad(!isText || utf8.RuneCountInString(text) <= int(value.(float64)))
	case "minimum":
		return bad(!isNumber || number >= value.(float64))
	case "maximum":
		return bad(!isNumber || number <= value.(float64))
	case "minItems":
		return bad(!isList || len(list) >= int(value.(float64)))
	case "minProperties":
		return bad(!isObject || len(object) >= int(value.(float64)))
	case "maxProperties":
		return bad(!isObject || len(object) <= int(value.(float64)))
	case "items":
		for i, element := range list {
			if msg := v.at(fmt.Sprintf("%s[%d]", path, i), element, value); msg != "" {
				return msg
			}
		}
	case "properties":
		if isObject && v.object != nil && s["additionalProperties"] == false {
			v.object(path, slices.Sorted(maps.Keys(value.(map[string]any))))
		}
		return each(func(key string, member any) string {
			if sub, ok := value.(map[string]any)[key]; ok {
				return v.at(below(path, key), member, sub)
			}
			return ""
		})
	case "additionalProperties":
		known, _ := s["properties"].(map[string]any)
		return each(func(key string, member any) string {
			if _, ok := known[key]; ok {
				return ""
			}
			return v.at(below(path, key), member, value)
		})
	case "propertyNames":
		return each(func(key string, _ any) string { return v.at(below(path, key), key, value) })
	case "required":
		for _, key := range value.([]any) {
			if _, ok := object[key.(string)]; isObject && !ok {
				return bad(false)
			}
		}
	case "dependentRequired":
		return each(func(key string, _ any) string {
			needed, ok := value.(map[string]any)[key]
			if !ok {
				return ""
			}
			return v.at(path, doc, map[string]any{"required": needed})
		})
	case "oneOf":
		return bad(matches(value) == 1)
	case "anyOf":
		return bad(matches(value) > 0)
	case "not":
		return bad(v.at(path, doc, value) != "")
	case "if":
		if v.at(path, doc, value) == "" {
			return v.at(path, doc, s["then"])
		}
	default:
		v.t.Fatalf("the schema has the keyword %s, which this test does not know", keyword)
	}
	return ""
}

func below(path, key string) string { return strings.TrimPrefix(path+"."+key, ".") }
