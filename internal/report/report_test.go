package report_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/internal/report"
)

func succeeded() report.Run {
	return report.Run{
		Job: "nightly", Key: "github:123456789", State: "succeeded", Attempt: 1,
		Tasks: []report.Task{{ID: "94ef1c3a", URL: "https://app.globus.org/activity/94ef1c3a"}},
		Files: 412, Bytes: 73400320, Faults: 1,
		Started: time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC), Elapsed: 191 * time.Second,
	}
}

// hostile is a text that tries to be more than text.
const hostile = "a]]></failure>\r\n::error::x\n| b | [c](http://d) <img src=e> `f` \\| **g** 100%\x00 @h https://i www.j"

func failed() report.Run {
	return report.Run{Job: "purge", Key: "k", State: "failed", ExitCode: 1, Class: "failed", Error: hostile}
}

func ExampleSummary() {
	_ = report.Summary(os.Stdout, report.Report{Runs: []report.Run{succeeded()}}) // to standard output
	// Output:
	// ### Globus: succeeded
	//
	// | job | occurrence | state | task | files | bytes | faults | time |
	// |---|---|---|---|--:|--:|--:|--:|
	// | nightly | github:123456789 | succeeded | [94ef1c3a](<https://app.globus.org/activity/94ef1c3a>) | 412 | 73400320 | 1 | 3m11s |
}

func ExampleOutputs() {
	_ = report.Outputs(os.Stdout, report.Report{Runs: []report.Run{succeeded()}}) // to standard output
	// Output:
	// task_id=94ef1c3a
	// state=succeeded
	// bytes=73400320
	// files=412
	// exit_code=0
}

func TestSummaryKeepsTextFromBecomingMarkup(t *testing.T) {
	var b bytes.Buffer
	run := failed()
	run.Adopted, run.Tasks = true, []report.Task{{ID: "a|b", URL: "https://x/>)|<"}}
	if err := report.Summary(&b, report.Report{Runs: []report.Run{run}, ExitCode: 1}); err != nil {
		t.Fatal(err)
	}
	want := `### Globus: failed

| job | occurrence | state | task | files | bytes | faults | time |
|---|---|---|---|--:|--:|--:|--:|
| purge | k | failed (adopted) | [a&#124;b](<https://x/%3E)%7C%3C>) | 0 | 0 | 0 | 0s |

**purge**: a&#93;&#93;&gt;&lt;/failure&gt; ::error::x &#124; b &#124; &#91;c&#93;(http&#58;//d) &lt;img src=e&gt; &#96;f&#96; &#92;&#124; &#42;&#42;g&#42;&#42; 100%&#92;u0000 &#64;h https&#58;//i www&#46;j (exit status 1)

`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
}

func TestOutputsOfSeveralRunsAreOneLineEach(t *testing.T) {
	bad := failed()
	bad.State, bad.Bytes, bad.Files = "fail\ntask_id=x", 2, 1
	bad.Tasks = []report.Task{{ID: "first"}, {ID: "second\nstate=succeeded"}}
	var b bytes.Buffer
	if err := report.Outputs(&b, report.Report{Runs: []report.Run{succeeded(), bad}, ExitCode: 1}); err != nil {
		t.Fatal(err)
	}
	want := "task_id=94ef1c3a second\\nstate=succeeded\nstate=fail\\ntask_id=x\nbytes=73400322\nfiles=413\nexit_code=1\n"
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("outputs (-want +got):\n%s", diff)
	}
}

func TestReportHasTheStateOfItsExitCode(t *testing.T) {
	tests := map[string]struct {
		report report.Report
		want   string
	}{
		"all well":         {report.Report{Runs: []report.Run{{State: "succeeded"}, {State: "skipped"}}}, "succeeded"},
		"one failed":       {report.Report{Runs: []report.Run{{State: "succeeded"}, {State: "timed_out", ExitCode: 10}}, ExitCode: 10}, "timed_out"},
		"none has its own": {report.Report{Runs: []report.Run{{State: "succeeded"}}, ExitCode: 5}, "succeeded"},
		"no runs":          {report.Report{}, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := tt.report.State(); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestAnnotationsAreOneCommand(t *testing.T) {
	tests := map[string]struct {
		annotation report.Annotation
		want       string
	}{
		"plain":      {report.Annotation{Message: "it broke"}, "::error::it broke\n"},
		"in a file":  {report.Annotation{File: "jobs.yaml", Line: 7, Col: 3, Message: "no"}, "::error file=jobs.yaml,line=7,col=3::no\n"},
		"whole file": {report.Annotation{Title: "t", File: "jobs.yaml", Message: "no"}, "::error title=t,file=jobs.yaml::no\n"},
		"no file":    {report.Annotation{Line: 7, Message: "no"}, "::error::no\n"},
		"injection": {
			report.Annotation{Title: "a::b,c=d%0A\n", Message: "x\r\n::add-mask::y %0A"},
			"::error title=a%3A%3Ab%2Cc=d%250A%0A::x%0D%0A::add-mask::y %250A\n",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := report.Annotate(&b, tt.annotation); err != nil || b.String() != tt.want {
				t.Errorf("got %q, %v, want %q", b.String(), err, tt.want)
			}
		})
	}
}

type suites struct {
	Suite struct {
		Tests     int    `xml:"tests,attr"`
		Failures  int    `xml:"failures,attr"`
		Skipped   int    `xml:"skipped,attr"`
		Time      string `xml:"time,attr"`
		Timestamp string `xml:"timestamp,attr"`
		Cases     []struct {
			Name    string `xml:"name,attr"`
			Failure *struct {
				Message string `xml:"message,attr"`
				Text    string `xml:",chardata"`
			} `xml:"failure"`
			Output string `xml:"system-out"`
		} `xml:"testcase"`
	} `xml:"testsuite"`
}

func TestJUnitCountsCases(t *testing.T) {
	skipped := report.Run{Job: "b", State: "skipped", Note: "another task is at work"}
	submitted := report.Run{Job: "c", State: "submitted"}
	var b bytes.Buffer
	all := report.Report{Runs: []report.Run{succeeded(), failed(), skipped, submitted, {State: "failed", Error: "no job"}}}
	if err := report.JUnit(&b, all); err != nil {
		t.Fatal(err)
	}
	var got suites
	if err := xml.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	s := got.Suite
	if s.Tests != 5 || s.Failures != 2 || s.Skipped != 2 || s.Time != "191.000" || s.Timestamp != "2026-11-21T02:00:00" {
		t.Errorf("got %+v", s)
	}
	for _, want := range []string{`<skipped message="another task is at work">`, `<skipped message="submitted, its end was not waited for">`, `name="run"`} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("got\n%s\nwant %s in it", b.String(), want)
		}
	}
	if want := "task: 94ef1c3a\nsee: https://app.globus.org/activity/94ef1c3a\nfiles: 412\n"; !strings.Contains(s.Cases[0].Output, want) {
		t.Errorf("got %q, want %q in it", s.Cases[0].Output, want)
	}
}

func TestWritersPassOnErrors(t *testing.T) {
	r := report.Report{Runs: []report.Run{succeeded()}}
	for name, err := range map[string]error{
		"junit":    report.JUnit(full{}, r),
		"summary":  report.Summary(full{}, r),
		"outputs":  report.Outputs(full{}, r),
		"annotate": report.Annotate(full{}, report.Annotation{Message: "x"}),
	} {
		if !errors.Is(err, os.ErrClosed) {
			t.Errorf("%s: got %v, want %v", name, err, os.ErrClosed)
		}
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, os.ErrClosed }

var (
	structure = regexp.MustCompile("[\\\\`*_~@$<>\\[\\]|]|://|www\\.")
	row       = regexp.MustCompile(`^\| .* \| k \| failed \|  \| 0 \| 0 \| 0 \| 0s \|$`)
)

// FuzzTexts states that no text changes the shape of what it is written into.
func FuzzTexts(f *testing.F) {
	f.Add(hostile)
	f.Add("\xff\u2028\u0085")
	f.Fuzz(func(t *testing.T, text string) {
		run := failed()
		run.Job, run.Error = text, text
		r := report.Report{Runs: []report.Run{run}, ExitCode: 1}
		var junit, summary, outputs, annotation bytes.Buffer
		_ = report.JUnit(&junit, r) // buffers take everything
		_ = report.Summary(&summary, r)
		_ = report.Annotate(&annotation, report.Annotation{Title: text, File: text, Message: text})
		run.State = text
		_ = report.Outputs(&outputs, report.Report{Runs: []report.Run{run}})

		var got suites
		if err := xml.Unmarshal(junit.Bytes(), &got); err != nil {
			t.Errorf("not well-formed: %v\n%s", err, junit.Bytes())
		} else if n := len(got.Suite.Cases); n != 1 || (got.Suite.Cases[0].Failure == nil) != (text == "") {
			t.Errorf("got %d cases, want 1 that failed:\n%s", n, junit.Bytes())
		}
		lines := strings.Split(summary.String(), "\n")
		if !row.MatchString(lines[4]) || strings.Count(lines[4], "|") != 9 {
			t.Errorf("the row of the table is %q", lines[4])
		}
		if len(lines) > 7 {
			if rest := strings.ReplaceAll(lines[6], "**", ""); structure.MatchString(rest) {
				t.Errorf("markup is left in %q", lines[6])
			}
		}
		if n := strings.Count(outputs.String(), "\n"); n != 5 || strings.Contains(outputs.String(), "\r") {
			t.Errorf("got %d lines of outputs, want 5: %q", n, outputs.String())
		}
		line := annotation.String()
		if strings.ContainsAny(strings.TrimSuffix(line, "\n"), "\r\n") || !strings.HasPrefix(line, "::error") {
			t.Errorf("got %q, want one command", line)
		}
	})
}
