package globussim

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// An apiError is an error document of the Transfer service.
type apiError struct {
	Status  int    `json:"-"`
	Code    string `json:"code"`
	Message string `json:"message"`

	RequestID string `json:"request_id"`
	Resource  string `json:"resource"` // empty: as the request names it

	RequiredScopes          []string       `json:"required_scopes,omitempty"`
	AuthorizationParameters map[string]any `json:"authorization_parameters,omitempty"`
}

// errNoRoute is the answer to a URL that neither service has.
func errNoRoute() *apiError {
	return &apiError{Status: http.StatusNotFound, Code: "ClientError.NotFound", Message: "No such resource"}
}

// writeJSON answers with a JSON document, as every reply of both services is.
func writeJSON(w http.ResponseWriter, status int, doc any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(doc) // the client has gone; there is nobody to tell
}

// writeError answers with e, completed by the request's id and resource.
func writeError(w http.ResponseWriter, r *http.Request, e *apiError) {
	doc := *e
	doc.RequestID = newRequestID()
	doc.Resource = cmp.Or(doc.Resource, resource(r))
	w.Header().Set("X-Transfer-API-Error", doc.Code)
	if isResource(r) {
		writeJSON(w, doc.Status, errorResource(&doc))
		return
	}
	writeJSON(w, doc.Status, &doc)
}

// refuse answers with e in the form of the service that was asked.
func refuse(w http.ResponseWriter, r *http.Request, auth bool, e *apiError) {
	if auth {
		writeAuthError(w, newAuthError(e.Status, "", e.Message))
		return
	}
	writeError(w, r, e)
}

// resource returns the request's path as documents of Transfer name it: with the
// version where a collection or a submission is addressed, and below it where a
// task, a bookmark or an access rule is, as was recorded. The rest is inferred.
func resource(r *http.Request) string {
	below := belowVersion(r)
	switch elements := strings.Split(strings.TrimPrefix(below, "/"), "/"); {
	case below == "/transfer", below == "/delete", elements[0] == "operation":
		return r.URL.Path
	case elements[0] == "endpoint" && (len(elements) < 3 || strings.HasPrefix(elements[2], "subscription")):
		return r.URL.Path
	}
	return below
}

// belowVersion returns the request's path without the version.
func belowVersion(r *http.Request) string { return strings.TrimPrefix(r.URL.Path, transferPrefix) }

// newRequestID returns nine letters and digits.
func newRequestID() string { return rand.Text()[:9] }

// readBody replaces the request's body by one in memory, so that no handler
// has to deal with a connection that breaks or a body without end.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) *apiError {
	tooLarge := &apiError{
		Status: http.StatusRequestEntityTooLarge, Code: "ClientError.RequestTooLarge",
		Message: fmt.Sprintf("The request body is larger than %d bytes", limit),
	}
	if r.ContentLength > limit {
		return tooLarge
	}
	body, err := readSized(http.MaxBytesReader(w, r.Body, limit), r.ContentLength)
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return tooLarge
	}
	if err != nil {
		return &apiError{
			Status: http.StatusBadRequest, Code: "ClientError.BadRequest",
			Message: "The request body could not be read",
		}
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return nil
}

// readSized reads r to its end. The size is what it probably holds, or -1.
func readSized(r io.Reader, size int64) ([]byte, error) {
	var buf bytes.Buffer
	if size > 0 {
		buf.Grow(int(size) + bytes.MinRead)
	}
	_, err := buf.ReadFrom(r)
	return buf.Bytes(), err
}
