package jobs

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/globus-runner/globus-runner/transfer"
)

// A Guard says what must be true before a transfer is submitted: a mirror, which
// deletes at the destination what the source does not have, or one that a prune
// depends on.
type Guard struct {
	// AllowEmptySource lets it run although nothing is at its source.
	AllowEmptySource bool
	// MaxDelete is how much of the destination it may delete. Empty means
	// [DefaultMaxDelete].
	MaxDelete MaxDelete
	// Look is how many folders are looked at on each side to find that out. 0
	// means 2000.
	Look int
	// OverwritePruned lets files replace the only copies of others, which a prune has
	// deleted, or which belonged to an earlier item of the same name.
	OverwritePruned bool
}

// defaultLook is how many folders a guard looks at: two minutes at the rate
// that Globus allows.
const defaultLook = 2000

// A MaxDelete bounds what is deleted: a number of files, a share of them such
// as 50%, or none for no bound. See [ParseMaxDelete].
type MaxDelete string

// The bounds with a name.
const (
	DefaultMaxDelete MaxDelete = "50%"
	NoMaxDelete      MaxDelete = "none"
)

// ParseMaxDelete reads a bound.
func ParseMaxDelete(text string) (MaxDelete, error) {
	digits, share := strings.CutSuffix(text, "%")
	n, err := strconv.ParseUint(digits, 10, 32)
	switch {
	case text == string(NoMaxDelete):
	case err != nil:
		return "", fmt.Errorf("%q is not a share such as 50%%, a number of files, or none", short(text))
	case share && n > 100:
		return "", fmt.Errorf("%q is more than 100%%; none turns the guard off", short(text))
	}
	return MaxDelete(text), nil
}

// Allows reports whether gone of so many files may be deleted.
func (m MaxDelete) Allows(gone, files int64) bool {
	if m == NoMaxDelete {
		return true
	}
	digits, share := strings.CutSuffix(string(m), "%")
	n, err := strconv.ParseInt(digits, 10, 64)
	switch {
	case err != nil:
		return false
	case share:
		return gone*100 <= n*files
	}
	return gone <= n
}

// guard reads the guard of a job.
func (s *source) guard(g *Guard) decoder {
	return func(n ast.Node, field string) {
		s.object(n, field, keys{
			"empty_source":     s.either(&g.AllowEmptySource, "refuse", "allow"),
			"overwrite_pruned": s.either(&g.OverwritePruned, "refuse", "allow"),
			"max_delete":       s.maxDelete(&g.MaxDelete),
			"look":             s.count(&g.Look, 1, 1_000_000),
		})
	}
}

// checkGuard warns of guards of mirrors in a job that is none, and of a mirror
// without guards.
func (s *source) checkGuard(d *draft) {
	if slices.ContainsFunc(transfersOf(d.Steps), func(t *transfer.Transfer) bool { return t.DeleteDestinationExtra }) {
		if at := d.field + ".guard.max_delete"; d.Guard.AllowEmptySource && d.Guard.MaxDelete == NoMaxDelete {
			s.warn(cmp.Or(s.marks[at], d.key), at, "nothing stops this mirror from deleting all of its destination, because empty_source is allow and max_delete is none; "+
				"leave one of them out")
		}
		return
	}
	for _, key := range []string{"empty_source", "max_delete", "look"} {
		at := d.field + ".guard." + key
		n := s.marks[at]
		if n == nil {
			continue
		}
		instead := "remove it"
		if key == "max_delete" && slices.ContainsFunc(d.Steps, func(step Step) bool { return step.Prune != nil }) {
			instead = "to bound the prune, write max_delete below prune"
		}
		s.warn(n, at, "it has no effect, because no transfer of this job has delete_destination_extra: true; %s", instead)
	}
}

// maxDelete reads a bound, which may be a number.
func (s *source) maxDelete(to *MaxDelete) decoder {
	return func(n ast.Node, field string) {
		if number, ok := integer(n); ok {
			n = &ast.StringNode{BaseNode: &ast.BaseNode{}, Token: n.GetToken(), Value: strconv.Itoa(number)}
		}
		parsed(s, to, "a share such as 50%, a number of files, or none", ParseMaxDelete)(n, field)
	}
}
