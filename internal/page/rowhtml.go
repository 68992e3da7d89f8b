package page

import (
	"fmt"
	"html"
	"html/template"
)

// The list has a row for each job. A template takes forty microseconds for a row, which
// for a thousand jobs would be most of the time of the first page. So what a row consists
// of is written here: each text goes through [html.EscapeString].

// HTML is the row in the list.
func (v rowView) HTML() template.HTML {
	name := html.EscapeString(v.Name)
	return template.HTML(`<article id="job-` + name + `" class="job ` + html.EscapeString(v.Class) + `">
<div class="head"><h2><a href="/jobs/` + name + `">` + name + `</a></h2><span class="when">` + html.EscapeString(v.When) + `</span></div>
<p class="what">` + html.EscapeString(v.What) + `</p>
` + string(v.Strip.HTML()) + `
` + string(v.Now()) + `
</article>`) //nolint:gosec // every text is escaped
}

// Now is what the job does, and when it starts next.
func (v rowView) Now() template.HTML {
	text, bar := v.Progress.html()
	next := html.EscapeString(v.Next)
	if at := v.At; at != nil {
		next += `next <time datetime="` + html.EscapeString(at.At) + `">` + html.EscapeString(at.Local) + `</time> <span class="in"></span>`
	}
	return template.HTML(`<div class="now"><p class="last"><b>` + html.EscapeString(v.State) + `</b> ` + html.EscapeString(v.Last) + text + `</p>` + bar + `
<p class="next">` + next + `</p></div>`) //nolint:gosec // every text is escaped
}

// html returns how far a task has come, in words and as a bar. Both are empty if that is
// not known; the bar also until Globus has found files.
func (p *Progress) html() (text, bar string) {
	if p == nil {
		return "", ""
	}
	text = " · "
	if p.Files > 0 {
		text += count(p.FilesTransferred) + " of " + fileCount(p.Files)
		bar = fmt.Sprintf(`<progress value="%d" max="%d" aria-label="files copied of those found so far"></progress>`, p.FilesTransferred, p.Files)
	} else {
		text += fileCount(p.FilesTransferred)
	}
	text += " · " + size(p.Bytes)
	if p.Rate > 0 {
		text += " · " + size(p.Rate) + "/s"
	}
	if p.Class != "progressing" {
		text += " · " + html.EscapeString(words(p.Class))
	}
	return text, bar
}

// HTML is a picture of the runs.
func (s strip) HTML() template.HTML {
	return template.HTML(`<svg class="strip" viewBox="0 0 300 34" role="img" aria-label="` + html.EscapeString(s.Label) + `">` + s.Bars + `</svg>`) //nolint:gosec // the bars are made of numbers
}
