package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/plain"
	"github.com/globus-runner/globus-runner/internal/settings"
	"github.com/globus-runner/globus-runner/internal/spelling"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

func (a *app) lsCommand() *cobra.Command {
	var f listing
	c := &cobra.Command{
		Use:     "ls COLLECTION[:PATH]",
		Short:   "List a folder",
		Example: `  runner ls $LAB:/data/ --filter '~*.h5' --long`,
		Args:    arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			at, err := a.folder(args[0])
			if err != nil {
				return err
			}
			if strings.Contains(f.filter, "/") {
				return usageError{fmt.Errorf("--filter %q has a / in it: it is a pattern of names", f.filter)}
			}
			globus, err := a.connect(wiring{})
			if err != nil {
				return err
			}
			f.query.ShowHidden = &f.all
			if f.query.OrderBy, err = orderBy(f.orders); err != nil {
				return err
			}
			f.name, _, _ = strings.Cut(args[0], ":")
			rows, err := f.walk(c.Context(), globus.transfer, at, "", f.depth())
			if err != nil {
				return err
			}
			return a.print(f.document(at, rows), func(w io.Writer) { f.text(w, rows) })
		},
	}
	flags := c.Flags()
	flags.BoolVarP(&f.all, "all", "a", false, "show names that begin with a dot")
	flags.BoolVarP(&f.long, "long", "l", false, "show more than names")
	flags.StringVar(&f.filter, "filter", "", "names to list: =exact, ~pattern*, !not, !~not*")
	flags.StringArrayVar(&f.orders, "orderby", nil, "order by a field such as name, size:DESC or last_modified; several are possible, the most important one first")
	localUser(flags, &f.query.LocalUser)
	flags.BoolVarP(&f.recursive, "recursive", "r", false, "list the folders below as well")
	flags.IntVar(&f.limit, "recursive-depth-limit", 3, "how deep --recursive goes")
	return c
}

// A listing is the flags of "runner ls".
type listing struct {
	name                 string // of the collection, as it was given
	query                transfer.LsQuery
	all, long, recursive bool
	filter               string
	orders               []string
	limit                int
}

// An undoneError puts what was tried, with its collection and path, before the cause.
type undoneError struct {
	what string
	err  error
}

// undone makes an undoneError of err, unless that is nil.
func undone(what string, err error) error {
	if err == nil {
		return nil
	}
	return &undoneError{what, err}
}

func (u *undoneError) Error() string {
	text := u.err.Error()
	if e, ok := errors.AsType[*transfer.Error](u.err); ok {
		text = strings.TrimPrefix(text, e.Method+" "+e.Path+": ") // which would say the same again
	}
	return u.what + ": " + text
}

func (u *undoneError) Unwrap() error { return u.err }

// localUser adds the flag that chooses a local account of a mapped collection.
func localUser(flags *pflag.FlagSet, to *string) {
	flags.StringVar(to, "local-user", "", "local account, if there are several")
}

// orderBy returns what Globus orders by: fields with a direction, which may stand
// behind a colon, as globus-cli has it, or a space.
func orderBy(orders []string) (string, error) {
	var all []string
	for _, order := range orders {
		for one := range strings.SplitSeq(order, ",") {
			words := strings.FieldsFunc(one, func(r rune) bool { return r == ':' || r == ' ' })
			if len(words) == 0 || len(words) > 2 {
				return "", usageError{fmt.Errorf("--orderby %q is not a field, or a field and ASC or DESC, such as size:DESC", order)}
			}
			field, err := spelling.OneOf(words[0], "group", "last_modified", "name", "permissions", "size", "type", "user")
			if err == nil && len(words) == 2 {
				words[1], err = spelling.OneOf(words[1], "ASC", "DESC")
			}
			if err != nil {
				return "", usageError{fmt.Errorf("--orderby: %w", err)}
			}
			words[0] = field
			all = append(all, strings.Join(words, " "))
		}
	}
	return strings.Join(all, ","), nil
}

// A listed entry has its path below the folder that was asked for.
type listed struct {
	*transfer.Entry
	path string
}

func (f *listing) depth() int {
	if !f.recursive {
		return 0
	}
	return f.limit
}

// walk lists a folder, and depth levels of folders below it.
func (f *listing) walk(ctx context.Context, globus *transfer.Client, at settings.Location, prefix string, depth int) ([]listed, error) {
	q := f.query
	q.Path = at.Path
	if f.filter != "" {
		q.Filters = []string{"name:" + f.filter}
		if depth > 0 {
			q.Filters = append(q.Filters, "type:dir") // to go on below
		}
	}
	var rows []listed
	for entry, err := range globus.Ls(ctx, at.Collection, q) {
		if err != nil {
			return nil, undone("list "+f.name+":"+cmp.Or(at.Path, "/~/"), err)
		}
		path := prefix + entry.Name
		rows = append(rows, listed{entry, path})
		if entry.Type != "dir" || depth == 0 || entry.LinkTarget != "" {
			continue
		}
		below := settings.Location{Collection: at.Collection, Path: strings.TrimSuffix(cmp.Or(at.Path, "/~/"), "/") + "/" + entry.Name + "/"}
		more, err := f.walk(ctx, globus, below, path+"/", depth-1)
		if err != nil {
			return nil, err
		}
		rows = append(rows, more...)
	}
	return rows, nil
}

func (f *listing) document(at settings.Location, rows []listed) any {
	data := make([]any, 0, len(rows))
	for _, row := range rows {
		if !f.recursive {
			data = append(data, row.Raw)
			continue
		}
		var entry map[string]any
		if err := json.Unmarshal(row.Raw, &entry); err == nil {
			entry["name"] = row.path
			data = append(data, entry)
		}
	}
	return map[string]any{"DATA_TYPE": "file_list", "endpoint": at.Collection, "path": at.Path, "DATA": data}
}

func (f *listing) text(w io.Writer, rows []listed) {
	if !f.long {
		for _, row := range rows {
			fmt.Fprintln(w, plain.Line(row.display()))
		}
		return
	}
	var cells [][]string
	for _, row := range rows {
		cells = append(cells, []string{row.Permissions, row.User, row.Group, fmt.Sprint(row.Size), row.modified(), row.Type, row.display()})
	}
	tableOr(w, "nothing here", []string{"PERMISSIONS", "USER", "GROUP", "SIZE", "LAST MODIFIED", "TYPE", "NAME"}, cells)
}

func (l listed) display() string {
	if l.Type == "dir" {
		return l.path + "/"
	}
	return l.path
}

func (l listed) modified() string {
	if l.LastModified.IsZero() {
		return ""
	}
	return l.LastModified.UTC().Format("2006-01-02 15:04:05Z")
}

func (a *app) statCommand() *cobra.Command {
	var as string
	c := &cobra.Command{
		Use:   "stat COLLECTION:PATH",
		Short: "Show one file or folder",
		Args:  arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			at, err := a.locationWithPath(args[0])
			if err != nil {
				return err
			}
			globus, err := a.connect(wiring{})
			if err != nil {
				return err
			}
			e, err := globus.transfer.Stat(c.Context(), at.Collection, at.Path, transfer.AsLocalUser(as))
			if err != nil {
				return undone("look at "+args[0], err)
			}
			return a.print(e.Raw, func(w io.Writer) {
				properties(w, "name", e.Name, "type", e.Type, "size", fmt.Sprint(e.Size), "last modified", listed{e, ""}.modified(),
					"permissions", e.Permissions, "user", e.User, "group", e.Group, "link target", e.LinkTarget)
			})
		},
	}
	localUser(c.Flags(), &as)
	return c
}

func (a *app) mkdirCommand() *cobra.Command {
	var as string
	c := &cobra.Command{
		Use:   "mkdir COLLECTION:PATH",
		Short: "Make a folder",
		Args:  arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			at, err := a.locationWithPath(args[0])
			if err != nil {
				return err
			}
			step := jobs.Step{Mkdir: &jobs.Mkdir{Collection: at.Collection, Path: at.Path}}
			if err := step.Check(); err != nil {
				return usageError{err}
			}
			return a.change(c.Context(), func(ctx context.Context, globus *transfer.Client) (*transfer.Result, error) {
				made, err := globus.Mkdir(ctx, at.Collection, at.Path, transfer.AsLocalUser(as))
				return made, undone("make "+args[0], err)
			})
		},
	}
	localUser(c.Flags(), &as)
	return c
}

func (a *app) renameCommand() *cobra.Command {
	var as string
	c := &cobra.Command{
		Use:   "rename COLLECTION OLD_PATH NEW_PATH",
		Short: "Rename a file or folder",
		Args:  arguments(3, 3),
		RunE: func(c *cobra.Command, args []string) error {
			on, err := a.collection(args[0])
			if err != nil {
				return err
			}
			from, wrongFrom := jobs.Absolute(on.Path, args[1])
			to, wrongTo := jobs.Absolute(on.Path, args[2])
			if err := cmp.Or(wrongFrom, wrongTo, jobs.CheckRename(from, to)); err != nil {
				return usageError{err}
			}
			return a.change(c.Context(), func(ctx context.Context, globus *transfer.Client) (*transfer.Result, error) {
				renamed, err := rename(ctx, globus, on.ID, from, to, transfer.AsLocalUser(as))
				return renamed, undone("rename "+args[0]+":"+from+" to "+to, err)
			})
		},
	}
	localUser(c.Flags(), &as)
	return c
}

// rename checks first that the new name is not taken. It is not confirmed that Globus
// refuses such a rename, and the file with that name would be lost.
func rename(ctx context.Context, globus *transfer.Client, collection, from, to string, as transfer.FileOption) (*transfer.Result, error) {
	if !strings.EqualFold(from, to) { // where case does not count, the same file has both names
		there, err := globus.Stat(ctx, collection, to, as)
		if err == nil {
			return nil, takenError{to, there.Type}
		}
		if e, ok := errors.AsType[*transfer.Error](err); !ok || !e.NotFound() {
			return nil, err
		}
	}
	return globus.Rename(ctx, collection, from, to, as)
}

// A takenError says that there is something at the path where something else was to go.
type takenError struct{ path, kind string }

func (e takenError) Error() string {
	return fmt.Sprintf("%s is there already (%s), and could be lost; choose another name, or rename or delete it first", e.path, e.kind)
}

func (takenError) Means() fault.Meaning { return fault.Meaning{Kind: fault.Refused} }

// change makes a request that the service answers with a result document, and prints that.
func (a *app) change(ctx context.Context, do func(context.Context, *transfer.Client) (*transfer.Result, error)) error {
	globus, err := a.connect(wiring{acts: true})
	if err != nil {
		return err
	}
	return a.printResult(do(ctx, globus.transfer))
}
