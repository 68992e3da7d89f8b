package jobs_test

import (
	"strings"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

const (
	here  = "0b6c8f2e-0000-4000-8000-000000000001"
	there = "94ef1c3a-0000-4000-8000-000000000002"
)

// lane returns the lanes of a job that copies from a path to another.
func lane(from, to string, edits ...func(*jobs.Job)) (lanes jobs.Lanes) {
	doc := &transfer.Transfer{SourceEndpoint: here, DestinationEndpoint: there, Items: []transfer.Item{{SourcePath: from, DestinationPath: to}}}
	job := &jobs.Job{Name: "nightly", Steps: jobs.Single(doc), Env: map[string]string{"SITE": "chicago"}}
	for _, edit := range edits {
		edit(job)
	}
	lanes.Add(job, len(job.Steps))
	return lanes
}

// ends are two paths on the collections of a lane.
func ends(from, to string) (jobs.End, jobs.End) {
	return jobs.End{Collection: here, Path: from}, jobs.End{Collection: there, Path: to}
}

func TestALaneHasWhatTheJobWouldPutThere(t *testing.T) {
	file := func(j *jobs.Job) { j.Steps[0].Transfer.Items[0].Recursive = new(false) }
	manifest := func(j *jobs.Job) { j.Steps[0].Manifest = "list" }
	literal := func(j *jobs.Job) { j.Literal = true }
	tests := map[string]struct {
		lanes    jobs.Lanes
		from, to string
		has      bool
	}{
		"a file of the folder":              {lane("/out/", "/in/"), "/out/a/b", "/in/a/b", true},
		"written without slashes":           {lane("/out", "/in/x/.."), "/out//a", "/in/a", true},
		"another name":                      {lane("/out/", "/in/"), "/out/a/b", "/in/a/c", false},
		"another folder":                    {lane("/out/", "/in/"), "/out/a/b", "/in/b", false},
		"another source":                    {lane("/out/", "/in/"), "/outer/a", "/in/a", false},
		"another destination":               {lane("/out/", "/in/"), "/out/a", "/inner/a", false},
		"from the top":                      {lane("/", "/in/"), "/out/a", "/in/out/a", true},
		"a wider folder was copied":         {lane("/out/a/", "/in/a/"), "/out/a/b", "/in/a/b", true},
		"and more than is copied now":       {lane("/out/a/", "/in/a/"), "/out/b/c", "/in/b/c", false},
		"a single file":                     {lane("/out/a", "/in/b", file), "/out/a", "/in/b", true},
		"below a single file":               {lane("/out/a", "/in/b", file), "/out/a/c", "/in/b/c", false},
		"a day":                             {lane(`/out/{{ .Time | strftime "%Y/%m/%d" }}/`, "/in/{{ date .Time }}/"), "/out/2001/01/02/x", "/in/2001-01-02/x", true},
		"not a day":                         {lane("/out/{{ date .Time }}/", "/in/"), "/out/chicago/x", "/in/x", false},
		"deeper than a day":                 {lane("/out/{{ date .Time }}/", "/in/"), "/out/2001-01-02/y/x", "/in/x", false},
		"beside the template":               {lane("/out/{{ date .Time }}/", "/in/"), "/new/2001-01-02/x", "/in/x", false},
		"a zone with another sign":          {lane(`/out/{{ .Time | strftime "%z" }}/`, "/in/"), "/out/-0600/x", "/in/x", true},
		"a month":                           {lane(`/out/{{ .Time | strftime "%B" }}/`, "/in/"), "/out/May/x", "/in/x", true},
		"any key":                           {lane("/out/", "/in/{{ .Key }}/"), "/out/x", "/in/manual:abc/x", true},
		"the name of the job":               {lane("/out/{{ .Job }}/", "/in/"), "/out/nightly/x", "/in/x", true},
		"the name of another job":           {lane("/out/{{ .Job }}/", "/in/"), "/out/weekly/x", "/in/x", false},
		"the variable":                      {lane(`/out/{{ env "SITE" }}/`, "/in/"), "/out/chicago/x", "/in/x", true},
		"another value of the variable":     {lane(`/out/{{ env "SITE" }}/`, "/in/"), "/out/argonne/x", "/in/x", false},
		"a variable that is not there":      {lane(`/out/{{ env "NONE" }}/`, "/in/"), "/out/chicago/x", "/in/x", false},
		"no template":                       {lane("/out/{{ date .Time }}/", "/in/", literal), "/out/2001-01-02/x", "/in/x", false},
		"what looks like an expression":     {lane("/out.*/", "/in/"), "/outer/x", "/in/x", false},
		"a line of a manifest":              {lane("/out/", "/in/", manifest), "/out/a/b", "/in/c", true},
		"a line that leads somewhere else":  {lane("/out/", "/in/", manifest), "/out/a/b", "/old/c", false},
		"a line that comes from elsewhere":  {lane("/out/", "/in/", manifest), "/old/b", "/in/c", false},
		"a name with a line feed in a file": {lane("/out/", "/in/"), "/out/a\nb", "/in/a\nb", true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := tt.lanes.Have(ends(tt.from, tt.to)); got != tt.has {
				t.Errorf("%q to %q: got %t, want %t", tt.from, tt.to, got, tt.has)
			}
		})
	}
}

func TestALaneMeetsEachItemOfWhichItMayHaveFiles(t *testing.T) {
	l := lane("/out/{{ date .Time }}/", "/in/")
	for _, item := range [][2]string{{"/", "/"}, {"/out/2001-01-02/", "/in/"}, {"/out/2001-01-02/a", "/in/a"}} {
		if !l.MayMeet(ends(item[0], item[1])) {
			t.Errorf("it does not meet %q", item)
		}
	}
	for _, item := range [][2]string{{"/new/2001-01-02/", "/in/"}, {"/out/2001-01-02/", "/archive/"}} {
		if l.MayMeet(ends(item[0], item[1])) {
			t.Errorf("it meets %q", item)
		}
	}
}

func TestALaneIsBetweenCollectionsAsAccountsSeeThem(t *testing.T) {
	l := lane("/out/", "/in/", func(j *jobs.Job) { j.Steps[0].Transfer.DestinationLocalUser = "ann" })
	from, to := ends("/out/a", "/in/a")
	to.LocalUser = "ann"
	from.Collection = strings.ToUpper(from.Collection)
	if !l.Have(from, to) || !l.MayMeet(from, to) {
		t.Error("capital letters in an id make another collection")
	}
	for name, edit := range map[string]func(from, to *jobs.End){
		"another source":      func(from, _ *jobs.End) { from.Collection = there },
		"another destination": func(_, to *jobs.End) { to.Collection = here },
		"a source account":    func(from, _ *jobs.End) { from.LocalUser = "ann" },
		"no account":          func(_, to *jobs.End) { to.LocalUser = "" },
	} {
		from, to := from, to
		edit(&from, &to)
		if l.Have(from, to) || l.MayMeet(from, to) {
			t.Errorf("%s: it is on the lane", name)
		}
	}
}

func TestALaneIsOfTheFirstSteps(t *testing.T) {
	job := &jobs.Job{Steps: []jobs.Step{
		{Prune: &jobs.Prune{}},
		{Transfer: &transfer.Transfer{SourceEndpoint: here, DestinationEndpoint: there, Items: []transfer.Item{{SourcePath: "/out/", DestinationPath: "/in/"}}}},
	}}
	var first, all jobs.Lanes
	first.Add(job, 1)
	all.Add(job, 2)
	if first.Have(ends("/out/a", "/in/a")) || !all.Have(ends("/out/a", "/in/a")) {
		t.Error("a step that comes later counts, or the last one does not")
	}
}

func TestWhereEveryOccurrenceCopiesFrom(t *testing.T) {
	as := func(user string) func(*jobs.Job) {
		return func(j *jobs.Job) { j.Steps[0].Transfer.SourceLocalUser = user }
	}
	tests := map[string]struct {
		lanes      jobs.Lanes
		collection string
		path       string
		always     bool
	}{
		"its folder":           {lane("/out/", "/in/"), here, "/out/", true},
		"without a slash":      {lane("/out", "/in"), here, "/out/", true},
		"the name of the job":  {lane("/out/{{ .Job }}/", "/in/"), here, "/out/nightly/", true},
		"a folder of each day": {lane("/out/{{ date .Time }}/", "/in/"), here, "/out/2026-11-20/", false},
		"a folder in it":       {lane("/out/", "/in/"), here, "/out/a/", false},
		"another collection":   {lane("/out/", "/in/"), there, "/out/", false},
		"another account":      {lane("/out/", "/in/", as("ann")), here, "/out/", false},
		"in capital letters":   {lane("/out/", "/in/"), strings.ToUpper(here), "/out/", true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := tt.lanes.AlwaysFrom(jobs.End{Collection: tt.collection, Path: tt.path}); got != tt.always {
				t.Errorf("got %t, want %t", got, tt.always)
			}
		})
	}
}

// Whatever an occurrence is about, its files are on the lanes of its job.
func TestWhatAJobRendersIsOnItsLanes(t *testing.T) {
	l := lane(`/out/{{ .Time | add "-1d" | strftime "%Y-%b-%d %H" }}/{{ .Key }}/`, `/in/{{ .Job }}/{{ .Time }}/`)
	zone, err := time.LoadLocation("America/Chicago")
	if err != nil {
		t.Fatal(err)
	}
	job := &jobs.Job{Name: "nightly", Zone: zone, Steps: jobs.Single(&transfer.Transfer{Items: []transfer.Item{{
		SourcePath: `/out/{{ .Time | add "-1d" | strftime "%Y-%b-%d %H" }}/{{ .Key }}/`, DestinationPath: `/in/{{ .Job }}/{{ .Time }}/`,
	}}})}
	for at := range 40 {
		steps, err := job.Render(jobs.ManualKey(), time.Date(2026, 1, 1, at, 0, 0, 0, time.UTC).AddDate(0, at, at), job.SampleItem())
		if err != nil {
			t.Fatal(err)
		}
		item := steps[0].Transfer.Items[0]
		if !l.Have(ends(item.SourcePath+"x", item.DestinationPath+"x")) {
			t.Errorf("%s to %s is not on the lane", item.SourcePath, item.DestinationPath)
		}
	}
}
