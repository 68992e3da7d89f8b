package jobs

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/globus-runner/globus-runner/internal/spelling"
	"github.com/globus-runner/globus-runner/schedule"
)

// RunsEvent is the word for the start and the end of each run, in place of which a
// job names the channels that hear of them. Where nobody names one, every ping
// does.
const RunsEvent = "runs"

// digestEvent is the word for the summary of a day or a week.
const digestEvent = "digest"

// notifyEvents are the words for events that a job may name channels for.
func notifyEvents() []string {
	return []string{
		"access", digestEvent, failedEvent, "late", "missing", "needs_human", "nothing", "overdue", "recovered", "refused", RunsEvent, "skipped", "stalled",
	}
}

// failedEvent is the word for a run that ended without success.
const failedEvent = "failed"

// likeFailed are the words for events that the channels of [failedEvent] hear of where
// nobody says which do: a run has not done what the job is for, or needs somebody for it.
func likeFailed() []string {
	return []string{"refused", "missing", "nothing", "needs_human", "overdue"}
}

// A Notify says who hears of a job.
type Notify struct {
	To     map[string][]string // names of channels, by the word for the event
	Repeat time.Duration       // how long to wait before telling again of a problem that continues; 0 means 24 hours
}

// StartWithin is [Expect.StartWithin] where nothing else is said.
const StartWithin = 15 * time.Minute

// An Expect says what should happen, so that somebody hears if it does not. What is
// zero is not looked at, but for StartWithin.
type Expect struct {
	SuccessEvery time.Duration // a run of the job has succeeded no longer ago
	StartWithin  time.Duration // what is due begins by then; 0 means [StartWithin]
	Files, Bytes int64         // that a run copies, at least
}

// notify reads who hears of a job, and adds it to what the defaults say.
func (s *source) notify(to *Notify) decoder {
	return func(n ast.Node, field string) {
		to.To = maps.Clone(to.To)
		if to.To == nil {
			to.To = map[string][]string{}
		}
		decoders := keys{"repeat": s.duration(&to.Repeat, time.Minute)}
		for _, event := range notifyEvents() {
			decoders[event] = func(n ast.Node, field string) {
				names := []string{}
				for i, n := range s.items(n, field, 0) {
					if name, ok := s.oneLine(n, element(field, i)); ok {
						names = append(names, name)
						s.addressed = append(s.addressed, addressed{s, n, element(field, i), event, name})
					}
				}
				to.To[event] = names
			}
		}
		s.object(n, field, decoders)
	}
}

// An addressed is a channel that is named for an event.
type addressed struct {
	src         *source
	node        ast.Node
	field       string
	event, name string
}

// expect reads what should happen.
func (s *source) expect(e *Expect) decoder {
	return func(n ast.Node, field string) {
		files, bytes := int(e.Files), int(e.Bytes)
		s.object(n, field, keys{
			"success_every": s.duration(&e.SuccessEvery, time.Minute),
			"start_within":  s.duration(&e.StartWithin, time.Minute),
			"files":         s.count(&files, 0, 1<<50),
			"bytes":         s.count(&bytes, 0, 1<<60),
		})
		e.Files, e.Bytes = int64(files), int64(bytes)
	}
}

// channels reads the channels of a source, whose default zone is known by now.
func (s *source) channels() {
	if s.toTell == nil {
		return
	}
	given := false
	for key, n := range s.pairs(s.toTell, "notify") {
		given = true
		c := &Channel{Name: key.GetToken().Value}
		field := "notify." + c.Name
		if !namePattern().MatchString(c.Name) || len(c.Name) > MaxName {
			s.problem(key, field, "channel name %q: want at most %d lower-case letters, digits and inner dashes%s", short(c.Name), MaxName, similarName(c.Name))
		}
		if other, ok := s.listed[c.Name]; ok {
			s.problem(key, field, "%s has a channel %s already", other.src.name, c.Name)
			continue
		}
		s.listed[c.Name] = &listed{src: s, key: key, field: field}
		s.channel(c, n, field)
		s.file.Channels[c.Name] = c
	}
	if !given {
		s.warn(s.toTell, "notify", "it names no channel, so nobody is told anything; describe one, such as notify: {ops: {mail: {to: [pi@example.edu]}}}")
	}
}

// A listed is where the jobs file describes a channel.
type listed struct {
	src   *source
	key   ast.Node
	field string
	used  bool
}

func (s *source) channel(c *Channel, n ast.Node, field string) {
	zone := s.defaults.job.Zone
	if zone == nil {
		zone = time.UTC
	}
	s.object(n, field, keys{
		"webhook": func(n ast.Node, field string) {
			c.Webhook = &Webhook{}
			s.hook(&c.Webhook.Hook, n, field, keys{"secret_file": s.fileName(&c.Webhook.SecretFile)})
		},
		"slack": func(n ast.Node, field string) { c.Slack = s.secretHook(n, field) },
		"teams": func(n ast.Node, field string) { c.Teams = s.secretHook(n, field) },
		"mail":  func(n ast.Node, field string) { c.Mail = s.mail(n, field) },
		"ping":  func(n ast.Node, field string) { c.Ping = s.ping(n, field) },
		digestEvent: parsed(s, &c.Digest, `a schedule, such as "0 7 * * 1"`, func(text string) (*schedule.Schedule, error) {
			return schedule.Parse(text, zone)
		}),
	})
	s.exactlyOne(n, field, "webhook", "slack", "teams", "mail", "ping")
	if c.Ping != nil && c.Digest != nil {
		s.problemOf(field+"."+digestEvent, "a ping says that a run began or ended, and has no summary; leave it out")
	}
}

// hook reads the address of a service, and the keys that are given besides.
func (s *source) hook(to *Hook, n ast.Node, field string, more keys) {
	decoders := keys{
		"url":      func(n ast.Node, field string) { s.address(&to.URL, n, field) },
		"url_file": s.fileName(&to.URLFile),
	}
	maps.Copy(decoders, more)
	s.object(n, field, decoders)
	s.exactlyOne(n, field, "url", "url_file")
}

// secretHook reads the address of a service whose address is all that it asks for.
func (s *source) secretHook(n ast.Node, field string) *Hook {
	h := &Hook{}
	s.hook(h, n, field, nil)
	if at := field + ".url"; h.URL != "" {
		s.warn(s.marks[at], at, "whoever knows the address can write to the channel; keep it in a file, and name that in url_file")
	}
	return h
}

// ping reads the address of a dead-man service: alone, or as the others have it.
func (s *source) ping(n ast.Node, field string) *Hook {
	h := &Hook{}
	if mapping(n) {
		s.hook(h, n, field, nil)
	} else {
		s.address(&h.URL, n, field)
	}
	return h
}

// address reads the address of a service; that of a ping may have the job in it.
func (s *source) address(to *string, n ast.Node, field string) {
	text, ok := s.oneLine(n, field)
	if !ok {
		return
	}
	filled := PingAddress(text, "job")
	switch {
	case strings.Contains(filled, "{{"):
		s.problem(n, field, "%q: an address can have {{ .Job }} in it, and no other template", short(text))
	case filled != text && !strings.Contains(field, ".ping"):
		s.problem(n, field, "%q: only the address of a ping can have {{ .Job }} in it", short(text))
	default:
		if err := CheckAddress(filled); err != nil {
			s.problem(n, field, "%v", err)
			return
		}
		*to = text
	}
}

// fileName reads the name of a file, which is looked for beside the source.
func (s *source) fileName(to *string) decoder {
	return func(n ast.Node, field string) {
		if name, ok := s.oneLine(n, field); ok {
			*to = s.beside(name)
		}
	}
}

func (s *source) mail(n ast.Node, field string) *Mail {
	m := &Mail{}
	s.object(n, field, keys{"to": s.people(&m.To, 1), "cc": s.people(&m.Cc, 0)})
	s.require(n, field, "to", "give at least one address, such as to: [pi@example.edu]")
	return m
}

// people reads addresses of mail.
func (s *source) people(to *[]string, least int) decoder {
	return func(n ast.Node, field string) {
		for i, n := range s.items(n, field, least) {
			text, ok := s.oneLine(n, element(field, i))
			if !ok {
				continue
			}
			if err := CheckMail(text); err != nil {
				s.problem(n, element(field, i), "%v", err)
				continue
			}
			*to = append(*to, text)
		}
	}
}

// checkNotify looks at the channels that jobs name, and names those that hear of an event
// where nobody says which do.
func (p *parser) checkNotify() {
	names := slices.Sorted(maps.Keys(p.listed))
	for _, a := range p.addressed {
		at, channel := p.listed[a.name], p.file.Channels[a.name]
		switch {
		case at == nil && len(names) == 0:
			a.src.problem(a.node, a.field, "there is no channel %q; describe it at the top of the file, such as notify: {%s: {mail: {to: [pi@example.edu]}}}", short(a.name), "ops")
			continue
		case at == nil:
			a.src.problem(a.node, a.field, "there is no channel %q%s", short(a.name), spelling.Hint(a.name, names...))
			continue
		case channel.Ping != nil && a.event != RunsEvent:
			a.src.problem(a.node, a.field, "%s is a ping, which hears of runs alone; name it in %s, or leave it out: every job pings where %s is not given", a.name, RunsEvent, RunsEvent)
		}
		at.used = true
	}
	var pings []string
	for _, name := range names {
		switch is := p.listed[name]; {
		case p.file.Channels[name].Ping != nil:
			pings = append(pings, name)
		case !is.used:
			is.src.warn(is.key, is.field, "no job names the channel %s, so nothing is sent there; name it, such as defaults: {notify: {failed: [%s]}}", name, name)
		}
	}
	p.checkRepeated(len(pings) > 0)
	p.checkPings(pings)
	for _, d := range p.order {
		d.Notify.hearByDefault(RunsEvent, pings)
		for _, event := range likeFailed() {
			d.Notify.hearByDefault(event, d.Notify.To[failedEvent])
		}
	}
	if len(names) > 0 {
		p.checkHeard()
	}
	p.checkKept()
}

// hearByDefault names the channels that hear of an event, if there are any and nobody has
// said which do.
func (n *Notify) hearByDefault(event string, channels []string) {
	if _, given := n.To[event]; given || len(channels) == 0 {
		return
	}
	n.To = maps.Clone(n.To) // it may be that of the defaults
	if n.To == nil {
		n.To = map[string][]string{}
	}
	n.To[event] = channels
}

// checkPings warns of an address that stands for several jobs: one that runs hides
// one that does not. names are the channels that are pings.
func (p *parser) checkPings(names []string) {
	for _, name := range names {
		hook, is := p.file.Channels[name].Ping, p.listed[name]
		if hook.URL == "" || jobAction().MatchString(hook.URL) {
			continue
		}
		var heard []string
		for _, d := range p.order {
			if to, given := d.Notify.To[RunsEvent]; !given || slices.Contains(to, name) {
				heard = append(heard, d.Name)
			}
		}
		if len(heard) > 1 {
			is.src.warn(is.key, is.field, "%d jobs ping the same address, so one that runs hides one that does not; "+
				"write {{ .Job }} into the address, or name the channel in one job alone, as notify: {runs: [%s]}", len(heard), name)
		}
	}
}

// checkRepeated warns of jobs that say how often to repeat notices, but name no channel. It
// names only the first of them, because defaults may say it for all.
func (p *parser) checkRepeated(pings bool) {
	for _, d := range p.order {
		_, given := d.Notify.To[RunsEvent]
		heard := pings && !given
		for _, names := range d.Notify.To {
			heard = heard || len(names) > 0
		}
		field := "jobs." + d.Name + ".notify.repeat"
		at := cmp.Or(d.src.marks[field], d.src.marks["defaults.notify.repeat"])
		if at != nil && !heard {
			d.src.warn(at, field, "no channel is named, so nobody is told about the job; name one, such as notify: {failed: [ops]}")
			return
		}
	}
}

// checkKept warns of jobs that cannot succeed as often as is expected.
func (p *parser) checkKept() {
	for _, d := range p.order {
		every := d.Expect.SuccessEvery
		if every == 0 || d.Schedule == nil || d.ForEach != nil || d.Schedule.GapBelow(every+1) > 0 {
			continue
		}
		d.src.warn(d.key, "jobs."+d.Name+".expect.success_every", "it is %s, which is shorter than the time between two occurrences, so the job would always be overdue; "+
			"allow for the interval and the length of a run", FormatDuration(every))
	}
}

// checkHeard warns of jobs that expect something without a channel that would hear of it. It
// names only the first of them, because defaults may say it for all.
func (p *parser) checkHeard() {
	for _, kind := range []struct {
		event, key string
		wanted     func(*Expect) bool
	}{
		{"overdue", "success_every", func(e *Expect) bool { return e.SuccessEvery > 0 }},
		{"nothing", "files or bytes", func(e *Expect) bool { return e.Files > 0 || e.Bytes > 0 }},
	} {
		for _, d := range p.order {
			if _, given := d.Notify.To[kind.event]; !given && kind.wanted(&d.Expect) {
				d.src.warn(d.key, "jobs."+d.Name+".expect", "no channel is named for %s or failed, so nobody is told if %s is not met; name one, such as notify: {%s: [ops]}", kind.event, kind.key, kind.event)
				break
			}
		}
	}
}
