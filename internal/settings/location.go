package settings

import (
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/globus-runner/globus-runner/jobs"
)

// A Location is a path on a collection, written <collection id>:<path>.
type Location struct {
	Collection string // UUID in lower case
	Path       string // may be empty
}

// UUID returns a UUID in lower case; what names it in an error.
func UUID(what, s string) (string, error) {
	id := strings.ToLower(s)
	if len(id) != 36 || uuid.Validate(id) != nil { // only the form with dashes
		return "", fmt.Errorf("%q is not a %s (a UUID such as 0b6c8f2e-0000-4000-8000-000000000001)", s, what)
	}
	return id, nil
}

// parseLocation reads <collection id>[:<path>].
func parseLocation(s string) (Location, error) {
	name, path, _ := strings.Cut(s, ":")
	id, err := UUID("collection id", name)
	if err != nil {
		if wrong := jobs.CheckForeign(s); wrong != nil {
			err = fmt.Errorf("%w; want <collection id>:<path>", wrong)
		}
		return Location{}, err
	}
	return Locate(id, "", path)
}

// Locate returns the location of a path, which may be empty, on a collection. A
// relative path is below folder, unless that is empty.
func Locate(collection, folder, path string) (Location, error) {
	if path == "" {
		return Location{Collection: collection}, nil
	}
	path, err := jobs.Absolute(folder, path)
	if err != nil {
		return Location{}, err
	}
	return Location{collection, path}, nil
}

// WantPath returns an error if the location, written as s, has no path.
func (l Location) WantPath(s string) error {
	if l.Path != "" {
		return nil
	}
	name, _, _ := strings.Cut(s, ":")
	return fmt.Errorf("%q has no path; write %s:/path", s, name)
}
