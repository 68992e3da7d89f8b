package jobs

import (
	"maps"
	"slices"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/globus-runner/globus-runner/internal/pattern"
	"github.com/globus-runner/globus-runner/schedule"
	"github.com/globus-runner/globus-runner/transfer"
)

var (
	uuidPattern       = pattern.Lazy(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)
	collectionPattern = pattern.Lazy(`^[a-z0-9]([-_a-z0-9]*[a-z0-9])?$`)
	variablePattern   = pattern.Lazy(`^[A-Za-z_][A-Za-z0-9_]*$`)
	labelPattern      = pattern.Lazy(`^[A-Za-z0-9]([-A-Za-z0-9_./]{0,61}[A-Za-z0-9])?$`)
)

// defaults are what the jobs of a source begin with.
type defaults struct {
	job      Job
	transfer transfer.Transfer
	delete   transfer.Delete
}

func (s *source) readDefaults(n ast.Node, field string) {
	d := &s.defaults
	decoders := s.policies(&d.job)
	decoders["transfer"] = func(n ast.Node, field string) { s.object(n, field, s.transferOptions(&d.transfer)) }
	decoders["delete"] = func(n ast.Node, field string) { s.object(n, field, s.deleteOptions(&d.delete)) }
	s.object(n, field, decoders)
}

// policies are the keys that a job and the defaults have.
func (s *source) policies(j *Job) keys {
	return keys{
		"time_zone":          s.zone(&j.Zone),
		"jitter":             s.duration(&j.Jitter, 0),
		"starting_deadline":  s.duration(&j.StartingDeadline, time.Second),
		"catch_up":           choice(s, &j.CatchUp, CatchUpNone, CatchUpLatest, CatchUpAll),
		"concurrency_policy": choice(s, &j.Concurrency, Forbid, Allow, Replace),
		"suspend":            s.flag(&j.Suspend),
		"active_deadline":    s.duration(&j.ActiveDeadline, time.Minute),
		"backoff_limit":      s.count(&j.BackoffLimit, 0, 1000),
		"backoff":            s.duration(&j.Backoff, time.Second),
		"stalled_after":      s.duration(&j.StalledAfter, time.Second),
		"allow_skipped":      s.flag(&j.AllowSkipped),
		"receipts":           s.flag(&j.Receipts),
		"labels":             s.labels(&j.Labels),
		"on": func(n ast.Node, field string) {
			s.object(n, field, keys{
				"stalled":     choice(s, &j.On.Stalled, Wait, Warn, Cancel),
				"needs_human": choice(s, &j.On.NeedsHuman, Wait, Warn, Cancel),
				"hopeless":    choice(s, &j.On.Hopeless, Wait, Warn, Cancel),
			})
		},
		"guard":  s.guard(&j.Guard),
		"notify": s.notify(&j.Notify),
		"expect": s.expect(&j.Expect),
	}
}

// readJob reads one job.
func (s *source) readJob(key, n ast.Node) {
	j := s.defaults.job
	j.Name = key.GetToken().Value
	j.Labels = maps.Clone(j.Labels)
	j.Env = s.env
	s.job = j.Name
	before, first := len(s.problems), len(s.moves)
	d := &draft{Job: &j, src: s, key: key, field: "jobs." + j.Name}
	if !namePattern().MatchString(j.Name) {
		s.problem(key, d.field, "job name %q: want lower-case letters, digits and inner dashes, as Kubernetes does%s", short(j.Name), similarName(j.Name))
	}
	if len(j.Name) > MaxName {
		s.problem(key, d.field, "the name has %d characters, at most %d are possible, so that the job can be a Kubernetes CronJob", len(j.Name), MaxName)
	}
	if other := s.drafts[j.Name]; other != nil {
		s.problem(key, d.field, "a job of that name is at %s already", other.src.where(other.key))
		return
	}
	s.drafts[j.Name] = d
	s.order = append(s.order, d)

	decoders := s.policies(d.Job)
	maps.Copy(decoders, s.actions(d))
	decoders["description"] = s.line(&j.Description)
	decoders["after"] = func(n ast.Node, field string) {
		if _, several := n.(*ast.SequenceNode); several {
			s.problem(n, field, "a job comes after one job: let the others come after each other, or make all of them steps of one job")
			return
		}
		s.line(&j.After)(n, field)
	}
	decoders["for_each"] = s.skip // was read before all jobs
	decoders["schedule"] = s.skip // wants the zone, which may come later
	decoders["steps"] = func(n ast.Node, field string) { s.steps(d, n, field) }
	decoders["mkdir"], decoders["share"], decoders["flow"] = nil, nil, nil // alone they are not a job
	s.object(n, d.field, decoders)
	if !mapping(n) {
		return
	}
	s.exactlyOne(n, d.field, "transfer", "delete", "prune", "audit", "steps")
	s.schedule(d)
	d.wrong = len(s.problems) > before
	s.forItems(d, s.moves[first:])
	s.checkGuard(d)
	if d.wrong = len(s.problems) > before || s.each[j.Name] != nil && s.each[j.Name].wrong; d.wrong {
		return
	}
	if err := j.Check(); err != nil {
		s.problem(key, d.field, "%v", err)
	}
	s.doubtJob(d)
	for i := range s.moves[first:] {
		s.doubtMove(d, &s.moves[first+i])
	}
	s.file.Jobs = append(s.file.Jobs, d.Job)
}

// exactlyOne reports a mapping that has none or several of some keys.
func (s *source) exactlyOne(n ast.Node, field string, names ...string) {
	found := ""
	for _, name := range names {
		at := join(field, name)
		switch {
		case !s.has(at):
		case found != "":
			s.problemOf(at, "there is %s already, want exactly one of %s", found, among(names))
		default:
			found = name
		}
	}
	tried := func(name string) bool { return s.tried(join(field, name)) }
	if mapping(n) && !slices.ContainsFunc(names, tried) {
		s.problem(n, field, "want exactly one of %s", among(names))
	}
}

// schedule reads the schedule of a job, whose zone is known by now.
func (s *source) schedule(d *draft) {
	at := d.field + ".schedule"
	n := s.marks[at]
	if n == nil {
		return
	}
	text, ok := s.oneLine(n, at)
	if !ok {
		return
	}
	zone := d.Zone
	if zone == nil {
		zone = time.UTC
	}
	parsed, err := schedule.Parse(text, zone)
	if err != nil {
		s.problem(n, at, "%v", err)
		return
	}
	d.Schedule = parsed
	for _, remark := range parsed.Remarks() {
		s.warn(n, at, "schedule %q: %s", parsed, remark)
	}
	if gap := parsed.GapBelow(d.Jitter); gap > 0 {
		if s.has(d.field + ".jitter") {
			at = d.field + ".jitter"
		}
		s.warn(s.marks[at], at, "the jitter of %v is longer than the %v between two occurrences, so one may be due before the one before it, and then waits; shorten it",
			d.Jitter, gap)
	}
	if s.has(d.field + ".after") {
		s.problem(n, at, "the job has after as well; it can start at fixed times or after another job, not both")
	}
}

// zone reads a time zone.
func (s *source) zone(to **time.Location) decoder {
	return func(n ast.Node, field string) {
		name, ok := s.oneLine(n, field)
		if !ok {
			return
		}
		if zone, ok := s.zones[name]; ok {
			*to = zone
			return
		}
		zone, err := schedule.LoadZone(short(name))
		if err != nil {
			s.problem(n, field, "%v", err)
			return
		}
		if remark := schedule.ZoneRemark(name); remark != "" {
			s.warn(n, field, "%s", remark)
		}
		s.zones[name] = zone
		*to = zone
	}
}

// labels reads labels and adds them to those of the defaults.
func (s *source) labels(to *map[string]string) decoder {
	return func(n ast.Node, field string) {
		for key, n := range s.pairs(n, field) {
			name := key.GetToken().Value
			at := join(field, name)
			if !labelPattern().MatchString(name) {
				s.problem(key, at, "label name %q: want at most 63 letters, digits and inner - _ . /", short(name))
				continue
			}
			text, ok := s.text(n, at)
			if !ok {
				continue
			}
			sample, ok := s.sample(n, at, text, 0)
			if !ok {
				continue
			}
			if err := transfer.CheckLabel(sample); err != nil {
				s.problem(n, at, "%v", err)
				continue
			}
			if *to == nil {
				*to = map[string]string{}
			}
			(*to)[name] = text
		}
	}
}
