package globussim

import (
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"
)

// maxJournal is how many requests the journal keeps. The counts by route go on.
const maxJournal = 20_000

// A Request is one request that a service received.
type Request struct {
	Time       time.Time `json:"time"`
	Method     string    `json:"method"`
	Path       string    `json:"path"`   // decoded, without the query
	Status     int       `json:"status"` // of the answer; 0: none was sent, or not yet
	UserAgent  string    `json:"user_agent,omitempty"`
	ClientInfo string    `json:"client_info,omitempty"` // the header X-Globus-Client-Info
}

// A journal records the requests to both services. The zero value is empty.
type journal struct {
	mu       sync.Mutex
	requests []*Request
	routes   map[string]int
}

// begin records that a request arrived.
func (j *journal) begin(r *http.Request, route string) *Request {
	entry := &Request{
		Time:       time.Now().UTC(),
		Method:     r.Method,
		Path:       r.URL.Path,
		UserAgent:  r.UserAgent(),
		ClientInfo: r.Header.Get("X-Globus-Client-Info"),
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.requests) == maxJournal {
		j.requests = slices.Delete(j.requests, 0, maxJournal/2)
	}
	j.requests = append(j.requests, entry)
	if j.routes == nil {
		j.routes = make(map[string]int)
	}
	j.routes[route]++
	return entry
}

// end records the status that the request is answered with.
func (j *journal) end(entry *Request, status int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	entry.Status = status
}

func (j *journal) snapshot() ([]Request, map[string]int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	requests := make([]Request, len(j.requests))
	for i, entry := range j.requests {
		requests[i] = *entry
	}
	return requests, maps.Clone(j.routes)
}
