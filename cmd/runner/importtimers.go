package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/globus-runner/globus-runner/internal/migrate"
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
			globus, client, err := a.connectTimers(wiring{})
			if err != nil {
				return err
			}
			list, err := client.List(c.Context())
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
			result, err := migrate.Timers(list.Raw, time.Now(), f.Options)
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
