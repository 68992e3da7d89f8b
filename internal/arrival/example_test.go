package arrival_test

import (
	"context"
	"fmt"

	"github.com/globus-runner/globus-runner/internal/arrival"
	"github.com/globus-runner/globus-runner/jobs"
)

// A folder of measurements is copied once a file named done is in it.
func ExampleLook() {
	lab := newDisk()
	lab.write("/runs/run_1/frame.h5", 42)
	lab.write("/runs/run_1/done", 0)
	lab.write("/runs/run_2/frame.h5", 42)
	each := &jobs.ForEach{Folder: "/runs/", Kind: jobs.FolderItems, Ready: jobs.Readiness{Marker: "done"}}
	nothing := func(func(arrival.Known, error) bool) {}
	for f, err := range arrival.Look(context.Background(), lab, each, nothing, arrival.NewClock()) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%s: %s: %q\n", f.Item.Name, f.State, f.Why)
	}
	// Output:
	// run_1: ready: ""
	// run_2: no_marker: "there is no done in it"
}
