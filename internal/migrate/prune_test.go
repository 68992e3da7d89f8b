package migrate_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/globus-runner/globus-runner/internal/migrate"
	"github.com/globus-runner/globus-runner/jobs"
)

// TestADeleteOfACopyBecomesAPrune compares what the delete of the last line
// becomes: a prune of exactly what is copied, or a delete that asks for no proof.
func TestADeleteOfACopyBecomesAPrune(t *testing.T) {
	const (
		yesterday = "0 2 * * * globus transfer $LAB:/in/$(date -d yesterday +\\%F)/ $VAULT:/in/$(date +\\%F)/ -r"
		plain     = "0 2 * * * globus transfer $LAB:/in/ $VAULT:/in/ -r"
		items     = "0 2 * * * globus transfer $LAB:/in $VAULT:/in --batch -%a a%b b"
	)
	of := func(more string) string { return "prune:\n  of:\n    - transfer-in\n" + more }
	tests := map[string]struct {
		crontab string
		prune   string // empty if it is a delete that says unproven: true
	}{
		"the same folder":          {plain + "\n0 5 * * * globus delete $LAB:/in -r", of("  empty_folders: remove\n")},
		"days later":               {yesterday + "\n0 5 * * * globus delete $LAB:/in/$(date -d '31 days ago' +\\%F) -r -f", of("  older_than: '30d'\n  empty_folders: remove\n")},
		"the same day":             {yesterday + "\n0 5 * * * globus delete $LAB:/in/$(date -d yesterday +\\%F) -r", of("  empty_folders: remove\n")},
		"the day after":            {yesterday + "\n0 5 * * * globus delete $LAB:/in/$(date +\\%F) -r", ""},
		"another form of the day":  {yesterday + "\n0 5 * * * globus delete $LAB:/in/$(date -d yesterday +\\%Y\\%m\\%d) -r", ""},
		"hours later":              {yesterday + "\n0 5 * * * globus delete $LAB:/in/$(date -d '48 hours ago' +\\%F) -r", ""},
		"a folder in it":           {plain + "\n0 5 * * * globus delete $LAB:/in/old -r", ""},
		"a folder around it":       {plain + "\n0 5 * * * globus delete $LAB:/in/ -r\n0 2 * * * globus transfer $LAB:/in/a $VAULT:/a", of("  empty_folders: remove\n")},
		"more than it":             {"0 2 * * * globus transfer $LAB:/in/a $VAULT:/in\n0 5 * * * globus delete $LAB:/in -r", ""},
		"a pattern":                {plain + "\n0 5 * * * globus rm $LAB:/in/'*' -r", ""},
		"a batch of all":           {items + "\n0 5 * * * globus delete $LAB:/in --batch -%b%a", strings.Replace(of(""), "in", "a", 1)},
		"a batch of some":          {items + "\n0 5 * * * globus delete $LAB:/in --batch -%a", ""},
		"a batch of more":          {items + "\n0 5 * * * globus delete $LAB:/in --batch -%a%b%a/c", ""},
		"a step before it":         {plain + " && globus delete $LAB:/in -r", "prune:\n  empty_folders: remove\n"},
		"two steps before it":      {plain + " && globus transfer $LAB:/x $VAULT:/x && globus delete $LAB:/in && globus delete $LAB:/x", "prune: {}\n"},
		"a step between":           {plain + " && globus delete $LAB:/in && globus transfer $LAB:/x $VAULT:/x", "prune: {}\n"},
		"a mirror":                 {plain + " --delete-destination-extra\n0 5 * * * globus delete $LAB:/in -r", ""},
		"a mirror of another line": {plain + "\n0 5 * * * globus delete $LAB:/in -r\n0 6 * * * globus transfer $LAB:/x $VAULT:/in -r --delete-destination-extra", ""},
		"days that differ": {
			"0 2 * * * globus transfer $LAB:/a/$(date +\\%F) $VAULT:/a && globus transfer $LAB:/b/$(date +\\%F) $VAULT:/b\n" +
				"0 5 * * * globus delete $LAB:/a/$(date -d yesterday +\\%F) && globus delete $LAB:/b/$(date -d '2 days ago' +\\%F)", "",
		},
		"one of two steps":         {plain + " && globus transfer $LAB:/x $VAULT:/x && globus delete $LAB:/in -r", ""},
		"a step behind it":         {"0 2 * * * globus delete $LAB:/in -r && globus transfer $LAB:/in/ $VAULT:/in/", "prune:\n  of:\n    - delete-in\n  empty_folders: remove\n"},
		"as another local account": {plain + "\n0 5 * * * globus delete $LAB:/in -r --local-user x", ""},
		"as the same account":      {plain + " --source-local-user x\n0 5 * * * globus delete $LAB:/in -r --local-user x", of("  empty_folders: remove\n")},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := read(t, tt.crontab, migrate.Options{})
			if len(r.Problems) > 0 {
				t.Fatalf("problems: %q", lines(r.Problems))
			}
			text := strings.NewReplacer("\n      - ", "\n    ", "\n          ", "\n      ").Replace(string(r.File)) // a step like a job
			if tt.prune == "" {
				if !strings.Contains(text, "unproven: true\n") || strings.Contains(text, "prune:") ||
					!slices.ContainsFunc(lines(r.Notes), func(note string) bool { return strings.Contains(note, "it deletes files that may exist nowhere else") }) {
					t.Errorf("want a delete without proof, got the notes %q and\n%s", lines(r.Notes), r.File)
				}
				return
			}
			want := "\n    " + strings.ReplaceAll(strings.TrimSuffix(tt.prune, "\n"), "\n", "\n    ") + "\n"
			if !strings.Contains(text+"\n", want) || strings.Contains(text, "delete:") ||
				!slices.ContainsFunc(lines(r.Notes), func(note string) bool { return strings.Contains(note, "became a prune") }) {
				t.Errorf("want%s, got the notes %q and\n%s", want, lines(r.Notes), r.File)
			}
		})
	}
}

// A prune leaves copies as the only ones, so a delete of those asks for no proof
// either.
func TestADeleteOfThePrunedCopiesIsUnproven(t *testing.T) {
	r := read(t, "0 2 * * * globus transfer $LAB:/in/ $VAULT:/in/ -r\n0 5 * * * globus delete $LAB:/in/ -r\n0 5 1 * * globus delete $VAULT:/in/old -r", migrate.Options{})
	file, err := jobs.Parse(nil, jobs.Source{Name: "jobs.yaml", Data: r.File})
	if err != nil || len(file.Jobs) != 3 || file.Jobs[0].Steps[0].Prune == nil || !file.Jobs[1].Steps[0].Unproven || len(r.Notes) != 2 {
		t.Errorf("got %v and %q for\n%s", err, lines(r.Notes), r.File)
	}
}

// What is refused for another reason does not leave a prune of it behind.
func TestAPruneOfARefusedJobIsADelete(t *testing.T) {
	r := read(t, "0 2 * * * globus transfer $LAB:/in/ $VAULT:/in/ -r --external-checksum x\n0 5 * * * globus delete $LAB:/in/ -r", migrate.Options{KeepGoing: true})
	file, err := jobs.Parse(nil, jobs.Source{Name: "jobs.yaml", Data: r.File})
	if err != nil || len(file.Jobs) != 1 || file.Jobs[0].Steps[0].Delete == nil || file.Jobs[0].Steps[0].Unproven {
		t.Errorf("got %v for\n%s", err, r.File)
	}
}

// A prune is not the delete that it was made of, and the note says in what.
func TestTheNoteOfAPruneSaysWhatIsDifferent(t *testing.T) {
	const copies = "0 2 * * * globus transfer $LAB:/in/$(date +\\%F)/ $VAULT:/in/$(date +\\%F)/ -r\n"
	tests := map[string]struct {
		crontab string
		want    []string
		not     string
	}{
		"dated": {
			copies + "0 5 * * * globus delete $LAB:/in/$(date -d '30 days ago' +\\%F)/ -r",
			[]string{"not in the folder of one day alone, but in all that are old enough", "files that were copied before runner did it have no receipt and are kept"},
			"",
		},
		"not dated": {
			"0 2 * * * globus transfer $LAB:/in/ $VAULT:/in/ -r\n0 5 * * * globus delete $LAB:/in/ -r",
			[]string{"files that were copied before runner did it have no receipt and are kept"},
			"of one day alone",
		},
		"another line": {copies + "0 5 * * * globus delete $LAB:/in/ -r", []string{":4 copies from there or to there (unproven: true)"}, "prune,"},
		"a mirror": {
			"0 2 * * * globus transfer $LAB:/in/ $VAULT:/in/ -r --delete-destination-extra\n0 5 * * * globus delete $LAB:/in -r",
			[]string{"because the job transfer-in mirrors to", "(unproven: true)"},
			"became",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := read(t, tt.crontab, migrate.Options{})
			notes := strings.Join(lines(r.Notes), "\n")
			for _, want := range tt.want {
				if !strings.Contains(notes, want) {
					t.Errorf("got %q, want %q", notes, want)
				}
				if _, msg, _ := strings.Cut(want, ":4 "); !strings.Contains(string(r.File), msg) {
					t.Errorf("the file does not say %q:\n%s", msg, r.File)
				}
			}
			if tt.not != "" && strings.Contains(notes, tt.not) {
				t.Errorf("got %q, want nothing of %q", notes, tt.not)
			}
		})
	}
}
