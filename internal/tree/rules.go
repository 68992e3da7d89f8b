package tree

import (
	"slices"

	"github.com/globus-runner/globus-runner/internal/glob"
	"github.com/globus-runner/globus-runner/transfer"
)

// Rules are the filter rules of a transfer, ready to be applied.
type Rules []rule

type rule struct {
	text      transfer.FilterRule
	include   bool
	file, dir bool // the kinds that it applies to
	pattern   glob.Pattern
}

// NewRules prepares filter rules.
func NewRules(rules []transfer.FilterRule) Rules {
	var all Rules
	for _, r := range rules {
		all = append(all, rule{
			text: r, include: r.Method == "include", file: r.Type != "dir", dir: r.Type != "file", pattern: glob.Parse(r.Name),
		})
	}
	return all
}

// Take reports whether a transfer takes an entry of this base name: the first
// rule that matches decides, and an entry that no rule matches is taken. A link
// counts as a file. If a folder is not taken, neither is its content.
func (rs Rules) Take(name string, dir bool) bool {
	i := rs.decides(name, dir)
	return i < 0 || rs[i].include
}

// decides returns the index of the rule that decides about an entry, or -1.
func (rs Rules) decides(name string, dir bool) int {
	return slices.IndexFunc(rs, func(r rule) bool {
		return (dir && r.dir || !dir && r.file) && r.pattern.Match(name)
	})
}
