package jobs

import (
	"iter"
	"path"
	"strings"
)

// clean returns s with a path of one form.
func (s spot) clean() spot { return spot{s.collection, path.Clean(s.path)} }

// below reports whether s is inside the folder other; both are clean.
func (s spot) below(other spot) bool {
	return s.collection == other.collection && s.path != other.path &&
		strings.HasPrefix(s.path, strings.TrimSuffix(other.path, "/")+"/")
}

// overlaps reports whether one of two spots is the other or inside it.
func (s spot) overlaps(other spot) bool {
	a, b := s.clean(), other.clean()
	return a == b || a.below(b) || b.below(a)
}

// folders yields s and every folder that it is in, all clean.
func (s spot) folders() iter.Seq[spot] {
	return func(yield func(spot) bool) {
		for at := s.clean(); yield(at) && len(at.path) > 1; at.path = path.Dir(at.path) {
		}
	}
}
