package jobs_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/jobs"
)

func TestBatchReadsGlobusCLIsFormat(t *testing.T) {
	const text = `# files
/a/1.dat /b/1.dat

"/with blank/2.dat"  '/b/it''s 2.dat'   # a comment
/a/dir /b/dir -r
--recursive a\ b "c\"d"
--external-checksum 9a0364b9e99bb480dd25e1f0284c8555 /x#y /b/y
-- -odd -r
`
	want := []jobs.BatchLine{
		{Line: 2, Source: "/a/1.dat", Destination: "/b/1.dat"},
		{Line: 4, Source: "/with blank/2.dat", Destination: "/b/its 2.dat"},
		{Line: 5, Source: "/a/dir", Destination: "/b/dir", Recursive: new(true)},
		{Line: 6, Source: "a b", Destination: `c"d`, Recursive: new(true)},
		{Line: 7, Source: "/x#y", Destination: "/b/y", ExternalChecksum: "9a0364b9e99bb480dd25e1f0284c8555"},
		{Line: 8, Source: "-odd", Destination: "-r"},
	}
	var got []jobs.BatchLine
	for line, err := range jobs.Batch(strings.NewReader(text), 2) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, line)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

func TestBatchNamesTheLineOfAMistake(t *testing.T) {
	tests := map[string]struct {
		text   string
		fields int
		want   string
	}{
		"one path":        {"/a /b\n/a\n", 2, "line 2: got 1 paths, want 2"},
		"three paths":     {"/a /b /c\n", 2, "line 1: got 3 paths"},
		"open quote":      {"\n\n'/a /b\n", 2, "line 3: the quote ' is not closed"},
		"last backslash":  {`/a /b\`, 2, "line 1: the line ends in a backslash"},
		"unknown option":  {"--mirror /a /b", 2, "line 1: unknown option --mirror"},
		"empty path":      {`"" /b`, 2, "line 1: a path is empty"},
		"two to delete":   {"/a /b", 1, "line 1: got 2 paths, want 1"},
		"only an option":  {"-r", 2, "line 1: got 0 paths"},
		"checksum absent": {"/a /b --external-checksum", 2, "unknown option --external-checksum"},
		"endless line":    {strings.Repeat("x", 2<<20), 2, "line 1: bufio.Scanner: token too long"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var last error
			for _, err := range jobs.Batch(strings.NewReader(tt.text), tt.fields) {
				last = err
			}
			if last == nil || !strings.Contains(last.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", last, tt.want)
			}
		})
	}
}

// Quoting with single quotes must bring every path back.
func FuzzBatch(f *testing.F) {
	f.Add("/a b", "/ü'#\"")
	f.Add("-r", `\`)
	f.Fuzz(func(t *testing.T, src, dst string) {
		if src == "" || dst == "" || strings.ContainsAny(src+dst, "\n") || len(src)+len(dst) > 1<<18 {
			t.Skip("not a path")
		}
		quote := func(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
		n := 0
		for line, err := range jobs.Batch(strings.NewReader("-- "+quote(src)+" "+quote(dst)), 2) {
			n++
			if err != nil || line.Source != src || line.Destination != dst {
				t.Errorf("got %+v, %v, want %q and %q", line, err, src, dst)
			}
		}
		if n != 1 {
			t.Errorf("got %d lines, want 1", n)
		}
		for line, err := range jobs.Batch(strings.NewReader(src+" "+dst), 2) {
			if (err == nil) != (line.Source != "") {
				t.Errorf("got %+v and %v, want one of them", line, err)
			}
		}
	})
}

func ExampleBatch() {
	for line, err := range jobs.Batch(strings.NewReader("-r '/raw data/' /archive/\n"), 2) {
		fmt.Println(line.Source, line.Destination, *line.Recursive, err)
	}
	// Output: /raw data/ /archive/ true <nil>
}
