package jobs

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/globus-runner/globus-runner/internal/pattern"
)

// defaultSince is how far back an audit looks.
const defaultSince = 30 * day

// An Audit finds out what has become of the files that jobs should have copied, and fails the
// run if some are missing or lost.
type Audit struct {
	// Of are the names of the jobs that are audited. Empty means the job itself.
	Of []string
	// Jobs are the jobs of these names.
	Jobs []*Job
	// Since is how far back runs are looked at. 0 means 30 days.
	Since time.Duration
	// Sample is the share of the folders that is looked at, such as 1%; each
	// occurrence has its own. Empty means all.
	Sample Percentage
}

// Window returns how far back runs are looked at.
func (a *Audit) Window() time.Duration {
	if a.Since == 0 {
		return defaultSince
	}
	return a.Since
}

// A Percentage is a part of something, such as 1% or 0.5%.
type Percentage string

var fractionPattern = pattern.Lazy(`^(100|[1-9][0-9]?(\.[0-9]{1,6})?|0\.0{0,5}[1-9][0-9]{0,5})%$`)

// parsePercentage reads a percentage above 0% and up to 100%.
func parsePercentage(text string) (Percentage, error) {
	if !fractionPattern().MatchString(text) {
		return "", fmt.Errorf("%q is not a share above 0%% and up to 100%%, such as 1%% or 0.5%%", short(text))
	}
	return Percentage(text), nil
}

// Fraction returns it as a number up to 1. The empty percentage is 1.
func (s Percentage) Fraction() float64 {
	n, err := strconv.ParseFloat(strings.TrimSuffix(string(s), "%"), 64)
	if err != nil {
		return 1
	}
	return n / 100
}

// An auditing is an audit with where it was described.
type auditing struct {
	*Audit
	passage
	named []ast.Node // those of Of
}

// audit reads what to audit. The names of jobs are checked later, by [parser.checkAudit].
func (s *source) audit(d *draft, n ast.Node, field string) *Audit {
	a := auditing{Audit: &Audit{}, passage: passage{d, len(d.Steps), field, n}}
	s.object(n, field, keys{
		"of":     s.jobNames(&a.Of, &a.named),
		"since":  s.duration(&a.Since, time.Second),
		"sample": parsed(s, &a.Sample, "a share such as 1%", parsePercentage),
	})
	s.audits = append(s.audits, a)
	return a.Audit
}

// jobNames reads the names of jobs, and where each stands.
func (s *source) jobNames(to *[]string, at *[]ast.Node) decoder {
	return func(n ast.Node, field string) {
		for i, n := range s.items(n, field, 1) {
			field := element(field, i)
			name, ok := s.oneLine(n, field)
			switch {
			case !ok:
			case slices.Contains(*to, name):
				s.problem(n, field, "%s is in the list already", short(name))
			default:
				*to, *at = append(*to, name), append(*at, n)
			}
		}
	}
}

// checkAudit finds the jobs of an audit, and has them keep receipts.
func (p *parser) checkAudit(a *auditing) {
	if len(a.Of) == 0 {
		if len(transfersOf(a.draft.Steps[:a.steps])) == 0 && !a.draft.wrong {
			a.problem("no transfer comes before it, so there is nothing to audit; name the jobs, such as of: [nightly-archive]")
		}
		keepReceiptsFor(a.draft)
		return
	}
	for i, name := range a.Of {
		d := p.copying(&a.passage, a.named[i], name, "there is nothing to audit; name a job that has a transfer")
		if d == nil {
			continue
		}
		a.Jobs = append(a.Jobs, d.Job)
		keepReceiptsFor(d)
	}
}

// keepReceiptsFor has a job keep receipts for an audit, unless the job says receipts: false.
func keepReceiptsFor(d *draft) {
	if keeps, said := d.src.said(d.field + ".receipts"); keeps || !said {
		d.Receipts = true
	}
}
