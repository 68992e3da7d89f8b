package evidence

import (
	"cmp"
	"hash/maphash"
	"slices"
	"strings"
	"time"
)

// Deletions are the files that prunes have deleted, and folders that other jobs
// have. They take 16 bytes a file.
type Deletions struct {
	seed    maphash.Seed
	all     []deletion
	sorted  bool
	folders map[Place]map[string]bool
}

// A deletion is a file by the hash of its place and path.
type deletion struct {
	file uint64
	at   int64 // seconds since 1970
}

// NewDeletions returns empty Deletions.
func NewDeletions() *Deletions { return &Deletions{seed: maphash.MakeSeed()} }

// Add adds a file, whose deletion a prune sent at an instant.
func (d *Deletions) Add(at Place, path string, when time.Time) {
	d.all, d.sorted = append(d.all, deletion{d.hash(at, path), when.Unix()}), false
}

// AddFolder adds a folder that a job has deleted with its content.
func (d *Deletions) AddFolder(at Place, path string) {
	if d.folders == nil {
		d.folders = map[Place]map[string]bool{}
	}
	if d.folders[at] == nil {
		d.folders[at] = map[string]bool{}
	}
	d.folders[at][strings.TrimSuffix(path, "/")+"/"] = true
}

// hasFolder reports whether a folder, with a slash at its end, or a folder above
// it was deleted.
func (d *Deletions) hasFolder(at Place, folder string) bool {
	for i := len(folder); i > 0; i = strings.LastIndexByte(folder[:i-1], '/') + 1 {
		if d.folders[at][folder[:i]] {
			return true
		}
	}
	return false
}

// any reports whether there are files.
func (d *Deletions) any() bool { return d != nil && len(d.all) > 0 }

// Last returns when a prune sent the last deletion of a file, or zero if none did.
func (d *Deletions) Last(at Place, path string) time.Time {
	if !d.any() {
		return time.Time{}
	}
	if !d.sorted {
		slices.SortFunc(d.all, func(a, b deletion) int { return cmp.Or(cmp.Compare(a.file, b.file), cmp.Compare(b.at, a.at)) })
		d.all = slices.CompactFunc(d.all, func(a, b deletion) bool { return a.file == b.file }) // keeps the last deletion
		d.sorted = true
	}
	i, there := slices.BinarySearchFunc(d.all, d.hash(at, path), func(x deletion, file uint64) int { return cmp.Compare(x.file, file) })
	if !there {
		return time.Time{}
	}
	return time.Unix(d.all[i].at, 0)
}

func (d *Deletions) hash(at Place, path string) uint64 {
	return maphash.Comparable(d.seed, struct {
		Place
		path string
	}{at, path})
}
