// Package tree lists folders of collections recursively ([Walk]), and compares
// two such folders ([Compare], [CompareItem]).
//
// A listing goes folder by folder, depth first: the folder itself, its entries
// in byte order of the names, then its subfolders in the same order. The same
// folder gives the same listing each time. A few folders are listed ahead of
// the caller. Memory holds those and the names of folders that are still to
// come, never the whole tree. Symbolic links are listed, not followed. A folder
// that could not be listed is an entry with an error, so that nobody takes it
// for empty.
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

// MaxEntries is the largest number of entries in a folder. Globus lists no more
// in one reply, and cannot list a range of names.
const MaxEntries = 100_000

// Why a folder was not listed, besides the errors of the service.
var (
	// ErrCut is the error of a folder beyond the bound [Options.Look].
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
	LocalUser  string // one of several local accounts; may be empty
}

// A Kind is the kind of an entry.
type Kind string

// The kinds of entries.
const (
	File  Kind = "file"
	Dir   Kind = "dir"
	Link  Kind = "link"  // symbolic, whatever it points to
	Other Kind = "other" // a device, for one
)

// An Entry is an entry of a folder.
type Entry struct {
	Path     string // relative to the folder, without slashes at the ends; empty for the folder itself
	Kind     Kind
	Size     int64     // bytes
	Modified time.Time // whole seconds; zero if the collection does not know
	Err      error     // why a folder could not be listed; nothing below it is in the listing
	// Rule is the rule that excludes it; nil unless [Options.Excluded] is
	// set. The content of an excluded folder is not in the listing.
	Rule *transfer.FilterRule
}

// EntryOf returns the entry for a path that was looked at by itself. Its Path is
// empty.
func EntryOf(e *transfer.Entry) *Entry { return new(rowOf(e).entry("")) }

// A Pair is the entries of two folders at the same path.
type Pair struct {
	Path        string
	Source      *Entry // nil if there is none
	Destination *Entry // nil if there is none
	// Renamed says that the name at the destination has another form, see
	// [Options.Fold]. That entry's Path is the one at the destination.
	Renamed bool
}

// Options say what is listed.
type Options struct {
	// Rules exclude entries by their names, as Globus does. They do not
	// apply to the folder itself.
	Rules Rules
	// Excluded also yields what the rules exclude at the source. Such a
	// pair has a destination only if that is of another kind and not
	// excluded.
	Excluded bool
	// Sample, unless nil, chooses by path the folders whose content is yielded
	// and compared. Of the others only the source is listed, to find their
	// subfolders. It may be called several times for a path.
	Sample func(path string) bool
	// Fold, unless nil, returns the same text for names that some disks treat as
	// the same. An entry that exists on one side only is then compared with the
	// entry of the other side that has another form of the name, unless there
	// are several.
	Fold func(name string) string
	// Look is the largest number of folders to list on each side of a
	// comparison; 0 means all. With a bound, the listing goes level by
	// level instead of depth first, so that the upper levels are complete. Of a level
	// that is too large, folders from all over the tree are listed.
	// The error of all other folders is [ErrCut].
	Look int
}

// Walk lists a folder. An error is the last pair and says that ctx has ended;
// other errors are in the entries.
func Walk(ctx context.Context, f Folder, o Options) iter.Seq2[*Entry, error] {
	return func(yield func(*Entry, error) bool) {
		for p, err := range walk(ctx, o, f) {
			if !yield(p.Source, err) {
				return
			}
		}
	}
}

// List lists a folder without its subfolders, in byte order of the names.
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
// A folder whose error is that it does not exist counts as empty. After any
// other error on one side, nothing below that path is listed on either side,
// because it is not known what would be missing.
//
// The rules do not apply below a folder that only the destination has: Globus
// does not delete excluded entries, but it deletes whole folders.
func Compare(ctx context.Context, source, destination Folder, o Options) iter.Seq2[Pair, error] {
	return walk(ctx, o, source, destination)
}
