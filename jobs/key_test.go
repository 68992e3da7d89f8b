package jobs_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/jobs"
)

func TestAKeyFitsIntoALabelAndAFilter(t *testing.T) {
	good := []string{"2026-11-21T02:00:00Z", "github:123456789", "manual:abc", "a", "k8s:nightly.2", "run+1@host"}
	bad := []string{"", " a", "a b", "a/b", "a,b", "a*", "-a", "a\n", "ä", strings.Repeat("a", jobs.MaxKey+1)}
	for _, s := range good {
		if _, err := jobs.ParseKey(s); err != nil {
			t.Errorf("ParseKey(%q): got %v, want no error", s, err)
		}
	}
	for _, s := range bad {
		if k, err := jobs.ParseKey(s); err == nil {
			t.Errorf("ParseKey(%q): got %q, want an error", s, k)
		}
	}
	longest := jobs.Label(strings.Repeat("j", jobs.MaxName), jobs.Key(strings.Repeat("k", jobs.MaxKey)), jobs.Position{Step: 99, Part: 9999}, 99)
	if len(longest) > 128 {
		t.Errorf("the longest label has %d characters, Globus takes 128", len(longest))
	}
}

func TestKubernetesKeyIsTheScheduledMinute(t *testing.T) {
	due := time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)
	tests := map[string]jobs.Key{
		fmt.Sprintf("nightly-%d", due.Unix()/60):       "2026-11-21T02:00:00Z",
		fmt.Sprintf("a-b-%d", due.Unix()/60+90):        "2026-11-21T03:30:00Z",
		"nightly-manual-x7f2q":                         "k8s:nightly-manual-x7f2q",
		"nightly-12":                                   "k8s:nightly-12",
		"nightly-99999999999":                          "k8s:nightly-99999999999",
		strings.Repeat("x", 56):                        jobs.Key("k8s:" + strings.Repeat("x", 56)),
		strings.Repeat("x", 63):                        jobs.Key("k8s:" + strings.Repeat("x", 47) + "-75220b47"),
		fmt.Sprintf("%d", due.Unix()/60):               jobs.Key(fmt.Sprintf("k8s:%d", due.Unix()/60)),
		fmt.Sprintf("nightly-%d-debug", due.Unix()/60): jobs.Key(fmt.Sprintf("k8s:nightly-%d-debug", due.Unix()/60)),
	}
	for name, want := range tests {
		if got, err := jobs.KubernetesKey(name); err != nil || got != want {
			t.Errorf("KubernetesKey(%q): got %q, %v, want %q", name, got, err, want)
		}
	}
}

// The task of a job is not taken for that of another one whose name begins alike.
func TestLabelTellsItsJob(t *testing.T) {
	label := jobs.Label("nightly-raw", "2026-11-21T02:00:00Z", jobs.Position{Step: 2}, 1)
	for job, want := range map[string]bool{"nightly-raw": true, "nightly": false, "nightly-ra": false, "raw": false} {
		if got := jobs.OfJob(label, job); got != want {
			t.Errorf("%q of job %s: got %t, want %t", label, job, got, want)
		}
	}
}

func TestManualKeysAreNeverTheSame(t *testing.T) {
	seen := map[jobs.Key]bool{}
	for range 1000 {
		k := jobs.ManualKey()
		if _, err := jobs.ParseKey(string(k)); err != nil || seen[k] {
			t.Fatalf("key %q: %v, seen before: %t", k, err, seen[k])
		}
		seen[k] = true
	}
}

func FuzzParseKey(f *testing.F) {
	f.Add("2026-11-21T02:00:00Z")
	f.Add("a b")
	f.Fuzz(func(t *testing.T, s string) {
		k, err := jobs.ParseKey(s)
		if (err == nil) != (k != "") {
			t.Errorf("ParseKey(%q): got %q and %v, want one of them", s, k, err)
		}
		if err == nil && strings.ContainsAny(string(k), " /,*!~=\r\n") {
			t.Errorf("ParseKey(%q) let a character of the filter language through", s)
		}
	})
}

func ExampleLabel() {
	key := jobs.ScheduledKey(time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC))
	fmt.Println(jobs.Label("nightly", key, jobs.Position{}, 1))
	fmt.Println(jobs.Label("nightly", key, jobs.Position{}, 2))
	fmt.Println(jobs.Label("hand-over", key, jobs.Position{Step: 3}, 1))
	// Output:
	// nightly 2026-11-21T02:00:00Z
	// nightly 2026-11-21T02:00:00Z #2
	// hand-over 2026-11-21T02:00:00Z s3
}

func TestItemKeys(t *testing.T) {
	long := strings.Repeat("x", 48)
	tests := map[string]struct {
		name       string
		generation int
		want       jobs.Key
	}{
		"as it is":               {"run_7.raw", 1, "item:run_7.raw"},
		"a second generation":    {"run_7", 2, "item:run_7@2"},
		"a name with @":          {"run_7@2", 1, "item:run_7-2+"},
		"a blank":                {"run 7", 3, "item:run-7+"},
		"letters that keys lack": {"Größe", 1, "item:Gr--e+"},
		"the longest":            {long, 999_999, jobs.Key("item:" + long + "@999999")},
		"too long":               {long + "y", 1, jobs.Key("item:" + long[:38] + "+")},
		"like a hashed one":      {"a+0123456789abcdef", 1, "item:a+0123456789abcdef+"},
		"a generation too many":  {long, math.MaxInt, jobs.Key("item:" + long[:18] + "+")},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := jobs.ItemKey(tt.name, tt.generation)
			if got != tt.want && (!strings.HasSuffix(string(tt.want), "+") || !strings.HasPrefix(string(got), string(tt.want))) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if of, whole := got.ItemName(); whole == strings.HasSuffix(string(tt.want), "+") || whole && of != tt.name {
				t.Errorf("%q is said to be of %q, %t, and is of %q", got, of, whole, tt.name)
			}
		})
	}
}

// An item is named by its key, or by its name.
func TestParseKeyTakesTheNameOfAnItem(t *testing.T) {
	hashed := jobs.ItemKey("run 7", 2)
	long := strings.Repeat("x", 50)
	for s, want := range map[string]jobs.Key{
		"item:run_7":       "item:run_7",
		"item:run_7@2":     "item:run_7@2",
		"item:run 7":       jobs.ItemKey("run 7", 1),
		"item:Größe \"a\"": jobs.ItemKey(`Größe "a"`, 1),
		"item:run@home":    jobs.ItemKey("run@home", 1),
		"item:run 7@2":     jobs.ItemKey("run 7@2", 1),
		"item:" + long:     jobs.ItemKey(long, 1),
		string(hashed):     hashed,
	} {
		if got, err := jobs.ParseKey(s); err != nil || got != want {
			t.Errorf("ParseKey(%q): got %q, %v, want %q", s, got, err, want)
		}
	}
}

// FuzzItemKey wants keys that fit into labels, and no two names with the same.
func FuzzItemKey(f *testing.F) {
	hashed := strings.TrimPrefix(string(jobs.ItemKey("run 7", 1)), "item:")
	for _, name := range []string{"run_7", "run 7", "run-7", hashed, hashed + "@2", "run_7@2", "", "\xff", "a\nb", strings.Repeat("x", 48), strings.Repeat("x", 49), strings.Repeat("ä", 300)} {
		f.Add(name, "run_7", 1, 2)
		f.Add(name, name, 2, 1<<62)
	}
	f.Fuzz(func(t *testing.T, a, b string, m, n int) {
		keys := map[jobs.Key]string{}
		for _, name := range []string{a, b} {
			for _, generation := range []int{max(1, m), max(1, n)} {
				key := jobs.ItemKey(name, generation)
				if same, err := jobs.ParseKey(string(key)); err != nil || same != key {
					t.Errorf("%q, %d: got %q, %v", name, generation, same, err)
				}
				if !key.IsItem() || !key.Due().IsZero() {
					t.Errorf("%q is not told from the keys of other occurrences", key)
				}
				if of, whole := key.ItemName(); whole && of != name {
					t.Errorf("%q is said to be of %q, and is of %q", key, of, name)
				}
				who := fmt.Sprintf("%q, %d", name, generation)
				if other, ok := keys[key]; ok && other != who {
					t.Errorf("%s and %s have the key %s", who, other, key)
				}
				keys[key] = who
			}
		}
	})
}
