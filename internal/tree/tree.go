// Package tree lists folders of collections with all that is below them, and
// compares two such folders.
//
// A listing goes folder by folder: the folder itself, what is in it by byte
// order of the names, then its subfolders in the same order, depth first. The
// same folder gives the same listing each time. A few folders are asked for
// ahead of the caller. Memory holds those and the names of folders that are
// still to come, never the whole tree. Symbolic links are listed, not followed.
// A folder that could not be listed is an entry with its error, so that nobody
// takes it for empty.
//
// Retries and the rate limit belong to the HTTP client below the lister.
package tree

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/globus-runner/globus-runner/transfer"
)

// MaxEntries is how many entries a folder may have. Globus lists no more in one
// reply, and has no way to ask for a range of names.
const MaxEntries = 100_000

// Why a folder was not listed, beside the errors of the service.
var (
	// ErrCut is the error of a folder beyond [Options.Look].
	ErrCut = errors.New("there are more folders than are looked at")
	// ErrTooMany is the error of a folder with more than [MaxEntries] entries.
	ErrTooMany = fmt.Errorf("the folder has more than %d entries", MaxEntries)
)

// A Lister lists one folder, as [transfer.Client] does.
type Lister interface {
	Ls(ctx context.Context, collection string, q transfer.LsQuery) iter.Seq2[*transfer.Entry, error]
}

// A Folder is a folder of a collection.
type Folder struct {
	Lister     Lister
	Collection string // id
	Path       string // with or without a slash at the end
	LocalUser  string // chooses among several local accounts; may be empty
}

// A Kind is what an entry is.
type Kind string

// The kinds of entries.
const (
	File  Kind = "file"
	Dir   Kind = "dir"
	Link  Kind = "link"  // symbolic, whatever it leads to
	Other Kind = "other" // a device, for one
)

// An Entry is what a folder has under one name.
type Entry struct {
	Path     string // relative to the folder, without slashes at the ends; empty for the folder itself
	Kind     Kind
	Size     int64     // bytes
	Modified time.Time // whole seconds; zero if the collection does not know
	Err      error     // why a folder could not be listed; nothing below it is in the listing
	// Rule leaves it out; nil unless [Options.Excluded] is set. Nothing below a
	// folder that is left out is in the listing.
	Rule *transfer.FilterRule
}

// EntryOf is the entry of a path that was looked at by itself. Its Path is empty.
func EntryOf(e *transfer.Entry) *Entry { return new(rowOf(e).entry("")) }

// A Pair is what two folders have at one path.
type Pair struct {
	Path        string
	Source      *Entry // nil if there is none
	Destination *Entry // nil if there is none
	// Renamed says that the name at the destination has another form, see
	// [Options.Fold]. The path of that entry is the one that it has there.
	Renamed bool
}

// Options say what is listed.
type Options struct {
	// Rules leave out entries by their names, as Globus does. They do not apply
	// to the folder itself.
	Rules Rules
	// Excluded yields what the rules leave out at the source as well. Its pair
	// has a destination only if that is of another kind, and taken.
	Excluded bool
	// Sample, unless nil, chooses by their paths the folders of which the content is
	// yielded and compared. Of others only the source is listed, to find the
	// folders below them. It is asked more than once.
	Sample func(path string) bool
	// Fold, unless nil, is the same for names that some disks take for one. What one
	// side alone has is then compared with what the other one has under another
	// form of the name, unless there are several.
	Fold func(name string) string
	// Look is how many folders are listed at most, on each side of a
	// comparison; 0 means all. With a bound the listing goes level by level
	// instead of depth first, so that the upper levels are seen in whole. The
	// error of all other folders is [ErrCut].
	Look int
}

// Walk lists a folder. An error, which is the last pair, says that ctx has
// ended; all others are those of entries.
func Walk(ctx context.Context, f Folder, o Options) iter.Seq2[*Entry, error] {
	return func(yield func(*Entry, error) bool) {
		for p, err := range walk(ctx, o, f) {
			if !yield(p.Source, err) {
				return
			}
		}
	}
}

// List lists one folder alone, by byte order of the names. What could not be listed
// is an error.
func List(ctx context.Context, f Folder) ([]Entry, error) {
	all, err := rows(ctx, f, "", nil, false)
	entries := make([]Entry, len(all))
	for i, r := range all {
		entries[i] = r.entry(r.name)
	}
	return entries, err
}

// Compare lists two folders side by side. A file and a folder of one name are
// a pair if neither side has both. If the file is at the source, the pair stands
// among the files, and comes once more without it if the folder cannot be listed.
// A folder that stands where the source has a
// link is not listed, as Globus leaves it alone. An error, which is the last
// pair, says that ctx has ended.
//
// A folder whose error is that it does not exist has nothing in it. After any
// other error on one side nothing below that path is listed on either, as
// nobody knows what would be missing.
//
// Below a folder that the destination alone has, the rules do not apply: Globus
// leaves alone what they exclude, but deletes whole folders.
func Compare(ctx context.Context, source, destination Folder, o Options) iter.Seq2[Pair, error] {
	return walk(ctx, o, source, destination)
}
