package migrate_test

import (
	"strings"
	"testing"

	"github.com/globus-runner/globus-runner/internal/migrate"
)

// TestDateBecomesATemplate gives calls of date and what stands in the path.
func TestDateBecomesATemplate(t *testing.T) {
	tests := map[string]string{
		`$(date +\%F)`:                               `{{ .Time | date }}`,
		"`date +\\%Y-\\%m-\\%d`":                     `{{ .Time | date }}`,
		`$(date "+\%Y/\%j \%\%")`:                    `{{ .Time | strftime "%Y/%j %%" }}`,
		`$(date -I)`:                                 `{{ .Time | date }}`,
		`$(date --iso-8601)`:                         `{{ .Time | date }}`,
		`$(date -u +\%D)`:                            `{{ .Time | strftime "%m/%d/%y" }}`,
		`$(date -d "1 day ago" +\%F)`:                `{{ .Time | add "-1d" | date }}`,
		`$(date --date="-2 days" +\%F)`:              `{{ .Time | add "-2d" | date }}`,
		`$(date --date '3 hours ago' +\%F_\%H)`:      `{{ .Time | add "-3h" | strftime "%F_%H" }}`,
		`$(date -d 'last week' +\%G-W\%V)`:           `{{ .Time | add "-7d" | strftime "%G-W%V" }}`,
		`$(date -d tomorrow +\%F)`:                   `{{ .Time | add "1d" | date }}`,
		`$(date -d '+2 days' +\%F)`:                  `{{ .Time | add "2d" | date }}`,
		`$(date -d now +\%F)`:                        `{{ .Time | date }}`,
		`$(date -v-1d +\%F)`:                         `{{ .Time | add "-1d" | date }}`,
		`$(date -v -30M +\%H\%M)`:                    `{{ .Time | add "-30m" | strftime "%H%M" }}`,
		`$(date -d "last month" +\%F)`:               "",
		`$(date -d 2026-11-21 +\%F)`:                 "",
		`$(date -v-1m +\%F)`:                         "",
		`$(date)`:                                    "",
		`$(date -R)`:                                 "",
		`$(date +\%-d)`:                              "",
		`$(date +\%F | tr - _)`:                      "",
		`$(cat /etc/site)`:                           "",
		`$(date +$(cat format))`:                     "",
		`$((1 + 1))`:                                 "",
		`$(date -d "99999 days ago" +\%F)`:           "",
		`$(date -d "1 day ago" -d "2 days" +\%Y\%m)`: `{{ .Time | add "2d" | strftime "%Y%m" }}`,
	}
	for command, want := range tests {
		t.Run(command, func(t *testing.T) {
			r := read(t, `0 2 * * * globus transfer "$LAB:/a/`+command+`/b" $VAULT:/c`, migrate.Options{})
			_, after, _ := strings.Cut(string(r.File), "source: 'lab:/a/")
			got, _, _ := strings.Cut(after, "/b'\n")
			if got != want {
				t.Errorf("got %q, want %q; problems: %q", got, want, lines(r.Problems))
			}
			if want == "" && len(r.Problems) != 1 {
				t.Errorf("got the problems %q, want one", lines(r.Problems))
			}
		})
	}
}
