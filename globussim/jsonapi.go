package globussim

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// A resourceDoc is a bookmark as the newer API of Transfer, which speaks JSON:API,
// reads and writes it.
type resourceDoc struct {
	Type          string             `json:"type"`
	ID            string             `json:"id,omitempty"`
	Attributes    bookmarkAttributes `json:"attributes"`
	Relationships struct {
		Collection struct {
			Data resourceID `json:"data"`
		} `json:"collection"`
	} `json:"relationships"`
}

type bookmarkAttributes struct {
	Name string `json:"name"`
	Path string `json:"path"`
}

// A resourceID refers to a resource.
type resourceID struct {
	Type string `json:"type"`
	ID   string `json:"id"`
}

// resource is the bookmark in the form of JSON:API.
func (b bookmark) resource() resourceDoc {
	doc := resourceDoc{Type: "Bookmark", ID: b.ID, Attributes: bookmarkAttributes{b.Name, b.Path}}
	doc.Relationships.Collection.Data = resourceID{"Collection", b.EndpointID}
	return doc
}

// resourceRoutes adds the newer API of Transfer.
func (sv *service) resourceRoutes(mux *router) {
	for pattern, h := range map[string]handler{
		"GET /v2/bookmarks":         sv.listBookmarkResources,
		"POST /v2/bookmarks":        sv.createBookmarkResource,
		"GET /v2/bookmarks/{id}":    sv.getBookmarkResource,
		"PATCH /v2/bookmarks/{id}":  sv.updateBookmarkResource,
		"DELETE /v2/bookmarks/{id}": sv.deleteBookmarkResource,
	} {
		mux.HandleFunc(pattern, sv.serve(h))
	}
}

// isResource reports whether a path is one of the newer API.
func isResource(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/v2/") }

// errorResource is an error in the form of JSON:API. Its code and message stand
// outside as well, as clients of either form look for them.
func errorResource(e *apiError) map[string]any {
	return map[string]any{
		"errors": []map[string]any{{"status": strconv.Itoa(e.Status), "code": e.Code, "detail": e.Message, "title": http.StatusText(e.Status)}},
		"meta":   map[string]any{"request_id": e.RequestID},
		"code":   e.Code, "message": e.Message, "request_id": e.RequestID, "resource": e.Resource,
	}
}

// resources is an answer with data and the collections that it refers to; nil
// leaves either out.
func resources(data any, included []map[string]any) map[string]any {
	doc := map[string]any{"meta": map[string]any{"request_id": newRequestID()}}
	if data != nil {
		doc["data"] = data
	}
	if included != nil {
		doc["included"] = included
	}
	return doc
}

// collectionsOf describes the collections of bookmarks, each once.
func (sv *service) collectionsOf(bookmarks ...bookmark) []map[string]any {
	docs, seen := []map[string]any{}, make(map[string]bool)
	for _, b := range bookmarks {
		if p := sv.byID[b.EndpointID]; p != nil && !seen[p.ID] {
			seen[p.ID] = true
			docs = append(docs, map[string]any{
				"type": "Collection", "id": p.ID,
				"attributes": map[string]any{"display_name": p.edited("display_name", p.Name), "high_assurance": p.HighAssurance},
			})
		}
	}
	return docs
}

// listBookmarkResources answers GET /v2/bookmarks.
func (sv *service) listBookmarkResources(q *request) (int, any, *apiError) {
	sv.mu.Lock()
	defer sv.mu.Unlock()
	kept, e := sv.bookmarkPage(q)
	if e != nil {
		return 0, nil, e
	}
	rows := []resourceDoc{}
	for _, b := range kept {
		rows = append(rows, b.resource())
	}
	return http.StatusOK, resources(rows, sv.collectionsOf(kept...)), nil
}

// createBookmarkResource answers POST /v2/bookmarks.
func (sv *service) createBookmarkResource(q *request) (int, any, *apiError) {
	var doc struct{ Data resourceDoc }
	if e := q.body(&doc); e != nil {
		return 0, nil, e
	}
	b, e := sv.addBookmark(q.owner, bookmark{
		ID: uuid.NewString(), Name: doc.Data.Attributes.Name, Path: doc.Data.Attributes.Path, EndpointID: doc.Data.Relationships.Collection.Data.ID,
	})
	if e != nil {
		return 0, nil, e
	}
	return http.StatusCreated, resources(b.resource(), nil), nil
}

// getBookmarkResource answers GET /v2/bookmarks/<id>.
func (sv *service) getBookmarkResource(q *request) (int, any, *apiError) {
	sv.mu.Lock()
	defer sv.mu.Unlock()
	b, e := sv.bookmark(q)
	if e != nil {
		return 0, nil, e
	}
	return http.StatusOK, resources(b.resource(), sv.collectionsOf(*b)), nil
}

// updateBookmarkResource answers PATCH /v2/bookmarks/<id>: the name and the path
// can change.
func (sv *service) updateBookmarkResource(q *request) (int, any, *apiError) {
	var doc struct{ Data resourceDoc }
	if e := q.body(&doc); e != nil {
		return 0, nil, e
	}
	sv.mu.Lock()
	defer sv.mu.Unlock()
	b, e := sv.bookmark(q)
	if e != nil {
		return 0, nil, e
	}
	if name := doc.Data.Attributes.Name; name != "" {
		b.Name = name
	}
	if path := doc.Data.Attributes.Path; path != "" {
		b.Path = path
	}
	return http.StatusOK, resources(b.resource(), nil), nil
}

// deleteBookmarkResource answers DELETE /v2/bookmarks/<id>.
func (sv *service) deleteBookmarkResource(q *request) (int, any, *apiError) {
	if _, _, e := sv.deleteBookmark(q); e != nil {
		return 0, nil, e
	}
	return http.StatusOK, resources(nil, nil), nil
}
