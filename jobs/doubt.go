package jobs

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"github.com/globus-runner/globus-runner/internal/glob"
	"github.com/globus-runner/globus-runner/internal/pattern"
	"github.com/globus-runner/globus-runner/transfer"
)

// What a path takes literally, although other programs would put something in
// its place.
var (
	actionPattern   = pattern.Lazy(`\{\{.*?\}\}`)
	commandPattern  = pattern.Lazy(`\$\([^)]*\)|` + "`[^`]*`")
	variableInPath  = pattern.Lazy(`\$\{([A-Za-z_][A-Za-z0-9_]*)\}|\$([A-Z_][A-Z0-9_]*)`)
	dateInPath      = pattern.Lazy(`%[YyFmdjHMSV]([-_./T]?%[YyFmdjHMSV])*($|[^0-9A-Za-z%])`)
	placeholderPath = pattern.Lazy(`\{([A-Za-z_][A-Za-z0-9_.:%]*)\}`)
)

// doubtPath warns of text in a path that looks as if something would be put in its
// place, but is not.
func (s *source) doubtPath(n ast.Node, field, text string) {
	if strings.HasSuffix(text, " ") {
		s.warn(n, field, "path %q ends in a space, which is a part of the name; write %s", short(text), short(strings.TrimRight(text, " ")))
	}
	if t := n.GetToken(); t.Type == token.StringType && t.Next != nil && t.Next.Type == token.CommentType &&
		t.Next.Position.Line == t.Position.Line && !strings.HasPrefix(t.Next.Value, " ") {
		s.warn(n, field, "#%s is a comment in YAML; if it belongs to the path, write the path in quotes", short(t.Next.Value))
	}
	if !strings.ContainsAny(text, "$%{`") {
		return
	}
	const literal = "%s in a path is taken literally; write %s"
	rest := actionPattern().ReplaceAllLiteralString(text, "{{}}")
	if found := commandPattern().FindString(rest); found != "" {
		s.warn(n, field, literal, short(found), `a template, such as {{ strftime "%Y-%m-%d" .Time }}`)
	}
	if found := variableInPath().FindStringSubmatch(rest); found != nil {
		name := cmp.Or(found[1], found[2])
		s.warn(n, field, literal+", and %s into the env list of the file", short(found[0]), `{{ env "`+short(name)+`" }}`, short(name))
	}
	if at := dateInPath().FindStringSubmatchIndex(rest); at != nil {
		date := short(rest[at[0]:at[4]]) // without what comes behind it
		s.warn(n, field, literal, date, `{{ strftime "`+date+`" .Time }}`)
	}
	if found := placeholderPath().FindStringSubmatch(rest); found != nil && !strings.Contains(rest, "$"+found[0]) {
		s.warn(n, field, literal, short(found[0]), meantBy(found[1]))
	}
}

// meantBy returns the template for a word in single braces.
func meantBy(word string) string {
	switch word = strings.ToLower(word); {
	case strings.HasPrefix(word, "date"), strings.HasPrefix(word, "day"), strings.HasPrefix(word, "time"):
		return "{{ date .Time }}"
	case strings.HasPrefix(word, "job"):
		return "{{ .Job }}"
	}
	return "a template in double braces, such as {{ date .Time }} or {{ .Job }}"
}

// mixedUp finds conversions of strftime that are good only beside others: a minute among
// the parts of a date, for one. Most of them are right on most days.
var mixedUp = []struct {
	pattern     func() *regexp.Regexp
	unless      string // this one is there as well; empty: in any case
	is, meant   string
	where, unit string
}{
	{pattern.Lazy(`%[Yy][^%]*%M|%M[^%]*%d|%d[^%]*%M[^%]*%[Yy]`), "", "%M", "%m", "date", "minute"},
	{pattern.Lazy(`%[HI][^%]*%m|%m[^%]*%S`), "", "%m", "%M", "time", "month"},
	{pattern.Lazy(`%G[^%]*%[mbBdej]|%[mbBdej][^%]*%G`), "%V", "%G", "%Y", "date", "year that the ISO week is of"},
	{pattern.Lazy(`%Y[^%]*%V|%V[^%]*%Y`), "%G", "%Y", "%G", "week", "year of the date"},
	{pattern.Lazy(`%I`), "%p", "%I", "%H", "path without %p", "hour of half a day"},
}

// doubtTemplate warns of a template that probably means something else.
func (s *source) doubtTemplate(n ast.Node, field, text string) {
	if !strings.Contains(text, "strftime") {
		return
	}
	for _, action := range actionPattern().FindAllString(text, -1) {
		for _, mix := range mixedUp {
			if mix.pattern().MatchString(action) && (mix.unless == "" || !strings.Contains(action, mix.unless)) {
				s.warn(n, field, "%s is the %s, and stands in a %s here; write %s", mix.is, mix.unit, mix.where, mix.meant)
			}
		}
	}
}

// doubtRules warns of filter rules that have no effect: the first rule that fits
// decides, and what none fits is copied.
func (s *source) doubtRules(n ast.Node, field string, rules []transfer.FilterRule) {
	list, ok := n.(*ast.SequenceNode)
	if !ok || len(list.Values) != len(rules) {
		return // reported elsewhere
	}
	for i, rule := range rules {
		at := element(field, i)
		if k := slices.IndexFunc(rules[:i], func(r transfer.FilterRule) bool { return r.Name == "*" && (r.Type == "" || r.Type == rule.Type) }); k >= 0 {
			s.warn(list.Values[i], at, `the rule before it, %s "*", decides about every name, because the first rule that fits decides; put that one last`, rules[k].Method)
			return
		}
		if rule.Method == "exclude" && rule.Name == "*" && rule.Type == "" && i == len(rules)-1 &&
			!slices.ContainsFunc(rules[:i], func(r transfer.FilterRule) bool { return r.Method == "include" }) {
			s.warn(list.Values[i], at, `nothing is copied, because it leaves out every name; put {method: include, name: …} before it`)
			return
		}
		shuts := func(r transfer.FilterRule) bool {
			return r.Method == "exclude" && (r.Type == "" || rule.Type == "" || r.Type == rule.Type)
		}
		if rule.Method == "include" && !slices.ContainsFunc(rules[i:], shuts) {
			s.warn(list.Values[i], at, `it leaves nothing out, because what no rule fits is copied; add {method: exclude, type: %s, name: "*"} behind it`, cmp.Or(rule.Type, "file"))
			return
		}
	}
}

// bracesInName are several words for a shell, whole or cut at a comma, where
// RUNNER_JOB_EXCLUDE ends a name.
var bracesInName = pattern.Lazy(`\{[^{}]*(,|$)|^[^{}]*\}`)

// doubtName warns of a pattern that probably matches other names than was meant.
func (s *source) doubtName(field, name string) {
	n := s.marks[field]
	switch {
	case strings.TrimSpace(name) != name:
		s.warn(n, field, "%q begins or ends in a space, which is a part of the name; write %q", short(name), short(strings.TrimSpace(name)))
	case glob.Open(name):
		s.warn(n, field, `%q has a [ without a ], and is taken literally; close it, or write \[ for a name with a [ in it`, short(name))
	case bracesInName().MatchString(name):
		s.warn(n, field, "braces in %q are taken literally; write a rule for each of the names", short(name))
	case strings.Contains(name, `"`):
		s.warn(n, field, "the quotes in %q are taken literally; write names without quotes, such as *.tmp", short(name))
	}
}

// doubtMove warns of a transfer whose source and destination do not fit together.
func (s *source) doubtMove(d *draft, m *move) {
	differs := namesOccurrence().MatchString
	each, _ := s.eachOf(d.Name)
	switch {
	case m.mirror && m.to.clean().path == "/":
		s.warn(m.node, m.field, "it is a mirror to the whole collection, and deletes everything there that its source does not have; give it a folder of its own")
	case m.mirror && differs(m.reads.text) && !differs(m.writes.text):
		s.warn(m.node, m.field, "it is a mirror whose source is another one for each run, so each run deletes what the run before has copied; "+
			"put the template of the source into the destination, or leave out delete_destination_extra")
	case each != nil && !m.listed && NamesItem(m.writes.text) && !NamesItem(m.reads.text):
		s.warn(m.node, m.field, "the source is the same for all items, so each item copies the same files; write {{ .Item.Path }} into it")
	}
}

// doubtJob warns of keys of a job that do not fit together.
func (s *source) doubtJob(d *draft) {
	mark := func(key string) ast.Node { return s.marks[d.field+"."+key] }
	if d.On.Stalled == Cancel && d.ActiveDeadline <= d.StalledAfter {
		key := "active_deadline"
		if mark(key) == nil {
			key = "stalled_after"
		}
		s.warn(cmp.Or(mark(key), d.key), d.field+"."+key, "Globus ends a task after %s, before it counts as stalled after %s, so on: {stalled: cancel} has no effect; "+
			"write a stalled_after that is shorter than active_deadline", FormatDuration(d.ActiveDeadline), FormatDuration(d.StalledAfter))
	}
	if d.After != "" {
		s.noEffect(d, "and has no effect on a job that starts after another one; leave it out")
	}
	each := d.ForEach
	if each == nil {
		return
	}
	if most := int64(len(transfersOf(d.Steps))); each.Kind == FileItems && d.Expect.Files > most && most > 0 {
		s.warn(cmp.Or(mark("expect.files"), d.key), d.field+".expect.files", "each run copies one file, because items are files (type: file), so %d files never come; "+
			"expect bytes, or say how often a run should succeed with success_every", d.Expect.Files)
	}
	const rare = 12 * time.Hour
	if quiet := each.Ready.UnchangedFor; quiet > 0 && quiet < rare && d.Schedule != nil && d.Schedule.GapBelow(rare) == 0 {
		s.warn(mark("schedule"), d.field+".schedule", "an item is ready only at the second look that finds it unchanged, and the looks are far apart; "+
			"look more often, such as every %s (unchanged_for)", FormatDuration(quiet))
	}
}

// noEffect warns of policies of a job that are about instants of a schedule; why
// says why it has none.
func (s *source) noEffect(d *draft, why string) {
	for _, name := range []string{"catch_up", "starting_deadline", "jitter"} {
		if at := d.field + "." + name; s.has(at) {
			s.warn(s.marks[at], at, "%s is about instants of a schedule %s", name, why)
		}
	}
}

// doubtAge warns of a prune whose copies never get as old as it wants, because a job copies
// everything again and again.
func (p *parser) doubtAge(pr *pruning) {
	field := pr.field + ".older_than"
	at := cmp.Or(pr.draft.src.marks[field], pr.node)
	if pr.OlderThan > 0 && len(pr.Of) == 0 {
		pr.draft.src.warn(at, field, "the receipts of the same run count, and none of them is so old, so nothing is ever deleted; "+
			"make the prune a job of its own, with of: [%s]", pr.draft.Name)
		return
	}
	for _, name := range pr.Of {
		d := p.drafts[name]
		if d == nil {
			continue
		}
		gap := p.gapBelow(d, pr.OlderThan)
		if gap == 0 || !slices.ContainsFunc(d.Steps, Step.repeats) {
			continue
		}
		pr.draft.src.warn(at, field, "the job %s copies everything again every %s, so its copies never get so old and nothing is ever deleted; "+
			"write sync_level: checksum at its transfer, or {{ .Time }} into its paths", name, FormatDuration(gap))
	}
}

// leastMemory is how long the runs of a prune are remembered at least, if nobody is to be
// warned: names that come again do so within a month in most places.
const leastMemory = 30 * 24 * time.Hour

// doubtMemory warns of a history that soon forgets what a prune has deleted.
func (p *parser) doubtMemory(pr *pruning) {
	history, want := p.file.History, max(leastMemory, pr.OlderThan)
	var key string
	switch {
	case history.Keep > 0 && history.Keep < want:
		key = "keep"
	case history.MaxRuns > 0 && pr.draft.ForEach == nil && p.gapBelow(pr.draft, want/time.Duration(history.MaxRuns)) > 0:
		key = "max_runs"
	default:
		return
	}
	pr.draft.src.warn(pr.node, pr.field, "history.%s forgets runs of this prune within %s, and then no guard knows whose copy is the only one: "+
		"a new file of the same name replaces it; remember runs for longer", key, FormatDuration(want))
}

// gapBelow returns a time below most between two occurrences of a job, or of the
// one that it comes after; 0 means that there is none.
func (p *parser) gapBelow(d *draft, most time.Duration) time.Duration {
	for range p.order { // a circle is reported elsewhere
		if next := p.drafts[d.After]; next != nil {
			d = next
		}
	}
	if d.Schedule == nil {
		return 0
	}
	return d.Schedule.GapBelow(most)
}

// namesOccurrence matches a template that differs from occurrence to occurrence.
var namesOccurrence = pattern.Lazy(`\{\{[^}]*\.(Time|Key|Item)\b`)

// repeats reports whether each occurrence copies the same files to the same place
// again.
func (s Step) repeats() bool {
	return s.Transfer != nil && s.Transfer.SyncLevel == nil && s.Manifest == "" && !s.names(namesOccurrence())
}
