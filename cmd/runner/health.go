package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func (a *app) healthCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "health",
		Short: "Check that the scheduler at RUNNER_LISTEN is alive; exit 0 if it is",
		Args:  arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			host, port, err := net.SplitHostPort(a.env.ListenAddress())
			if err != nil {
				return usageError{errors.New("RUNNER_LISTEN is not set: it is the address at which serve answers, such as 127.0.0.1:8080")}
			}
			if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
				host = "127.0.0.1"
			}
			ctx, cancel := context.WithTimeout(c.Context(), 3*time.Second)
			defer cancel()
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/healthz", nil)
			if err != nil {
				return usageError{fmt.Errorf("RUNNER_LISTEN: %w", err)}
			}
			resp, err := (&http.Client{Transport: &http.Transport{}}).Do(req)
			if err != nil {
				return fmt.Errorf("the scheduler does not answer: %w", err)
			}
			defer resp.Body.Close() //nolint:errcheck // it was only read
			said, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
			if err == nil && resp.StatusCode != http.StatusOK {
				err = fmt.Errorf("the scheduler is not healthy: %s", strings.TrimSpace(string(said)))
			}
			return err
		},
	}
}
