package channel_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/internal/notify"
	"github.com/globus-runner/globus-runner/internal/notify/channel"
	"github.com/globus-runner/globus-runner/internal/plain"
	"github.com/globus-runner/globus-runner/jobs"
)

// sentTo returns the body that a chat is sent for a notice.
func sentTo(t *testing.T, kind string, n *notify.Notice) []byte {
	t.Helper()
	to := &receiver{}
	if err := open(t, kinds(jobs.Hook{URL: "https://hooks.example.org/x"})[kind], channel.Options{Network: to}).Send(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	return to.got[0].body
}

// sameJSON compares two documents, however they are laid out.
func sameJSON(t *testing.T, got []byte, want string) {
	t.Helper()
	var a, b any
	if err := json.Unmarshal(got, &a); err != nil {
		t.Fatalf("%v: %s", err, got)
	}
	if err := json.Unmarshal([]byte(want), &b); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(b, a); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSlackMessage(t *testing.T) {
	sameJSON(t, sentTo(t, "slack", failedNotice()), `{
		"text": "nightly failed: the disk of vault is full",
		"parse": "none", "link_names": false, "mrkdwn": false, "unfurl_links": false, "unfurl_media": false,
		"blocks": [
			{"type": "section", "text": {"type": "plain_text", "emoji": false, "text": "nightly failed: the disk of vault is full"}},
			{"type": "section", "text": {"type": "plain_text", "emoji": false,
				"text": "Globus says: No space left on device.\nFree space on vault, then: runner runs retry 17\nRequest ID for Globus support: AbC123"}},
			{"type": "section", "text": {"type": "mrkdwn", "verbatim": true,
				"text": "<https://runner.example.org/runs/17|Open in runner>\n<https://app.globus.org/activity/4d2d8b4a-1b1c-4f0e-8d1a-6f2f3f4f5f6f|Task 4d2d8b4a-1b1c-4f0e-8d1a-6f2f3f4f5f6f>"}}
		]}`)
}

func TestTeamsMessage(t *testing.T) {
	sameJSON(t, sentTo(t, "teams", failedNotice()), `{
		"type": "message", "summary": "nightly failed: the disk of vault is full",
		"attachments": [{"contentType": "application/vnd.microsoft.card.adaptive", "content": {
			"$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.4", "msteams": {"width": "Full"},
			"body": [
				{"type": "RichTextBlock", "inlines": [{"type": "TextRun", "size": "Medium", "weight": "Bolder", "text": "nightly failed: the disk of vault is full"}]},
				{"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": "Globus says: No space left on device."}]},
				{"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": "Free space on vault, then: runner runs retry 17"}]},
				{"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": "Request ID for Globus support: AbC123"}]}
			],
			"actions": [
				{"type": "Action.OpenUrl", "title": "Open in runner", "url": "https://runner.example.org/runs/17"},
				{"type": "Action.OpenUrl", "title": "Task 4d2d8b4a-1b1c-4f0e-8d1a-6f2f3f4f5f6f", "url": "https://app.globus.org/activity/4d2d8b4a-1b1c-4f0e-8d1a-6f2f3f4f5f6f"}
			]}}]}`)
}

// A chat refuses a message that is too long, and the notice would be lost.
func TestChatsGetWhatTheyTake(t *testing.T) {
	n := failedNotice()
	n.Title = strings.Repeat("&", 10_000)
	for range 1000 {
		n.Lines = append(n.Lines, strings.Repeat("&<日本>", 1000))
		n.Tasks = append(n.Tasks, n.Tasks[0])
	}
	checkSlack(t, n, sentTo(t, "slack", n))
	checkTeams(t, n, sentTo(t, "teams", n))
}

// checkSlack holds a message against what Slack takes, and what it makes of it.
func checkSlack(t *testing.T, n *notify.Notice, body []byte) {
	t.Helper()
	var got struct {
		Text, Parse string
		LinkNames   bool `json:"link_names"`
		Blocks      []struct {
			Type string
			Text struct {
				Type, Text string
				Verbatim   bool
			}
		}
	}
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Blocks) > 50 || got.Parse != "none" || got.LinkNames {
		t.Errorf("got %d blocks, parse %q, link_names %t", len(got.Blocks), got.Parse, got.LinkNames)
	}
	texts := []string{got.Text}
	for i, b := range got.Blocks {
		if b.Type != "section" || utf8.RuneCountInString(b.Text.Text) > 3000 || b.Text.Text == "" {
			t.Errorf("got a block %q with %d characters", b.Type, utf8.RuneCountInString(b.Text.Text))
		}
		switch b.Text.Type {
		case "plain_text":
			texts = append(texts, b.Text.Text)
		case "mrkdwn":
			checkSlackLinks(t, b.Text.Text)
			if i != len(got.Blocks)-1 || !b.Text.Verbatim {
				t.Errorf("block %d is not ours: %q", i, b.Text.Text)
			}
		default:
			t.Errorf("got a text of type %q", b.Text.Type)
		}
	}
	for _, text := range texts {
		rest := strings.NewReplacer("&amp;", "", "&lt;", "", "&gt;", "").Replace(text)
		if strings.ContainsAny(rest, "&<>") {
			t.Errorf("there is markup in %q", text)
		}
	}
	meant := strings.NewReplacer("&amp;", "&", "&lt;", "<", "&gt;", ">")
	for _, text := range texts[:2] {
		if want := plain.Short(n.Title, 150); meant.Replace(text) != want {
			t.Errorf("got the title %q, want %q", text, want)
		}
	}
}

// checkSlackLinks holds the one text with markup against its form.
func checkSlackLinks(t *testing.T, text string) {
	t.Helper()
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		inner, ok := strings.CutPrefix(line, "<http")
		inner, end := strings.CutSuffix(inner, ">")
		if !ok || !end || strings.ContainsAny(inner, "<>") || strings.Count(inner, "|") != 1 {
			t.Errorf("%q is not one link", line)
		}
	}
}

// checkTeams holds a message against what Teams takes, and what it makes of it.
func checkTeams(t *testing.T, n *notify.Notice, body []byte) {
	t.Helper()
	var got struct {
		Summary     string
		Attachments []struct {
			Content struct {
				Body    []map[string]any
				Actions []map[string]any
				MSTeams map[string]any `json:"msteams"`
			}
		}
	}
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatal(err)
	}
	if len(body) > 28<<10 || len(got.Attachments) != 1 {
		t.Fatalf("got %d bytes with %d attachments", len(body), len(got.Attachments))
	}
	card := got.Attachments[0].Content
	if _, mentions := card.MSTeams["entities"]; mentions || len(card.Actions) > 6 {
		t.Errorf("got mentions, or %d actions", len(card.Actions))
	}
	for i, block := range card.Body {
		runs, _ := block["inlines"].([]any)
		if block["type"] != "RichTextBlock" || len(runs) != 1 { // a TextBlock reads Markdown
			t.Fatalf("got a block of type %v with %d runs", block["type"], len(runs))
		}
		run, _ := runs[0].(map[string]any)
		if run["type"] != "TextRun" {
			t.Errorf("got a run of type %v", run["type"])
		}
		if want := plain.Short(n.Title, 150); i == 0 && run["text"] != want {
			t.Errorf("got the title %q, want %q", run["text"], want)
		}
	}
	for _, a := range card.Actions {
		if address, _ := a["url"].(string); a["type"] != "Action.OpenUrl" || !strings.HasPrefix(address, "https://") && !strings.HasPrefix(address, "http://") {
			t.Errorf("got the action %v", a)
		}
	}
}

func FuzzChats(f *testing.F) {
	f.Add(hostile, hostile, hostile, hostile)
	f.Add("a&amp;b", "&lt;!here&gt;", "id|x>", "https://x.example/|>evil<https://y.example")
	f.Add("x", "y", "a|b", "https://x.example/?q=a|b")
	f.Add("x", "y", "t", "javascript:alert(1)")
	f.Add("x", "{{DATE(2017-02-14T06:08:39Z)}}", "t", "https://x.example/<at>all</at>?q=<!channel>#>|")
	f.Fuzz(func(t *testing.T, title, line, task, address string) {
		n := &notify.Notice{
			ID: "1", Event: notify.Failed, Job: "nightly", Title: title, Lines: []string{line, line}, Link: address,
			Error: &notify.Cause{RequestID: line}, Tasks: []notify.Task{{TaskID: task, Label: line, Link: address}},
		}
		if strings.TrimSpace(title) == "" || strings.TrimSpace(line) == "" {
			return // every notice has words
		}
		checkSlack(t, n, sentTo(t, "slack", n))
		checkTeams(t, n, sentTo(t, "teams", n))
	})
}
