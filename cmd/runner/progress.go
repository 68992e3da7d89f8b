package main

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/internal/plain"
	"github.com/globus-runner/globus-runner/transfer"
)

// showProgress shows the progress of tasks in the terminal.
func (a *app) showProgress() engine.Option { return engine.WithObserver(&live{screen: a.stderr}) }

// A live line shows the progress of tasks, as the looks at them have reported it.
type live struct {
	screen *screen

	mu    sync.Mutex
	tasks []*progress // that have not ended; if all have, the one that ended last
}

// Observe records a look at a task.
func (l *live) Observe(e engine.Event) {
	if look, ok := e.(engine.Looked); ok {
		l.note(look, time.Now())
		l.screen.keep(func(columns int) string { return l.line(columns, time.Now()) })
	}
}

func (l *live) note(look engine.Looked, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tasks = slices.DeleteFunc(l.tasks, func(p *progress) bool {
		return p.task.Status.Final() && p.task.TaskID != look.Task.TaskID
	})
	i := slices.IndexFunc(l.tasks, func(p *progress) bool { return p.task.TaskID == look.Task.TaskID })
	if i < 0 {
		i = len(l.tasks)
		l.tasks = append(l.tasks, &progress{firstSeen: now, firstDone: done(look.Task)})
	}
	l.tasks[i].note(look, now)
	if look.Task.Status.Final() && len(l.tasks) > 1 {
		l.tasks = slices.Delete(l.tasks, i, i+1)
	}
}

// line is the live line at an instant, at most as wide as the terminal.
func (l *live) line(columns int, now time.Time) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch len(l.tasks) {
	case 0:
		return ""
	case 1:
		return fit(l.tasks[0].parts(now), columns)
	}
	var sum transfer.Task
	for _, p := range l.tasks {
		sum.Files += p.task.Files
		sum.FilesTransferred += p.task.FilesTransferred
		sum.FilesSkipped += p.task.FilesSkipped
		sum.BytesTransferred += p.task.BytesTransferred
		sum.EffectiveBytesPerSecond += p.task.EffectiveBytesPerSecond
	}
	return fit(append([]part{{8, plain.Count(len(l.tasks), "task")}}, amounts(&sum)...), columns)
}

// A progress is what is known of a task.
type progress struct {
	job   string
	task  *transfer.Task
	class engine.Class
	begun time.Time // the run
	seen  time.Time // the task, for the last time

	firstSeen time.Time
	firstDone int64 // files, at that time
	listed    bool  // two looks in a row found as many files: there may be no more
	lastError string
}

func (p *progress) note(look engine.Looked, now time.Time) {
	p.listed = p.task != nil && p.task.Files == look.Task.Files
	p.job, p.task, p.class, p.begun, p.seen = look.Job, look.Task, look.Class, look.Started, now
	if s := look.Task.NiceStatus; s != "" && s != "OK" && s != "Queued" {
		p.lastError = s
	}
}

// A part of the live line. If the line is too long, the parts that matter least are left
// out.
type part struct {
	matters int
	text    string
}

// parts are those of the line about one task.
func (p *progress) parts(now time.Time) []part {
	state := string(p.class)
	switch {
	case p.task.Status.Final():
		state = strings.ToLower(string(p.task.Status))
	case p.task.NiceStatus == "Queued":
		state = "queued"
	}
	parts := append([]part{{9, state}, {6, p.job}}, amounts(p.task)...)
	if left, ok := p.left(now); ok {
		parts = append(parts, part{5, left.String() + " left"})
	}
	parts = append(parts, part{1, seconds(now.Sub(p.begun)).String()})
	switch {
	case p.lastError != "" && p.task.Faults > 0:
		parts = append(parts, part{7, fmt.Sprintf("%s, last: %s", plain.Count(int(p.task.Faults), "fault"), p.lastError)})
	case p.lastError != "":
		parts = append(parts, part{7, "last error: " + p.lastError})
	}
	return parts
}

// amounts say how far a task has come. Globus does not say how many bytes there are to
// move, so the percentage is that of files.
func amounts(t *transfer.Task) []part {
	files, share := plain.Count(int(t.FilesTransferred), "file"), ""
	if t.Files > 0 {
		files = fmt.Sprintf("%d of %s", done(t), plain.Count(int(t.Files), "file"))
		share = fmt.Sprintf("%d%%", min(100, 100*done(t)/t.Files))
	}
	return []part{{8, files}, {4, share}, {3, size(t.BytesTransferred)}, {2, size(t.EffectiveBytesPerSecond) + "/s"}}
}

// done is the number of files that need nothing more.
func done(t *transfer.Task) int64 { return t.FilesTransferred + t.FilesSkipped }

// left estimates how long the remaining files take, at the rate since the task was first
// seen. It is not known while Globus is still finding files, or if no file was finished
// since then.
func (p *progress) left(now time.Time) (time.Duration, bool) {
	rest, moved := p.task.Files-done(p.task), done(p.task)-p.firstDone
	if !p.listed || rest <= 0 || moved <= 0 || p.class != engine.Progressing || p.task.Status.Final() {
		return 0, false
	}
	pace := float64(p.seen.Sub(p.firstSeen)) / float64(moved)
	left := time.Duration(pace*float64(rest)) - now.Sub(p.seen)
	return max(left, 0).Round(time.Second), true
}

// fit makes one line of parts, and leaves out those that matter least if it would be wider
// than the terminal.
func fit(parts []part, columns int) string {
	parts = slices.DeleteFunc(parts, func(p part) bool { return p.text == "" })
	for {
		var texts []string
		least := 0
		for i, p := range parts {
			texts = append(texts, p.text)
			if p.matters < parts[least].matters {
				least = i
			}
		}
		line := plain.Line(strings.Join(texts, "  "))
		if utf8.RuneCountInString(line) < columns || len(parts) < 2 {
			return line
		}
		parts = slices.Delete(parts, least, least+1)
	}
}
