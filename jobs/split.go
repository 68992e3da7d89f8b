package jobs

import (
	"errors"
	"slices"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// jobsAtOnce is how many jobs are parsed together: for each key of a mapping
// the parser copies those before it.
const jobsAtOnce = 100

// split cuts the jobs out of the tokens of a file, from the hundred-and-first
// on. The first part is the file without them, each other one a mapping of
// jobs. A file that is not laid out with a job a line is one part.
func split(tokens token.Tokens) []token.Tokens {
	var cuts []int // where a part begins
	end := len(tokens)
	column, count, flow, line := 0, 0, 0, 0 // column of the names of jobs; 0 outside of jobs
	for i, t := range tokens {
		begins := flow == 0 && t.Position.Line != line && t.Type != token.CommentType
		line = t.Position.Line
		switch t.Type {
		case token.MappingStartType, token.SequenceStartType:
			flow++
		case token.MappingEndType, token.SequenceEndType:
			flow--
		}
		switch {
		case !begins:
		case t.Position.Column == 1:
			if column > 0 {
				end = i
			}
			column = namesColumn(tokens[i:])
			if column > 0 && count > 0 {
				return []token.Tokens{tokens} // jobs a second time
			}
		case t.Position.Column == column && isKey(tokens[i:]):
			if count++; count%jobsAtOnce == 1 && count > 1 {
				cuts = append(cuts, i)
			}
		}
	}
	if len(cuts) == 0 {
		return []token.Tokens{tokens}
	}
	parts := []token.Tokens{slices.Concat(tokens[:cuts[0]], tokens[end:])}
	for i, cut := range cuts {
		next := end
		if i+1 < len(cuts) {
			next = cuts[i+1]
		}
		parts = append(parts, tokens[cut:next])
	}
	return parts
}

// isKey reports whether tokens begin with the key of a mapping.
func isKey(tokens token.Tokens) bool {
	return len(tokens) > 1 && tokens[1].Type == token.MappingValueType
}

// namesColumn returns the column of the names of jobs if the tokens begin with
// the jobs, each on a line of its own, or else 0.
func namesColumn(tokens token.Tokens) int {
	if !isKey(tokens) || tokens[0].Value != "jobs" {
		return 0
	}
	for i, t := range tokens[2:] {
		switch {
		case t.Type == token.CommentType:
		case t.Position.Line == tokens[0].Position.Line || t.Position.Column == 1 || !isKey(tokens[2+i:]):
			return 0
		default:
			return t.Position.Column
		}
	}
	return 0
}

// errApart says that the parts of a file do not fit together. Nothing of it may
// be lost.
var errApart = errors.New("the jobs cannot be told apart; below the key jobs, put each job on a line of its own")

// parseParts parses the parts of a file and puts the jobs of all of them
// together.
func parseParts(parts []token.Tokens) (*ast.File, error) {
	file, err := parseYAML(parts[0])
	if err != nil || len(parts) == 1 {
		return file, err
	}
	jobs := jobsOf(file)
	if jobs == nil {
		return nil, errApart
	}
	for _, part := range parts[1:] {
		more, err := parseYAML(part)
		if err != nil {
			return nil, err
		}
		for _, doc := range more.Docs {
			switch n := doc.Body.(type) {
			case *ast.MappingNode:
				jobs.Values = append(jobs.Values, n.Values...)
			case *ast.MappingValueNode:
				jobs.Values = append(jobs.Values, n)
			default:
				return nil, errApart
			}
		}
	}
	return file, nil
}

// jobsOf returns the node of the jobs of a file that was split, or nil.
func jobsOf(file *ast.File) *ast.MappingNode {
	for _, doc := range file.Docs {
		root, ok := doc.Body.(*ast.MappingNode)
		if !ok {
			continue
		}
		for _, pair := range root.Values {
			if jobs, ok := pair.Value.(*ast.MappingNode); ok && pair.Key.GetToken().Value == "jobs" {
				return jobs
			}
		}
	}
	return nil
}
