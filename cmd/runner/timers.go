package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/internal/migrate"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/retry"
	"github.com/globus-runner/globus-runner/transfer"
)

const aboutImportTimers = `Turn each of the account's Globus Timers into a job. Afterwards, pause or delete the
timers; otherwise both will run.`

func (a *app) importTimersCommand() *cobra.Command {
	var f importing
	c := &cobra.Command{
		Use:   "timers",
		Short: "Turn the account's Globus Timers into jobs",
		Long:  aboutImportTimers,
		Args:  arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := f.prepare("timers"); err != nil {
				return err
			}
			globus, err := a.connect(wiring{scopes: []auth.Scope{{Name: auth.TransferAll}, {Name: timersScope}}})
			if err != nil {
				return err
			}
			list, err := a.listTimers(c.Context(), globus)
			if err != nil {
				return err
			}
			f.DisplayName = func(id string) string {
				e, err := globus.transfer.Endpoint(c.Context(), id)
				if err != nil {
					a.log.Debug("no name of a collection", "collection", id, "err", err)
					return ""
				}
				return e.DisplayName
			}
			result, err := migrate.Timers(list, time.Now(), f.Options)
			if err != nil {
				return err
			}
			return a.imported(result, f)
		},
	}
	f.flags(c.Flags())
	c.Flags().BoolVar(&f.Nearest, "nearest", false, "take the nearest schedule if none has the same instants, and leave out where a timer begins and ends")
	return c
}

// The Timers service, as Globus Auth knows it.
const (
	timersServer = "524230d7-ea86-4a52-8312-86065a9e0417"
	timersScope  = "https://auth.globus.org/scopes/" + timersServer + "/timer"
)

// maxTimers is the longest list of timers, in bytes.
const maxTimers = 4 << 20

// listTimers asks for the account's timers.
func (a *app) listTimers(ctx context.Context, globus *session) ([]byte, error) {
	if u := a.env.TimersURL(); u.Scheme == "http" && !jobs.Loopback(u.Hostname()) {
		a.log.Warn("the address of a service is not https: the token can be read on the way", "url", u.String())
	}
	hc := client(a.vigil().above(retry.New(globus.account.Transport(timersServer, globus.network), a.retries(), a.log)))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.env.TimersURL().JoinPath("/jobs/").String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := hc.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // it was only read
	list, err := io.ReadAll(io.LimitReader(resp.Body, maxTimers+1))
	refusal := &transfer.Error{Method: req.Method, Path: "/jobs/ of Globus Timers", Status: resp.StatusCode, Message: http.StatusText(resp.StatusCode)}
	switch {
	case resp.StatusCode != http.StatusOK:
		return nil, refusal
	case err != nil:
		refusal.Message = "the reply was cut off"
		return nil, fmt.Errorf("%w: %w", refusal, err)
	case len(list) > maxTimers:
		return nil, fmt.Errorf("the list of timers is longer than %d MiB", maxTimers>>20)
	}
	return list, nil
}
