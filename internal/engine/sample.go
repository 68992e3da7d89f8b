package engine

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"sync"

	"github.com/globus-runner/globus-runner/jobs"
)

// mostSpare is how many paths that a sample has not chosen are kept.
const mostSpare = 1000

// A sample chooses a share of all folders and single files by path, the same for each audit
// of an occurrence. Each path has a number, and those with low ones are chosen.
type sample struct {
	key   jobs.Key
	below uint64

	mu    sync.Mutex
	spare []string // paths that were not chosen
}

// sampleOf returns the sample of an occurrence, or nil if it is of everything.
func sampleOf(part jobs.Percentage, key jobs.Key) *sample {
	fraction := part.Fraction()
	if fraction >= 1 {
		return nil
	}
	return &sample{key: key, below: uint64(fraction * math.MaxUint64)}
}

func (s *sample) number(path string) uint64 {
	sum := sha256.Sum256([]byte(string(s.key) + "\x00" + path))
	return binary.BigEndian.Uint64(sum[:])
}

// choose reports whether a path is in the sample.
func (s *sample) choose(path string) bool {
	if s.number(path) < s.below {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.spare) < mostSpare {
		s.spare = append(s.spare, path)
	}
	return false
}

// another returns a choice of one path that was not in the sample: a folder without others
// below it, as that has files most likely. It returns nil if there is none.
func (s *sample) another() func(path string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	slices.Sort(s.spare)
	s.spare = slices.Compact(s.spare)
	var folders, files []string
	for i, path := range s.spare {
		switch {
		case !strings.HasSuffix(path, "/"):
			files = append(files, path)
		case i+1 == len(s.spare) || !strings.HasPrefix(s.spare[i+1], path):
			folders = append(folders, path)
		}
	}
	if len(folders) == 0 {
		folders = files
	}
	if len(folders) == 0 {
		return nil
	}
	only := slices.MinFunc(folders, func(a, b string) int { return cmp.Compare(s.number(a), s.number(b)) })
	return func(path string) bool { return path == only }
}
