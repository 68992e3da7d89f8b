package proof

import (
	"hash/maphash"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/globus-runner/globus-runner/transfer"
)

// A Reason says why a file is not proven. It is empty for a proven file.
type Reason string

// The reasons, in the order in which they are checked.
const (
	NotBefore   Reason = "was not seen before the copy"       // or the folder could not be listed
	NoTime      Reason = "has no time"                        // at the source
	NotCopied   Reason = "was not copied"                     // excluded, skipped, a link, or equal before
	Missed      Reason = "may have been away during the copy" // the task saw fewer files than there were
	NotVerified Reason = "was copied without verification"    // verify_checksum was off
	Otherwise   Reason = "was copied elsewhere"               // to another path than the one that was listed
	WhileCopied Reason = "changed while it was copied"
	Since       Reason = "changed since it was copied"
	Ambiguous   Reason = "has a name that the destination may take for another"
	Gone        Reason = "is gone at the destination"
	Unreadable  Reason = "cannot be seen at the destination"
	NeverThere  Reason = "was not seen at the destination after the copy"
	NotOurs     Reason = "has a time at the destination that is not that of the copy" // or clocks differ
	OtherThere  Reason = "is not the same at the destination any more"
	MaybeSame   Reason = "has the same time at the destination although nothing was copied: it may be the same file, on a disk that both collections show"
	LookedTwice Reason = "was looked at twice"                                          // its items overlap
	Replaced    Reason = "was copied to a place to which another file was copied since" // of the same size and time
	Overwritten Reason = "was copied to a place where a task without a receipt may have copied another file since"
	ListCut     Reason = "was copied by a task whose list of files is not complete"
	NotFinished Reason = "was copied by a task whose end is not known"
)

// behind is how far the clock of a destination may be behind that of Globus.
const behind = 2 * time.Second

// A State is what a listing shows about a file.
type State struct {
	File     bool // not a folder, a link or anything else
	Size     int64
	Modified time.Time // zero if not known
}

// Same reports whether two listings show the same file, not written in between.
func (s State) Same(as State) bool {
	return s.File == as.File && s.Size == as.Size && s.Modified.Equal(as.Modified)
}

// A Sight is a file of a source and what is now at its destination.
type Sight struct {
	Path        string // absolute, at the source
	Source      State
	Destination string // absolute; the path that was listed
	Copy        *State // nil if nothing is there
	Blind       bool   // the folder at the destination could not be listed
	// Pruned says that a prune has deleted the file at the source. It is
	// judged as if the source still had what it had before the task.
	Pruned bool
}

// A Judge says which files a receipt proves: those that may be deleted at the
// source, because the destination has their content. A file is proven if it
// existed before the task, was copied and verified in that state, is unchanged
// at the source, and its copy is still where the task put it, unchanged since
// right after the task.
//
// Two things deceive a Judge. A file on either side may be replaced by another one
// with the same size and time, as by a later copy that keeps times, is not
// verified and was damaged on the way. And somebody else may write a file of the
// same size at the destination between the copy and the listing after it.
type Judge struct {
	receipt Receipt
	least   transfer.SyncLevel // by which Globus must have compared
	skipped bool               // the task skipped some paths
	missed  bool               // the task neither copied nor compared some files that existed
	cut     bool               // the list of copies is incomplete
	alike   map[uint64]bool    // paths of the receipt that some disks treat as the same
	seed    maphash.Seed
	found   *rowsInOrder
	copied  *rowsInOrder
	landed  *rowsInOrder
	last    string // path
	begun   bool
}

// NewJudge returns the Judge for a receipt, after reading it to its end.
//
// least is the lowest sync level by which Globus must have compared a copy with
// its source. With [transfer.SyncChecksum], the copy must have been verified, or
// the task must have compared checksums. With a lower level, copies that were not
// verified also count, and so do files that the task did not copy because they
// were equal at that level.
func NewJudge(open Open, least transfer.SyncLevel) (*Judge, error) {
	j := &Judge{seed: maphash.MakeSeed(), least: least}
	if err := j.survey(open); err != nil {
		return nil, err
	}
	for to, section := range map[**rowsInOrder]int{
		&j.found: ofFound, &j.copied: ofCopied, &j.landed: ofLanded,
	} {
		r, err := rowsOf(open, section)
		if err != nil {
			return nil, err
		}
		*to = r
	}
	return j, nil
}

// mostExpected bounds the number of files for which memory is allocated in advance, by
// the counts of a receipt. Growing lists would take twice as much.
const mostExpected = 1 << 20

// survey reads a receipt to its end, so that a changed one proves nothing, and
// finds the paths that are alike.
func (j *Judge) survey(open Open) error {
	r, err := open()
	if err != nil {
		return err
	}
	j.receipt = r.Receipt
	tally, err := NewTally(open)
	if err != nil {
		return err
	}
	expected := func(files int64) []uint64 { return make([]uint64, 0, max(0, min(files, mostExpected))) }
	sources, destinations := expected(j.receipt.Files+j.receipt.Equal), expected(j.receipt.Files) // each path once
	var last *Copied
	for row, err := range r.Rows() {
		first := false
		if err == nil {
			first, err = tally.Count(row)
		}
		if err != nil {
			return err
		}
		if first {
			source, _ := row.paths()
			sources = append(sources, j.hash(source))
		}
		if c := row.Copied; c != nil && (first || c.Destination != last.Destination) {
			destinations = append(destinations, j.hash(c.Destination))
		}
		last = row.Copied
	}
	j.alike = map[uint64]bool{}
	for _, hashes := range [][]uint64{sources, destinations} {
		slices.Sort(hashes)
		for i := 1; i < len(hashes); i++ {
			if hashes[i-1] == hashes[i] {
				j.alike[hashes[i]] = true
			}
		}
	}
	j.cut, j.missed, j.skipped = tally.cut(&j.receipt), tally.missed(&j.receipt), tally.skipped
	return nil
}

// hash returns the same hash for paths that some disks treat as the same.
func (j *Judge) hash(path string) uint64 { return maphash.String(j.seed, Fold(path)) }

// Fold returns the same text for paths that some disks treat as the same.
func Fold(path string) string {
	for i := range len(path) {
		if path[i] >= utf8.RuneSelf {
			return strings.ToLower(norm.NFKD.String(strings.ToUpper(path)))
		}
	}
	return strings.ToLower(path)
}

// File returns why a file is not proven, or an empty Reason if it is. It must
// be called for files in the order of [ComparePaths].
func (j *Judge) File(s Sight) (Reason, error) {
	if j.begun && ComparePaths(s.Path, j.last) <= 0 {
		return LookedTwice, nil
	}
	j.begun, j.last = true, s.Path
	found, err := j.found.rows(s.Path)
	if err != nil {
		return "", err
	}
	copied, err := j.copied.rows(s.Path)
	if err != nil {
		return "", err
	}
	landed, err := j.landed.rows(s.Path)
	if err != nil {
		return "", err
	}
	switch {
	case len(found) == 0 || j.receipt.Listed.IsZero():
		return NotBefore, nil
	case found[0].Found.Modified.IsZero() || len(found) > 1:
		return NoTime, nil
	case j.cut:
		return ListCut, nil
	case j.receipt.Completed.IsZero() || j.receipt.Requested.IsZero():
		return NotFinished, nil
	}
	before := found[0].Found
	if reason := j.wasCopied(s, before, copied); reason != "" {
		return reason, nil
	}
	if !s.Pruned && !s.Source.Same(State{true, before.Size, before.Modified}) {
		return Since, nil
	}
	if reason := j.hasLanded(s, before, landed, len(copied) > 0); reason != "" {
		return reason, nil
	}
	return j.isThere(s, landed[0].Landed), nil
}

// wasCopied returns why the task did not bring the file, in its state before
// the task, to the destination.
func (j *Judge) wasCopied(s Sight, before *Found, copied []Row) Reason {
	if len(copied) == 0 {
		// With this level Globus copies files that are not equal. It does
		// not list equal ones: they are those that it does not list as
		// anything else.
		switch level := j.receipt.Options.SyncLevel; {
		case level == nil || *level < int(j.least) || j.skipped:
			return NotCopied
		case j.missed:
			return Missed
		}
		return ""
	}
	if !j.receipt.Options.VerifyChecksum && j.least >= transfer.SyncChecksum {
		return NotVerified
	}
	for _, row := range copied {
		switch {
		case row.Copied.Destination != s.Destination:
			return Otherwise
		case row.Copied.Size != before.Size:
			return WhileCopied
		}
	}
	return ""
}

// hasLanded returns why the destination did not have the copy right after the
// task had ended.
func (j *Judge) hasLanded(s Sight, before *Found, landed []Row, copied bool) Reason {
	if len(landed) != 1 || landed[0].Landed.Destination != s.Destination {
		return NeverThere
	}
	l := landed[0].Landed
	switch {
	case l.Size != before.Size || l.Modified.IsZero():
		return NeverThere
	case j.receipt.Options.PreserveTimestamp && l.Modified.Equal(before.Modified):
	case l.Modified.After(j.receipt.Completed):
		return NotOurs // somebody wrote it between the task and the listing
	case copied && l.Modified.Before(j.receipt.Requested.Add(-behind)):
		return NotOurs // it is from elsewhere, with an old time
	case !copied && l.Modified.Equal(before.Modified):
		return MaybeSame // a task that does not keep times gives a copy a new time
	case !copied && *j.receipt.Options.SyncLevel == int(transfer.SyncMtime) && l.Modified.Before(before.Modified):
		return NotOurs // otherwise Globus would have copied it again
	}
	return ""
}

// isThere returns why the copy is not the same as right after the task.
func (j *Judge) isThere(s Sight, landed *Landed) Reason {
	switch {
	case s.Blind:
		return Unreadable
	case s.Copy == nil:
		return Gone
	case j.alike[j.hash(s.Path)] || j.alike[j.hash(s.Destination)]:
		return Ambiguous
	case !s.Copy.Same(State{true, landed.Size, landed.Modified}):
		return OtherThere
	}
	return ""
}

// rowsInOrder reads the rows of one kind in a receipt, by path.
type rowsInOrder struct {
	receipt *Reader
	kind    int // the section
	now     Row
	at      string
	more    bool // now has a row
	end     bool
	found   []Row
}

// rowsOf opens a section of a receipt. The whole receipt must have been read, and so
// checked, before.
func rowsOf(open Open, section int) (*rowsInOrder, error) {
	r, err := open()
	if err != nil {
		return nil, err
	}
	return &rowsInOrder{receipt: r, kind: section}, r.skim(section)
}

// rows returns the rows of a path, which must not come before that of the last call.
// They are valid until the next call.
func (r *rowsInOrder) rows(path string) ([]Row, error) {
	r.found = r.found[:0]
	for {
		if !r.more && !r.end {
			if err := r.advance(); err != nil {
				return nil, err
			}
		}
		if !r.more {
			return r.found, nil
		}
		switch c := ComparePaths(r.at, path); {
		case c > 0:
			return r.found, nil
		case c == 0:
			r.found = append(r.found, r.now)
		}
		r.more = false
	}
}

// advance reads the next row of the kind.
func (r *rowsInOrder) advance() error {
	for {
		row, more, err := r.receipt.row()
		if err != nil {
			return err
		}
		switch section := row.section(); {
		case !more || section > r.kind:
			r.end = true
			return nil
		case section == r.kind:
			r.now, r.more = row, true
			r.at, _ = row.paths()
			return nil
		}
	}
}
