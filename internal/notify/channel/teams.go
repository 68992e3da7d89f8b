package channel

import "github.com/globus-runner/globus-runner/internal/notify"

type teamsBody struct {
	Type        string            `json:"type"`
	Summary     string            `json:"summary"` // what a notification shows
	Attachments []teamsAttachment `json:"attachments"`
}

type teamsAttachment struct {
	ContentType string    `json:"contentType"`
	Content     teamsCard `json:"content"`
}

// A teamsCard is an Adaptive Card: https://adaptivecards.io.
type teamsCard struct {
	Schema  string        `json:"$schema"`
	Type    string        `json:"type"`
	Version string        `json:"version"`
	Body    []teamsText   `json:"body"`
	Actions []teamsAction `json:"actions,omitempty"`
	Teams   teamsWidth    `json:"msteams"`
}

type teamsWidth struct {
	Width string `json:"width"`
}

// A teamsText is a paragraph of a card. Its runs are text as it is, while a
// TextBlock knows Markdown.
type teamsText struct {
	Type    string     `json:"type"`
	Inlines []teamsRun `json:"inlines"`
}

type teamsRun struct {
	Type   string `json:"type"`
	Text   string `json:"text"`
	Size   string `json:"size,omitempty"`
	Weight string `json:"weight,omitempty"`
	Color  string `json:"color,omitempty"`
}

type teamsAction struct {
	Type  string `json:"type"`
	Title string `json:"title"`
	URL   string `json:"url"`
}

// teamsMessage returns the message about a notice.
func teamsMessage(n *notify.Notice) any {
	card := teamsCard{
		Schema: "http://adaptivecards.io/schemas/adaptive-card.json", Type: "AdaptiveCard", Version: "1.4",
		Teams: teamsWidth{"Full"},
	}
	add := func(run teamsRun) {
		run.Type = "TextRun"
		card.Body = append(card.Body, teamsText{"RichTextBlock", []teamsRun{run}})
	}
	add(teamsRun{Text: title(n), Size: "Medium", Weight: "Bolder"})
	for _, line := range lines(n) {
		add(teamsRun{Text: line})
	}
	for _, l := range links(n) {
		card.Actions = append(card.Actions, teamsAction{"Action.OpenUrl", l.text, l.address})
	}
	return teamsBody{
		Type: "message", Summary: title(n),
		Attachments: []teamsAttachment{{"application/vnd.microsoft.card.adaptive", card}},
	}
}
