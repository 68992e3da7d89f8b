package transfer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"iter"
	"maps"
	"net/url"
	"strconv"
)

const (
	maxPages  = 20_000 // in one list
	maxRows   = 20_000 // in one page; more than is ever asked for
	maxMarker = 4096   // bytes
)

// A page is one reply of a list, in any of the service's styles of paging.
type page struct {
	Rows       rows            `json:"DATA"`
	Total      *int            `json:"total"`         // rows of all pages
	HasNext    *bool           `json:"has_next_page"` // instead of Total
	NextMarker json.RawMessage `json:"next_marker"`   // instead of both; number or null
	count      int             // of rows
}

// rows is a list as it was received. Its rows are decoded one at a time,
// because a page of tiny rows takes many times its size in memory once decoded.
type rows []byte

// UnmarshalJSON keeps text without a copy: it is a part of the answer's
// document, which does not change.
func (r *rows) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		return nil
	}
	if text[0] != '[' {
		return fmt.Errorf("DATA is %.20q, not a list", text)
	}
	*r = text
	return nil
}

// all yields each row, which is a part of r.
func (r rows) all() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		inside := r[1 : len(r)-1]
		begin, depth, quoted := 0, 0, false
		for i := 0; i < len(inside); i++ {
			switch c := inside[i]; {
			case quoted && c == '\\':
				i++ // the next byte is escaped, so it does not end the string
			case c == '"':
				quoted = !quoted
			case quoted:
			case c == '[', c == '{':
				depth++
			case c == ']', c == '}':
				depth--
			case c == ',' && depth == 0:
				if !yield(bytes.TrimSpace(inside[begin:i])) {
					return
				}
				begin = i + 1
			}
		}
		if last := bytes.TrimSpace(inside[begin:]); len(last) > 0 {
			yield(last)
		}
	}
}

// A pager asks for the pages of one list.
type pager interface {
	// ask sets the query for the next page when at most rows more are
	// wanted; 0 means no limit.
	ask(q url.Values, rows int)
	// more reports whether another page follows p, which is not empty.
	more(p *page) (bool, error)
	// shrink makes pages smaller after one was too long. It returns false
	// if they cannot be smaller.
	shrink() bool
}

// list yields at most limit rows of the list that r asks for, or all if limit
// is 0. It also ends when the service announces more rows than it sends.
func list[T any, P reply[T]](ctx context.Context, c *Client, r request, limit int, start func() pager) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		r, pages, seen := r, start(), 0
		if r.query = maps.Clone(r.query); r.query == nil {
			r.query = url.Values{}
		}
		for n := 1; ; n++ {
			pages.ask(r.query, max(0, limit-seen))
			a, p, err := c.page(ctx, r)
			if errors.Is(err, ErrTooLong) && pages.shrink() {
				continue
			}
			if err != nil {
				yield(nil, err)
				return
			}
			for doc := range p.Rows.all() {
				if p.count++; p.count > maxRows || len(doc) > maxDocument {
					yield(nil, a.tooLong("there are more than %d rows in a page, or one of more than %d KiB", maxRows, maxDocument>>10))
					return
				}
				row, err := readRow[T, P](a, bytes.Clone(doc)) // so that the page can be freed
				if !yield(row, err) || err != nil {
					return
				}
				if seen++; seen == limit {
					return
				}
			}
			if p.count == 0 {
				return
			}
			more, err := pages.more(p)
			if more && err == nil && n == maxPages {
				err = fmt.Errorf("there are more than %d pages", maxPages)
			}
			if err != nil {
				yield(nil, fmt.Errorf("%w: %w", ErrEndless, a.unread("%v", err)))
				return
			}
			if !more {
				return
			}
		}
	}
}

// readRow decodes a row of a list that is valid JSON.
func readRow[T any, P reply[T]](a *answer, doc []byte) (*T, error) {
	v := new(T)
	if e, ok := any(v).(*Entry); ok && doc[0] == '{' {
		if plain, ok := plainEntry(string(doc)); ok {
			*e = plain
			P(v).keep(doc)
			return v, nil
		}
	}
	return decode[T, P](a, doc)
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
	if p.Rows == nil { // taken for an empty list, this could start a task twice
		return nil, nil, a.unread("the reply has no list in it: %s", quoted(a.doc))
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

// more uses the total of the first page only: one that grew with each page
// would never be reached.
func (o *byOffset) more(p *page) (bool, error) {
	if !o.next && p.Total != nil {
		o.end = min(o.end, *p.Total)
	}
	o.next = true
	o.offset += p.count
	switch {
	case o.offset >= o.end:
		return false, nil
	case p.HasNext != nil:
		return *p.HasNext, nil
	}
	return p.Total != nil, nil
}

func (o *byOffset) shrink() bool {
	const small = 2000 // rows: 4 KiB each is more than any needs
	if o.size <= small {
		return false
	}
	o.size = small
	return true
}

// byMarker asks for each page by the opaque marker that the page before it gave.
type byMarker struct {
	marker string
	seed   maphash.Seed
	seen   map[uint64]bool // hashes, because markers may be long
}

func markedPages() pager { return &byMarker{seed: maphash.MakeSeed(), seen: make(map[uint64]bool)} }

func (m *byMarker) ask(q url.Values, _ int) {
	if m.marker != "" {
		q.Set("marker", m.marker)
	}
}

func (m *byMarker) more(p *page) (bool, error) {
	m.marker = string(bytes.Trim(p.NextMarker, `"`))
	switch m.marker {
	case "", "null", "0":
		return false, nil
	}
	if len(m.marker) > maxMarker {
		return false, fmt.Errorf("the marker of the next page has %d bytes", len(m.marker))
	}
	hash := maphash.String(m.seed, m.marker)
	if m.seen[hash] {
		return false, fmt.Errorf("the marker %.40q of the next page was there before", m.marker)
	}
	m.seen[hash] = true
	return true, nil
}

func (m *byMarker) shrink() bool { return false }
