package engine_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/globussim"
)

// onInstrument lets an instrument of an example do what a plan says, with the jobs
// of the example, for some time.
func onInstrument(t *testing.T, example, instrument string, steps []globussim.FileStep, d time.Duration, test func(b *bench, f *facility)) {
	t.Helper()
	f := newFacility(t, example)
	onBench(t, func(t *testing.T, b *bench) {
		for i := range steps {
			steps[i].Collection = instrument
		}
		for _, j := range f.file.Jobs {
			if e := j.ForEach; e != nil {
				if err := os.MkdirAll(filepath.Join(f.dirs[instrument], e.Folder), 0o755); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := b.Files(globussim.FilePlan{Steps: steps}); err != nil {
			t.Fatal(err)
		}
		p := b.process("one").serve(f.file.Jobs...)
		until(d)
		p.stop()
		test(b, f)
	}, f.collections)
}

// wantFiles checks what a collection has: the size of each file by its path.
func (f *facility) wantFiles(b *bench, collection string, want map[string]int) {
	f.t.Helper()
	got := map[string]int{}
	for name, text := range b.content(f.dirs[collection]) {
		got[name] = len(text)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		f.t.Errorf("%s has (-want +got):\n%s", collection, diff)
	}
}

func TestTheBeamlineOfTheExample(t *testing.T) {
	const runs = "/data/runs/"
	steps := []globussim.FileStep{
		written(0, runs+"12345_scan-1/frames/a", 6000, 1), // for 100 minutes
		written(30*time.Minute, runs+"12345_scan-1/log/b", 5, 0),
		written(0, runs+"67890_scan-1/frames/a", 7, 0),
		written(0, runs+"67890_scan-1/write.lock", 0, 0),
		{At: time.Hour, Remove: runs + "67890_scan-1/write.lock"},
		written(0, runs+"calibration/c", 5, 0),
	}
	onInstrument(t, "beamline.yaml", "beamline", steps, 4*time.Hour, func(b *bench, f *facility) {
		f.wantFiles(b, "archive", map[string]int{
			"beamline-7/2000/12345/scan-1/frames/a": 6000, "beamline-7/2000/12345/scan-1/log/b": 5, "beamline-7/2000/67890/scan-1/frames/a": 7,
		})
		f.wantFiles(b, "home", map[string]int{
			"proposals/12345/scan-1/frames/a": 6000, "proposals/12345/scan-1/log/b": 5, "proposals/67890/scan-1/frames/a": 7,
		})
		f.wantFiles(b, "beamline", map[string]int{"data/runs/calibration/c": 5})
		left, err := filepath.Glob(filepath.Join(f.dirs["beamline"], runs, "*"))
		if err != nil || len(left) != 1 || filepath.Base(left[0]) != "calibration" {
			t.Errorf("the beamline has the folders %v, %v, want calibration alone", left, err)
		}
		b.wantRuns("archive-runs item:12345_scan-1 succeeded", "archive-runs item:67890_scan-1 succeeded",
			"hand-out item:12345_scan-1 succeeded", "hand-out item:67890_scan-1 succeeded")
		for i, want := range []time.Duration{75 * time.Minute, 115 * time.Minute} {
			if got := b.posts()[2*i]; got < want || got > want+6*time.Minute { // the others hand out
				t.Errorf("run %d was submitted after %v, want %v and a look", i+1, got, want)
			}
		}
	})
}

func TestTheSequencerOfTheExample(t *testing.T) {
	const run = "/output/20000101_M001_7_HFLOW/"
	steps := []globussim.FileStep{
		written(0, run+"Data/L001/1.bcl", 100, 0),
		written(2*time.Hour, run+"Data/L001/2.bcl", 100, 0), // after a pause that nobody could guess
		written(2*time.Hour, run+"Thumbnail_Images/1.jpg", 100, 0),
		written(5*time.Hour, run+"CopyComplete.txt", 0, 0),
		written(0, "/output/20000102_M001_8_HFLOW/Data/1.bcl", 100, 0), // of a run that was given up
		written(0, "/output/RunParameters.old/CopyComplete.txt", 5, 0),
	}
	onInstrument(t, "sequencer.yaml", "sequencer", steps, 8*time.Hour, func(b *bench, f *facility) {
		const copied = "projects/genomics/runs/M001/20000101_M001_7_HFLOW/"
		f.wantFiles(b, "cluster", map[string]int{copied + "Data/L001/1.bcl": 100, copied + "Data/L001/2.bcl": 100, copied + "CopyComplete.txt": 0})
		b.wantRuns("ingest-runs item:20000101_M001_7_HFLOW succeeded")
		if got := b.posts()[0]; got < 5*time.Hour || got > 5*time.Hour+11*time.Minute {
			t.Errorf("it was submitted after %v, want five hours and a look", got)
		}
	})
}

func TestTheMicroscopeOfTheExample(t *testing.T) {
	var steps []globussim.FileStep
	want := map[string]int{}
	var runs []string
	for n := range 24 {
		name := fmt.Sprintf("/screen/well_%02d.tif", n)
		at := time.Duration(n) * 5 * time.Minute
		steps = append(steps, written(at, name+".part", 1200, 10), renamed(at+4*time.Minute, name+".part", name))
		want["imaging/1999/12/31/"+filepath.Base(name)] = 1200 // in Chicago
		runs = append(runs, "images item:"+filepath.Base(name)+" succeeded")
	}
	steps = append(steps, written(0, "/screen/test_1.tif", 5, 0), written(0, "/screen/notes.txt", 5, 0))
	onInstrument(t, "microscope.yaml", "microscope", steps, 3*time.Hour, func(b *bench, f *facility) {
		f.wantFiles(b, "archive", want)
		b.wantRuns(runs...)
		for _, label := range b.labels() {
			if !strings.HasPrefix(label, "images item:well_") {
				t.Errorf("there is the task %q", label)
			}
		}
	})
}
