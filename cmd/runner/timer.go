package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/internal/plain"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/retry"
	"github.com/globus-runner/globus-runner/transfer"
)

func (a *app) timerCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "timer", Short: "List, pause, resume and delete the account's Globus Timers",
		Long: "List, pause, resume and delete the account's Globus Timers.\n\n\"runner import timers\" turns them into jobs. Afterwards, pause or delete the timers;\notherwise both will run.",
		Args: cobra.ArbitraryArgs, RunE: group,
	}
	list := &cobra.Command{
		Use: "list", Short: "List the timers", Args: arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error { return a.listTimers(c.Context()) },
	}
	c.AddCommand(
		list,
		a.onTimer("show", "Show a timer", http.MethodGet, ""),
		a.onTimer("delete", "Delete a timer", http.MethodDelete, ""),
		a.onTimer("pause", "Keep a timer from starting transfers, until it is resumed", http.MethodPost, "pause"),
		a.onTimer("resume", "Let a paused timer start transfers again", http.MethodPost, "resume"),
	)
	return c
}

// A timerDocument is what is shown of a timer.
type timerDocument struct {
	ID      string        `json:"job_id"`
	Name    string        `json:"name"`
	Status  string        `json:"status"`
	NextRun transfer.Time `json:"next_run"`
	LastRun transfer.Time `json:"last_ran_at"`
	Message string        `json:"message"` // of a change; else empty
}

func (a *app) listTimers(ctx context.Context) error {
	_, timers, err := a.connectTimers(false)
	if err != nil {
		return err
	}
	doc, err := timers.call(ctx, http.MethodGet, "/jobs/")
	if err != nil {
		return err
	}
	var list struct {
		Jobs []timerDocument `json:"jobs"`
	}
	if err := json.Unmarshal(doc, &list); err != nil {
		return timers.unreadable(err)
	}
	return a.print(doc, func(w io.Writer) {
		var rows [][]string
		for _, t := range list.Jobs {
			rows = append(rows, []string{t.ID, t.Status, when(t.NextRun), when(t.LastRun), t.Name})
		}
		tableOr(w, "no timers", []string{"TIMER ID", "STATUS", "NEXT RUN", "LAST RUN", "NAME"}, rows)
	})
}

// onTimer makes a command with the id of a timer as its argument.
func (a *app) onTimer(name, short, method, change string) *cobra.Command {
	return &cobra.Command{
		Use: name + " TIMER_ID", Short: short, Args: arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			id, err := parseUUID("timer id", args[0])
			if err != nil {
				return err
			}
			_, timers, err := a.connectTimers(method != http.MethodGet)
			if err != nil {
				return err
			}
			doc, err := timers.call(c.Context(), method, "/jobs", id, change)
			if err != nil {
				return err
			}
			var t timerDocument
			if err := json.Unmarshal(doc, &t); err != nil {
				return timers.unreadable(err)
			}
			return a.print(doc, func(w io.Writer) {
				switch {
				case method == http.MethodDelete:
					fmt.Fprintf(w, "timer %s is deleted\n", id)
				case t.Message != "":
					fmt.Fprintln(w, plain.Line(t.Message))
				default:
					properties(w, "timer", t.ID, "name", t.Name, "status", t.Status, "next run", when(t.NextRun), "last run", when(t.LastRun))
				}
			})
		},
	}
}

// The Timers service, as Globus Auth knows it.
const (
	timersServer = "524230d7-ea86-4a52-8312-86065a9e0417"
	timersScope  = "https://auth.globus.org/scopes/" + timersServer + "/timer"
)

// maxTimers is the longest list of timers, in bytes.
const maxTimers = 4 << 20

// A timersClient calls the Timers service.
type timersClient struct {
	http *http.Client
	base *url.URL
}

// connectTimers connects to Transfer and to Timers. It sends nothing.
func (a *app) connectTimers(acts bool) (*session, *timersClient, error) {
	globus, err := a.connect(wiring{acts: acts, scopes: []auth.Scope{{Name: auth.TransferAll}, {Name: timersScope}}})
	if err != nil {
		return nil, nil, err
	}
	base := a.env.TimersURL()
	if base.Scheme == "http" && !jobs.Loopback(base.Hostname()) {
		a.log.Warn("the address of a service is not https: the token can be read on the way", "url", base.String())
	}
	way := a.vigil().above(retry.New(globus.account.Transport(timersServer, globus.network), a.retries(), a.log))
	return globus, &timersClient{client(way), base}, nil
}

// call sends a request without a body and returns the reply. What is asked of
// timers may be asked twice.
func (t *timersClient) call(ctx context.Context, method string, path ...string) (json.RawMessage, error) {
	u := t.base.JoinPath(path...)
	req, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := t.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // it was only read
	doc, err := io.ReadAll(io.LimitReader(resp.Body, maxTimers+1))
	refusal := &transfer.Error{Method: method, Path: "/" + strings.TrimPrefix(u.Path, "/") + " of Globus Timers", Status: resp.StatusCode, Message: http.StatusText(resp.StatusCode)}
	switch {
	case resp.StatusCode != http.StatusOK:
		return nil, refusal
	case err != nil:
		refusal.Message = "the reply was cut off"
		return nil, fmt.Errorf("%w: %w", refusal, err)
	case len(doc) > maxTimers:
		return nil, fmt.Errorf("a reply of Globus Timers is longer than %d MiB", maxTimers>>20)
	}
	return doc, nil
}

// unreadable is the error of a reply that is not what it should be.
func (t *timersClient) unreadable(err error) error {
	return fmt.Errorf("the reply of Globus Timers cannot be read: %w", err)
}
