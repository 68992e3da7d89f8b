package page

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"
)

const (
	// maxViewers is how many requests for events may be open at the same time.
	maxViewers = 256
	// stillEvery is how often an idle viewer is sent a comment, so that proxies keep the
	// connection open.
	stillEvery = 20 * time.Second
)

// An event says that something of a job has changed.
type event struct {
	Job   string `json:"job"`
	State string `json:"state"`
	Run   int64  `json:"run,omitempty"`  // the newest
	HTML  string `json:"html,omitempty"` // of its row, for pages
}

// getEvents sends an event for each change, until the client goes away. With rows=1 each
// event has the HTML of the job's row.
func (p *Page) getEvents(w http.ResponseWriter, r request) (any, error) {
	if !p.enter() {
		return nil, &refusal{http.StatusServiceUnavailable, "too many have the events open: ask for the jobs from time to time"}
	}
	defer p.leave()
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Time{}) // there is nothing to be read
	w.Header().Set("Content-Type", "text/event-stream")
	out := unhurried(w)
	rows := r.URL.Query().Get("rows") != ""
	scene, err := p.board.look(r.Context())
	if err != nil {
		return nil, err
	}
	if _, err := fmt.Fprint(out, ": as of now\n\n"); err != nil || control.Flush() != nil {
		return nil, nil
	}
	seen, still := scene.turn, time.Now()
	tick := time.NewTicker(boardAge)
	defer tick.Stop()
	for {
		select {
		case <-r.Context().Done():
			return nil, nil
		case <-tick.C:
		}
		next, err := p.board.look(r.Context())
		if err != nil {
			return nil, nil // the client connects again, and gets the error then
		}
		var text bytes.Buffer
		switch {
		case next.turn != seen:
			p.writeEvents(&text, next, seen, rows)
		case time.Since(still) >= stillEvery:
			text.WriteString(": still here\n\n")
		default:
			continue
		}
		seen, still = next.turn, time.Now()
		if _, err := out.Write(text.Bytes()); err != nil || control.Flush() != nil {
			return nil, nil
		}
	}
}

// enter reports whether there is room for one more viewer.
func (p *Page) enter() bool {
	if p.viewers.Add(1) > maxViewers {
		p.viewers.Add(-1)
		return false
	}
	return true
}

func (p *Page) leave() { p.viewers.Add(-1) }

// writeEvents writes what is new in a scene after a turn.
func (p *Page) writeEvents(to *bytes.Buffer, s *scene, after int64, rows bool) {
	var names []string
	for name, turn := range s.turns {
		if turn > after && s.byName[name] != nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		doc := s.job(s.byName[name])
		e := event{Job: name, State: doc.State}
		if doc.LastRun != nil {
			e.Run = doc.LastRun.Run
		}
		if rows {
			e.HTML = string(s.row(s.byName[name]).HTML())
		}
		writeEvent(to, "job", e)
	}
	if rows {
		writeEvent(to, "top", event{HTML: p.views.top(s.top())})
	}
}

func writeEvent(to *bytes.Buffer, kind string, e event) {
	text, err := json.Marshal(e)
	if err != nil {
		return // it has nothing that could not be written
	}
	fmt.Fprintf(to, "event: %s\ndata: %s\n\n", kind, text)
}
