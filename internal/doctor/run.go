package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/globus-runner/globus-runner/internal/fault"
)

// atOnce is how many checks are made at the same time.
const atOnce = 12

// Run makes the checks, each after those that it needs, and returns their
// findings in the order of the checks. A check must come after those that it
// needs. A check that takes longer than timeout is given up, with a finding
// that says so. A finding with Stop names the checks that were not made because
// of it. If ctx ends, Run returns early with the findings so far.
//
// Progress, unless nil, is called each time a check is done; it may be called
// concurrently.
func Run(ctx context.Context, checks []*Check, timeout time.Duration, progress func()) []Finding {
	r := runner{timeout: timeout, slots: make(chan struct{}, atOnce), results: make(map[*Check]*result)}
	var wg sync.WaitGroup
	for _, c := range checks {
		res := &result{done: make(chan struct{})}
		for _, need := range c.Needs {
			before, ok := r.results[need]
			if !ok {
				panic("doctor: check " + c.Name + " needs one that does not stand before it")
			}
			res.needs = append(res.needs, before)
		}
		r.results[c] = res
		wg.Go(func() {
			defer close(res.done)
			r.make(ctx, c, res)
			if progress != nil {
				progress()
			}
		})
	}
	wg.Wait()
	return r.collect(checks)
}

type runner struct {
	timeout time.Duration
	slots   chan struct{} // limits concurrent checks
	results map[*Check]*result
}

// A result is the result of a check.
type result struct {
	needs []*result
	done  chan struct{} // closed when the fields below are set

	found []Finding
	stop  *Check // the check that stopped this one, or this one itself; nil if none did
}

// make makes a check, unless another one has stopped it.
func (r *runner) make(ctx context.Context, c *Check, res *result) {
	for _, need := range res.needs {
		<-need.done
		if need.stop != nil {
			res.stop = need.stop
			return
		}
	}
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	case <-ctx.Done():
		return
	}
	res.found = r.look(ctx, c)
	for i := range res.found {
		f := &res.found[i]
		f.Group = c.Group
		if f.Check == "" {
			f.Check = c.Name
		}
		if f.Subject == "" {
			f.Subject = c.Subject
		}
		if f.Stop {
			res.stop = c
		}
	}
}

// look calls c.Look for a bounded time. A Look that does not heed its context
// is abandoned.
func (r *runner) look(ctx context.Context, c *Check) []Finding {
	timeout := r.timeout * time.Duration(max(1, c.Slow))
	bounded, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	found := make(chan []Finding, 1)
	go func() { found <- c.Look(bounded) }()
	select {
	case f := <-found:
		if bounded.Err() == nil || c.Grace > 0 {
			return f
		}
	case <-bounded.Done():
		if c.Grace == 0 {
			break
		}
		select {
		case f := <-found:
			return f
		case <-time.After(c.Grace):
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	return []Finding{Bad(fault.Temporary, fmt.Sprintf("gave no answer within %v", timeout),
		"run the same command again later, or with a longer --timeout if this check is known to be slow").Stopping()}
}

// collect puts the findings into the order of the checks.
func (r *runner) collect(checks []*Check) []Finding {
	stopped := map[*Check][]*Check{} // keyed by the check that stopped them
	for _, c := range checks {
		if stop := r.results[c].stop; stop != nil && stop != c && !c.Quiet {
			stopped[stop] = append(stopped[stop], c)
		}
	}
	all := []Finding{}
	for _, c := range checks {
		found := r.results[c].found
		if i := slices.IndexFunc(found, func(f Finding) bool { return f.Stop }); i >= 0 {
			found[i].NotChecked = titles(c, stopped[c])
		}
		all = append(all, found...)
	}
	return all
}

// titles returns the names of checks for a finding of c: checks of other groups
// are named by their group.
func titles(c *Check, checks []*Check) []string {
	var names []string
	for _, other := range checks {
		name := other.Group
		if name == c.Group {
			name = Title(other.Name)
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// Title returns the name of a check for people.
func Title(check string) string { return strings.ReplaceAll(check, "_", " ") }

// Worst returns the level of the worst finding, and the numbers of errors and
// warnings.
func Worst(findings []Finding) (worst Level, problems, warnings int) {
	worst = OK
	for _, f := range findings {
		switch f.Level {
		case Error:
			problems++
			worst = Error
		case Warning:
			warnings++
			if worst == OK {
				worst = Warning
			}
		}
	}
	return worst, problems, warnings
}
