package migrate

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/globus-runner/globus-runner/internal/pattern"
	"github.com/globus-runner/globus-runner/jobs"
)

var (
	uuidPattern     = pattern.Lazy(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)
	shortPattern    = pattern.Lazy(`^[a-z0-9]([-_a-z0-9]*[a-z0-9])?$`)
	templatePattern = pattern.Lazy(`\{\{.*?\}\}`)
	noWord          = pattern.Lazy(`[^a-z0-9]+`)
)

// nameJobs returns a unique name for each job.
func (im *importer) nameJobs() []string {
	names, taken := make([]string, len(im.jobs)), map[string]bool{}
	for i, j := range im.jobs {
		base := slug(j.name, jobs.MaxName)
		name := base
		if longer := slug(j.longer, jobs.MaxName); taken[name] && longer != "" {
			name = longer
		}
		for n := 2; taken[name]; n++ {
			suffix := fmt.Sprintf("-%d", n)
			name = strings.TrimRight(base[:min(len(base), jobs.MaxName-len(suffix))], "-") + suffix
		}
		names[i], taken[name] = name, true
	}
	return names
}

// slug makes a name from a text, of at most most characters.
func slug(text string, most int) string {
	text = noWord().ReplaceAllString(strings.ToLower(text), "-")
	text = strings.TrimLeft(text, "-")
	return strings.TrimRight(text[:min(len(text), most)], "-")
}

// nameByStep proposes a name for a job from the paths of its first step: from
// the first path that gives a name, and longer from that and the next one.
func (j *job) nameByStep() {
	if slug(j.name, jobs.MaxName) != "" {
		return
	}
	step := j.steps[0]
	j.name = step.key
	for text := range texts([]field{step}) {
		switch name := nameOfPath(text); {
		case name == "" || !strings.Contains(text, "/"): // no path
		case j.name == step.key:
			j.name += "-" + name
		default:
			j.longer = j.name + "-to-" + name
			return
		}
	}
}

// nameOfPath makes a name from the last element of a path that is the same in every
// run.
func nameOfPath(path string) string {
	fixed := templatePattern().ReplaceAllString(path, "")
	for _, part := range slices.Backward(strings.Split(fixed, "/")) {
		if name := slug(part, jobs.MaxName); name != "" {
			return name
		}
	}
	return ""
}

// nameCollections returns the short names of all collections that the jobs use,
// by id: the given name, or one made from Globus's name, or else c- and the
// beginning of the id.
func (im *importer) nameCollections() map[string]string {
	used := map[string]bool{}
	for _, j := range im.jobs {
		collect(j.steps, used)
	}
	short, taken := map[string]string{}, map[string]bool{}
	for _, id := range slices.Sorted(maps.Keys(used)) {
		name, known := im.Collections[id]
		if !known && im.DisplayName != nil {
			name = slug(im.DisplayName(id), maxShort)
			im.Collections[id] = name // so that Globus is asked only once
		}
		if name == "" || taken[name] {
			name = "c-" + id[:8]
		}
		if taken[name] {
			name = "c-" + id
		}
		short[id], taken[name] = name, true
	}
	return short
}

// maxShort is the length of the longest short name that is made from Globus's name.
const maxShort = 40

// collect adds the collections in fields to used.
func collect(fields []field, used map[string]bool) {
	for _, f := range fields {
		switch v := f.value.(type) {
		case place:
			used[v.id] = true
		case []field:
			collect(v, used)
		case [][]field:
			for _, entry := range v {
				collect(entry, used)
			}
		}
	}
}

// parsePlace reads COLLECTION[:PATH] as globus-cli does. A relative path is
// below the collection's default folder.
func parsePlace(text string) (place, error) {
	id, path, _ := strings.Cut(text, ":")
	id = strings.ToLower(id)
	if !uuidPattern().MatchString(id) {
		return place{}, fmt.Errorf("%q is not a collection id (a UUID), with :/path behind it or alone", short(id))
	}
	return place{id, absolute(path)}, nil
}

// absolute writes a relative path as one below the default folder.
func absolute(path string) string {
	if path == "" || strings.HasPrefix(path, "/") || path == "~" || strings.HasPrefix(path, "~/") {
		return path
	}
	return "~/" + path
}

// literal escapes a text for a template.
func literal(text string) string {
	return strings.ReplaceAll(text, "{{", `{{ "{{" }}`)
}

// isTemplate reports whether a text made by literal or date contains an action.
func isTemplate(text string) bool { return strings.Contains(text, "{{") }
