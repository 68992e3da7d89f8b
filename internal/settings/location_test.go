package settings

import (
	"strings"
	"testing"

	"github.com/google/uuid"
)

const someID = "0b6c8f2e-0000-4000-8000-000000000001"

func TestLocations(t *testing.T) {
	good := map[string]Location{
		someID:                             {someID, ""},
		strings.ToUpper(someID) + ":/a b/": {someID, "/a b/"},
		someID + ":~/x":                    {someID, "/~/x"},
		someID + ":~":                      {someID, "/~/"},
		someID + ":/with:colon":            {someID, "/with:colon"},
	}
	for text, want := range good {
		if got, err := parseLocation(text); err != nil || got != want {
			t.Errorf("parseLocation(%q): got %+v, %v, want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "lab:/x", someID + "/x", someID + ":x", someID + ":/a\nb", someID + ":~x", someID + ":~\xd2"} {
		if got, err := parseLocation(text); err == nil || got != (Location{}) {
			t.Errorf("parseLocation(%q): got %+v, %v, want an error alone", text, got, err)
		}
	}
}

func FuzzParseLocation(f *testing.F) {
	f.Add(someID + ":/x")
	f.Add(someID + ":~/")
	f.Fuzz(func(t *testing.T, text string) {
		l, err := parseLocation(text)
		if err != nil {
			if l != (Location{}) {
				t.Errorf("got %+v and %v, want one of them", l, err)
			}
			return
		}
		if uuid.Validate(l.Collection) != nil || (l.Path != "" && !strings.HasPrefix(l.Path, "/")) {
			t.Errorf("parseLocation(%q): got %+v", text, l)
		}
		if again, err := parseLocation(l.Collection + ":" + l.Path); err != nil || again != l {
			t.Errorf("parseLocation(%q): got %+v, and from that %+v, %v", text, l, again, err)
		}
	})
}
