package engine

import "github.com/globus-runner/globus-runner/internal/arrival"

// refusals counts items whose names Globus cannot copy.
type refusals struct {
	count int
	first arrival.Finding
}

// add adds a finding.
func (r *refusals) add(f *arrival.Finding) {
	if f.State != arrival.IsRefused {
		return
	}
	if r.count == 0 {
		r.first = *f
	}
	r.count++
}

// warnOfRefused warns that items of a job are never copied because of their names,
// unless the look before found as many of them.
func (e *Engine) warnOfRefused(job string, r *refusals) {
	if was, _ := e.refused.Swap(job, r.count); r.count > 0 && was != r.count {
		e.log.Warn("items are not copied because of their names: rename them", "job", job, "items", r.count, "item", r.first.Item.Name, "reason", r.first.Why)
	}
}
