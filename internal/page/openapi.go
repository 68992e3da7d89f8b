package page

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/globus-runner/globus-runner/internal/shape"
)

type object = map[string]any

// getOpenAPI answers with the description of the API.
func (p *Page) getOpenAPI(http.ResponseWriter, request) (any, error) { return p.openAPI() }

// openAPI describes the routes of the API as OpenAPI 3.1 has it.
func (p *Page) openAPI() (object, error) {
	paths := object{}
	for _, r := range p.routes() {
		path, is := strings.CutPrefix(r.path, strings.TrimSuffix(apiPath, "/"))
		if !is {
			continue
		}
		operation, err := r.describe()
		if err != nil {
			return nil, err
		}
		if paths[path] == nil {
			paths[path] = object{}
		}
		paths[path].(object)[strings.ToLower(r.method)] = operation //nolint:forcetypeassert // made above
	}
	return object{
		"openapi": "3.1.0",
		"info": object{
			"title": "globus-runner", "version": "1",
			"description": "What the scheduler does, and how to act on it. New keys may come: ignore those that you do not know.",
		},
		"servers":  []object{{"url": strings.TrimSuffix(apiPath, "/")}},
		"security": []object{{"token": []string{}}},
		"components": object{"securitySchemes": object{"token": object{
			"type": "http", "scheme": "bearer",
			"description": "RUNNER_VIEW_TOKEN to read from another machine, RUNNER_ADMIN_TOKEN to act",
		}}},
		"paths": paths,
	}, nil
}

// describe describes a route as an operation.
func (r *route) describe() (object, error) {
	status := r.status
	if status == 0 {
		status = http.StatusOK
	}
	good := object{"description": "done"}
	kind := "application/json"
	switch {
	case strings.HasSuffix(r.path, "/receipt"):
		kind = "application/jsonl"
	case strings.HasSuffix(r.path, "/events"):
		kind = "text/event-stream"
	}
	content, err := described(kind, r.reply)
	if err != nil {
		return nil, err
	}
	good["content"] = content
	refused, err := described("application/json", failure{})
	if err != nil {
		return nil, err
	}
	responses := object{strconv.Itoa(status): good, "default": object{"description": "refused, with the reason", "content": refused}}
	for status, about := range r.refusals() {
		responses[strconv.Itoa(status)] = object{"description": about, "content": refused}
	}
	operation := object{"summary": r.about, "responses": responses}
	if parameters := r.parameters(); parameters != nil {
		operation["parameters"] = parameters
	}
	if r.body != nil {
		keys := object{}
		for _, k := range r.body {
			keys[k.name] = object{"type": "string", "description": k.about}
		}
		schema := object{"type": "object", "properties": keys, "additionalProperties": false}
		operation["requestBody"] = object{"content": object{"application/json": object{"schema": schema}}}
	}
	return operation, nil
}

// refusals says by which status a route refuses a request, and when.
func (r *route) refusals() map[int]string {
	all := map[int]string{
		http.StatusBadRequest:         "the query has a key or a value that is not known here",
		http.StatusUnauthorized:       "there is no token, or a wrong one",
		http.StatusMethodNotAllowed:   "the path has other methods: Allow names them",
		http.StatusTooManyRequests:    "too many wrong tokens came from the address: wait as long as Retry-After says",
		http.StatusServiceUnavailable: "the ledger cannot be read now",
	}
	if strings.Contains(r.path, "{") {
		all[http.StatusNotFound] = "there is none of this name or number"
	}
	if r.act {
		all[http.StatusBadRequest] = "the query or the body has a key or a value that is not known here"
		all[http.StatusForbidden] = "the token may read, and not act; or the request comes from another site"
		all[http.StatusConflict] = "that is not possible now, and why"
	}
	return all
}

// described is the content of a kind; with its schema, unless it is not JSON.
func described(kind string, of any) (object, error) {
	if of == nil {
		return object{kind: object{}}, nil
	}
	text, err := shape.Of("", of)
	if err != nil {
		return nil, err
	}
	var schema object
	if err := json.Unmarshal(text, &schema); err != nil {
		return nil, err
	}
	delete(schema, "$schema")
	return object{kind: object{"schema": schema}}, nil
}

// parameters are those of a path and of a query.
func (r *route) parameters() (all []object) {
	for _, name := range regexp.MustCompile(`\{(\w+)\}`).FindAllStringSubmatch(r.path, -1) {
		kind := "string"
		if name[1] == "run" {
			kind = "integer"
		}
		all = append(all, object{"name": name[1], "in": "path", "required": true, "schema": object{"type": kind}})
	}
	for _, q := range r.query {
		all = append(all, object{"name": q.name, "in": "query", "description": q.about, "schema": object{"type": "string"}})
	}
	return all
}
