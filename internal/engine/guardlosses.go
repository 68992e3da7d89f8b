package engine

import (
	"fmt"
	"strings"

	"github.com/globus-runner/globus-runner/internal/plain"
)

// Deletes are the files that a mirror deletes: those that were at its destination
// and not at its source when it was submitted. Everything but a folder counts as
// a file.
type Deletes struct {
	Files   int64
	AtLeast bool // some folders were not looked at, or could not be listed
}

func (d Deletes) String() string {
	if d.AtLeast {
		return fmt.Sprintf("at least %d", d.Files)
	}
	return fmt.Sprint(d.Files)
}

// Losses count the files that a mirror deletes at its destination, and those that it
// replaces by empty files, which happens if the disk of the source has failed.
type Losses struct {
	There            int64 // files at the destination
	Deleted, Emptied int64 // of these
	AtLeast          bool  // see [Deletes]
}

// Keep counts a file that does not change.
func (l *Losses) Keep() { l.There++ }

// Delete counts a file that is deleted.
func (l *Losses) Delete() {
	l.There++
	l.Deleted++
}

// Replace counts a file of this many bytes that is replaced by one of size bytes.
func (l *Losses) Replace(bytes, size int64) {
	l.There++
	if size == 0 && bytes > 0 {
		l.Emptied++
	}
}

// Add adds the losses of another item.
func (l *Losses) Add(item Losses) {
	l.There += item.There
	l.Deleted += item.Deleted
	l.Emptied += item.Emptied
	l.AtLeast = l.AtLeast || item.AtLeast
}

// Files returns how many files lose their content.
func (l Losses) Files() int64 { return l.Deleted + l.Emptied }

// String returns the losses in words, such as "delete 3 and empty 2 of 9 files at the
// destination".
func (l Losses) String() string {
	var parts []string
	if l.Deleted > 0 || l.Emptied == 0 {
		parts = append(parts, "delete "+Deletes{l.Deleted, l.AtLeast}.String())
	}
	if l.Emptied > 0 {
		parts = append(parts, "empty "+Deletes{l.Emptied, l.AtLeast}.String())
	}
	return fmt.Sprintf("%s of %s at the destination", strings.Join(parts, " and "), plain.Count(l.There, "file"))
}
