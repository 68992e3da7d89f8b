package jobs_test

import (
	"strings"
	"testing"

	"github.com/globus-runner/globus-runner/jobs"
)

func TestMaxDelete(t *testing.T) {
	tests := []struct {
		bound       string
		gone, files int64
		allows      bool
	}{
		{"50%", 0, 0, true},
		{"50%", 1, 2, true},
		{"50%", 2, 3, false},
		{"0%", 0, 9, true},
		{"0%", 1, 1000, false},
		{"100%", 9, 9, true},
		{"10", 10, 10, true},
		{"10", 11, 1000, false},
		{"0", 1, 2, false},
		{"0", 0, 2, true},
		{"none", 9, 9, true},
	}
	for _, tt := range tests {
		most, err := jobs.ParseMaxDelete(tt.bound)
		if err != nil {
			t.Fatal(err)
		}
		if got := most.Allows(tt.gone, tt.files); got != tt.allows {
			t.Errorf("%s of %d files with %s: got %t", tt.bound, tt.files, tt.bound, got)
		}
	}
	for _, bad := range []string{"", "%", "half", "101%", "-1", "12.5%", "50 %", "None", "99999999999"} {
		if most, err := jobs.ParseMaxDelete(bad); err == nil || most != "" {
			t.Errorf("%q: got %q and no error", bad, most)
		}
	}
}

func TestAGuardOfAMirrorInAJobThatIsNone(t *testing.T) {
	const mirror = `transfer: {source: "lab:/a/", destination: "vault:/b/", delete_destination_extra: true}`
	const plain = `transfer: {source: "lab:/a/", destination: "vault:/b/"}`
	const prune = `steps: [{` + plain + `}, {prune: {}}]`
	tests := map[string]struct {
		defaults, guard, work string
		want                  []string // the fields, and what to do
	}{
		"a mirror":               {"", "max_delete: 20%, empty_source: allow, look: 5", mirror, nil},
		"no guard":               {"", "", plain, nil},
		"the copy of a prune":    {"", "overwrite_pruned: allow", prune, nil},
		"a plain transfer":       {"", "max_delete: 20%", plain, []string{"jobs.a.guard.max_delete: remove it"}},
		"all keys":               {"", "look: 5, empty_source: allow", plain, []string{"jobs.a.guard.look: remove it", "jobs.a.guard.empty_source: remove it"}},
		"a prune":                {"", "max_delete: 20%", prune, []string{"jobs.a.guard.max_delete: to bound the prune, write max_delete below prune"}},
		"look, of a prune":       {"", "look: 5", prune, []string{"jobs.a.guard.look: remove it"}},
		"a mirror after another": {"", "max_delete: 20%", "steps: [{" + plain + "}, {" + strings.Replace(mirror, "/b/", "/c/", 1) + "}]", nil},
		"for all jobs":           {"defaults: {guard: {max_delete: 20%}}", "", plain, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			text := "version: 1\ncollections: {lab: 0b6c8f2e-0000-4000-8000-000000000001, vault: 94ef1c3a-0000-4000-8000-000000000002}\n" +
				tt.defaults + "\njobs: {a: {guard: {" + tt.guard + "}, " + tt.work + "}}\n"
			file, err := parseText(text)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, w := range file.Warnings {
				_, instead, _ := strings.Cut(w.Msg, "; ")
				got = append(got, w.Field+": "+instead)
			}
			if strings.Join(got, "\n") != strings.Join(tt.want, "\n") {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
