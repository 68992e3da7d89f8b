package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

func (a *app) deleteCommand() *cobra.Command {
	var f submitting
	var doc transfer.Delete
	c := &cobra.Command{
		Use:   "delete COLLECTION_ID[:PATH]",
		Short: "Delete files and folders, and wait until it is done",
		Long: `Delete a file, or a folder with --recursive, and wait until it is done.

The flags are those of "globus delete". With --batch each line names a path.`,
		Example: `  runner delete $LAB:/data/old/ --recursive`,
		Args:    arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			at, err := parseLocation(args[0])
			if err != nil {
				return err
			}
			doc.Endpoint = at.collection
			switch {
			case f.batch != "":
				r, err := f.open(a.stdin)
				if err != nil {
					return err
				}
				defer r.Close() //nolint:errcheck // it was only read
				for line, err := range jobs.Batch(r, 1) {
					if err != nil {
						return usageError{fmt.Errorf("--batch %s: %w", f.batch, err)}
					}
					path, err := absolute(joined(at.path, line.Source))
					if err != nil {
						return fmt.Errorf("--batch %s: line %d: %w", f.batch, line.Line, err)
					}
					doc.Items = append(doc.Items, transfer.DeleteItem{Path: path})
				}
				if len(doc.Items) == 0 {
					return usageError{fmt.Errorf("--batch %s has no line with a path", f.batch)}
				}
			case at.path == "":
				return usageError{errors.New("delete needs a path, as <collection id>:/path, or --batch")}
			default:
				doc.Items = []transfer.DeleteItem{{Path: at.path}}
			}
			o, err := f.order("delete", &doc, time.Now())
			if err != nil {
				return err
			}
			return a.follow(c.Context(), o, f.following)
		},
	}
	flags := c.Flags()
	f.flags(flags)
	flags.BoolVarP(&doc.Recursive, "recursive", "r", false, "delete folders with all that is in them")
	flags.BoolVarP(&doc.IgnoreMissing, "ignore-missing", "f", false, "a path that is not there counts as deleted")
	flags.BoolVar(&doc.InterpretGlobs, "enable-globs", false, "expand * ? [] in the last part of each path")
	flags.StringVar(&doc.LocalUser, "local-user", "", "local account, if there are several")
	return c
}
