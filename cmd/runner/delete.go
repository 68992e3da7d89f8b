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
		Use: "delete COLLECTION[:PATH]", Aliases: []string{"rm"},
		Short: "Delete files and folders, and wait for the end",
		Long: `Delete a file, or a folder with --recursive, and wait for the end.

The flags are those of "globus delete". With --batch, each line names a path,
which is below the path of the argument unless it is absolute. A delete of
everything on a collection is refused.

A collection is named by its id, or by its short name in the jobs file.`,
		Example: `  runner delete $LAB:/data/old/ --recursive`,
		Args:    arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := fillDelete(a, &f, &doc, args[0]); err != nil {
				return err
			}
			o, err := f.order("delete", &doc, time.Now())
			if err != nil {
				return err
			}
			_, err = a.follow(c.Context(), o, f.following, recording{})
			return err
		},
	}
	flags := c.Flags()
	f.flags(flags)
	flags.BoolVarP(&doc.Recursive, "recursive", "r", false, "delete folders with everything in them")
	flags.BoolVarP(&doc.IgnoreMissing, "ignore-missing", "f", false, "count a path that does not exist as deleted")
	flags.BoolVar(&doc.InterpretGlobs, "enable-globs", false, "expand * ? [] in the last part of each path")
	localUser(flags, &doc.LocalUser)
	return c
}

// fillDelete puts what to delete into doc.
func fillDelete(a *app, f *submitting, doc *transfer.Delete, arg string) error {
	if f.batch == "" {
		at, err := a.location(arg)
		if err != nil {
			return err
		}
		if at.Path == "" {
			return usageError{errors.New("delete needs a path, as <collection>:/path, or --batch")}
		}
		doc.Endpoint, doc.Items = at.Collection, []transfer.DeleteItem{{Path: at.Path}}
		if err := (&jobs.Step{Delete: doc}).Check(); err != nil {
			return usageError{err}
		}
		if err := jobs.CheckLiteral(at.Path); err != nil && !doc.InterpretGlobs {
			return usageError{fmt.Errorf("%w (--enable-globs)", err)}
		}
		return nil
	}
	at, err := a.folder(arg)
	if err != nil {
		return err
	}
	r, err := f.open(a)
	if err != nil {
		return err
	}
	defer r.Close() //nolint:errcheck // it was only read
	doc.Endpoint = at.Collection
	for item, err := range jobs.DeleteItems(r, at.Path, doc.InterpretGlobs) {
		if err != nil {
			return f.unusable(err)
		}
		doc.Items = append(doc.Items, item)
	}
	return nil
}
