package arrival

import (
	"fmt"
	"time"

	"github.com/globus-runner/globus-runner/internal/tree"
	"github.com/globus-runner/globus-runner/jobs"
)

// settle returns what a sight of an item means, given what is known about it.
func (l *look) settle(k *Known, f Finding, s sight) Finding {
	switch {
	case s.err != nil && tree.Gone(s.err):
		f.State = IsGone
		return f
	case s.err != nil:
		f.State, f.Why, f.Err = IsUnreadable, s.err.Error(), s.err
		return f
	}
	f.Item.Size = s.size
	if k.Stage != Unborn { // its occurrence has ended
		nothing := s.fingerprint == "" || s.files == 0 // nothing to copy; a prune may have emptied it
		if s.fingerprint == k.Fingerprint || nothing && !k.Gone {
			f.State = State(k.Stage)
			return f
		}
		f.Generation++
		f.Key = jobs.ItemKey(k.Name, f.Generation)
	}
	switch s.fingerprint {
	case "":
		f.Fingerprint, f.Unchanged, f.Looked = "", 0, Instant{}
	case f.Fingerprint:
		f.Unchanged, f.Looked = f.Unchanged+s.begin.since(f.Looked), s.end
	default:
		f.Fingerprint, f.Unchanged, f.Looked = s.fingerprint, 0, s.end
	}
	f.State, f.Why = l.condition(&f, s)
	return f
}

// condition returns what an item waits for.
func (l *look) condition(f *Finding, s sight) (State, string) {
	r := &l.each.Ready
	age := s.begin.Time.Sub(s.newest)
	switch {
	case s.lock != "":
		return IsLocked, s.lock + " is there"
	case r.Marker != "" && !s.marker && l.each.Kind == jobs.FileItems:
		return IsUnmarked, fmt.Sprintf("there is no %s beside it", l.markers.nameOf(f.Item.Name))
	case r.Marker != "" && !s.marker:
		return IsUnmarked, fmt.Sprintf("there is no %s in it", r.Marker)
	case s.files == 0:
		return IsEmpty, "it has no files yet; remove it if none will come"
	case s.size == 0 && r.Marker == "" && l.each.Kind == jobs.FileItems:
		return IsEmpty, "it has no bytes yet; one that stays so needs a marker"
	case s.size == 0 && r.Marker == "":
		return IsEmpty, "its files have no bytes yet; one that stays so needs a marker"
	case r.OlderThan > 0 && age < 0:
		return IsYoung, fmt.Sprintf("its time of modification is %s in the future; check the clock of the instrument, or that of Globus (runner doctor)", span(-age))
	case r.OlderThan > 0 && !s.newest.IsZero() && age < r.OlderThan:
		return IsYoung, fmt.Sprintf("modified %s ago, want %s", span(age), span(r.OlderThan))
	case r.OlderThan > 0 && s.newest.IsZero():
		return IsYoung, "the collection does not say when it was modified; use unchanged_for"
	case f.Unchanged < r.UnchangedFor:
		return IsWaiting, fmt.Sprintf("unchanged for %s of %s", span(f.Unchanged), span(r.UnchangedFor))
	}
	return IsReady, ""
}

// span writes a duration; days are rounded down.
func span(d time.Duration) string {
	const day = 24 * time.Hour
	if d >= 2*day {
		d = d.Truncate(day)
	}
	return jobs.FormatDuration(d)
}
