package engine_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/test/long"
)

// A facility is one of the examples, with a folder for each of its collections.
type facility struct {
	t    *testing.T
	dirs map[string]string // by name of the collection
	file *jobs.File
}

// newFacility reads an example, with collections of the simulator.
func newFacility(t *testing.T, example string) *facility {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../examples", example))
	if err != nil {
		t.Fatal(err)
	}
	parse := func(text string) *jobs.File {
		file, err := jobs.Parse(func(string) string { return "psi" }, jobs.Source{Name: example, Data: []byte(text)})
		if err != nil {
			t.Fatal(err)
		}
		return file
	}
	f := &facility{t: t, dirs: map[string]string{}}
	simulated := string(text)
	for name, c := range parse(simulated).Collections {
		f.dirs[name] = t.TempDir()
		simulated = strings.ReplaceAll(simulated, c.ID, globussim.CollectionID(name))
	}
	f.file = parse(simulated)
	return f
}

// collections puts the facility's collections into a simulator.
func (f *facility) collections(cfg *globussim.Config) {
	for name, dir := range f.dirs {
		cfg.Collections = append(cfg.Collections, globussim.Collection{Name: name, Dir: dir})
	}
}

// write writes a file of a collection, dated now. Its content is its name.
func (f *facility) write(collection, name string) {
	f.t.Helper()
	file := filepath.Join(f.dirs[collection], name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(filepath.Base(name)), 0o644); err != nil {
		f.t.Fatal(err)
	}
	dated(f.t, file)
}

// files returns the files of a collection below a folder that hold what was
// written, without that folder.
func (f *facility) files(collection, folder string) []string {
	f.t.Helper()
	var names []string
	top := filepath.Join(f.dirs[collection], folder)
	err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if string(text) == d.Name() {
			name, _ := filepath.Rel(top, path)
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return names
}

// TestAFacilityLosesNothing lets the facility of the example work for some days,
// on one of which the tapes are away. In the short form, new frames come to the
// cluster every four hours.
func TestAFacilityLosesNothing(t *testing.T) {
	f := newFacility(t, "facility.yaml")
	onBench(t, func(t *testing.T, b *bench) {
		f.write("partners", "references/genome.fa")
		f.write("cluster", "projects/imaging/figures/overview.pdf")
		f.write("cluster", "projects/imaging/figures/latest/1.png")
		b.disturb(globussim.Disturbance{Action: globussim.FailTask, Label: "nightly-archive 2000-01-05T*", Times: -1})
		for _, j := range f.file.Jobs {
			if j.Name == "microscope-ingest" && !long.Wanted() {
				j.Schedule = b.schedule("0 */4 * * *", nil)
			}
		}
		p := b.process("one", func(c *engine.SchedulerConfig) { c.Lease = 6 * time.Hour }) // it renews its leases less often
		const days = 12
		var frames, runs []string
		for day := range days {
			until(time.Duration(24*day+11) * time.Hour)
			date := time.Now().Format("2006/01/02")
			for i := range 3 {
				frames = append(frames, fmt.Sprintf("%s/%d.h5", date, i))
				f.write("microscope", "acquisition/frames/"+frames[len(frames)-1])
			}
			f.write("microscope", "acquisition/frames/"+date+"/live.part")
			runs = append(runs, date+"/run.bam")
			f.write("sequencer", "runs/finished/"+time.Now().Format(time.DateOnly)+"/run.bam")
			if day == 0 {
				p.serve(f.file.Jobs...)
			}
		}
		until((24*days + 10) * time.Hour) // 2000-01-13, 11:00 in Zurich
		p.stop()

		day := func(name string) string { return name[:len("2000/01/02")] }
		keep := func(names []string, good func(day string) bool) (kept []string) {
			for _, name := range names {
				if good(day(name)) {
					kept = append(kept, name)
				}
			}
			return kept
		}
		const lost = "2000/01/04" // whose archive failed
		for _, want := range []struct {
			what, collection, folder string
			files                    []string
		}{
			{"frames of a week, and those that the tapes do not have", "cluster", "projects/imaging/frames", keep(frames, func(day string) bool { return day > "2000/01/05" || day == lost })},
			{"all frames but those of one day", "tape", "imaging/frames", keep(frames, func(day string) bool { return day != lost })},
			{"all frames", "offsite", "imaging/frames", frames},
			{"all runs", "cluster", "projects/imaging/runs", runs},
			{"no runs", "sequencer", "runs", nil},
			{"what the page shows", "partners", "page", []string{"latest/1.png", "overview.pdf"}},
			{"the references", "cluster", "projects/imaging/references", []string{"genome.fa"}},
		} {
			if diff := cmp.Diff(want.files, f.files(want.collection, want.folder)); diff != "" {
				t.Errorf("%s: want %s (-want +got):\n%s", want.collection, want.what, diff)
			}
		}
		left := f.files("microscope", "")
		if len(left) != days || slices.ContainsFunc(left, func(name string) bool { return !strings.HasSuffix(name, "/live.part") }) {
			t.Errorf("the microscope has %v, want what was being written", left)
		}
		var failed []string
		for _, r := range b.runs() {
			if r.State != ledger.Succeeded {
				failed = append(failed, fmt.Sprintf("%s %s %s: %s", r.Job, r.Key[:len(time.DateOnly)], r.State, r.Message))
			}
		}
		const missing = "audit of nightly-archive, offsite-archive: 3 files are not at the destination; runner audit nightly-archive --list names them; to copy again: runner runs retry "
		if len(failed) != 2 || !strings.HasPrefix(failed[0], "nightly-archive 2000-01-05 failed: ") ||
			!strings.HasPrefix(failed[1], "weekly-audit 2000-01-10 failed: "+missing) {
			t.Errorf("got %q, want the archive to fail, and the audit with %s", failed, missing)
		}
	}, f.collections)
}
