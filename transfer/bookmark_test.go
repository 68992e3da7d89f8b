package transfer_test

import (
	"io"
	"net/http"
	"testing"

	"github.com/globus-runner/globus-runner/transfer"
)

func TestBookmarksAreWrittenAsGlobusWantsThem(t *testing.T) {
	const row = `{"DATA_TYPE": "bookmark", "id": "b1", "name": "raw", "endpoint_id": "c1", "path": "/a/"}`
	want, answer := "", ""
	c := serve(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if got := r.Method + " " + r.URL.Path + " " + string(body); err != nil || got != want {
			t.Errorf("got the request %s, %v; want %s", got, err, want)
		}
		reply(http.StatusOK, answer)(w, r)
	})
	raw := func(b *transfer.Bookmark, err error) {
		t.Helper()
		if err != nil || b.ID != "b1" || b.Name != "raw" || b.EndpointID != "c1" || b.Path != "/a/" || string(b.Raw) != row {
			t.Errorf("got %+v, %v", b, err)
		}
	}
	want, answer = "GET /v0.10/bookmark_list ", `{"DATA": [`+row+`]}`
	all, err := collect(c.Bookmarks(t.Context()))
	if err != nil || len(all) != 1 {
		t.Fatalf("got %d bookmarks, %v; want 1", len(all), err)
	}
	raw(all[0].(*transfer.Bookmark), nil)
	want, answer = `POST /v0.10/bookmark {"DATA_TYPE":"bookmark","name":"raw","endpoint_id":"c1","path":"/a/"}`, row
	raw(c.CreateBookmark(t.Context(), "raw", "c1", "/a/"))
	want = `PUT /v0.10/bookmark/b1 {"DATA_TYPE":"bookmark","name":"raw"}`
	raw(c.RenameBookmark(t.Context(), "b1", "raw"))
	want, answer = "DELETE /v0.10/bookmark/b1 ", `{"DATA_TYPE": "result", "code": "Deleted", "message": "deleted"}`
	if _, err := c.DeleteBookmark(t.Context(), "b1"); err != nil {
		t.Error(err)
	}
}
