package globussim_test

import (
	"net/http"
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTheConformanceListHasEachRouteWithItsSource(t *testing.T) {
	page, err := os.ReadFile("../docs/simulator.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := []string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([A-Z]+ /[^`]+)` \\| (.*) \\|$").FindAllStringSubmatch(string(page), -1) {
		if regexp.MustCompile(`\b(S|L|C|J|D|Dc|F|E|I)\b`).MatchString(row[2]) {
			listed = append(listed, row[1])
		}
	}
	slices.Sort(listed)

	routes := []string{}
	for _, route := range get(t, startWorld(t), transferBase+"/_sim/routes", "").doc["routes"].([]any) {
		routes = append(routes, route.(string))
	}
	if diff := cmp.Diff(routes, listed); diff != "" {
		t.Errorf("the routes and the list in docs/simulator.md differ (-routes +list):\n%s", diff)
	}
}

func TestTheControlPathMayStandBehindAnAddressThatEndsInASlash(t *testing.T) {
	if a := get(t, startWorld(t), transferBase+"//_sim/state", ""); a.status != http.StatusOK || a.doc["requests"] == nil {
		t.Errorf("//_sim/state answers %d %s, want the state", a.status, a.body)
	}
}
