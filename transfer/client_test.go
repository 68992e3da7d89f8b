package transfer_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/transfer"
)

const updated = `{"code": "Updated", "message": "done"}`

func TestRequestsSayWhatTheyAre(t *testing.T) {
	tests := map[string]struct {
		call func(*transfer.Client) error
		want map[string]string
	}{
		"without a body": {
			func(c *transfer.Client) error { _, err := c.CancelTask(t.Context(), "t1"); return err },
			map[string]string{"Accept": "application/json", "Content-Type": ""},
		},
		"with a body": {
			func(c *transfer.Client) error { _, err := c.Mkdir(t.Context(), "c1", "/a"); return err },
			map[string]string{"Accept": "application/json", "Content-Type": "application/json"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := serve(func(w http.ResponseWriter, r *http.Request) {
				for key, want := range tt.want {
					if got := r.Header.Get(key); got != want {
						t.Errorf("got %s %q, want %q", key, got, want)
					}
				}
				reply(200, updated)(w, r)
			})
			if err := tt.call(c); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestBaseURLMayHaveASlashAndAPrefix(t *testing.T) {
	tests := map[string]struct{ base, want string }{
		"host":             {"http://sim:80", "http://sim:80/v0.10/task/t1/cancel"},
		"slash":            {"http://sim/", "http://sim/v0.10/task/t1/cancel"},
		"prefix":           {"http://sim/a/b", "http://sim/a/b/v0.10/task/t1/cancel"},
		"prefix and slash": {"http://sim/a%2Fb/", "http://sim/a%2Fb/v0.10/task/t1/cancel"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := serve(func(w http.ResponseWriter, r *http.Request) {
				if got := r.URL.String(); got != tt.want {
					t.Errorf("got a request of %s, want %s", got, tt.want)
				}
				reply(200, updated)(w, r)
			}, transfer.WithBaseURL(mustParse(t, tt.base)))
			if _, err := c.CancelTask(t.Context(), "t1"); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestDefaultBaseURLIsProduction(t *testing.T) {
	c := serve(func(w http.ResponseWriter, r *http.Request) {
		if got, want := r.URL.String(), "https://transfer.api.globus.org/v0.10/task/t1/cancel"; got != want {
			t.Errorf("got a request of %s, want %s", got, want)
		}
		reply(200, updated)(w, r)
	})
	if _, err := c.CancelTask(t.Context(), "t1"); err != nil {
		t.Error(err)
	}
}

func TestPathElementsAreEscaped(t *testing.T) {
	const id = "a/b c?d#é%2F"
	c := serve(func(w http.ResponseWriter, r *http.Request) {
		if got, want := r.URL.EscapedPath(), "/v0.10/endpoint/a%2Fb%20c%3Fd%23%C3%A9%252F"; got != want {
			t.Errorf("got path %s, want %s", got, want)
		}
		reply(404, `{"code": "EndpointNotFound"}`)(w, r)
	})
	_, err := c.Endpoint(t.Context(), id)
	if e, ok := errors.AsType[*transfer.Error](err); !ok || e.Path != "/v0.10/endpoint/a%2Fb%20c%3Fd%23%C3%A9%252F" {
		t.Errorf("got %v, want an error with the escaped path", err)
	}
}

func TestElementsThatNameAnotherResourceAreRefused(t *testing.T) {
	for _, id := range []string{"", ".", ".."} {
		c := serve(replies(t)) // no request at all
		if _, err := c.Task(t.Context(), id); err == nil || !strings.Contains(err.Error(), "is not an id") {
			t.Errorf("id %q: got %v, want an error", id, err)
		}
	}
}

// A roundTrip is an http.RoundTripper of one function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestBodiesCanBeSentAgain(t *testing.T) {
	c := transfer.New(&http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		first, err := io.ReadAll(r.Body)
		if err != nil || r.GetBody == nil {
			t.Fatalf("got no GetBody: %t, error %v", r.GetBody == nil, err)
		}
		body, err := r.GetBody()
		if err != nil {
			t.Fatal(err)
		}
		r.Body = body
		return inMemory{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			second, _ := io.ReadAll(r.Body)
			if want := `{"DATA_TYPE":"rename","old_path":"/a & b","new_path":"/c"}`; string(first) != want || string(second) != want {
				t.Errorf("got bodies %s and %s, want %s", first, second, want)
			}
			reply(200, updated)(w, r)
		})}.RoundTrip(r)
	})})
	if _, err := c.Rename(t.Context(), "c1", "/a & b", "/c"); err != nil {
		t.Error(err)
	}
}

// A long document is made while it is sent, and is the same document.
func TestLongDocumentIsSentAsItIsEncoded(t *testing.T) {
	tests := map[string]transfer.Document{
		"transfer": &transfer.Transfer{SourceEndpoint: "c1", DestinationEndpoint: "c2", Items: make([]transfer.Item, 5000)},
		"delete":   &transfer.Delete{Endpoint: "c1", Items: make([]transfer.DeleteItem, 5000)},
		"further items": &transfer.Transfer{Items: make([]transfer.Item, 5000), More: func(yield func(transfer.Item, error) bool) {
			_ = yield(transfer.Item{SourcePath: "/x"}, nil) && yield(transfer.Item{SourcePath: "/y"}, nil)
		}},
	}
	for name, doc := range tests {
		t.Run(name, func(t *testing.T) {
			doc.Head().SubmissionID = "s1"
			switch d := doc.(type) {
			case *transfer.Transfer:
				for i := range d.Items {
					d.Items[i] = transfer.Item{SourcePath: fmt.Sprint("/a & b/", i), DestinationPath: fmt.Sprint("/c/", i)}
				}
				d.Items[4999].Recursive = new(true)
			case *transfer.Delete:
				for i := range d.Items {
					d.Items[i].Path = fmt.Sprint("/a & b/", i)
				}
			}
			want, err := doc.(json.Marshaler).MarshalJSON()
			if err != nil || !json.Valid(want) {
				t.Fatalf("it is not JSON, or %v", err)
			}
			c := transfer.New(&http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				again, err := r.GetBody()
				if err != nil {
					t.Fatal(err)
				}
				for _, body := range []io.Reader{r.Body, iotest.OneByteReader(again)} {
					if sent, err := io.ReadAll(body); err != nil || !bytes.Equal(sent, want) || r.ContentLength != int64(len(want)) {
						t.Errorf("sent %d bytes with Content-Length %d, %v, want the %d bytes of the document", len(sent), r.ContentLength, err, len(want))
					}
				}
				return inMemory{reply(202, `{"task_id": "t1", "code": "Accepted"}`)}.RoundTrip(r)
			})})
			if _, err := c.Submit(t.Context(), doc); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestFurtherItemsFollowTheFirst(t *testing.T) {
	further := func(paths ...string) func(func(transfer.Item, error) bool) {
		return func(yield func(transfer.Item, error) bool) {
			for _, p := range paths {
				if !yield(transfer.Item{SourcePath: p}, nil) {
					return
				}
			}
		}
	}
	one := []transfer.Item{{SourcePath: "/1"}}
	tests := map[string]struct {
		doc  transfer.Transfer
		want string
	}{
		"none":          {transfer.Transfer{Items: one, More: further()}, "/1"},
		"some":          {transfer.Transfer{Items: one, More: further("/2", "/3")}, "/1 /2 /3"},
		"without first": {transfer.Transfer{More: further("/2", "/3")}, "/2 /3"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			text, err := json.Marshal(tt.doc)
			var got transfer.Transfer
			if err = errors.Join(err, json.Unmarshal(text, &got)); err != nil {
				t.Fatal(err)
			}
			var paths []string
			for _, item := range got.Items {
				paths = append(paths, item.SourcePath)
			}
			if got := strings.Join(paths, " "); got != tt.want {
				t.Errorf("got %s in %s, want %s", got, text, tt.want)
			}
		})
	}
}

// Nothing is sent of a document that cannot be made to its end.
func TestErrorAmongFurtherItemsSendsNothing(t *testing.T) {
	c := serve(func(http.ResponseWriter, *http.Request) { t.Error("something was sent") })
	doc := &transfer.Transfer{More: func(yield func(transfer.Item, error) bool) {
		_ = yield(transfer.Item{SourcePath: "/x"}, nil) && yield(transfer.Item{}, io.ErrClosedPipe)
	}}
	doc.SubmissionID = "s1"
	if _, err := c.Submit(t.Context(), doc); !errors.Is(err, io.ErrClosedPipe) || errors.Is(err, transfer.ErrUnclear) {
		t.Errorf("got %v, want the error of the items, and no task", err)
	}
}

func TestCancelHasNoBody(t *testing.T) {
	c := serve(func(w http.ResponseWriter, r *http.Request) {
		if body, _ := io.ReadAll(r.Body); r.Method != http.MethodPost || len(body) > 0 {
			t.Errorf("got %s with body %q, want POST without", r.Method, body)
		}
		reply(200, updated)(w, r)
	})
	if _, err := c.CancelTask(t.Context(), "t1"); err != nil {
		t.Error(err)
	}
}

// endless is a body that never ends and counts what is read of it.
type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	e.read += len(p)
	clear(p)
	return len(p), nil
}

func TestRepliesAreReadUpToABound(t *testing.T) {
	tests := map[string]struct{ status, bound int }{
		"reply": {200, 64 << 20},
		"error": {502, 1 << 20},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			body := new(endless)
			c := transfer.New(&http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: tt.status, Body: io.NopCloser(body)}, nil
			})})
			_, err := c.Task(t.Context(), "t1")
			if e, ok := errors.AsType[*transfer.Error](err); !ok || e.Status != tt.status {
				t.Errorf("got %v, want a *transfer.Error with status %d", err, tt.status)
			}
			if body.read > tt.bound+1<<10 {
				t.Errorf("read %d bytes, want at most about %d", body.read, tt.bound)
			}
		})
	}
}

func TestTransportErrorsDoNotRepeatTheQuery(t *testing.T) {
	cut := errors.New("no route")
	c := transfer.New(&http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) { return nil, cut })},
		transfer.WithBaseURL(mustParse(t, "http://user:canary@sim/")))
	_, err := c.Task(t.Context(), "t1")
	for _, err = range c.Tasks(t.Context(), transfer.TaskQuery{Labels: []string{"a"}}) {
		break
	}
	if want := `Get "http://user:***@sim/v0.10/task_list": no route`; !errors.Is(err, cut) || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

const (
	scope   = "urn:globus:auth:scope:transfer.api.globus.org:all[*https://auth.globus.org/scopes/c1/data_access]"
	missing = `{"code": "ConsentRequired", "message": "Missing required data_access consent", "required_scopes": ["` + scope + `"]}`
)

func TestConsentIsGivenOnceAndTheCallRepeatedOnce(t *testing.T) {
	refused := errors.New("unknown scope")
	tests := map[string]struct {
		replies []http.HandlerFunc
		consent error // what the attempt to consent ends with
		code    string
	}{
		"obtainable": {
			replies: []http.HandlerFunc{reply(403, missing), reply(200, updated)},
		},
		"missing still": {
			replies: []http.HandlerFunc{reply(403, missing), reply(403, missing)},
			code:    "ConsentRequired",
		},
		"refused": {
			replies: []http.HandlerFunc{reply(403, missing)},
			consent: refused,
			code:    "ConsentRequired",
		},
		"another error after it": {
			replies: []http.HandlerFunc{reply(403, missing), reply(403, `{"code": "PermissionDenied"}`)},
			code:    "PermissionDenied",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var asked [][]string
			c := serve(replies(t, tt.replies...), transfer.WithConsent(func(_ context.Context, scopes []string) error {
				asked = append(asked, scopes)
				return tt.consent
			}))
			_, err := c.Mkdir(t.Context(), "c1", "/a")

			var code string
			if e, ok := errors.AsType[*transfer.Error](err); ok {
				code = e.Code
			}
			if code != tt.code || (err == nil) != (tt.code == "") || tt.consent != nil && !errors.Is(err, tt.consent) {
				t.Errorf("got %v, want an error of code %q and cause %v", err, tt.code, tt.consent)
			}
			if diff := cmp.Diff([][]string{{scope}}, asked); diff != "" {
				t.Errorf("consents asked for (-want +got):\n%s", diff)
			}
		})
	}
}

func TestConsentIsNotAskedForInVain(t *testing.T) {
	asked := transfer.WithConsent(func(context.Context, []string) error {
		t.Error("asked for a consent")
		return nil
	})
	tests := map[string]struct {
		reply http.HandlerFunc
		opts  []transfer.Option
	}{
		"nobody to ask":       {reply(403, missing), nil},
		"no scopes named":     {reply(403, `{"code": "ConsentRequired"}`), []transfer.Option{asked}},
		"permission denied":   {reply(403, `{"code": "PermissionDenied"}`), []transfer.Option{asked}},
		"not 403":             {reply(502, missing), []transfer.Option{asked}},
		"granted from before": {reply(200, updated), []transfer.Option{asked}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := serve(replies(t, tt.reply), tt.opts...)
			_, err := c.Mkdir(t.Context(), "c1", "/a")
			if _, ok := errors.AsType[*transfer.Error](err); ok == (name == "granted from before") {
				t.Errorf("got %v", err)
			}
		})
	}
}
