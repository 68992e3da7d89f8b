package globussim_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/globus-runner/globus-runner/globussim"
)

// FuzzSubmissions checks that each document is answered with a JSON object, and
// becomes a task or is refused.
func FuzzSubmissions(f *testing.F) {
	s, err := globussim.New(world(f.TempDir()))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = s.Close() }) // it returns nil
	send := func(t testing.TB, method, path, authorization, kind, body string) (int, map[string]any) {
		r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
		r.Header.Set("Authorization", authorization)
		r.Header.Set("Content-Type", kind)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		var doc map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil {
			t.Fatalf("%s %s of %q answers %d %q", method, path, body, w.Code, w.Body)
		}
		return w.Code, doc
	}
	_, granted := send(f, http.MethodPost, "/v2/oauth2/token", basic(robot, robotSecret), formType,
		url.Values{"grant_type": {"client_credentials"}, "scope": {transferAll}}.Encode())
	token, _ := granted["access_token"].(string)

	guest := globussim.CollectionID("guest")
	document := `{"DATA_TYPE": "transfer", "submission_id": "ID", "source_endpoint": "` + guest + `", "destination_endpoint": "` + guest + `",
		"DATA": [{"DATA_TYPE": "transfer_item", "source_path": "/a", "destination_path": "/b", "recursive": true}]}`
	deletion := `{"DATA_TYPE": "delete", "submission_id": "ID", "endpoint": "` + guest + `", "DATA": [{"DATA_TYPE": "delete_item", "path": "/a"}]}`
	for _, doc := range []string{
		document, deletion, `{}`, `[]`, `null`, `{"DATA": [{}]}`, "\xff", strings.Replace(document, "true", "1", 1),
		strings.Replace(document, "/a", "/../a", 1), strings.Replace(document, "[", `[null, 1, {"DATA_TYPE": "filter_rule"}, `, 1),
		strings.Replace(document, `"DATA":`, `"deadline": "x", "sync_level": 1e99, "filter_rules": [{}], "DATA":`, 1),
	} {
		f.Add(doc)
	}
	f.Fuzz(func(t *testing.T, doc string) {
		for _, path := range []string{"/v0.10/transfer", "/v0.10/delete"} {
			_, id := send(t, http.MethodGet, "/v0.10/submission_id", "Bearer "+token, "", "")
			value, _ := id["value"].(string)
			before := len(s.State().Tasks)
			status, answer := send(t, http.MethodPost, path, "Bearer "+token, "application/json", strings.ReplaceAll(doc, "ID", value))
			made := len(s.State().Tasks) - before
			if status >= 500 || (status/100 == 2) != (made == 1 || answer["code"] == "Duplicate") || made > 1 {
				t.Errorf("%q to %s: %d %v, and %d new tasks", doc, path, status, answer, made)
			}
		}
	})
}
