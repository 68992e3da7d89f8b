package migrate_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/internal/migrate"
)

const (
	lab   = "0b6c8f2e-0000-4000-8000-000000000001"
	vault = "94ef1c3a-0000-4000-8000-000000000002"
)

// batch imports a batch file between the two collections.
func batch(t *testing.T, text string, b migrate.Batch) migrate.Result {
	t.Helper()
	r, err := migrate.BatchFile(strings.NewReader(text), b, migrate.Options{
		Name: "list.txt", Collections: map[string]string{lab: "lab", vault: "vault"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestShortBatchIsWrittenIntoTheJobsFile(t *testing.T) {
	r := batch(t, "# frames\n'a b' c\n--recursive d/ /e/\nf --external-checksum 12ab g\n",
		migrate.Batch{Source: lab + ":/top", Destination: vault, Schedule: "@daily"})
	const want = `# Made from list.txt by runner import.
version: 1
collections:
  lab: 0b6c8f2e-0000-4000-8000-000000000001
  vault: 94ef1c3a-0000-4000-8000-000000000002
jobs:
  # list.txt
  transfer-a-b:
    schedule: '@daily'
    transfer:
      items:
        - source: 'lab:/top/a b'
          destination: vault:~/c
        - source: lab:/top/d/
          destination: vault:/e/
          recursive: true
        - source: lab:/top/f
          destination: vault:~/g
          external_checksum: '12ab'
`
	if diff := cmp.Diff(want, string(r.File)); diff != "" {
		t.Errorf("jobs file (-want +got):\n%s\nproblems: %q", diff, lines(r.Problems))
	}
}

func TestLongBatchBecomesTheManifest(t *testing.T) {
	var text strings.Builder
	for i := range 101 {
		fmt.Fprintf(&text, "/a/%d b/%d\n", i, i)
	}
	r := batch(t, text.String(), migrate.Batch{Source: lab, Destination: vault + ":/in/", Manifest: "list.txt", Job: "Frames"})
	const want = `jobs:
  # list.txt
  frames:
    transfer:
      source: lab:~/
      destination: vault:/in/
      manifest: list.txt
`
	if _, got, _ := strings.Cut(string(r.File), "\njobs:"); "jobs:"+got != want {
		t.Errorf("got\n%s\nwant\n%s\nproblems: %q", got, want, lines(r.Problems))
	}
}

func TestAbsolutePathsOfABatchAreNotBelowItsFolder(t *testing.T) {
	r := batch(t, "/a b\n~/c /d\n", migrate.Batch{Source: lab + ":/top", Destination: vault + ":/in/"})
	const want = `        - source: lab:/a
          destination: vault:/in/b
        - source: lab:~/c
          destination: vault:/d
`
	if _, got, _ := strings.Cut(string(r.File), "items:\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s\nproblems: %q", got, want, lines(r.Problems))
	}
}

func TestBatchIsRefusedByItsLine(t *testing.T) {
	tests := map[string]struct {
		text string
		b    migrate.Batch
		want []string
	}{
		"one path":        {"/a /b\n/c\n", migrate.Batch{Source: lab, Destination: vault}, []string{`list.txt: line 2: the destination is missing: there is only "/c", want SOURCE DESTINATION`}},
		"nothing":         {"# none\n", migrate.Batch{Source: lab, Destination: vault}, []string{"list.txt: there is no line with paths in it"}},
		"no collections":  {"/a /b\n", migrate.Batch{Source: "lab", Destination: vault + "x"}, []string{`--source: "lab" is not a collection id (a UUID), with :/path behind it or alone`, `--destination: "94ef1c3a-0000-4000-8000-000000000002x" is not a collection id (a UUID), with :/path behind it or alone`}},
		"not UTF-8":       {"/a /\xff\n", migrate.Batch{Source: lab, Destination: vault}, []string{`list.txt: line 1: "/\xff" is not UTF-8 (byte 0xff), so another path would be sent; save the list as UTF-8, such as by iconv -f latin1 -t utf-8`}},
		"wrong schedule":  {"/a /b\n", migrate.Batch{Source: lab, Destination: vault, Schedule: "often"}, []string{`list.txt: schedule "often": got 1 field, want 5: minute, hour, day of month, month, day of week`}},
		"long, no file":   {frames(101), migrate.Batch{Source: lab, Destination: vault}, []string{"list.txt: there are more than 100 lines; put them into a file of their own"}},
		"long, twice":     {frames(101) + "/other /out/0\n", migrate.Batch{Source: lab, Destination: vault, Manifest: "m"}, []string{"list.txt: line 102: the destination /out/0 is that of line 1 as well, and one would replace the other; give each its own, or copy them in two steps"}},
		"long, one wrong": {frames(101) + "/c\n", migrate.Batch{Source: lab, Destination: vault, Manifest: "m"}, []string{`list.txt: line 102: the destination is missing: there is only "/c", want SOURCE DESTINATION`}},
		"Windows":         {"C:\\data\\x /b\n", migrate.Batch{Source: lab, Destination: vault}, []string{`list.txt: line 1: "C:\\data\\x" is a path of Windows; write /C/data/x`}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := batch(t, tt.text, tt.b)
			if diff := cmp.Diff(tt.want, lines(r.Problems)); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
			if r.File != nil {
				t.Errorf("there is a jobs file:\n%s", r.File)
			}
		})
	}
}

// frames is a batch of n lines.
func frames(n int) string {
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, "/in/%d /out/%d\n", i, i)
	}
	return text.String()
}

func TestBatchOfWindowsIsReadLikeAnyOther(t *testing.T) {
	r := batch(t, "\ufeff/data/a.h5 /o/a.h5\r\n/data/b.h5 /o/b.h5\r\n", migrate.Batch{Source: lab, Destination: vault})
	const want = `        - source: lab:/data/a.h5
          destination: vault:/o/a.h5
        - source: lab:/data/b.h5
          destination: vault:/o/b.h5
`
	if _, got, _ := strings.Cut(string(r.File), "items:\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s\nproblems: %q", got, want, lines(r.Problems))
	}
}
