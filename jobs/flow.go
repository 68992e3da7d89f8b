package jobs

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// maxBody is how long the input of a flow may be as JSON, in bytes: the state of a
// run, of which it is a part, has at most 200 KB.
const maxBody = 200_000

// A Flow starts a flow of Globus Flows, and waits until that run of it has ended.
type Flow struct {
	ID string // of the flow, a UUID in lower case
	// Body is the input of the flow, as JSON. All texts in it but the keys are
	// templates.
	Body map[string]any
	// DataAccess are the ids of the mapped collections whose data the flow may use
	// on behalf of the account.
	DataAccess []string
}

// flow reads which flow to start.
func (s *source) flow(n ast.Node, field string) *Flow {
	f := Flow{Body: map[string]any{}}
	s.object(n, field, keys{
		"id":          s.flowID(&f.ID),
		"body":        s.flowBody(&f.Body),
		"data_access": s.flowData(&f.DataAccess),
	})
	s.require(n, field, "id", "give the flow's UUID")
	return &f
}

// aFlowID is what the id of a flow is.
const aFlowID = "the id of a flow (a UUID; it stands in the address of the flow's page at app.globus.org)"

func (s *source) flowID(to *string) decoder {
	return func(n ast.Node, field string) {
		if number(n) {
			s.wrongType(n, field, aFlowID)
			return
		}
		id, ok := s.text(n, field)
		if *to = strings.ToLower(id); ok && !uuidPattern().MatchString(*to) {
			s.problem(n, field, "%q is not %s", short(id), aFlowID)
		}
	}
}

// flowBody reads the input of a flow.
func (s *source) flowBody(to *map[string]any) decoder {
	return func(n ast.Node, field string) {
		if !mapping(n) {
			s.wrongType(n, field, "a mapping of keys and values")
			return
		}
		before := len(s.problems)
		*to, _ = s.free(n, field).(map[string]any) // as n is a mapping
		doc, err := json.Marshal(*to)
		switch {
		case len(s.problems) > before:
		case err != nil:
			s.problem(n, field, "it cannot be written as JSON: %v", err)
		case len(doc) > maxBody:
			s.problem(n, field, "it has %d bytes as JSON; the state of a run of a flow may have %d", len(doc), maxBody)
		}
	}
}

// flowData reads the collections whose data a flow may use.
func (s *source) flowData(to *[]string) decoder {
	return func(n ast.Node, field string) {
		for i, n := range s.items(n, field, 1) {
			var on *declared
			s.collection(&on)(n, element(field, i))
			switch {
			case on == nil:
			case slices.Contains(*to, on.ID):
				s.problem(n, element(field, i), "%s is in the list already", on.name)
			default:
				*to = append(*to, on.ID)
			}
		}
	}
}

// free reads any value of JSON. Its texts are templates.
func (s *source) free(n ast.Node, field string) any {
	switch n := n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		object := map[string]any{}
		for key, n := range s.pairs(n, field) {
			name := key.GetToken().Value
			object[name] = s.free(n, join(field, name))
		}
		return object
	case *ast.SequenceNode:
		list := make([]any, len(n.Values))
		for i, n := range n.Values {
			list[i] = s.free(n, element(field, i))
		}
		return list
	case *ast.StringNode:
		return s.freeText(n, field, n.Value)
	case *ast.LiteralNode:
		return s.freeText(n, field, n.Value.Value)
	case *ast.BoolNode:
		return n.Value
	case *ast.IntegerNode:
		return n.Value
	case *ast.FloatNode:
		return n.Value
	case *ast.NullNode:
		return nil
	}
	s.problem(n, field, "JSON has no such value as %s", short(n.GetToken().Value))
	return nil
}

func (s *source) freeText(n ast.Node, field, text string) string {
	s.sample(n, field, text, 0)
	return text
}

// texts yields the texts of a value of JSON, without the keys.
func texts(value any, yield func(string) bool) bool {
	switch v := value.(type) {
	case string:
		return yield(v)
	case map[string]any:
		for _, v := range v {
			if !texts(v, yield) {
				return false
			}
		}
	case []any:
		for _, v := range v {
			if !texts(v, yield) {
				return false
			}
		}
	}
	return true
}

// value resolves the templates in a value of JSON.
func (r *renderer) value(value any) any {
	switch v := value.(type) {
	case string:
		return r.text(v)
	case map[string]any:
		object := make(map[string]any, len(v))
		for key, v := range v {
			object[key] = r.value(v)
		}
		return object
	case []any:
		list := make([]any, len(v))
		for i, v := range v {
			list[i] = r.value(v)
		}
		return list
	}
	return value
}
