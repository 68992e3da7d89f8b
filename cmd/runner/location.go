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
	return id, usage(err)
}

// locate reads <collection>[:<path>], where the collection is an id or a short
// name of the jobs file. A relative path is below the folder that the jobs file
// has for the collection.
func (a *app) locate(s string) (at settings.Location, folder string, err error) {
	name, path, _ := strings.Cut(s, ":")
	c, err := a.collection(name)
	if err != nil {
		if wrong := jobs.CheckForeign(s); wrong != nil {
			err = usageError{fmt.Errorf("%w; want <collection>:<path>", wrong)}
		}
		return at, "", err
	}
	at, err = settings.Locate(c.ID, c.Path, path)
	return at, c.Path, usage(err)
}

// location reads <collection>[:<path>].
func (a *app) location(s string) (settings.Location, error) {
	at, _, err := a.locate(s)
	return at, err
}

// locationWithPath is location for what needs a path.
func (a *app) locationWithPath(s string) (settings.Location, error) {
	at, _, err := a.locate(s)
	if err == nil {
		err = usage(at.WantPath(s))
	}
	return at, err
}

// folder is location with the collection's folder in the jobs file as the default path.
func (a *app) folder(s string) (settings.Location, error) {
	at, folder, err := a.locate(s)
	at.Path = cmp.Or(at.Path, folder)
	return at, err
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
