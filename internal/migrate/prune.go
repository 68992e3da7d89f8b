package migrate

import (
	"cmp"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/globus-runner/globus-runner/internal/pattern"
	"github.com/globus-runner/globus-runner/jobs"
)

// prove changes the deletes that package jobs refuses because a transfer copies
// from there. A delete of exactly what another job copies becomes a prune; any
// other gets unproven: true. If there are other problems, prove does nothing and
// returns false.
func (im *importer) prove(names []string, problems []*jobs.Problem) bool {
	instead := map[int]*jobs.Prune{} // by number of the job
	for _, p := range problems {
		i := jobOf(names, p.Field)
		if p.Prune == nil || i < 0 {
			return false
		}
		if instead[i] == nil {
			instead[i] = p.Prune
		}
	}
	for i, prune := range instead {
		of := im.jobs[i]
		if len(prune.Of) > 0 {
			of = im.jobs[slices.Index(names, prune.Of[0])]
		}
		im.jobs[i].prove(im, of, len(prune.Of) == 0)
	}
	return len(problems) > 0
}

// prove changes the deletes of a job in the place that the job of copies from;
// own says that j itself copies from there first.
func (j *job) prove(im *importer, of *job, own bool) {
	first := slices.IndexFunc(j.steps, func(s field) bool { return s.key == "delete" })
	copied := of.steps
	if own {
		copied = j.steps[:first]
	}
	days, same := later(ends(copied, "transfer"), ends(j.steps, "delete"))
	switch {
	case !same && of == j:
		j.unprove(im, "the line copies from there or to there itself")
		return
	case !same:
		j.unprove(im, of.where+" copies from there or to there")
		return
	}
	var prune []field
	if !own {
		prune = append(prune, field{"of", of})
	}
	if days > 0 {
		prune = append(prune, field{"older_than", strconv.Itoa(days) + "d"})
	}
	if slices.Contains(j.steps[first].value.([]field), field{"recursive", true}) {
		prune = append(prune, field{"empty_folders", "remove"})
	}
	j.deletes = slices.Clone(j.steps)
	j.steps[first] = field{"prune", prune}
	j.steps = slices.DeleteFunc(j.steps, func(s field) bool { return s.key == "delete" })
	scope := ""
	if slices.ContainsFunc(ends(j.deletes, "delete"), func(e end) bool { return strings.Contains(e.path, "{{") }) {
		scope = ": not in the folder of one day alone, but in all that are old enough"
	}
	im.note(j.where, "%s%s; files that were copied before runner did it have no receipt and are kept: delete them by hand", becamePrune, scope)
}

// becamePrune is how a note of a prune begins.
const becamePrune = "the delete of what is copied became a prune, which deletes all files that are proven to be at the destination, and no others"

// unprove changes prunes back into deletes if package jobs refuses them, because
// a mirror would delete the copies. If none of the problems is about a prune, it
// returns false.
func (im *importer) unprove(names []string, problems []*jobs.Problem) (done bool) {
	for _, p := range problems {
		i := jobOf(names, p.Field)
		if i < 0 || im.jobs[i].deletes == nil || !strings.Contains(p.Field, ".prune") {
			continue
		}
		j := im.jobs[i]
		j.steps, j.deletes, done = j.deletes, nil, true
		im.notes = slices.DeleteFunc(im.notes, func(note Problem) bool { return note.Where == j.where && strings.HasPrefix(note.Msg, becamePrune) })
		why, _, _ := strings.Cut(p.Msg, ";")
		j.unprove(im, why)
	}
	return done
}

// unprove marks the deletes of a job as unproven, and notes why they cannot be
// a prune.
func (j *job) unprove(im *importer, why string) {
	for i, s := range j.steps {
		if s.key == "delete" {
			j.steps[i].value = append(slices.Clone(s.value.([]field)), field{"unproven", true})
		}
	}
	im.note(j.where, "it deletes files that may exist nowhere else, because %s (unproven: true); check whether a prune is possible", why)
}

// An end is a place that a transfer copies from or to, or a delete deletes.
type end struct {
	id, path  string // the path is a template without the days that it adds to Time
	localUser string
	days      string // added to Time; not a number if they differ within path
}

// ends returns the ends of the steps of a kind.
func ends(steps []field, kind string) (all []end) {
	for _, s := range steps {
		if s.key != kind {
			continue
		}
		var places []place
		var user string
		for _, f := range s.value.([]field) {
			switch v := f.value.(type) {
			case place:
				if f.key == "source" || f.key == "collection" {
					places = append(places, v)
				}
			case []string: // paths, behind their collection
				on := places[0]
				places = nil
				for _, p := range v {
					places = append(places, place{on.id, p})
				}
			case [][]field: // items, or filter rules
				for _, entry := range v {
					if source, ok := entry[0].value.(place); ok {
						places = append(places, source)
					}
				}
			case string:
				if f.key == "source_local_user" || f.key == "local_user" {
					user = v
				}
			}
		}
		for _, p := range places {
			all = append(all, newEnd(p, user))
		}
	}
	return all
}

// added matches the days that a template adds to the time.
var added = pattern.Lazy(`(\{\{ \.Time)(?: \| add "(-?[0-9]+)d")?`)

func newEnd(p place, user string) end {
	e := end{id: p.id, localUser: user, days: "0"}
	for i, m := range added().FindAllStringSubmatch(p.path, -1) {
		switch days := cmp.Or(m[2], "0"); {
		case i == 0:
			e.days = days
		case e.days != days:
			e.days = "several"
		}
	}
	e.path = path.Clean(added().ReplaceAllString(p.path, "$1"))
	return e
}

// later reports whether exactly what was copied is deleted, and after how many
// days.
func later(copied, deleted []end) (days int, same bool) {
	byPlace := map[end]end{}
	for _, e := range copied {
		byPlace[e.place()] = e
	}
	seen := map[end]bool{}
	days = -1
	for _, e := range deleted {
		from, ok := byPlace[e.place()]
		n, ok2 := from.until(e)
		if !ok || !ok2 || days >= 0 && n != days {
			return 0, false
		}
		seen[e.place()], days = true, n
	}
	return days, len(seen) == len(byPlace) && len(byPlace) == len(copied)
}

// place is e without its days.
func (e end) place() end {
	e.days = ""
	return e
}

// until returns the number of days between two ends at the same place.
func (e end) until(other end) (days int, ok bool) {
	from, err := strconv.Atoi(e.days)
	to, err2 := strconv.Atoi(other.days)
	return from - to, err == nil && err2 == nil && from >= to
}
