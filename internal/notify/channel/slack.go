package channel

import (
	"strings"

	"github.com/globus-runner/globus-runner/internal/notify"
)

// maxSection is how many characters Slack takes in one section of a message.
const maxSection = 3000

// A slackBody is a message of Slack. Its blocks are what people see, and Text is
// what a notification shows.
type slackBody struct {
	Text   string       `json:"text"`
	Blocks []slackBlock `json:"blocks"`

	// Names in the text are not made links, and links are not fetched.
	Parse       string `json:"parse"`
	LinkNames   bool   `json:"link_names"`
	Markdown    bool   `json:"mrkdwn"`
	UnfurlLinks bool   `json:"unfurl_links"`
	UnfurlMedia bool   `json:"unfurl_media"`
}

type slackBlock struct {
	Type string    `json:"type"`
	Text slackText `json:"text"`
}

type slackText struct {
	Type     string `json:"type"` // plain_text, or mrkdwn for our own links
	Text     string `json:"text"`
	Emoji    *bool  `json:"emoji,omitempty"`
	Verbatim bool   `json:"verbatim,omitempty"`
}

// slackMessage returns the message about a notice. Foreign text stands in plain_text
// alone, where Slack knows neither formats nor mentions; it is escaped all the same.
func slackMessage(n *notify.Notice) any {
	body := slackBody{Text: slackEscape(title(n)), Parse: "none"}
	add := func(text slackText) { body.Blocks = append(body.Blocks, slackBlock{"section", text}) }
	for _, section := range slackSections(append([]string{title(n)}, lines(n)...)) {
		add(slackText{Type: "plain_text", Text: section, Emoji: new(false)})
	}
	var names []string
	for _, l := range links(n) {
		names = append(names, "<"+slackEscape(l.address)+"|"+slackEscape(l.text)+">")
	}
	if len(names) > 0 {
		add(slackText{Type: "mrkdwn", Text: strings.Join(names, "\n"), Verbatim: true})
	}
	return body
}

// slackSections escapes lines, and joins them as far as a section has room.
func slackSections(lines []string) []string {
	var sections []string
	for i, line := range lines {
		line = slackEscape(line)
		last := len(sections) - 1
		if i < 2 || len(sections[last])+len("\n")+len(line) > maxSection { // the title stands alone
			sections = append(sections, line)
			continue
		}
		sections[last] += "\n" + line
	}
	return sections
}

// slackEscape returns text without the characters that begin a link, a mention or
// an entity in Slack.
func slackEscape(text string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(text)
}
