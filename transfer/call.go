package transfer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// Call sends a request for which this package has no method, and returns the reply
// unchanged. The path is escaped and relative to /v0.10, with or without that
// prefix; body is sent unless it is nil. A reply outside 2xx is an [*Error].
func (c *Client) Call(ctx context.Context, method, path string, query url.Values, body json.RawMessage) (json.RawMessage, error) {
	switch method {
	case http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
	default:
		return nil, fmt.Errorf("%q is not GET, POST, PUT, PATCH or DELETE", method)
	}
	r := request{method: method, query: query}
	if body != nil {
		if !json.Valid(body) {
			return nil, errors.New("the body is not JSON")
		}
		r.body = body
	}
	below := strings.TrimPrefix(strings.Trim(path, "/"), "v0.10")
	for elem := range strings.SplitSeq(strings.Trim(below, "/"), "/") {
		plain, err := url.PathUnescape(elem)
		if err != nil {
			return nil, fmt.Errorf("the path %q: %w", path, err)
		}
		r.path = append(r.path, plain)
	}
	a, err := c.do(ctx, r)
	if err != nil {
		return nil, err
	}
	return a.doc, nil
}
