package doctor

import (
	"context"
	"strings"

	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/transfer"
)

// pauseRules looks for rules by which the managers pause what the jobs do.
func (c *collection) pauseRules(ctx context.Context) []Finding {
	var found []Finding
	rules := 0
	for rule, err := range c.globus.Client.PauseRules(ctx, c.id) {
		if err != nil {
			return []Finding{Doubt("cannot be seen: "+describe(err), "")}
		}
		rules++
		if held := c.held(rule); len(held) > 0 {
			text := strings.Join(held, " and ") + " are held by its managers"
			if rule.Message != "" {
				text += ": " + rule.Message
			}
			found = append(found, Bad(fault.Temporary, text, "ask the collection's managers until when; tasks wait as long"))
		}
	}
	switch {
	case found != nil:
		return found
	case rules > 0:
		return []Finding{Good("none about what the jobs do")}
	}
	return []Finding{Good("none")}
}

// held returns the work of the jobs that a rule pauses.
func (c *collection) held(rule *transfer.PauseRule) []string {
	var held []string
	for _, h := range []struct {
		stops bool
		role  role
		text  string
	}{
		{rule.PauseTaskTransferRead, source, "transfers from it"},
		{rule.PauseTaskTransferWrite, destination, "transfers to it"},
		{rule.PauseTaskDelete, deletion, "deletes"},
		{rule.PauseMkdir, folder, "new folders"},
	} {
		if h.stops && c.does(h.role) {
			held = append(held, h.text)
		}
	}
	return held
}
