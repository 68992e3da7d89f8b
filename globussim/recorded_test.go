package globussim_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/globussim"
)

// A recording has the keys that all recorded answers of a request have, however deep,
// with the kinds of their values. In testdata/recorded.json there is one for each
// request whose answers somebody has recorded.
type recording map[string]string

// A playback makes each recorded request and compares the answer with its recording.
type playback struct {
	*lab
	recorded map[string]recording
}

// compare takes an answer to a request that was recorded, such as "GET /jobs/{id}".
func (p *playback) compare(request string, a answer) answer {
	p.t.Helper()
	want, ok := p.recorded[request]
	if !ok || a.status/100 != 2 {
		p.t.Errorf("%s answers %d %s; it is recorded: %t", request, a.status, a.body, ok)
		return a
	}
	delete(p.recorded, request)
	got := recording{}
	got.add("", a.doc)
	for key, kind := range want {
		if above, _, _ := cutLast(key); got[above] == "null" || got[above] == "empty" {
			continue // nothing is there that could have the key
		}
		switch is := got[key]; {
		case is == "":
			p.t.Errorf("%s: the answer does not have %s, a %s", request, key, kind)
		case is != "null" && is != "empty" && kind != "null" && !strings.Contains("|"+kind+"|", "|"+is+"|"):
			p.t.Errorf("%s: %s is a %s, want a %s", request, key, is, kind)
		}
	}
	return a
}

// cutLast cuts a key before the last part of it.
func cutLast(key string) (above, last string, found bool) {
	i := max(strings.LastIndexByte(key, '.'), strings.LastIndex(key, "[]"))
	if i < 0 {
		return "", key, false
	}
	return key[:i], key[i:], true
}

// add adds the keys of a value.
func (r recording) add(key string, value any) {
	kind := map[bool]string{true: "null", false: "string"}[value == nil]
	switch v := value.(type) {
	case bool:
		kind = "boolean"
	case float64:
		kind = "number"
	case map[string]any:
		kind = "object"
		for name, member := range v {
			r.add(strings.TrimPrefix(key+"."+name, "."), member)
		}
	case []any:
		kind = "empty"
		for _, element := range v {
			kind = "array"
			r.add(key+"[]", element)
		}
	}
	if r[key] == "" || r[key] == "null" || r[key] == "empty" {
		r[key] = kind
	}
}

func TestAnswersHaveTheKeysOfRecordedOnes(t *testing.T) {
	data, err := os.ReadFile("testdata/recorded.json")
	if err != nil {
		t.Fatal(err)
	}
	inFlowLab(t, func(t *testing.T, l *lab) {
		p := &playback{lab: l}
		if err := json.Unmarshal(data, &p.recorded); err != nil {
			t.Fatal(err)
		}
		p.identities()
		p.rules()
		p.operations()
		p.tasks()
		p.bookmarks()
		p.runs()
		p.timersOf()
		p.token = bearer(t, l.Server, transferAll)
		p.compare("PUT /v0.10/endpoint/{id}", p.call(http.MethodPut, "/endpoint/"+p.labID, doc{"DATA_TYPE": "endpoint", "description": "x"}))
		p.compare("DELETE /v0.10/endpoint/{id}", p.call(http.MethodDelete, "/endpoint/"+p.labID, nil))
		for request := range p.recorded {
			t.Errorf("%s is recorded, and the test does not make it", request)
		}
	}, owned, func(cfg *globussim.Config) {
		cfg.Collections[0].Roles = []globussim.Role{{Principal: other, Role: globussim.AccessManager}}
		cfg.Collections = append(cfg.Collections,
			globussim.Collection{Name: "server", Dir: cfg.Collections[0].Dir, EntityType: globussim.ServerEndpoint, Owner: robot},
			globussim.Collection{Name: "mapped", Dir: cfg.Collections[0].Dir, EntityType: globussim.MappedCollection})
	})
}

func (p *playback) auth(request, path, authorization string, form url.Values) answer {
	p.t.Helper()
	method, _, _ := strings.Cut(request, " ")
	contentType := ""
	if form != nil {
		contentType = formType
	}
	return p.compare(request, ask(p.t, p.Client(), method, authBase+path, authorization, contentType, form.Encode()))
}

func (p *playback) identities() {
	tokens := p.auth("POST /v2/oauth2/token", "/v2/oauth2/token", basic(robot, robotSecret), url.Values{"grant_type": {"client_credentials"}, "scope": {transferAll}})
	token := url.Values{"token": {tokens.text("access_token")}}
	p.auth("POST /v2/oauth2/token/introspect", "/v2/oauth2/token/introspect?include=session_info,identity_set,identity_set_detail", basic(robot, robotSecret), token)
	p.auth("POST /v2/oauth2/token/revoke", "/v2/oauth2/token/revoke", basic(robot, robotSecret), token)
	p.auth("GET /v2/api/identities", "/v2/api/identities?ids="+robot, basic(robot, robotSecret), nil)
	all := bearer(p.t, p.Server, "urn:globus:auth:scope:auth.globus.org:manage_projects openid profile email urn:globus:auth:scope:auth.globus.org:view_consents")
	p.auth("GET /v2/api/identities/{id}/consents", "/v2/api/identities/"+robot+"/consents", all, nil)
	p.auth("GET /v2/api/identity_providers", "/v2/api/identity_providers?domains=clients.auth.globus.org", all, nil)
	p.compare("POST /v2/api/clients", ask(p.t, p.Client(), http.MethodPost, authBase+"/v2/api/clients", "", "application/json", `{"client": {"template_id": "`+nativeApp+`", "name": "x"}}`))
}

func (p *playback) rules() {
	on := "/endpoint/" + p.labID
	at := on + "/access/" + p.compare("POST /v0.10/endpoint/{id}/access", p.call(http.MethodPost, on+"/access", rule())).text("access_id")
	p.compare("GET /v0.10/endpoint/{id}/access/{id}", p.call(http.MethodGet, at, nil))
	p.compare("GET /v0.10/endpoint/{id}/access_list", p.call(http.MethodGet, on+"/access_list", nil))
	p.compare("PUT /v0.10/endpoint/{id}/access/{id}", p.call(http.MethodPut, at, doc{"permissions": "rw"}))
	p.compare("DELETE /v0.10/endpoint/{id}/access/{id}", p.call(http.MethodDelete, at, nil))
	p.compare("GET /v0.10/endpoint/{id}", p.call(http.MethodGet, on, nil))
	p.compare("GET /v0.10/endpoint_search", p.call(http.MethodGet, "/endpoint_search?filter_scope=my-endpoints", nil))
	p.compare("GET /v0.10/endpoint/{id}/server_list", p.call(http.MethodGet, "/endpoint/"+globussim.CollectionID("server")+"/server_list", nil))
}

func (p *playback) operations() {
	on := "/operation/endpoint/" + p.vaultID
	p.compare("POST /v0.10/operation/endpoint/{id}/mkdir", p.call(http.MethodPost, on+"/mkdir", doc{"DATA_TYPE": "mkdir", "path": "/d"}))
	p.compare("POST /v0.10/operation/endpoint/{id}/rename", p.call(http.MethodPost, on+"/rename", doc{"DATA_TYPE": "rename", "old_path": "/d", "new_path": "/e"}))
	p.compare("GET /v0.10/operation/endpoint/{id}/ls", p.call(http.MethodGet, on+"/ls?path=/", nil))
	p.compare("GET /v0.10/operation/endpoint/{id}/stat", p.call(http.MethodGet, on+"/stat?path=/e", nil))
	p.compare("GET /v0.10/submission_id", p.call(http.MethodGet, "/submission_id", nil))
}

func (p *playback) tasks() {
	sent := p.compare("POST /v0.10/transfer", p.call(http.MethodPost, "/transfer", p.transfer("/f", "/f")))
	at := "/task/" + sent.text("task_id")
	p.wait(sent.text("task_id"))
	p.compare("GET /v0.10/task/{id}/successful_transfers", p.call(http.MethodGet, at+"/successful_transfers", nil))
	p.compare("GET /v0.10/task/{id}/event_list", p.call(http.MethodGet, at+"/event_list", nil))
	p.compare("GET /v0.10/endpoint_manager/task_list", p.call(http.MethodGet, "/endpoint_manager/task_list?filter_endpoint="+p.labID, nil))
	skips := p.do(p.transfer("/none", "/none", doc{"skip_source_errors": true}))
	p.compare("GET /v0.10/task/{id}/skipped_errors", p.call(http.MethodGet, "/task/"+skips.text("task_id")+"/skipped_errors", nil))
	deleted := p.compare("POST /v0.10/delete", p.call(http.MethodPost, "/delete", p.deletion("/none")))
	p.compare("POST /v0.10/task/{id}/cancel", p.call(http.MethodPost, "/task/"+deleted.text("task_id")+"/cancel", nil))
	p.compare("GET /v0.10/task/{id}", p.call(http.MethodGet, "/task/"+deleted.text("task_id"), nil))
	p.compare("GET /v0.10/task_list", p.call(http.MethodGet, "/task_list", nil))
}

func (p *playback) bookmarks() {
	made := p.compare("POST /v0.10/bookmark", p.call(http.MethodPost, "/bookmark", doc{"name": "in", "endpoint_id": p.labID, "path": "/in/"}))
	at := "/bookmark/" + made.text("id")
	p.compare("PUT /v0.10/bookmark/{id}", p.call(http.MethodPut, at, doc{"name": "inbox"}))
	p.compare("GET /v0.10/bookmark/{id}", p.call(http.MethodGet, at, nil))
	p.compare("GET /v0.10/bookmark_list", p.call(http.MethodGet, "/bookmark_list", nil))
	p.compare("DELETE /v0.10/bookmark/{id}", p.call(http.MethodDelete, at, nil))
	two := p.compare("POST /v2/bookmarks", p.v2(http.MethodPost, "/v2/bookmarks", `{"data": {"type": "Bookmark", "attributes": {"name": "in", "path": "/in/"},
		"relationships": {"collection": {"data": {"type": "Collection", "id": "`+p.labID+`"}}}}}`))
	data, _ := two.doc["data"].(map[string]any)
	at = "/v2/bookmarks/" + answer{doc: data}.text("id")
	p.compare("GET /v2/bookmarks", p.v2(http.MethodGet, "/v2/bookmarks", ""))
	p.compare("GET /v2/bookmarks/{id}", p.v2(http.MethodGet, at, ""))
	p.compare("PATCH /v2/bookmarks/{id}", p.v2(http.MethodPatch, at, `{"data": {"type": "Bookmark", "attributes": {"path": "/x/"}}}`))
	p.compare("DELETE /v2/bookmarks/{id}", p.v2(http.MethodDelete, at, ""))
}

func (p *playback) runs() {
	flow := "/flows/" + globussim.FlowID("Transfer")
	all, starter := bearer(p.t, p.Server, flowsScope), bearer(p.t, p.Server, runScope(globussim.FlowID("Transfer")))
	p.compare("GET /flows", p.flows(http.MethodGet, "/flows", all, nil))
	p.compare("GET /flows/{id}", p.flows(http.MethodGet, flow, all, nil))
	input := doc{"label": "x", "body": p.flowInput("/f", "/g")}
	p.compare("POST /flows/{id}/validate_run", p.flows(http.MethodPost, flow+"/validate_run", starter, doc{"body": input["body"]}))
	at := "/runs/" + p.compare("POST /flows/{id}/run", p.flows(http.MethodPost, flow+"/run", starter, input)).text("run_id")
	time.Sleep(time.Hour)
	p.compare("GET /runs", p.flows(http.MethodGet, "/runs", all, nil))
	p.compare("GET /runs/{id}", p.flows(http.MethodGet, at, all, nil))
	p.compare("GET /runs/{id}/definition", p.flows(http.MethodGet, at+"/definition", all, nil))
	p.compare("GET /runs/{id}/log", p.flows(http.MethodGet, at+"/log", all, nil))
	p.compare("PUT /runs/{id}", p.flows(http.MethodPut, at, all, doc{"label": "y"}))
	p.compare("POST /runs/{id}/release", p.flows(http.MethodPost, at+"/release", all, nil))
	at = p.runFlow("z", "/missing", "/g")
	p.compare("POST /runs/{id}/cancel", p.flows(http.MethodPost, at+"/cancel", all, nil))

	mapped := globussim.CollectionID("mapped") // needs a consent
	input["body"] = json.RawMessage(strings.ReplaceAll(string(p.flowInput("/f", "/g")), p.labID, mapped))
	at = "/runs/" + p.flows(http.MethodPost, flow+"/run", starter, input).text("run_id")
	time.Sleep(time.Minute)
	starter = bearer(p.t, p.Server, runScope(globussim.FlowID("Transfer"))+"["+transferAll+"[*https://auth.globus.org/scopes/"+mapped+"/data_access]]")
	p.compare("POST /runs/{id}/resume", p.flows(http.MethodPost, at+"/resume", starter, nil))
}

func (p *playback) timersOf() {
	token := bearer(p.t, p.Server, timerScope)
	made := p.compare("POST /v2/timer", p.timers(http.MethodPost, "/v2/timer", token, p.timerRequest(daily, "")))
	timer, _ := made.doc["timer"].(map[string]any)
	at := "/jobs/" + answer{doc: timer}.text("job_id")
	time.Sleep(61 * 24 * time.Hour) // it has run
	token = bearer(p.t, p.Server, timerScope)
	p.compare("GET /jobs/", p.timers(http.MethodGet, "/jobs/", token, ""))
	p.compare("GET /jobs/{id}", p.timers(http.MethodGet, at, token, ""))
	p.compare("PATCH /jobs/{id}", p.timers(http.MethodPatch, at, token, `{"name": "x"}`))
	p.compare("POST /jobs/{id}/pause", p.timers(http.MethodPost, at+"/pause", token, ""))
	p.compare("POST /jobs/{id}/resume", p.timers(http.MethodPost, at+"/resume", token, ""))
	p.compare("POST /jobs/", p.timers(http.MethodPost, "/jobs/", token, p.jobRequest("")))
	p.compare("DELETE /jobs/{id}", p.timers(http.MethodDelete, at, token, ""))
}
