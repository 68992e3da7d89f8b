package spelling_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/globus-runner/globus-runner/internal/spelling"
)

func TestNearest(t *testing.T) {
	tests := map[string]struct {
		word  string
		known []string
		want  string
	}{
		"a letter too few":      {"nigtly", []string{"weekly", "nightly"}, "nightly"},
		"a letter too many":     {"faileed", []string{"failed", "skipped"}, "failed"},
		"two letters swapped":   {"fialed", []string{"skipped", "failed"}, "failed"},
		"case and dashes":       {"Sync-Level", []string{"sync_level"}, "sync_level"},
		"the nearest of two":    {"exclud", []string{"include", "exclude"}, "exclude"},
		"a word that goes on":   {"warning", []string{"info", "warn"}, "warn"},
		"a word cut off":        {"succ", []string{"failed", "succeeded"}, "succeeded"},
		"another word":          {"purge", []string{"nightly", "archive"}, ""},
		"nothing known":         {"nightly", nil, ""},
		"nothing":               {"", []string{"a", "b"}, ""},
		"one letter":            {"x", []string{"a", "b"}, ""},
		"too long to be a word": {strings.Repeat("x", 65), []string{strings.Repeat("x", 65)}, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := spelling.Nearest(tt.word, tt.known); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestDistanceCountsMistakes(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{
		{"", "", 0},
		{"", "ab", 2},
		{"ab", "", 2},
		{"ab", "ab", 0},
		{"ab", "ba", 1},
		{"abc", "acb", 1},
		{"kitten", "sitting", 3},
		{"ca", "abc", 3},
		{"chicgo", "chicago", 1},
	} {
		if got := spelling.Distance(tt.a, tt.b); got != tt.want {
			t.Errorf("Distance(%q, %q) is %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}

func TestAroundNamesWhatAToolHasLeft(t *testing.T) {
	for text, want := range map[string]string{
		`"a"`: "there are quotes around it", " 'a'\r\n": "there are quotes around it", `"a`: "there are quotes around it", "“a”": "there are quotes around it",
		"\ufeffa": "there is a byte order mark before it", "a": "", "": "", ` a"b `: "", "it's": "",
	} {
		if got := spelling.Around(text); got != want {
			t.Errorf("Around(%q) is %q, want %q", text, got, want)
		}
	}
}

func FuzzDistance(f *testing.F) {
	f.Add("nightly", "nihgtly")
	f.Fuzz(func(t *testing.T, a, b string) {
		if len(a) > 100 || len(b) > 100 {
			t.Skip()
		}
		d := spelling.Distance(a, b)
		if d != spelling.Distance(b, a) || (d == 0) != (a == b) || d > max(len(a), len(b)) {
			t.Errorf("the distance of %q and %q is %d", a, b, d)
		}
	})
}

func ExampleHint() {
	fmt.Println("there is no job \"nigtly\"" + spelling.Hint("nigtly", "nightly", "weekly"))
	// Output: there is no job "nigtly", did you mean nightly?
}

func TestOneOfTakesAWordInAnyCase(t *testing.T) {
	if got, err := spelling.OneOf("JSON", "json", "text"); got != "json" || err != nil {
		t.Errorf("got %q and %v, want json", got, err)
	}
	for text, want := range map[string]string{
		"jsno": `"jsno" is neither json nor text, did you mean json?`,
		"":     `"" is neither json nor text`,
	} {
		if got, err := spelling.OneOf(text, "json", "text"); got != "" || err == nil || err.Error() != want {
			t.Errorf("%q: got %q and %v, want %s", text, got, err, want)
		}
	}
	if _, err := spelling.OneOf("warm", "debug", "info", "warn"); err == nil || err.Error() != `"warm" is not one of debug, info and warn, did you mean warn?` {
		t.Errorf("got %v", err)
	}
}
