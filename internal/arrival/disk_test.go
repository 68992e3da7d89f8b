package arrival_test

import (
	"context"
	"iter"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/internal/arrival"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

// A disk is a collection in memory. Paths of folders end in a slash.
type disk struct {
	mu      sync.Mutex
	folders map[string]map[string]transfer.Entry
	errors  map[string]error  // of folders
	asked   []string          // folders that were listed, in the order of the requests
	before  func(path string) // is called before a folder is listed
	now     func() time.Time  // with which files and folders are written
}

func newDisk() *disk {
	return &disk{folders: map[string]map[string]transfer.Entry{"/": {}}, errors: map[string]error{}, now: time.Now}
}

// write makes a file, or changes it, and the folders that it is in.
func (d *disk) write(name string, size int64) { d.put(name, size, d.now()) }

func (d *disk) put(name string, size int64, at time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	folder, base := path.Split(name)
	d.mkdir(folder, at)
	if _, ok := d.folders[folder][base]; !ok {
		d.touch(folder, at)
	}
	d.folders[folder][base] = transfer.Entry{Name: base, Type: "file", Size: size, LastModified: transfer.Time{Time: at}}
}

// mkdir makes a folder and those that it is in.
func (d *disk) mkdir(folder string, at time.Time) {
	if d.folders[folder] != nil {
		return
	}
	d.folders[folder] = map[string]transfer.Entry{}
	above, base := path.Split(strings.TrimSuffix(folder, "/"))
	d.mkdir(above, at)
	d.folders[above][base] = transfer.Entry{Name: base, Type: "dir", Size: 4096, LastModified: transfer.Time{Time: at}}
	d.touch(above, at)
}

// touch gives a folder a time.
func (d *disk) touch(folder string, at time.Time) {
	above, base := path.Split(strings.TrimSuffix(folder, "/"))
	if e, ok := d.folders[above][base]; ok && folder != "/" {
		e.LastModified = transfer.Time{Time: at}
		d.folders[above][base] = e
	}
}

// rename moves a file, or a folder with all below it.
func (d *disk) rename(from, to string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	old, name := path.Split(from)
	above, base := path.Split(to)
	e := d.folders[old][name]
	delete(d.folders[old], name)
	e.Name = base
	d.folders[above][base] = e
	for folder, entries := range maps.Clone(d.folders) {
		if rest, ok := strings.CutPrefix(folder, from+"/"); ok {
			delete(d.folders, folder)
			d.folders[to+"/"+rest] = entries
		}
	}
	d.touch(old, d.now())
	d.touch(above, d.now())
}

// remove removes a file, or a folder with all below it.
func (d *disk) remove(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	above, base := path.Split(name)
	delete(d.folders[above], base)
	for folder := range d.folders {
		if strings.HasPrefix(folder, name+"/") {
			delete(d.folders, folder)
		}
	}
	d.touch(above, d.now())
}

// fail lets a folder have an error, and no other folder. Without an error all are
// well.
func (d *disk) fail(folder string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.errors)
	if err != nil {
		d.errors[folder] = err
	}
}

// fault returns the error that a folder has.
func (d *disk) fault(folder string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.errors[folder]
}

var absent = &transfer.Error{Status: http.StatusNotFound, Code: "ClientError.NotFound"}

// Ls lists a folder.
func (d *disk) Ls(_ context.Context, _ string, q transfer.LsQuery) iter.Seq2[*transfer.Entry, error] {
	return func(yield func(*transfer.Entry, error) bool) {
		if d.before != nil {
			d.before(q.Path)
		}
		d.mu.Lock()
		d.asked = append(d.asked, q.Path)
		entries, ok := d.folders[q.Path]
		err := d.errors[q.Path]
		entries = maps.Clone(entries)
		d.mu.Unlock()
		switch {
		case err != nil:
			yield(nil, err)
			return
		case !ok:
			yield(nil, absent)
			return
		}
		for _, name := range slices.Sorted(maps.Keys(entries)) {
			if e := entries[name]; !yield(&e, nil) {
				return
			}
		}
	}
}

// Stat looks at one path.
func (d *disk) Stat(_ context.Context, _, name string, _ ...transfer.FileOption) (*transfer.Entry, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	above, base := path.Split(strings.TrimSuffix(name, "/"))
	e, ok := d.folders[above][base]
	if !ok {
		return nil, absent
	}
	return &e, nil
}

// A keeper keeps what looks find, as a ledger does.
type keeper struct {
	t     testing.TB
	disk  *disk
	each  *jobs.ForEach
	clock *arrival.Clock
	known map[string]arrival.Known
}

// newKeeper watches the folder /runs/.
func newKeeper(t testing.TB, edit func(e *jobs.ForEach)) *keeper {
	e := &jobs.ForEach{Collection: "lab", Folder: "/runs/", Kind: jobs.FolderItems, Again: jobs.AgainNever}
	edit(e)
	d := newDisk()
	d.mkdir("/runs/", time.Time{})
	return &keeper{t: t, disk: d, each: e, clock: arrival.NewClock(), known: map[string]arrival.Known{}}
}

// all yields what is known, by name.
func (k *keeper) all(yield func(arrival.Known, error) bool) {
	for _, name := range slices.Sorted(maps.Keys(k.known)) {
		if !yield(k.known[name], nil) {
			return
		}
	}
}

// look looks once, keeps what is to be kept, and returns the findings by name.
func (k *keeper) look() map[string]arrival.Finding {
	k.t.Helper()
	found, err := k.try()
	if err != nil {
		k.t.Fatal(err)
	}
	for _, f := range found {
		if f.Changed {
			k.keep(f)
		}
	}
	return found
}

// try looks once, and keeps nothing.
func (k *keeper) try() (map[string]arrival.Finding, error) {
	found := map[string]arrival.Finding{}
	for f, err := range arrival.Look(k.t.Context(), k.disk, k.each, k.all, k.clock) {
		if err != nil {
			return found, err
		}
		found[f.Item.Name] = f
	}
	return found, nil
}

func (k *keeper) keep(f arrival.Finding) {
	before := k.known[f.Item.Name]
	now := arrival.Known{
		Name: f.Item.Name, Generation: f.Generation, Stage: before.Stage, State: f.State, Why: f.Why, Fingerprint: f.Fingerprint,
		Unchanged: f.Unchanged, Looked: f.Looked, Modified: f.Item.Time, Gone: f.State == arrival.IsGone,
	}
	if f.Generation != before.Generation {
		now.Stage = arrival.Unborn
	}
	if f.State == arrival.IsReady {
		now.Stage = arrival.Queued
	}
	k.known[f.Item.Name] = now
}

// stage says how far the occurrence of an item has come.
func (k *keeper) stage(name string, stage arrival.Stage) {
	known := k.known[name]
	known.Stage = stage
	k.known[name] = known
}

// want checks what a look says of an item.
func (k *keeper) want(name string, state arrival.State, why string) arrival.Finding {
	k.t.Helper()
	f := k.look()[name]
	if f.State != state || f.Why != why {
		k.t.Errorf("%s: got %s (%s), want %s (%s)", name, f.State, f.Why, state, why)
	}
	return f
}
