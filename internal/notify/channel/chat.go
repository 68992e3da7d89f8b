package channel

import (
	"context"

	"github.com/globus-runner/globus-runner/internal/notify"
)

// A chat sends notices to the incoming webhook of a chat.
type chat struct {
	*poster
	message func(*notify.Notice) any // makes the document that the chat takes
}

// Send implements [notify.Channel].
func (c *chat) Send(ctx context.Context, n *notify.Notice) error {
	to, err := c.address("")
	if err != nil {
		return err
	}
	return c.postJSON(ctx, to, c.message(n))
}
