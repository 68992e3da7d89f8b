package main

import (
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/globus-runner/globus-runner/jobs"
)

// A location is a path on a collection, written <collection id>:<path>.
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
	id, path, hasPath := strings.Cut(s, ":")
	id, err := parseUUID("collection id", id)
	if err != nil {
		return location{}, err
	}
	if !hasPath || path == "" {
		return location{collection: id}, nil
	}
	path, err = absolute(path)
	return location{id, path}, err
}

// parsePlace reads <collection id>:<path>.
func parsePlace(s string) (location, error) {
	l, err := parseLocation(s)
	if err == nil && l.path == "" {
		err = usageError{fmt.Errorf("%q has no path; write %s:/path", s, l.collection)}
	}
	return l, err
}

// absolute checks a path and puts ~/ into the form that the service has for it.
func absolute(path string) (string, error) {
	switch {
	case strings.ContainsAny(path, "\r\n"):
		return "", usageError{fmt.Errorf("path %q has a line break in it, which Globus does not allow", path)}
	case strings.HasPrefix(path, "/"):
		return path, nil
	case path == "~" || strings.HasPrefix(path, "~/"):
		return "/~/" + strings.TrimPrefix(strings.TrimPrefix(path, "~"), "/"), nil
	}
	return "", usageError{fmt.Errorf("path %q is not absolute; write /%s, or /~/%s below the default directory", path, path, path)}
}

// joined is a path of a batch, below a folder unless it is absolute, as
// globus-cli has it.
func joined(folder, path string) string {
	if strings.HasPrefix(path, "/") || strings.HasPrefix(path, "~") {
		return path
	}
	return jobs.Below(folder, path)
}
