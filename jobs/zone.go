package jobs

import (
	_ "embed" // the list of zones
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/internal/spelling"
)

// maxZoneName is more bytes than any name of a zone has.
const maxZoneName = 64

// zoneNames are the names of the database of time zones that comes with Go, one
// a line.
//
//go:embed zones.txt
var zoneNames string

// LoadZone returns the zone of an IANA name such as America/Chicago. No other
// name will do, even where the operating system knows it: a jobs file means the
// same on each machine.
func LoadZone(name string) (*time.Location, error) {
	if name == "" {
		return nil, errors.New("the time zone is empty, want a name such as America/Chicago or UTC")
	}
	if !strings.Contains("\n"+zoneNames, "\n"+name+"\n") {
		return nil, unknownZone(name)
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("load the time zone %s: %w", name, err)
	}
	return zone, nil
}

func unknownZone(name string) error {
	if len(name) > maxZoneName {
		return fmt.Errorf("there is no time zone %.20q..., want an IANA name such as America/Chicago", name)
	}
	best, least := "", max(2, len(name)/4)+1
	for known := range strings.Lines(zoneNames) {
		known = strings.TrimSpace(known)
		if d := zoneDistance(name, known); d < least {
			best, least = known, d
		}
	}
	if best == "" {
		return fmt.Errorf("there is no time zone %q, want an IANA name such as America/Chicago", name)
	}
	return fmt.Errorf("there is no time zone %q, did you mean %s?", name, best)
}

// zoneDistance is how far a misspelt name is from a known one. The city alone
// is near.
func zoneDistance(name, known string) int {
	name = strings.ToLower(strings.ReplaceAll(name, " ", "_"))
	known = strings.ToLower(known)
	d := spelling.Distance(name, known)
	if i := strings.LastIndexByte(known, '/'); i >= 0 {
		d = min(d, spelling.Distance(name, known[i+1:])+1)
	}
	return d
}
