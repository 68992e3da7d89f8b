package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/notify"
	"github.com/globus-runner/globus-runner/internal/notify/channel"
	"github.com/globus-runner/globus-runner/internal/runlog"
	"github.com/globus-runner/globus-runner/internal/spelling"
	"github.com/globus-runner/globus-runner/jobs"
)

// A noticeDocument is a notice as it is printed.
type noticeDocument struct {
	ID      string     `json:"id"`
	Channel string     `json:"channel"`
	State   string     `json:"state"`
	Event   string     `json:"event"`
	Job     string     `json:"job,omitempty"`
	Run     int64      `json:"run,omitempty"`
	Created time.Time  `json:"created"`
	Tries   int        `json:"tries"`
	Next    *time.Time `json:"next,omitempty"`  // of one that waits: when it is tried next
	Ended   *time.Time `json:"ended,omitempty"` // when it was sent or given up
	Why     string     `json:"why,omitempty"`   // why the last try did not succeed
}

func (a *app) notifyCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "notify",
		Short: "Try a channel for notices, or list the notices",
		Args:  cobra.ArbitraryArgs, // group tells about an unknown command
		RunE:  group,
	}
	c.AddCommand(a.notifyTestCommand(), a.notifyListCommand())
	return c
}

func (a *app) notifyTestCommand() *cobra.Command {
	source := jobsSource{env: a.env}
	var job string
	c := &cobra.Command{
		Use:     "test CHANNEL",
		Short:   "Send one notice on a channel of the jobs file, now",
		Example: `  runner notify test ops`,
		Args:    arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			file, err := source.load()
			if err != nil {
				return err
			}
			described := file.Channels[args[0]]
			if described == nil {
				known := slices.Sorted(maps.Keys(file.Channels))
				if len(known) == 0 {
					return usageError{fmt.Errorf("there is no channel %q: the jobs file describes none; docs/notices.md shows how", args[0])}
				}
				return usageError{fmt.Errorf("there is no channel %q in the jobs file%s", args[0], cmp.Or(spelling.Hint(args[0], known...), "; it has "+someOf(known)))}
			}
			open, err := a.channels(map[string]*jobs.Channel{args[0]: described})
			if err != nil {
				return err
			}
			if job != "" {
				if _, err := file.job(job); err != nil {
					return err
				}
			}
			return a.tryChannel(c.Context(), args[0], job, open[args[0]])
		},
	}
	source.flags(c.Flags())
	c.Flags().StringVar(&job, "job", "", "job that the notice is about; an address with {{ .Job }} in it needs one")
	return c
}

// tryChannel sends a notice that says that it is a test.
func (a *app) tryChannel(ctx context.Context, name, job string, to notify.Channel) error {
	ctx, cancel := context.WithTimeout(ctx, noticeTimeout)
	defer cancel()
	now := time.Now().UTC()
	n := notify.TestNotice(name, now)
	n.Job = job
	if err := to.Send(ctx, n); err != nil {
		status := exitTemporary
		switch {
		case errors.Is(err, channel.ErrNoJob):
			status = exitUsage
		case notify.IsLasting(err):
			status = exitRefused
		}
		return statusError{fmt.Errorf("send a notice on channel %s: %w", name, err), status}
	}
	doc := noticeDocument{ID: n.ID, Channel: name, State: string(ledger.NoticeSent), Event: string(n.Event), Created: now, Tries: 1, Ended: &now}
	return a.print(doc, func(w io.Writer) { fmt.Fprintf(w, "sent a notice on channel %s\n", name) })
}

func (a *app) notifyListCommand() *cobra.Command {
	var waiting bool
	c := &cobra.Command{
		Use:   "list",
		Short: "List the notices of the last week, the newest first",
		Args:  arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			l, err := a.needLedger(c.Context(), refuseIfAbsent)
			if err != nil {
				return err
			}
			defer l.Close() //nolint:errcheck // it was only read
			var docs []noticeDocument
			for n, err := range l.Notices(c.Context(), waiting) {
				if err != nil {
					return err
				}
				docs = append(docs, describeNotice(n))
			}
			nothing := "no notices: nothing happened that a job names a channel for"
			if waiting {
				nothing = "no notice waits"
			}
			return a.print(newList(docs), func(w io.Writer) { noticesTable(w, docs, nothing) })
		},
	}
	c.Flags().BoolVar(&waiting, "waiting", false, "only those that are not sent yet")
	return c
}

func describeNotice(n *ledger.Notice) noticeDocument {
	d := noticeDocument{
		ID: n.ID, Channel: n.Channel, State: string(n.State), Event: n.Event, Job: n.Job, Run: n.Run,
		Created: n.Created, Tries: n.Tries, Ended: runlog.Known(n.Ended), Why: n.Why,
	}
	if n.State == ledger.NoticeWaiting {
		d.Next = &n.Next
	}
	return d
}

func noticesTable(w io.Writer, docs []noticeDocument, nothing string) {
	var rows [][]string
	for _, d := range docs {
		rows = append(rows, []string{
			d.Created.Format(time.RFC3339), d.Channel, words(d.State), words(d.Event), cmp.Or(d.Job, "-"), strconv.Itoa(d.Tries), cmp.Or(d.Why, "-"),
		})
	}
	tableOr(w, nothing, []string{"CREATED", "CHANNEL", "STATE", "EVENT", "JOB", "TRIES", "WHY"}, rows)
}
