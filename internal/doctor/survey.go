package doctor

import (
	"cmp"
	"context"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

// A role is what a job does with a path.
type role string

const (
	source      role = "source"      // copies from it
	destination role = "destination" // copies to it
	deletion    role = "deletion"    // deletes it
	folder      role = "folder"      // creates it
)

// writes reports whether the role needs the permission to write.
func (r role) writes() bool { return r != source }

// A use is a path of a collection and what jobs do with it.
type use struct {
	role      role
	path      string // in the next occurrence
	jobs      []string
	isFolder  bool   // the path is, or will be, a folder
	changes   bool   // another occurrence has another path
	localUser string // on a mapped collection; may be empty
	guarded   bool   // a source that must not be empty
	optional  bool   // the path need not exist

	rules []transfer.FilterRule // what is copied of a source
	from  []origin              // of a destination: sources from which single files may be copied to it
}

// An origin is a source that may be a single file.
type origin struct {
	collection *collection
	path, job  string
}

// maxPaths is how many paths of one step are checked.
const maxPaths = 10

// A surveyor collects what jobs do.
type surveyor struct {
	names map[string]string
	found map[string]*collection
}

// survey returns the collections that the jobs use, by name, with what they do
// there in their next occurrence. Templates that cannot be filled in are in the
// checks.
func survey(list []*jobs.Job, names map[string]string, now time.Time) ([]*collection, []*Check) {
	s := surveyor{names: names, found: map[string]*collection{}}
	jobOf, stepsOf := map[string]*jobs.Job{}, map[string][]jobs.Step{} // by name of the job
	var broken []*Check
	for _, j := range list {
		at := now
		if j.Schedule != nil {
			at = j.Schedule.Next(now)
		}
		steps, err := j.Render(jobs.ScheduledKey(at), at, j.SampleItem())
		if err != nil {
			finding := Bad(fault.Usage, err.Error(), "set what the template needs, see runner plan "+j.Name)
			broken = append(broken, &Check{
				Group: jobsGroup, Name: "paths", Subject: j.Name,
				Look: func(context.Context) []Finding { return []Finding{finding} },
			})
			continue
		}
		jobOf[j.Name], stepsOf[j.Name] = j, steps
		if e := j.ForEach; e != nil {
			s.add(j, e.Collection, use{role: source, path: e.Folder, isFolder: true, localUser: e.LocalUser})
		}
		for i := range steps {
			s.step(j, &j.Steps[i], &steps[i])
			if sh := steps[i].Share; sh != nil {
				s.share(j, j.Steps[i].Share, sh, at)
			}
		}
	}
	for _, j := range list {
		for i, step := range stepsOf[j.Name] {
			switch p := step.Prune; {
			case p == nil:
			case len(p.Of) == 0:
				s.prune(j, j, stepsOf[j.Name][:i])
			default:
				for _, name := range p.Of {
					s.prune(j, jobOf[name], stepsOf[name])
				}
			}
		}
	}
	return slices.SortedFunc(maps.Values(s.found), func(a, b *collection) int { return cmp.Compare(a.name, b.name) }), broken
}

// step collects the uses of one step; raw is the step with its templates.
func (s *surveyor) step(j *jobs.Job, raw, step *jobs.Step) {
	switch {
	case step.Transfer != nil:
		t := step.Transfer
		// The collections are checked even if only a manifest knows the
		// paths.
		src, dst := s.collection(t.SourceEndpoint), s.collection(t.DestinationEndpoint)
		for _, c := range []*collection{src, dst} {
			if t.VerifyChecksum && !slices.Contains(c.verified, j.Name) {
				c.verified = append(c.verified, j.Name)
			}
		}
		for i, item := range t.Items[:min(len(t.Items), maxPaths)] {
			whole := step.Manifest != "" || item.Recursive != nil && *item.Recursive
			var from []origin
			if !whole && !strings.HasSuffix(item.SourcePath, "/") {
				from = []origin{{src, item.SourcePath, j.Name}}
			}
			s.add(j, t.SourceEndpoint, use{
				role: source, path: item.SourcePath,
				isFolder: whole || strings.HasSuffix(item.SourcePath, "/"), localUser: t.SourceLocalUser,
				guarded: t.DeleteDestinationExtra && !j.Guard.AllowEmptySource, optional: t.SkipSourceErrors && j.AllowSkipped,
				rules: t.FilterRules,
			}.templated(j, raw.Transfer.Items[i].SourcePath))
			s.add(j, t.DestinationEndpoint, use{
				role: destination, path: item.DestinationPath,
				isFolder: whole || strings.HasSuffix(item.DestinationPath, "/"), localUser: t.DestinationLocalUser,
				from: from,
			}.templated(j, raw.Transfer.Items[i].DestinationPath))
		}
	case step.Delete != nil:
		d := step.Delete
		s.collection(d.Endpoint)
		for i, item := range d.Items[:min(len(d.Items), maxPaths)] {
			p, globs := item.Path, d.InterpretGlobs && strings.ContainsAny(path.Base(item.Path), "*?[")
			if globs {
				p = parent(p)
			}
			s.add(j, d.Endpoint, use{
				role: deletion, path: p,
				isFolder: globs || strings.HasSuffix(p, "/"), localUser: d.LocalUser, optional: d.IgnoreMissing,
			}.templated(j, raw.Delete.Items[i].Path))
		}
	case step.Mkdir != nil:
		s.add(j, step.Mkdir.Collection, use{
			role: folder, path: step.Mkdir.Path, isFolder: true,
		}.templated(j, raw.Mkdir.Path))
	}
}

// prune collects the paths where a prune of j deletes: the sources of the first
// steps of a job. They need not exist any more.
func (s *surveyor) prune(j, of *jobs.Job, steps []jobs.Step) {
	for i := range steps {
		t := steps[i].Transfer
		if t == nil {
			continue
		}
		for k, item := range t.Items[:min(len(t.Items), maxPaths)] {
			s.add(j, t.SourceEndpoint, use{
				role: deletion, path: item.SourcePath,
				isFolder: steps[i].Manifest != "" || strings.HasSuffix(item.SourcePath, "/"), localUser: t.SourceLocalUser, optional: true,
			}.templated(of, of.Steps[i].Transfer.Items[k].SourcePath))
		}
	}
}

func (s *surveyor) collection(id string) *collection {
	if s.found[id] == nil {
		s.found[id] = &collection{id: id, name: cmp.Or(s.names[id], id)}
	}
	return s.found[id]
}

// templated returns a use whose path is written as raw. With templates in it,
// other occurrences have other paths; if the path is different for each item, the
// use is of the folder that all items are in.
func (u use) templated(j *jobs.Job, raw string) use {
	fixed, _, open := strings.Cut(raw, "{{")
	if j.Literal || !open {
		return u
	}
	u.changes = true
	if j.Items != nil && jobs.NamesItem(raw) {
		u.path, u.isFolder = fixed[:strings.LastIndex(fixed, "/")+1], true
		u.changes, u.guarded, u.from, u.rules = false, false, nil, nil
	}
	return u
}

// add adds a use, or adds the job to an equal use.
func (s *surveyor) add(j *jobs.Job, id string, u use) {
	c := s.collection(id)
	for _, known := range c.uses {
		if known.role != u.role || known.path != u.path || known.isFolder != u.isFolder || known.localUser != u.localUser ||
			!slices.Equal(known.rules, u.rules) {
			continue
		}
		known.guarded = known.guarded || u.guarded
		known.optional = known.optional && u.optional
		known.changes = known.changes && u.changes
		known.from = append(known.from, u.from...)
		if !slices.Contains(known.jobs, j.Name) {
			known.jobs = append(known.jobs, j.Name)
		}
		return
	}
	u.jobs = []string{j.Name}
	c.uses = append(c.uses, &u)
}

// made reports whether some job writes to the path and so may create it.
func (c *collection) made(path string) bool {
	for _, u := range c.uses {
		if (u.role == destination || u.role == folder) && within(path, u.path) {
			return true
		}
	}
	return false
}

// within reports whether a path is the folder or below it.
func within(path, folder string) bool {
	return strings.HasPrefix(strings.TrimSuffix(path, "/")+"/", strings.TrimSuffix(folder, "/")+"/")
}

// does reports whether the collection is used in this role.
func (c *collection) does(r role) bool {
	return slices.ContainsFunc(c.uses, func(u *use) bool { return u.role == r })
}

// parent returns the parent folder of a path, with a slash at its end.
func parent(p string) string {
	return strings.TrimSuffix(path.Dir(strings.TrimSuffix(p, "/")), "/") + "/"
}
