package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/globus-runner/globus-runner/internal/settings"
	"github.com/globus-runner/globus-runner/jobs"
)

// parseUUID is [settings.UUID] for the command line.
func parseUUID(what, s string) (string, error) {
	id, err := settings.UUID(what, s)
	if err != nil {
		return "", usageError{err}
	}
	return id, nil
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
func (a *app) location(s string) (settings.Location, error) {
	name, path, _ := strings.Cut(s, ":")
	c, err := a.collection(name)
	if err != nil {
		if wrong := jobs.CheckForeign(s); wrong != nil {
			err = usageError{fmt.Errorf("%w; want <collection>:<path>", wrong)}
		}
		return settings.Location{}, err
	}
	l, err := settings.Locate(c.ID, c.Path, path)
	if err != nil {
		return l, usageError{err}
	}
	return l, nil
}

// place reads <collection>:<path>.
func (a *app) place(s string) (settings.Location, error) {
	l, err := a.location(s)
	if err != nil {
		return l, err
	}
	if err := l.WantPath(s); err != nil {
		return l, usageError{err}
	}
	return l, nil
}

// folder is location for what may begin at the folder that the jobs file has
// for the collection.
func (a *app) folder(s string) (settings.Location, error) {
	l, err := a.location(s)
	if err != nil || l.Path != "" {
		return l, err
	}
	name, _, _ := strings.Cut(s, ":")
	c, err := a.collection(name)
	return settings.Location{Collection: c.ID, Path: c.Path}, err
}

// collection returns the collection with an id, or with a short name of the
// jobs file, if there is one.
func (a *app) collection(name string) (jobs.Collection, error) {
	id, err := parseUUID("collection id", name)
	if err == nil {
		return jobs.Collection{ID: id}, nil
	}
	from := jobsSource{env: a.env}
	if from.missing() {
		return jobs.Collection{}, err
	}
	file, wrong := from.load()
	if wrong != nil {
		return jobs.Collection{}, usageError{fmt.Errorf("%q is not a collection id, and the jobs file that may have a collection of that name is wrong:\n%w", name, wrong)}
	}
	c, ok := file.Collections[name]
	if !ok {
		known := slices.Sorted(maps.Keys(file.Collections))
		return c, usageError{fmt.Errorf("%q is not a collection id (a UUID), and %s has no collection of that name; it has %s",
			name, from.path(), cmp.Or(strings.Join(known, ", "), "none"))}
	}
	return c, nil
}
