package jobs_test

import (
	"path"
	"strings"
	"testing"
	"time"
)

// FuzzTemplates checks that a template in a path is a problem of the jobs file,
// an error, or a path that stays where it was put, the same each time.
func FuzzTemplates(f *testing.F) {
	for _, text := range []string{
		`{{ .Job }}/{{ .Key }}`, `{{ .Time | add "-24h" | date }}`, `{{ .Time | strftime "%Y/../%d" }}`, `{{ env "SITE" }}`, `{{ env "EMPTY" }}`, `{{`,
		`{{ range .Job }}{{ end }}`, `{{ .Time | add "99999999h" }}`, `{{ .Time | strftime "%%%" }}`, `{{ printf "%s" .Key }}`, `{{ "..\x2f" }}`, `}}{{ .Nil.X }}`,
		`{{ (add "+2d12h" .Time) | date }}`, `{{/* c */}}`, `{{ .Time | strftime "%-d" }}/..`,
	} {
		f.Add(text, int64(1_773_000_000))
	}
	f.Fuzz(func(t *testing.T, text string, second int64) {
		at := time.Unix(second%(1<<34), 0).UTC()
		text = strings.ReplaceAll(text, "'", "''")
		got, err := renderPath(t, "/data/"+text, "America/Chicago", at)
		if err != nil {
			if got != "" {
				t.Errorf("%q becomes %q, with the error %v", text, got, err)
			}
			return
		}
		if !strings.HasPrefix(got, "/data/") || strings.Contains(got, "\x00") || path.Clean(got) != "/data" && !strings.HasPrefix(path.Clean(got), "/data/") {
			t.Errorf("%q becomes %q", text, got)
		}
		if again, err := renderPath(t, "/data/"+text, "America/Chicago", at); err != nil || again != got {
			t.Errorf("%q becomes %q, then %q (%v)", text, got, again, err)
		}
	})
}
