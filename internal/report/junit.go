package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"time"

	"github.com/globus-runner/globus-runner/internal/plain"
)

type junitSuites struct {
	XMLName xml.Name   `xml:"testsuites"`
	Suite   junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name      string      `xml:"name,attr"`
	Tests     int         `xml:"tests,attr"`
	Failures  int         `xml:"failures,attr"`
	Errors    int         `xml:"errors,attr"`
	Skipped   int         `xml:"skipped,attr"`
	Time      string      `xml:"time,attr"` // seconds
	Timestamp string      `xml:"timestamp,attr,omitempty"`
	Cases     []junitCase `xml:"testcase"`
}

type junitCase struct {
	Class   string        `xml:"classname,attr"`
	Name    string        `xml:"name,attr"`
	Time    string        `xml:"time,attr"` // seconds
	Skipped *junitMessage `xml:"skipped"`
	Failure *junitMessage `xml:"failure"`
	Output  string        `xml:"system-out,omitempty"`
}

type junitMessage struct {
	Type    string `xml:"type,attr,omitempty"`
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// JUnit writes the report as JUnit XML, which CI systems read, with a test case
// for each run. A run that was skipped by policy, or not waited for, is a
// skipped case.
func JUnit(w io.Writer, r Report) error {
	suite := junitSuite{Name: "globus-runner", Tests: len(r.Runs)}
	var longest time.Duration // runs are concurrent
	for i, run := range r.Runs {
		c := junitCase{Class: suite.Name, Name: plain.Line(run.name()), Time: junitSeconds(run.Elapsed), Output: run.lines()}
		switch {
		case run.Error != "":
			suite.Failures++
			c.Failure = &junitMessage{Type: plain.Line(run.Class), Message: sentence(run.Error), Text: sentence(run.Error)}
		case run.skipped() != "":
			suite.Skipped++
			c.Skipped = &junitMessage{Message: sentence(run.skipped())}
		}
		if i == 0 && !run.Started.IsZero() {
			suite.Timestamp = run.Started.UTC().Format("2006-01-02T15:04:05")
		}
		longest = max(longest, run.Elapsed)
		suite.Cases = append(suite.Cases, c)
	}
	suite.Time = junitSeconds(longest)
	text, err := xml.MarshalIndent(junitSuites{Suite: suite}, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the JUnit report: %w", err)
	}
	_, err = fmt.Fprintf(w, "%s%s\n", xml.Header, text)
	return err
}

func junitSeconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }

// lines returns the facts about a run, one a line.
func (r Run) lines() string {
	text := ""
	add := func(name, value string) {
		if value != "" {
			text += name + ": " + plain.Line(value) + "\n"
		}
	}
	add("occurrence", r.Key)
	add("state", r.State)
	for _, t := range r.Tasks {
		add("task", t.ID)
		add("see", t.URL)
	}
	if len(r.Tasks) > 0 {
		add("files", fmt.Sprint(r.Files))
		add("bytes", fmt.Sprint(r.Bytes))
		add("skipped errors", fmt.Sprint(r.SkippedErrors))
		add("faults", fmt.Sprint(r.Faults))
	}
	return text
}
