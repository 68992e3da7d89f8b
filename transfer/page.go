package transfer

import (
	"bytes"
	"context"
	"encoding/json"
	"iter"
	"maps"
	"net/url"
	"strconv"
)

// A page is one reply of a list, in any of the service's styles of paging.
type page struct {
	Rows       []json.RawMessage `json:"DATA"`
	Total      *int              `json:"total"`         // rows of all pages
	HasNext    *bool             `json:"has_next_page"` // instead of Total
	NextMarker json.RawMessage   `json:"next_marker"`   // instead of both; number or null
}

// A pager asks for the pages of one list.
type pager interface {
	// ask sets the query that brings the next page, if at most rows more are
	// wanted; rows 0 means no limit.
	ask(q url.Values, rows int)
	// more reports whether another page follows p, which is not empty.
	more(p *page) bool
}

// list yields at most limit rows of the list that r asks for, or all if limit
// is 0. It ends also on a server that promises more rows than it has.
func list[T any, P reply[T]](ctx context.Context, c *Client, r request, limit int, start func() pager) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		r, pages, seen := r, start(), 0
		if r.query = maps.Clone(r.query); r.query == nil {
			r.query = url.Values{}
		}
		for {
			pages.ask(r.query, max(0, limit-seen))
			a, p, err := c.page(ctx, r)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, doc := range p.Rows {
				row, err := decode[T, P](a, doc)
				if !yield(row, err) || err != nil {
					return
				}
				if seen++; seen == limit {
					return
				}
			}
			if len(p.Rows) == 0 || !pages.more(p) {
				return
			}
		}
	}
}

func (c *Client) page(ctx context.Context, r request) (*answer, *page, error) {
	a, err := c.do(ctx, r)
	if err != nil {
		return nil, nil, err
	}
	p := new(page)
	if err := a.unmarshal(a.doc, p); err != nil {
		return nil, nil, err
	}
	if p.Rows == nil { // to take this for an empty list could start a task twice
		return nil, nil, a.unread("the reply has no list in it: %s", a.doc)
	}
	return a, p, nil
}

// byOffset asks for pages by the number of rows before them.
type byOffset struct {
	size   int  // rows in a page, at most
	end    int  // rows in all pages, at most
	offset int  // rows before the next page
	next   bool // the first page has been seen
}

// pagesOf returns a start function for pages of at most size rows, and end rows
// in all.
func pagesOf(size, end int) func() pager {
	return func() pager { return &byOffset{size: size, end: end} }
}

func (o *byOffset) ask(q url.Values, rows int) {
	limit := min(o.size, o.end-o.offset)
	if rows > 0 {
		limit = min(limit, rows)
	}
	q.Set("limit", strconv.Itoa(limit))
	q.Set("offset", strconv.Itoa(o.offset))
}

// more believes the total of the first page alone: one that grows with each
// page would never be reached.
func (o *byOffset) more(p *page) bool {
	if !o.next && p.Total != nil {
		o.end = min(o.end, *p.Total)
	}
	o.next = true
	o.offset += len(p.Rows)
	switch {
	case o.offset >= o.end:
		return false
	case p.HasNext != nil:
		return *p.HasNext
	}
	return p.Total != nil
}

// byMarker asks for pages by an opaque marker that the page before gave.
type byMarker struct {
	marker string
	seen   map[string]bool
}

func markedPages() pager { return &byMarker{seen: make(map[string]bool)} }

func (m *byMarker) ask(q url.Values, _ int) {
	if m.marker != "" {
		q.Set("marker", m.marker)
	}
}

func (m *byMarker) more(p *page) bool {
	m.marker = string(bytes.Trim(p.NextMarker, `"`))
	switch m.marker {
	case "", "null", "0":
		return false
	}
	again := m.seen[m.marker]
	m.seen[m.marker] = true
	return !again
}
