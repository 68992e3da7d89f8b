package jobs

import (
	"regexp/syntax"
	"strings"
	"text/template/parse"
)

// apart reports whether a path is certain to be different for each item. It is if it has the
// item's name, path or key. It also is if two names can differ only in named groups, and the
// path has each of these groups as a whole part between slashes.
func (e *ForEach) apart(text string) bool {
	tree, err := parseTemplate(text)
	if err != nil {
		return true // that is said elsewhere
	}
	shown := map[string]bool{} // groups that can be read out of the path
	var between []string       // what differs since the last slash
	next := func() {
		if len(between) == 1 {
			shown[between[0]] = true
		}
		between = nil
	}
	for _, n := range tree.Root.Nodes {
		text, plain := n.(*parse.TextNode)
		if !plain {
			part := itemPart(n)
			if part == "Name" || part == "Path" || part == "Key" {
				return true
			}
			between = append(between, part)
			continue
		}
		if strings.Contains(string(text.Text), "/") {
			next()
		}
	}
	next()
	if e.Match.expr == nil {
		return false
	}
	expr, err := syntax.Parse(e.Match.expr.String(), syntax.Perl)
	return err == nil && tells(expr, shown)
}

// itemPart returns the part of an item that a node of a template prints unchanged, or "".
func itemPart(n parse.Node) string {
	action, ok := n.(*parse.ActionNode)
	if !ok || len(action.Pipe.Cmds) != 1 || len(action.Pipe.Cmds[0].Args) != 1 {
		return ""
	}
	field, ok := action.Pipe.Cmds[0].Args[0].(*parse.FieldNode)
	switch {
	case !ok:
		return ""
	case len(field.Ident) == 2 && field.Ident[0] == "Item":
		return field.Ident[1]
	case len(field.Ident) == 1 && field.Ident[0] == "Key":
		return "Key"
	}
	return ""
}

// tells reports whether the groups that are shown determine the name that matches.
func tells(expr *syntax.Regexp, shown map[string]bool) bool {
	switch expr.Op {
	case syntax.OpEmptyMatch, syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText:
		return true
	case syntax.OpLiteral:
		return expr.Flags&syntax.FoldCase == 0
	case syntax.OpCapture:
		return shown[expr.Name] && expr.Name != "" || tells(expr.Sub[0], shown)
	case syntax.OpConcat:
		for _, part := range expr.Sub {
			if !tells(part, shown) {
				return false
			}
		}
		return true
	}
	return false
}
