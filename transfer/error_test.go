package transfer_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/transfer"
)

// classes returns the names of the methods of e that are true.
func classes(e *transfer.Error) string {
	var out []string
	for _, class := range []struct {
		name string
		is   bool
	}{
		{"Temporary", e.Temporary()},
		{"Unauthenticated", e.Unauthenticated()},
		{"NeedsConsent", e.NeedsConsent()},
		{"NeedsSession", e.NeedsSession()},
		{"Paused", e.Paused()},
		{"PermissionDenied", e.PermissionDenied()},
		{"NotFound", e.NotFound()},
		{"NotDirectory", e.NotDirectory()},
		{"NoCollection", e.NoCollection()},
		{"Overlap", e.Overlap()},
		{"Backlog", e.Backlog()},
		{"CollectionFailed", e.CollectionFailed()},
	} {
		if class.is {
			out = append(out, class.name)
		}
	}
	return strings.Join(out, " ")
}

func TestErrorsFallIntoClasses(t *testing.T) {
	tests := map[string]struct {
		status int
		body   string
		want   string
	}{
		"wrong document":          {400, `{"code": "ClientError.BadRequest"}`, ""},
		"no token":                {400, `{"code": "ClientError.AuthenticationFailed"}`, "Unauthenticated"},
		"dead token":              {401, `{"code": "AuthenticationFailed"}`, "Unauthenticated"},
		"401 without a body":      {401, ``, "Unauthenticated"},
		"authentication with 403": {403, `{"code": "ClientError.AuthenticationFailed"}`, "Unauthenticated"},
		"paused":                  {409, `{"code": "OperationPaused"}`, "Paused"},
		"paused, answered as 403": {403, `{"code": "OperationPaused"}`, "Paused"},
		"no role":                 {403, `{"code": "PermissionDenied"}`, "PermissionDenied"},
		"refused by a collection": {403, `{"code": "EndpointPermissionDenied"}`, "PermissionDenied"},
		"consent":                 {403, missing, "NeedsConsent"},
		"consent of an old shape": {403, `{"code": "Forbidden", "required_scope": "s"}`, "NeedsConsent"},
		"session":                 {403, `{"code": "AuthorizationRequired", "authorization_parameters": {"session_required_mfa": true}}`, "NeedsSession"},
		"a login that is too old": {403, `{"code": "AuthorizationRequired", "authorization_parameters": {"prompt": "login"}}`, "NeedsSession"},
		"session at a collection": {
			502, `{"code": "ExternalError.DirListingFailed.LoginFailed", "authorization_parameters": {"session_required_single_domain": ["example.edu"]}}`,
			"NeedsSession CollectionFailed",
		},
		"session with a status of its own": {503, `{"authorization_parameters": {"session_required_identities": ["i"]}}`, "NeedsSession"},
		"no demand on the session":         {503, `{"authorization_parameters": {"session_required_mfa": false, "session_required_policies": []}}`, "Temporary"},
		"no task":                          {404, `{"code": "ClientError.NotFound"}`, "NotFound"},
		"deleted collection":               {404, `{"code": "EndpointDeleted"}`, "NotFound NoCollection"},
		"no such collection":               {404, `{"code": "EndpointNotFound"}`, "NotFound NoCollection"},
		"no such path at a collection":     {502, `{"code": "ExternalError.DirListingFailed.NotFound"}`, "NotFound CollectionFailed"},
		"a file at a collection":           {502, `{"code": "ExternalError.DirListingFailed.NotDirectory"}`, "NotDirectory CollectionFailed"},
		"no permission at a collection":    {502, `{"code": "ExternalError.MkdirFailed.PermissionDenied"}`, "PermissionDenied CollectionFailed"},
		"wrong method":                     {405, `{"code": "ClientError.BadMethod"}`, ""},
		"a state that is in the way":       {409, `{"code": "Conflict"}`, ""},
		"backlog":                          {409, `{"code": "ClientError.Conflict.TooManyPendingJobs"}`, "Backlog"},
		"backlog with a status of its own": {429, `{"code": "ClientError.Conflict.TooManyPendingJobs"}`, "Backlog"},
		"offline at submission":            {409, `{"code": "GCDisconnectedException"}`, "CollectionFailed"},
		"too many requests":                {429, ``, "Temporary"},
		"broken service":                   {500, `{"code": "InternalError"}`, "Temporary"},
		"proxy page":                       {502, `<html>`, "Temporary"},
		"collection offline":               {502, `{"code": "ExternalError.DirListingFailed.GCDisconnected"}`, "CollectionFailed"},
		"collection error of an old name":  {502, `{"code": "EndpointError"}`, "CollectionFailed"},
		"maintenance":                      {503, `{"code": "ServiceUnavailable"}`, "Temporary"},
		"gateway timeout":                  {504, ``, "Temporary"},
		"status of a gateway alone":        {520, ``, "Temporary"},
		"not implemented":                  {501, ``, ""},
		"too slow a request":               {408, `{"code": "ClientError"}`, "Temporary"},
		"collection timeout":               {504, `{"code": "ExternalError.Timeout"}`, "CollectionFailed"},
		"redirect to nowhere":              {304, ``, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := serve(reply(tt.status, tt.body)).Mkdir(t.Context(), "c1", "/a")
			e, ok := errors.AsType[*transfer.Error](err)
			if !ok || e.Status != tt.status {
				t.Fatalf("got %v, want a *transfer.Error with status %d", err, tt.status)
			}
			if got := classes(e); got != tt.want {
				t.Errorf("%v is %q, want %q", e, got, tt.want)
			}
		})
	}
}

func TestOnlyTheConflictOfASubmissionIsAnOverlap(t *testing.T) {
	submit := func(doc transfer.Document) func(*transfer.Client) error {
		return func(c *transfer.Client) error {
			_, err := c.Submit(t.Context(), doc)
			return err
		}
	}
	head := transfer.Header{SubmissionID: "s1"}
	tests := map[string]struct {
		code string
		call func(*transfer.Client) error
		want bool
	}{
		"a transfer":               {"Conflict", submit(&transfer.Transfer{Header: head}), true},
		"a delete":                 {"ClientError.Conflict", submit(&transfer.Delete{Header: head}), true},
		"without a code":           {"", submit(&transfer.Transfer{Header: head}), false},
		"not supported":            {"NotSupported", submit(&transfer.Transfer{Header: head}), false},
		"a cancel of an old task":  {"Conflict", func(c *transfer.Client) error { _, err := c.CancelTask(t.Context(), "t1"); return err }, false},
		"the question for a task":  {"Conflict", func(c *transfer.Client) error { _, err := c.Task(t.Context(), "t1"); return err }, false},
		"a folder named as a task": {"Conflict", func(c *transfer.Client) error { _, err := c.Mkdir(t.Context(), "transfer", "/a"); return err }, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			err := tt.call(serve(reply(409, `{"code": "`+tt.code+`"}`)))
			if e, ok := errors.AsType[*transfer.Error](err); !ok || e.Overlap() != tt.want {
				t.Errorf("got %#v, want a *transfer.Error that is an overlap: %t", err, tt.want)
			}
		})
	}
}

func TestErrorFromReply(t *testing.T) {
	tests := map[string]struct {
		status int
		body   string
		want   transfer.Error
		text   string
	}{
		"document of the service": {
			404, `{"code": "ClientError.NotFound", "message": "No such\ntask", "request_id": "Ab3dE6gH9", "resource": "/task/t1"}`,
			transfer.Error{Code: "ClientError.NotFound", Message: "No such task", RequestID: "Ab3dE6gH9"},
			"GET /v0.10/task/t1: 404 ClientError.NotFound: No such task (request id Ab3dE6gH9)",
		},
		"page of a proxy": {
			502, "<html>\r\n<head><title>502 Bad\x1b[31m Gateway</title></head>" + strings.Repeat("\n<p>x", 1000),
			transfer.Error{Message: `Bad Gateway: <html> <head><title>502 Bad\u001b[31m Gateway</title></head>` + strings.Repeat(" <p>x", 27) + " <p>…"},
			`GET /v0.10/task/t1: 502: Bad Gateway: <html> <head><title>502 Bad\u001b[31m Gateway</title></head>` + strings.Repeat(" <p>x", 27) + " <p>…",
		},
		"no body":        {504, "", transfer.Error{Message: "Gateway Timeout"}, "GET /v0.10/task/t1: 504: Gateway Timeout"},
		"unknown status": {599, "", transfer.Error{Message: "unknown status"}, "GET /v0.10/task/t1: 599: unknown status"},
		"truncated":      {500, `{"code": "Inter`, transfer.Error{Message: `Internal Server Error: {"code": "Inter`}, `GET /v0.10/task/t1: 500: Internal Server Error: {"code": "Inter`},
		"another shape": {
			403, `{"error": "forbidden"}`,
			transfer.Error{Message: `Forbidden: {"error": "forbidden"}`},
			`GET /v0.10/task/t1: 403: Forbidden: {"error": "forbidden"}`,
		},
		"wrong types": {
			500, `{"code": 7, "message": ["a"], "request_id": null, "required_scopes": [1, "s"], "authorization_parameters": "no"}`,
			transfer.Error{
				Message:        `Internal Server Error: {"code": 7, "message": ["a"], "request_id": null, "required_scopes": [1, "s"], "authorization_parameters": "no"}`,
				RequiredScopes: []string{"s"},
			},
			`GET /v0.10/task/t1: 500: Internal Server Error: {"code": 7, "message": ["a"], "request_id": null, "required_scopes": [1, "s"], "authorization_parameters": "no"}`,
		},
		"authorization parameters": {
			403, `{"code": "AuthorizationRequired", "authorization_parameters": {
				"session_message": "Sign in with your Example U account.",
				"session_required_identities": ["i1", "i2"], "session_required_single_domain": ["example.edu"],
				"session_required_policies": ["p1", "p2"], "session_required_mfa": false,
				"required_scopes": ["a", "b"], "prompt": "login"}}`,
			transfer.Error{
				Code: "AuthorizationRequired", Message: "Forbidden", RequiredScopes: []string{"a", "b"},
				Authorization: &transfer.AuthorizationParameters{
					SessionMessage:              "Sign in with your Example U account.",
					SessionRequiredIdentities:   []string{"i1", "i2"},
					SessionRequiredSingleDomain: []string{"example.edu"},
					SessionRequiredPolicies:     []string{"p1", "p2"},
					SessionRequiredMFA:          new(false),
					RequiredScopes:              []string{"a", "b"},
					Prompt:                      "login",
				},
			},
			"GET /v0.10/task/t1: 403 AuthorizationRequired: Forbidden",
		},
		"policies in one string": {
			403, `{"code": "x", "authorization_parameters": {"session_required_policies": "p1, p2"}}`,
			transfer.Error{
				Code: "x", Message: "Forbidden",
				Authorization: &transfer.AuthorizationParameters{SessionRequiredPolicies: []string{"p1", "p2"}},
			},
			"GET /v0.10/task/t1: 403 x: Forbidden",
		},
		"scopes in every place": {
			403, `{"code": "x", "required_scopes": ["a[*b c]"], "required_scope": "d", "authorization_parameters": {"required_scopes": ["d", "e"]}}`,
			transfer.Error{
				Code: "x", Message: "Forbidden", RequiredScopes: []string{"a[*b c]", "d", "e"},
				Authorization: &transfer.AuthorizationParameters{RequiredScopes: []string{"d", "e"}},
			},
			"GET /v0.10/task/t1: 403 x: Forbidden",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := serve(reply(tt.status, tt.body)).Task(t.Context(), "t1")
			tt.want.Method, tt.want.Path, tt.want.Status = "GET", "/v0.10/task/t1", tt.status
			e, _ := errors.AsType[*transfer.Error](err)
			if diff := cmp.Diff(&tt.want, e); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			if got := fmt.Sprint(err); got != tt.text {
				t.Errorf("got text\n%s, want\n%s", got, tt.text)
			}
		})
	}
}

func TestRepliesThatAreNotUnderstoodAreTemporaryErrors(t *testing.T) {
	task := func(c *transfer.Client) error { _, err := c.Task(t.Context(), "t1"); return err }
	tasks := func(c *transfer.Client) error {
		_, err := collect(c.Tasks(t.Context(), transfer.TaskQuery{}))
		return err
	}
	id := func(c *transfer.Client) error { _, err := c.SubmissionID(t.Context()); return err }
	endpoint := func(c *transfer.Client) error { _, err := c.Endpoint(t.Context(), "c1"); return err }
	cancel := func(c *transfer.Client) error { _, err := c.CancelTask(t.Context(), "t1"); return err }

	tests := map[string]struct {
		call  func(*transfer.Client) error
		reply string
		want  string // part of the message
	}{
		"web page":              {task, "<html>\n<title>Log in to the hotel's network", "not a JSON object: <html> <title>Log in"},
		"truncated":             {task, `{"task_id": "t1", "sta`, `damaged JSON (unexpected end of JSON input): {"task_id": "t1", "sta`},
		"empty":                 {task, " \n", "the reply is empty"},
		"null":                  {task, "null", "not a JSON object: null"},
		"list":                  {task, "[]", "not a JSON object: []"},
		"wrong type":            {task, `{"task_id": 7}`, "not what was expected"},
		"wrong time":            {task, `{"task_id": "t1", "deadline": "soon"}`, `"soon" is not a time`},
		"another document":      {task, `{}`, "has no task_id"},
		"task without status":   {task, `{"task_id": "t1"}`, "has no status"},
		"list without rows":     {tasks, `{"DATA_TYPE": "task_list"}`, "has no list"},
		"list that is null":     {tasks, `{"DATA": null}`, "has no list"},
		"row that is null":      {tasks, `{"DATA": [null]}`, "not a JSON object"},
		"row of a wrong type":   {tasks, `{"DATA": [{"faults": "many"}]}`, "not what was expected"},
		"no submission id":      {id, `{"value": null}`, "has no value"},
		"endpoint without id":   {endpoint, `{}`, "has no id"},
		"result without a code": {cancel, `{}`, "has no code"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			err := tt.call(serve(reply(202, tt.reply)))
			e, ok := errors.AsType[*transfer.Error](err)
			if !ok || e.Status != 202 || !e.Temporary() || !strings.Contains(e.Message, tt.want) {
				t.Errorf("got %v, want a temporary *transfer.Error with status 202 and %q", err, tt.want)
			}
		})
	}
}

func TestAReplyAboutAnotherTaskIsNoAnswer(t *testing.T) {
	c := serve(reply(200, `{"task_id": "t2", "status": "SUCCEEDED"}`))
	got, err := c.Task(t.Context(), "t1")
	e, ok := errors.AsType[*transfer.Error](err)
	if got != nil || !ok || !e.Temporary() || !strings.Contains(e.Message, "about another task, t2") {
		t.Errorf("got %v, %v, want a temporary *transfer.Error that names task t2", got, err)
	}
	if _, err := c.Task(t.Context(), "T2"); err != nil {
		t.Errorf("its own id in capital letters: %v", err)
	}
}

func TestWhatIsQuotedOfAReplyIsShort(t *testing.T) {
	_, err := serve(reply(200, strings.Repeat("é", 500)+"\x00\u202e")).Task(t.Context(), "t1")
	e, ok := errors.AsType[*transfer.Error](err)
	if n := utf8.RuneCountInString(e.Message); !ok || n != 200 || !strings.HasSuffix(e.Message, "…") {
		t.Errorf("got %d characters, %v, want 200, the last of them …", n, err)
	}
}

func TestReplyThatBreaksOffIsAnErrorWithItsCause(t *testing.T) {
	c := transfer.New(&http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
		body := io.MultiReader(strings.NewReader(`{"task_id":`), brokenOff{})
		return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(body)}, nil
	})})
	_, err := c.Task(t.Context(), "t1")
	e, ok := errors.AsType[*transfer.Error](err)
	if !ok || !e.Temporary() || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v, want a temporary *transfer.Error that wraps %v", err, io.ErrUnexpectedEOF)
	}
}

type brokenOff struct{}

func (brokenOff) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestRetryAfterIsSecondsOrADate(t *testing.T) {
	tests := map[string]struct {
		header string
		want   time.Duration
	}{
		"seconds":      {"120", 2 * time.Minute},
		"date":         {"Sat, 01 Jan 2000 00:01:30 GMT", 90 * time.Second},
		"past date":    {"Fri, 31 Dec 1999 00:00:00 GMT", 0},
		"negative":     {"-5", 0},
		"very long":    {"9999999999999", 9223372036 * time.Second},
		"no number":    {"soon", 0},
		"not there":    {"", 0},
		"out of range": {"99999999999999999999", 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // it is midnight UTC, 2000-01-01
				_, err := serve(func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Retry-After", tt.header)
					w.WriteHeader(http.StatusServiceUnavailable)
				}).Task(t.Context(), "t1")
				if e, ok := errors.AsType[*transfer.Error](err); !ok || e.RetryAfter != tt.want {
					t.Errorf("got %#v, want a *transfer.Error with RetryAfter %v", err, tt.want)
				}
			})
		})
	}
}

func FuzzErrorBody(f *testing.F) {
	f.Add(403, missing)
	f.Add(502, "<html>\r\n\x1b[31m")
	f.Add(200, `{"task_id": "t1"`)
	f.Add(403, `{"code":"a\nb","message":"\u2028","request_id":"\r","required_scope":{},"authorization_parameters":{"session_required_policies":"a,,b"}}`)
	f.Fuzz(func(t *testing.T, status int, body string) {
		if status < 200 || status > 999 {
			t.Skip("no final status")
		}
		_, err := serve(reply(status, body)).Task(t.Context(), "t1")
		if err == nil {
			return
		}
		e, ok := errors.AsType[*transfer.Error](err)
		if !ok || e.Status != status {
			t.Fatalf("got %#v, want a *transfer.Error with status %d", err, status)
		}
		if i := strings.IndexFunc(e.Error(), func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 || utf8.RuneCountInString(e.Error()) > 3000 {
			t.Errorf("text is not one short line: %q", e.Error())
		}
		if e.Temporary() && e.NeedsSession() {
			t.Errorf("%v is temporary and needs a session", e)
		}
	})
}
