package globussim

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"
)

// A bookmark is a folder that an identity gave a name.
type bookmark struct {
	DataType   string `json:"DATA_TYPE"`
	ID         string `json:"id"`
	Name       string `json:"name"`
	EndpointID string `json:"endpoint_id"`
	Path       string `json:"path"`
	Pinned     bool   `json:"pinned"`
}

// bookmarkList answers GET /bookmark_list.
func (sv *service) bookmarkList(q *request) (int, any, *apiError) {
	sv.mu.Lock()
	defer sv.mu.Unlock()
	rows, e := sv.bookmarkPage(q)
	if e != nil {
		return 0, nil, e
	}
	return http.StatusOK, map[string]any{"DATA_TYPE": "bookmark_list", "DATA": rows}, nil
}

// bookmarkPage returns the bookmarks of the caller that a request asks for. The
// caller of this holds the lock.
func (sv *service) bookmarkPage(q *request) ([]bookmark, *apiError) {
	rows := []bookmark{}
	for _, b := range sv.bookmarks[q.owner] {
		rows = append(rows, *b)
	}
	return paged(q, rows)
}

// createBookmark answers POST /bookmark.
func (sv *service) createBookmark(q *request) (int, any, *apiError) {
	var b bookmark
	if e := q.body(&b); e != nil {
		return 0, nil, e
	}
	b.ID = uuid.NewString()
	b, e := sv.addBookmark(q.owner, b)
	if e != nil {
		return 0, nil, e
	}
	return http.StatusCreated, b, nil
}

// addBookmark keeps a bookmark and returns it complete.
func (sv *service) addBookmark(owner string, b bookmark) (bookmark, *apiError) {
	if b.Name == "" || b.Path == "" {
		return b, badRequest("name and path are required")
	}
	p, e := sv.find(b.EndpointID)
	if e != nil {
		return b, e
	}
	b.DataType, b.EndpointID = "bookmark", p.ID
	sv.mu.Lock()
	defer sv.mu.Unlock()
	sv.changedBookmarks()
	kept := b
	sv.bookmarks[owner] = append(sv.bookmarks[owner], &kept)
	return b, nil
}

// bookmark returns the caller's bookmark that the URL names. The caller holds
// the lock.
func (sv *service) bookmark(q *request) (*bookmark, *apiError) {
	id := strings.ToLower(q.PathValue("id"))
	i := slices.IndexFunc(sv.bookmarks[q.owner], func(b *bookmark) bool { return b.ID == id })
	if i < 0 {
		return nil, &apiError{Status: http.StatusNotFound, Code: "BookmarkNotFound", Message: "No such bookmark '" + id + "'"}
	}
	return sv.bookmarks[q.owner][i], nil
}

// getBookmark answers GET /bookmark/<id>.
func (sv *service) getBookmark(q *request) (int, any, *apiError) {
	sv.mu.Lock()
	defer sv.mu.Unlock()
	b, e := sv.bookmark(q)
	if e != nil {
		return 0, nil, e
	}
	return http.StatusOK, *b, nil
}

// updateBookmark answers PUT /bookmark/<id>: the name and the pin can change.
func (sv *service) updateBookmark(q *request) (int, any, *apiError) {
	var doc struct {
		Name   string `json:"name"`
		Pinned *bool  `json:"pinned"`
	}
	if e := q.body(&doc); e != nil {
		return 0, nil, e
	}
	sv.mu.Lock()
	defer sv.mu.Unlock()
	b, e := sv.bookmark(q)
	if e != nil {
		return 0, nil, e
	}
	b.Name = cmp.Or(doc.Name, b.Name)
	if doc.Pinned != nil {
		b.Pinned = *doc.Pinned
	}
	return http.StatusOK, *b, nil
}

// deleteBookmark answers DELETE /bookmark/<id>.
func (sv *service) deleteBookmark(q *request) (int, any, *apiError) {
	sv.mu.Lock()
	defer sv.mu.Unlock()
	b, e := sv.bookmark(q)
	if e != nil {
		return 0, nil, e
	}
	sv.changedBookmarks()
	sv.bookmarks[q.owner] = slices.DeleteFunc(sv.bookmarks[q.owner], func(other *bookmark) bool { return other == b })
	return http.StatusOK, q.result("result", "Deleted", "Bookmark '"+b.ID+"' deleted successfully"), nil
}
