package channel

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/google/uuid"

	"github.com/globus-runner/globus-runner/internal/notify"
)

// maxPing is how many bytes a ping says at most.
const maxPing = 10_000

// ErrNoJob says that a notice about no job has no address to go to.
var ErrNoJob = errors.New("its address is another one for each job: add --job JOB")

// A ping tells a service that waits for a sign of life that a run has begun, and how
// it ended. What it is sent are the addresses of https://healthchecks.io.
type ping struct{ *poster }

// Send implements [notify.Channel].
func (p *ping) Send(ctx context.Context, n *notify.Notice) error {
	to, err := p.address(n.Job)
	if err != nil {
		return err
	}
	if n.Job == "" && strings.Contains(to.Path, "{{") {
		return lasting("%w", ErrNoJob)
	}
	if signal := signalOf(n.Event); signal != "" {
		to = to.JoinPath(signal)
	}
	if id := runID(n); id != "" {
		query := to.Query()
		query.Set("rid", id)
		to.RawQuery = query.Encode()
	}
	body := text(n)
	body = strings.ToValidUTF8(body[:min(len(body), maxPing)], "")
	return p.post(ctx, to, http.Header{"Content-Type": {"text/plain; charset=utf-8"}}, []byte(body))
}

// signalOf returns what is appended to the address for an event.
func signalOf(e notify.Event) string {
	switch e {
	case notify.Started:
		return "start"
	case notify.Succeeded:
		return ""
	case notify.Failed, notify.Refused:
		return "fail"
	}
	return "log" // noted, without saying how the run is
}

// runID returns the UUID by which a service tells the start and the end of one run
// from those of others, or "" for what is not about a run.
func runID(n *notify.Notice) string {
	if n.Key == "" && n.Run == 0 {
		return ""
	}
	return uuid.NewSHA1(uuid.NameSpaceURL, fmt.Appendf(nil, "globus-runner:%s\n%s\n%d", n.Job, n.Key, n.Run)).String()
}
