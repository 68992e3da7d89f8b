package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/internal/automate"
	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/transfer"
)

// failed returns the finding for an error. An error that is neither a reply nor
// of the network is of the credentials.
func (g *Globus) failed(err error) Finding {
	m := fault.Of(err)
	f := Bad(m.Kind, describe(err), fault.Next(err, g.Who))
	f.Code = m.Code
	switch {
	case f.Kind != fault.Failed:
	case errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled):
		f.Kind = fault.Temporary
	default:
		f.Kind = fault.Credentials
	}
	return f
}

// describe returns the text of an error, without advice.
func describe(err error) string {
	if e, ok := errors.AsType[*auth.Error](err); ok {
		return strings.TrimSuffix(e.Error(), "; "+e.Advice())
	}
	if e, ok := errors.AsType[*transfer.Error](err); ok {
		if e.Code == "" {
			return fmt.Sprintf("HTTP %d: %s", e.Status, e.Message)
		}
		return e.Code + ": " + e.Message
	}
	if e, ok := errors.AsType[*automate.Error](err); ok {
		if e.Code == "" {
			return fmt.Sprintf("HTTP %d: %s", e.Status, e.Message)
		}
		return e.Code + ": " + e.Message
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "gave no answer in time"
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		if u, bad := url.Parse(e.URL); bad == nil {
			return u.Hostname() + ": " + e.Err.Error()
		}
		return e.Err.Error()
	}
	return err.Error()
}
