package doctor

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/plain"
	"github.com/globus-runner/globus-runner/internal/tree"
	"github.com/globus-runner/globus-runner/transfer"
)

// look checks a path of the jobs' next occurrence.
func (c *collection) look(ctx context.Context, u *use) []Finding {
	entry, err := c.stat(ctx, u)
	if found := u.filesOntoFolder(ctx, err == nil && (u.isFolder || entry == plainFolder)); found != nil {
		return found
	}
	e, refused := errors.AsType[*transfer.Error](err)
	switch {
	case refused && e.Paused():
		f := Doubt(u.text("cannot be looked at: "+e.Message), "")
		f.Code = e.Code
		return []Finding{f}
	case refused && e.NotFound():
		return []Finding{c.missing(u, e)}
	case err != nil:
		f := c.globus.failed(err)
		f.Seen = u.text(f.Seen)
		if refused && e.NotDirectory() {
			f.Advice = "a part of the path is a file there: correct the path, or move the file away"
		}
		if refused && (e.PermissionDenied() || strings.HasSuffix(e.Code, "LoginFailed")) {
			f.Advice = c.ask(u, e)
		}
		return []Finding{f}
	}
	const refuses = "it refuses to mirror an empty folder, unless it has guard: {empty_source: allow}"
	switch {
	case u.guarded && entry == emptyFolder:
		return []Finding{Doubt(u.text("is empty, and the job would empty its destination"), "make sure that it has files before the job is due: "+refuses)}
	case u.guarded && entry == filteredFolder:
		return []Finding{Doubt(u.text("has no file that the filter rules let through, and the job would empty its destination"),
			"correct filter_rules, or make sure that there are such files before the job is due: "+refuses)}
	case (u.role == destination || u.role == folder) && !c.globus.Write:
		entry += "; --write-probe finds out whether it can be written"
	}
	return []Finding{Good(u.text(entry))}
}

// filesOntoFolder finds files that would be copied to the path of a folder,
// which Globus refuses: the folder exists, or the path ends in /.
func (u *use) filesOntoFolder(ctx context.Context, exists bool) (found []Finding) {
	if !exists && !strings.HasSuffix(u.path, "/") {
		return nil
	}
	for _, o := range u.from {
		entry, err := o.collection.globus.Client.Stat(ctx, o.collection.id, o.path)
		if err != nil || entry.Type != "file" {
			continue // its own problem is found at the source
		}
		what := "is a folder"
		if !exists {
			what = "ends in / and so names a folder"
		}
		found = append(found, Bad(fault.Refused, fmt.Sprintf("%s: %s, and %s is a file, which would not be copied (%s)", u.path, what, o.path, o.job),
			"name the destination of a file with its file name: "+strings.TrimSuffix(u.path, "/")+"/"+path.Base(o.path)))
	}
	return found
}

// text returns what was seen, with the path before it and the jobs after it.
func (u *use) text(seen string) string {
	return fmt.Sprintf("%s: %s (%s)", u.path, seen, strings.Join(u.jobs, ", "))
}

// stat says what is at the path. A folder is listed, because the jobs have to list
// it, too.
func (c *collection) stat(ctx context.Context, u *use) (string, error) {
	if !u.isFolder {
		entry, err := c.globus.Client.Stat(ctx, c.id, u.path)
		switch {
		case err != nil:
			return "", err
		case entry.Type == "dir":
			return plainFolder, nil
		}
		return fmt.Sprintf("a %s of %s", strings.ReplaceAll(entry.Type, "_", " "), plain.Count(entry.Size, "byte")), nil
	}
	query := transfer.LsQuery{Path: u.path, LocalUser: u.localUser, Limit: 1}
	if len(u.rules) > 0 {
		query.Limit = maxEntries
	}
	rules, seen := tree.NewRules(u.rules), 0
	for entry, err := range c.globus.Client.Ls(ctx, c.id, query) {
		if err != nil || rules.Take(entry.Name, entry.Type == "dir" && entry.LinkTarget == "") {
			return someFolder, err
		}
		seen++
	}
	switch seen {
	case 0:
		return emptyFolder, nil
	case maxEntries:
		return someFolder, nil // there may be more entries
	}
	return filteredFolder, nil
}

// The kinds of folders that stat distinguishes.
const (
	plainFolder    = "a folder"
	someFolder     = "a folder that can be listed"
	emptyFolder    = "an empty folder"
	filteredFolder = "a folder without a file that the filter rules let through"
)

// maxEntries is how many entries of a folder are searched for one that the
// filter rules take.
const maxEntries = 1000

// missing returns the finding that the path does not exist.
func (c *collection) missing(u *use, e *transfer.Error) Finding {
	const absent = "is not there"
	switch {
	case (u.role == destination || u.role == folder) && c.globus.Write:
		return Good(u.text(absent + " yet")) // the probe finds out whether it can be created
	case u.role == destination || u.role == folder:
		return Good(u.text(absent + " yet; --write-probe finds out whether it can be created"))
	case u.optional:
		return Good(u.text(absent + ", which the job allows"))
	case c.made(u.path):
		return Doubt(u.text(absent+" yet"), "a job writes there, so it may exist in time")
	case u.changes:
		return Doubt(u.text(absent+" yet"), "make sure that it exists before the job is due")
	}
	f := Bad(fault.Refused, u.text(absent), "check that the path exists, and that it is spelled as on the collection")
	f.Code = e.Code
	return f
}

// ask returns the advice whom to ask for the access that an error denies. The owner of
// a guest collection can give it to itself.
func (c *collection) ask(u *use, e *transfer.Error) string {
	id := c.globus.id
	if !c.doc.IsGuest() || id == "" || c.doc.OwnerID != id || !e.PermissionDenied() {
		return fault.Ask(c.doc.OwnerString, c.favour(u, e))
	}
	permissions, folder := "r", u.path
	if u.role.writes() {
		permissions = "rw"
	}
	if !u.isFolder {
		folder = parent(folder)
	}
	return fmt.Sprintf("%s owns the collection, but no access rule lets it in: runner share %s:%s --with-identity %s --permissions %s",
		c.globus.Who.Name, c.id, folder, id, permissions)
}

// favour returns what to ask the owner for.
func (c *collection) favour(u *use, e *transfer.Error) string {
	verb := "read"
	if u.role.writes() {
		verb = "write"
	}
	if c.doc.IsGuest() && !strings.HasSuffix(e.Code, "LoginFailed") {
		return fmt.Sprintf("give %s %s access to %s", c.globus.Who.Name, verb, u.path)
	}
	return fmt.Sprintf("map %s to a local account that may %s %s", c.globus.Who.Name, verb, u.path)
}
