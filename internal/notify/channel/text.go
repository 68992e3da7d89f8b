package channel

import (
	"net/url"
	"strings"

	"github.com/globus-runner/globus-runner/internal/notify"
	"github.com/globus-runner/globus-runner/internal/plain"
)

// What people read of a notice is bounded, since a chat refuses what is too long.
const (
	maxTitle = 150  // characters
	maxLine  = 600  // characters
	maxText  = 8000 // bytes of all lines
	maxLines = 100
	maxLinks = 5   // Teams shows no more at once
	maxLink  = 400 // bytes of text and address
)

// title returns the sentence of a notice.
func title(n *notify.Notice) string { return plain.Short(n.Title, maxTitle) }

// lines returns the words of a notice below its title: why, what to do next, and
// what to quote to Globus support. Each is one line of visible characters.
func lines(n *notify.Notice) []string {
	var all []string
	if strings.HasSuffix(title(n), "…") {
		all = append(all, n.Title)
	}
	all = append(all, n.Lines...)
	if e := n.Error; e != nil && e.RequestID != "" {
		all = append(all, "Request ID for Globus support: "+e.RequestID)
	}
	size := 0
	for i, line := range all {
		all[i] = plain.Short(line, maxLine)
		if size += len(all[i]); size > maxText || i == maxLines {
			return append(all[:i], plain.Count(len(all)-i, "more line"))
		}
	}
	return all
}

// A link is a place on the web for people. Neither part has a character in it that
// ends a link in any format.
type link struct{ text, address string }

// links returns where people can look at what a notice is about.
func links(n *notify.Notice) []link {
	var all []link
	add := func(text, address string) {
		u, err := url.Parse(address)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || len(text)+len(address) > maxLink || len(all) == maxLinks {
			return
		}
		if address = u.String(); !strings.ContainsFunc(text+address, unsafeInLink) {
			all = append(all, link{text, address})
		}
	}
	add("Open in runner", n.Link)
	for _, t := range n.Tasks {
		add("Task "+t.TaskID, t.Link)
	}
	return all
}

// unsafeInLink reports whether r may end a link, or is not visible.
func unsafeInLink(r rune) bool {
	return r < ' ' || r > '~' || strings.ContainsRune("<>|\"'`\\()[]{}", r)
}

// text returns a notice as plain text, with a line end after each line.
func text(n *notify.Notice) string {
	var b strings.Builder
	b.WriteString(title(n) + "\n")
	for _, line := range lines(n) {
		b.WriteString("\n" + line + "\n")
	}
	if all := links(n); len(all) > 0 {
		b.WriteString("\n")
		for _, l := range all {
			b.WriteString(l.text + ": " + l.address + "\n")
		}
	}
	return b.String()
}
