package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/globus-runner/globus-runner/internal/plain"
	"github.com/globus-runner/globus-runner/retry"
	"github.com/globus-runner/globus-runner/transfer"
)

func (a *app) bookmarkCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "bookmark", Short: "Give names to folders at Globus",
		Long: "Give names to folders at Globus. Each identity has its own bookmarks.\n\n" +
			"The names of collections in the jobs file are not bookmarks; they need no request.",
		Example: `  runner bookmark create $LAB:/data/raw/ raw
  runner ls "$(runner bookmark show raw)"`,
		Args: cobra.ArbitraryArgs, RunE: group,
	}
	c.AddCommand(
		&cobra.Command{
			Use: "list", Short: "List the bookmarks", Args: arguments(0, 0),
			RunE: func(c *cobra.Command, _ []string) error { return a.listBookmarks(c.Context()) },
		},
		&cobra.Command{
			Use: "create COLLECTION:PATH NAME", Short: "Give a name to a folder", Args: arguments(2, 2),
			RunE: func(c *cobra.Command, args []string) error { return a.createBookmark(c.Context(), args[0], args[1]) },
		},
		a.onBookmark("show BOOKMARK", "Print the collection and path of a bookmark", wiring{},
			func(_ context.Context, _ *transfer.Client, b *transfer.Bookmark, _ []string) (json.RawMessage, string, error) {
				return b.Raw, b.EndpointID + ":" + b.Path, nil
			}),
		a.onBookmark("rename BOOKMARK NAME", "Give a bookmark another name", wiring{acts: true},
			func(ctx context.Context, globus *transfer.Client, b *transfer.Bookmark, args []string) (json.RawMessage, string, error) {
				renamed, err := globus.RenameBookmark(ctx, b.ID, args[0])
				if err != nil {
					return nil, "", err
				}
				return renamed.Raw, fmt.Sprintf("bookmark %s is now %s", b.Name, renamed.Name), nil
			}),
		a.onBookmark("delete BOOKMARK", "Delete a bookmark, not its folder", wiring{acts: true},
			func(ctx context.Context, globus *transfer.Client, b *transfer.Bookmark, _ []string) (json.RawMessage, string, error) {
				res, err := globus.DeleteBookmark(ctx, b.ID)
				if err != nil {
					return nil, "", err
				}
				return res.Raw, "bookmark " + b.Name + " is deleted", nil
			}),
	)
	return c
}

func (a *app) listBookmarks(ctx context.Context) error {
	globus, err := a.connect(wiring{})
	if err != nil {
		return err
	}
	return globusList[*transfer.Bookmark]{
		"bookmark_list", "no bookmarks",
		[]string{"NAME", "BOOKMARK ID", "COLLECTION ID", "PATH"},
		func(b *transfer.Bookmark) (json.RawMessage, []string) {
			return b.Raw, []string{b.Name, b.ID, b.EndpointID, b.Path}
		},
	}.show(a, globus.transfer.Bookmarks(ctx))
}

func (a *app) createBookmark(ctx context.Context, folder, name string) error {
	at, err := a.locationWithPath(folder)
	if err != nil {
		return err
	}
	globus, err := a.connect(wiring{acts: true, retry: retry.Policy{Retries: -1}})
	if err != nil {
		return err
	}
	b, err := globus.transfer.CreateBookmark(ctx, name, at.Collection, at.Path)
	if err != nil {
		return err
	}
	return a.print(b.Raw, func(w io.Writer) { fmt.Fprintf(w, "bookmark %s is %s\n", plain.Line(b.Name), b.ID) })
}

// onBookmark makes a command with the id or the name of a bookmark as its first
// argument; do returns the document and the sentence that are printed.
func (a *app) onBookmark(
	use, short string, w wiring, do func(context.Context, *transfer.Client, *transfer.Bookmark, []string) (json.RawMessage, string, error),
) *cobra.Command {
	n := strings.Count(use, " ")
	return &cobra.Command{
		Use: use, Short: short, Args: arguments(n, n),
		RunE: func(c *cobra.Command, args []string) error {
			globus, err := a.connect(w)
			if err != nil {
				return err
			}
			b, err := findBookmark(c.Context(), globus.transfer, args[0])
			if err != nil {
				return err
			}
			doc, text, err := do(c.Context(), globus.transfer, b, args[1:])
			if err != nil {
				return err
			}
			return a.print(doc, func(w io.Writer) { fmt.Fprintln(w, plain.Line(text)) })
		},
	}
}

// findBookmark returns the bookmark with an id or a name.
func findBookmark(ctx context.Context, globus *transfer.Client, wanted string) (*transfer.Bookmark, error) {
	var named []*transfer.Bookmark
	for b, err := range globus.Bookmarks(ctx) {
		switch {
		case err != nil:
			return nil, err
		case strings.EqualFold(b.ID, wanted):
			return b, nil
		case b.Name == wanted:
			named = append(named, b)
		}
	}
	switch len(named) {
	case 0:
		return nil, usageError{fmt.Errorf("there is no bookmark %q; runner bookmark list shows those that there are", plain.Short(wanted, 80))}
	case 1:
		return named[0], nil
	}
	return nil, usageError{fmt.Errorf("%d bookmarks are named %q; use the id of one, from runner bookmark list", len(named), plain.Short(wanted, 80))}
}
