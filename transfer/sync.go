package transfer

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A SyncLevel says when a file that already exists at the destination is copied
// again. A file that does not exist there is copied at every level.
type SyncLevel int

// The levels of the service, by what makes it copy a file again.
const (
	SyncExists   SyncLevel = iota // never
	SyncSize                      // the sizes differ
	SyncMtime                     // the source is newer
	SyncChecksum                  // the checksums differ; the only safe level after a transfer that failed half-way
)

func syncLevels() []string { return []string{"exists", "size", "mtime", "checksum"} }

// String returns the level's name: exists, size, mtime or checksum. A level
// that has none is shown as its number.
func (l SyncLevel) String() string {
	if names := syncLevels(); l >= 0 && int(l) < len(names) {
		return names[l]
	}
	return strconv.Itoa(int(l))
}

// ParseSyncLevel returns the level that s names: exists, size, mtime, checksum,
// in any case, or its number from 0 to 3.
func ParseSyncLevel(s string) (SyncLevel, error) {
	if i := slices.Index(syncLevels(), strings.ToLower(s)); i >= 0 {
		return SyncLevel(i), nil
	}
	if len(s) == 1 && s[0] >= '0' && s[0] <= '3' {
		return SyncLevel(s[0] - '0'), nil
	}
	return 0, fmt.Errorf("%q is not a sync level, want exists, size, mtime, checksum or 0 to 3", s)
}
