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
	folder      role = "folder"      // makes it
)

// writes reports whether the role needs the permission to write.
func (r role) writes() bool { return r != source }

// A use is what jobs do with one path of a collection.
type use struct {
	role      role
	path      string // of the next occurrence
	jobs      []string
	isFolder  bool   // the path is, or will be, a folder
	changes   bool   // another occurrence has another path
	localUser string // on a mapped collection; may be empty
	guarded   bool   // a source that must not be empty
	optional  bool   // it need not exist

	rules []transfer.FilterRule // what is copied of a source
	from  []origin              // of a destination, as far as files may be copied to it
}

// An origin is where something is copied from that may be a file.
type origin struct {
	collection *collection
	path, job  string
}

// maxPaths is how many paths of one step are looked at.
const maxPaths = 10

// A surveyor collects what jobs do.
type surveyor struct {
	names map[string]string
	found map[string]*collection
}

// survey returns the collections that the jobs use, by name, with what they do
// there in their next occurrence. What cannot be found out is in the checks.
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

// step collects what one step does; raw has the templates that step is made of.
func (s *surveyor) step(j *jobs.Job, raw, step *jobs.Step) {
	switch {
	case step.Transfer != nil:
		t := step.Transfer
		// Even if only a manifest knows the paths, the collections are looked at.
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
			}.aside(j, raw.Transfer.Items[i].SourcePath))
			s.add(j, t.DestinationEndpoint, use{
				role: destination, path: item.DestinationPath,
				isFolder: whole || strings.HasSuffix(item.DestinationPath, "/"), localUser: t.DestinationLocalUser,
				from: from,
			}.aside(j, raw.Transfer.Items[i].DestinationPath))
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
			}.aside(j, raw.Delete.Items[i].Path))
		}
	case step.Mkdir != nil:
		s.add(j, step.Mkdir.Collection, use{
			role: folder, path: step.Mkdir.Path, isFolder: true,
		}.aside(j, raw.Mkdir.Path))
	}
}

// prune collects where a prune of j deletes: what the first steps of a job copy
// from. There may be nothing left of that.
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
			}.aside(of, of.Steps[i].Transfer.Items[k].SourcePath))
		}
	}
}

func (s *surveyor) collection(id string) *collection {
	if s.found[id] == nil {
		s.found[id] = &collection{id: id, name: cmp.Or(s.names[id], id)}
	}
	return s.found[id]
}

// aside returns a use as it was written in a jobs file, or, if its path is another
// one for each item, that of the folder that all of these are in.
func (u use) aside(j *jobs.Job, raw string) use {
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

// add adds a use, or the job to one that is the same.
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

// made reports whether some job writes to the path, so that it may come to be.
func (c *collection) made(path string) bool {
	for _, u := range c.uses {
		if (u.role == destination || u.role == folder) && within(path, u.path) {
			return true
		}
	}
	return false
}

// within reports whether a path is a folder, or somewhere in it.
func within(path, folder string) bool {
	return strings.HasPrefix(strings.TrimSuffix(path, "/")+"/", strings.TrimSuffix(folder, "/")+"/")
}

// does reports whether the collection is used in that role.
func (c *collection) does(r role) bool {
	return slices.ContainsFunc(c.uses, func(u *use) bool { return u.role == r })
}

// parent returns the folder that a path is in, with a slash at its end.
func parent(p string) string {
	return strings.TrimSuffix(path.Dir(strings.TrimSuffix(p, "/")), "/") + "/"
}
