package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/globus-runner/globus-runner/jobs"
)

// A location is a path on a collection, written <collection id>:<path>, or with
// the short name that a jobs file has for the collection.
type location struct {
	collection string // UUID in lower case
	path       string // empty if none was given
}

// parseUUID returns a UUID in lower case; what names it in an error.
func parseUUID(what, s string) (string, error) {
	id := strings.ToLower(s)
	if !isUUID(id) {
		return "", usageError{fmt.Errorf("%q is not a %s (a UUID such as 0b6c8f2e-0000-4000-8000-000000000001)", s, what)}
	}
	return id, nil
}

// isUUID reports whether s is a UUID in the form with dashes alone.
func isUUID(s string) bool { return len(s) == 36 && uuid.Validate(s) == nil }

// parseLocation reads <collection id>[:<path>].
func parseLocation(s string) (location, error) {
	id, path, _ := strings.Cut(s, ":")
	if !isUUID(strings.ToLower(id)) {
		if err := jobs.CheckForeign(s); err != nil {
			return location{}, usageError{fmt.Errorf("%w; want <collection id>:<path>", err)}
		}
	}
	id, err := parseUUID("collection id", id)
	if err != nil {
		return location{}, err
	}
	return locate(id, "", path)
}

// parsePlace reads <collection id>:<path>.
func parsePlace(s string) (location, error) {
	l, err := parseLocation(s)
	if err == nil {
		err = l.wantPath(s)
	}
	return l, err
}

// locate is the location of a path, which may be empty, on a collection.
// Relative paths are below folder, if there is one.
func locate(collection, folder, path string) (location, error) {
	if path == "" {
		return location{collection: collection}, nil
	}
	path, err := absolute(folder, path)
	return location{collection, path}, err
}

// wantPath reports a location without a path, which was written as s.
func (l location) wantPath(s string) error {
	if l.path != "" {
		return nil
	}
	name, _, _ := strings.Cut(s, ":")
	return usageError{fmt.Errorf("%q has no path; write %s:/path", s, name)}
}

// absolute is [jobs.Absolute] for the command line.
func absolute(folder, path string) (string, error) {
	path, err := jobs.Absolute(folder, path)
	if err != nil {
		return "", usageError{err}
	}
	return path, nil
}

// location reads <collection>[:<path>], where the collection is an id or a
// short name of the jobs file. A relative path is below the folder that the
// jobs file has for the collection.
func (a *app) location(s string) (location, error) {
	name, path, _ := strings.Cut(s, ":")
	c, err := a.collection(name)
	if err != nil {
		if wrong := jobs.CheckForeign(s); wrong != nil {
			err = usageError{fmt.Errorf("%w; want <collection>:<path>", wrong)}
		}
		return location{}, err
	}
	return locate(c.ID, c.Path, path)
}

// place reads <collection>:<path>.
func (a *app) place(s string) (location, error) {
	l, err := a.location(s)
	if err == nil {
		err = l.wantPath(s)
	}
	return l, err
}

// folder is location for what may begin at the folder that the jobs file has
// for the collection.
func (a *app) folder(s string) (location, error) {
	l, err := a.location(s)
	if err != nil || l.path != "" {
		return l, err
	}
	name, _, _ := strings.Cut(s, ":")
	c, err := a.collection(name)
	return location{c.ID, c.Path}, err
}

// collection returns the collection with an id, or with a short name of the
// jobs file, if there is one.
func (a *app) collection(name string) (jobs.Collection, error) {
	id, err := parseUUID("collection id", name)
	if err == nil {
		return jobs.Collection{ID: id}, nil
	}
	if a.noJobsFile() {
		return jobs.Collection{}, err
	}
	file, wrong := a.loadJobs()
	if wrong != nil {
		return jobs.Collection{}, usageError{fmt.Errorf("%q is not a collection id, and the jobs file that may have a collection of that name is wrong:\n%w", name, wrong)}
	}
	c, ok := file.Collections[name]
	if !ok {
		known := slices.Sorted(maps.Keys(file.Collections))
		return c, usageError{fmt.Errorf("%q is not a collection id (a UUID), and %s has no collection of that name; it has %s",
			name, a.jobsPath(), cmp.Or(strings.Join(known, ", "), "none"))}
	}
	return c, nil
}
