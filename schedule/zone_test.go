package schedule_test

import (
	"os"
	"strings"
	"testing"

	"github.com/globus-runner/globus-runner/schedule"
)

func TestLoadZoneTakesNamesOfTheDatabaseOnly(t *testing.T) {
	tests := map[string]string{
		"":                        "the time zone is empty",
		"Local":                   `no time zone "Local", want an IANA name`,
		"america/chicago":         "did you mean America/Chicago?",
		"Amerika/Chicago":         "did you mean America/Chicago?",
		"America/New York":        "did you mean America/New_York?",
		"Berlin":                  "did you mean Europe/Berlin?",
		"utc":                     "did you mean UTC?",
		"CST":                     "did you mean America/Chicago or Asia/Shanghai?",
		"cst":                     "did you mean America/Chicago or Asia/Shanghai?",
		"PST":                     "did you mean America/Los_Angeles or Asia/Manila?",
		"EDT":                     "did you mean America/New_York?",
		"BST":                     "did you mean Europe/London or Asia/Dhaka?",
		"IST":                     "did you mean Asia/Kolkata or Europe/Dublin or Asia/Jerusalem?",
		"XST":                     `no time zone "XST", want an IANA name`,
		"LIM":                     `no time zone "LIM", want an IANA name`, // not Lima
		"Central Standard Time":   "did you mean America/Chicago?",
		"America/Chicgo":          "did you mean America/Chicago?",
		"europe/paris":            "did you mean Europe/Paris?",
		"Rome":                    "did you mean Europe/Rome?",
		"UTC+2":                   "an offset does not say when clocks change",
		"-06:00":                  "an offset does not say",
		"'UTC'":                   "there are quotes around it",
		"right/UTC":               "no time zone",
		"posix/Europe/Berlin":     "no time zone",
		"Factory":                 "no time zone",
		"UTC\nZulu":               "no time zone",
		"../etc/passwd":           "no time zone",
		"Central European Summer": "want an IANA name",
		strings.Repeat("x", 5000): "want an IANA name",
	}
	for name, want := range tests {
		if zone, err := schedule.LoadZone(name); zone != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("LoadZone(%.40q): got %v and %v, want an error with %q", name, zone, err, want)
		}
	}
}

func TestEveryZoneOfTheListCanBeLoaded(t *testing.T) {
	names, err := os.ReadFile("zones.txt")
	if err != nil {
		t.Fatal(err)
	}
	for name := range strings.Lines(string(names)) {
		name = strings.TrimSuffix(name, "\n")
		if zone, err := schedule.LoadZone(name); err != nil || zone.String() != name {
			t.Errorf("LoadZone(%q): got %v, %v", name, zone, err)
		}
	}
}
