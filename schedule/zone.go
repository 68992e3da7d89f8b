package schedule

import (
	_ "embed" // the list of zones
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/internal/pattern"
	"github.com/globus-runner/globus-runner/internal/spelling"
)

// maxZoneName is longer than the name of any zone, in bytes.
const maxZoneName = 64

// zoneNames are the names in Go's time zone database, one a line.
//
//go:embed zones.txt
var zoneNames string

// LoadZone returns the zone with an IANA name such as America/Chicago. Other
// names are errors even if the operating system knows them, so that a schedule
// means the same on every machine.
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

// abbreviations maps what people write to zones that they may mean. An
// abbreviation says neither which zone is meant nor whether its clocks change.
var abbreviations = map[string][]string{
	"ACST": {"Australia/Adelaide", "Australia/Darwin"}, "ACDT": {"Australia/Adelaide"},
	"AEST": {"Australia/Sydney", "Australia/Brisbane"}, "AEDT": {"Australia/Sydney"}, "AWST": {"Australia/Perth"},
	"AKST": {"America/Anchorage"}, "AKDT": {"America/Anchorage"},
	"AST": {"America/Halifax", "Asia/Riyadh"}, "ADT": {"America/Halifax"}, "NST": {"America/St_Johns"}, "NDT": {"America/St_Johns"},
	"ART": {"America/Argentina/Buenos_Aires"}, "BRT": {"America/Sao_Paulo"}, "CLT": {"America/Santiago"},
	"BST": {"Europe/London", "Asia/Dhaka"}, "WEST": {"Europe/Lisbon"}, "CEST": {"Europe/Berlin", "Europe/Paris"}, "CET": {"Europe/Berlin", "Europe/Paris"},
	"MEZ": {"Europe/Berlin"}, "MESZ": {"Europe/Berlin"}, "EEST": {"Europe/Helsinki", "Europe/Athens"}, "MSK": {"Europe/Moscow"}, "TRT": {"Europe/Istanbul"},
	"CST": {"America/Chicago", "Asia/Shanghai"}, "CDT": {"America/Chicago"}, "CT": {"America/Chicago"},
	"EST": {"America/New_York"}, "EDT": {"America/New_York"}, "ET": {"America/New_York"},
	"MST": {"America/Denver", "America/Phoenix"}, "MDT": {"America/Denver"}, "MT": {"America/Denver"},
	"PST": {"America/Los_Angeles", "Asia/Manila"}, "PDT": {"America/Los_Angeles"}, "PT": {"America/Los_Angeles"},
	"CAT": {"Africa/Maputo"}, "EAT": {"Africa/Nairobi"}, "SAST": {"Africa/Johannesburg"}, "WAT": {"Africa/Lagos"},
	"HKT": {"Asia/Hong_Kong"}, "ICT": {"Asia/Bangkok"}, "IDT": {"Asia/Jerusalem"}, "IST": {"Asia/Kolkata", "Europe/Dublin", "Asia/Jerusalem"},
	"JST": {"Asia/Tokyo"}, "KST": {"Asia/Seoul"}, "PHT": {"Asia/Manila"}, "PKT": {"Asia/Karachi"}, "SGT": {"Asia/Singapore"}, "WIB": {"Asia/Jakarta"},
	"HST": {"Pacific/Honolulu"}, "NZST": {"Pacific/Auckland"}, "NZDT": {"Pacific/Auckland"},
	"Z": {"UTC"}, "LOCAL": nil,
	"EASTERN STANDARD TIME": {"America/New_York"}, "CENTRAL STANDARD TIME": {"America/Chicago"}, "MOUNTAIN STANDARD TIME": {"America/Denver"},
	"PACIFIC STANDARD TIME": {"America/Los_Angeles"}, "GMT STANDARD TIME": {"Europe/London"}, "W. EUROPE STANDARD TIME": {"Europe/Berlin"},
	"ROMANCE STANDARD TIME": {"Europe/Paris"}, "CHINA STANDARD TIME": {"Asia/Shanghai"}, "TOKYO STANDARD TIME": {"Asia/Tokyo"},
}

var offset = pattern.Lazy(`^(?i:utc|gmt)?([-+])([0-9]{1,2})(:?[0-9]{2})?$`)

func unknownZone(name string) error {
	const want = ", want an IANA name such as America/Chicago"
	if len(name) > maxZoneName {
		return fmt.Errorf("there is no time zone %.20q..."+want, name)
	}
	if around := spelling.Around(name); around != "" {
		return fmt.Errorf("time zone %q: %s, write it without", name, around)
	}
	if meant, ok := abbreviations[strings.ToUpper(name)]; ok && len(meant) > 0 {
		return fmt.Errorf("there is no time zone %q, did you mean %s?", name, strings.Join(meant, " or "))
	}
	if offset().MatchString(name) {
		return fmt.Errorf("there is no time zone %q: an offset does not say when clocks change"+want+" or UTC", name)
	}
	if near := nearestZone(name); near != "" {
		return fmt.Errorf("there is no time zone %q, did you mean %s?", name, near)
	}
	return fmt.Errorf("there is no time zone %q"+want, name)
}

// nearestZone returns the name of which name may be a misspelling, or "". A
// known name as short as an abbreviation must match except for upper and lower
// case: CST is not a misspelling of CET.
func nearestZone(name string) string {
	best, least := "", max(2, len(name)/4)+1
	if !strings.Contains(name, "/") && len(name) < 6 {
		least = 2
	}
	for known := range strings.Lines(zoneNames) {
		known = strings.TrimSpace(known)
		d := zoneDistance(name, known)
		if short := !strings.ContainsAny(known, "/") && len(known) < 6; short && d > 0 {
			continue
		}
		if d < least {
			best, least = known, d
		}
	}
	return best
}

// ZoneRemark says what may surprise people about a zone, judging by its name.
// It is empty for most.
func ZoneRemark(name string) string {
	if meant := abbreviations[name]; len(meant) > 0 && len(name) == len("EST") && strings.HasSuffix(name, "ST") {
		return fmt.Sprintf("%s has no daylight saving; for a clock that has, write a name such as %s", name, strings.Join(meant, " or "))
	}
	if sign, ok := strings.CutPrefix(name, "Etc/GMT"); ok && len(sign) > 1 && sign != "+0" && sign != "-0" {
		other := strings.NewReplacer("+", "-", "-", "+").Replace(sign)
		return fmt.Sprintf("%s is UTC%s: the signs of these names are turned around", name, other)
	}
	return ""
}

// zoneDistance returns how far a misspelled name is from a known one. A city
// without its region is near.
func zoneDistance(name, known string) int {
	name = strings.ToLower(strings.ReplaceAll(name, " ", "_"))
	known = strings.ToLower(known)
	d := spelling.Distance(name, known)
	if i := strings.LastIndexByte(known, '/'); i >= 0 {
		d = min(d, spelling.Distance(name, known[i+1:])+1)
	}
	return d
}
