package transfer

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
)

// A Bookmark is a folder that an identity has named.
type Bookmark struct {
	ID         string `json:"id"`
	Name       string `json:"name"`
	EndpointID string `json:"endpoint_id"`
	Path       string `json:"path"`

	Raw json.RawMessage `json:"-"` // the document as received
}

func (b *Bookmark) keep(doc json.RawMessage) { b.Raw = doc }

// Bookmarks lists the caller's bookmarks. API: GET /bookmark_list.
func (c *Client) Bookmarks(ctx context.Context) iter.Seq2[*Bookmark, error] {
	return list[Bookmark](ctx, c, request{method: http.MethodGet, path: []string{"bookmark_list"}}, 0, singlePage)
}

// CreateBookmark names a folder. A repeated request creates a second bookmark.
// API: POST /bookmark.
func (c *Client) CreateBookmark(ctx context.Context, name, collection, path string) (*Bookmark, error) {
	r := request{method: http.MethodPost, path: []string{"bookmark"}}
	r.body = struct {
		DataType   string `json:"DATA_TYPE"`
		Name       string `json:"name"`
		EndpointID string `json:"endpoint_id"`
		Path       string `json:"path"`
	}{"bookmark", name, collection, path}
	return call[Bookmark](ctx, c, r)
}

// RenameBookmark gives a bookmark another name. API: PUT /bookmark/<id>.
func (c *Client) RenameBookmark(ctx context.Context, id, name string) (*Bookmark, error) {
	r := request{method: http.MethodPut, path: []string{"bookmark", id}}
	r.body = struct {
		DataType string `json:"DATA_TYPE"`
		Name     string `json:"name"`
	}{"bookmark", name}
	return call[Bookmark](ctx, c, r)
}

// DeleteBookmark deletes a bookmark, not the folder. API: DELETE /bookmark/<id>.
func (c *Client) DeleteBookmark(ctx context.Context, id string) (*Result, error) {
	return call[Result](ctx, c, request{method: http.MethodDelete, path: []string{"bookmark", id}})
}
