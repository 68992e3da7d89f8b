package retry_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/retry"
)

var good = reply(200, `{"ok": true}`)

func TestWhatIsRepeated(t *testing.T) {
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	tests := map[string]struct {
		first    step
		repeated bool
	}{
		"connection refused":         {fail(refused), true},
		"connection reset":           {fail(&net.OpError{Op: "read", Err: syscall.ECONNRESET}), true},
		"end of file":                {fail(io.EOF), true},
		"no such host":               {fail(&net.DNSError{Err: "no such host", IsNotFound: true}), true},
		"429":                        {reply(429, `{}`), true},
		"503":                        {reply(503, `{}`), true},
		"503 with ExternalError":     {reply(503, `{"code": "ExternalError"}`), true},
		"500":                        {reply(500, `{"code": "InternalError"}`), true},
		"502 page":                   {reply(502, `<html>ExternalError</html>`), true},
		"504 empty":                  {reply(504, ``), true},
		"502 of a collection":        {reply(502, `{"code": "ExternalError.MkdirFailed.Exists"}`), false},
		"500 of a collection":        {reply(500, `{"code": "EndpointError"}`), false},
		"504 with a code number":     {reply(504, `{"code": 1}`), true},
		"501":                        {reply(501, ``), false},
		"408":                        {reply(408, `<html>`), true},
		"425":                        {reply(425, ``), true},
		"520 of a gateway":           {reply(520, `<html>`), true},
		"520 of a collection":        {reply(520, `{"code": "ExternalError"}`), false},
		"200 without a body":         {reply(200, ``), false},
		"200 with a blank line":      {reply(200, "\r\n"), false},
		"200 page":                   {reply(200, `<html>`), true},
		"200 with half a document":   {reply(200, `{"ok"`), true},
		"200 cut short":              {cut(200, `{"ok": true}`, io.ErrUnexpectedEOF), true},
		"202":                        {reply(202, `{}`), false},
		"400":                        {reply(400, `{}`), false},
		"401":                        {reply(401, `{}`), false},
		"404 cut short":              {cut(404, `{`, io.ErrUnexpectedEOF), false},
		"409":                        {reply(409, `{}`), false},
		"redirect":                   {reply(302, ``, "Location", "https://elsewhere.test/"), false},
		"unknown authority":          {fail(&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}), false},
		"wrong host name":            {fail(x509.HostnameError{Certificate: &x509.Certificate{}}), false},
		"expired certificate":        {fail(x509.CertificateInvalidError{Reason: x509.Expired}), false},
		"no TLS server":              {fail(fmt.Errorf("dial: %w", http.ErrSchemeMismatch)), false},
		"invalid header":             {fail(errors.New(`net/http: invalid header field value for "X"`)), false},
		"final word of a layer":      {fail(fmt.Errorf("token: %w", finalError{})), false},
		"lower deadline, ours is on": {fail(context.DeadlineExceeded), true},
	}
	for name, tt := range tests {
		for _, method := range []string{"GET", "POST", "DELETE"} {
			t.Run(name+" "+method, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := serve(tt.first, good)
					_, _, _ = send(t.Context(), quiet(s, retry.Policy{}), method) // only the tries count here
					if repeated := len(s.times) > 1; repeated != tt.repeated {
						t.Errorf("repeated: %t, want %t", repeated, tt.repeated)
					}
				})
			})
		}
	}
}

// A token that is new may be refused while the service recovers; one that is refused
// again and again will be.
func TestARefusedTokenIsTriedAgainAsOftenAsThePolicySays(t *testing.T) {
	refused := reply(401, `{}`)
	tests := map[string]struct {
		policy retry.Policy
		steps  []step
		tries  int
		status int
	}{
		"by default":          {retry.Policy{}, []step{refused, good}, 1, 401},
		"in time":             {retry.Policy{Unauthorized: 2}, []step{refused, refused, good}, 3, 200},
		"too late":            {retry.Policy{Unauthorized: 2}, []step{refused, refused, refused, good}, 3, 401},
		"among other trouble": {retry.Policy{Unauthorized: 1}, []step{reply(503, `{}`), refused, reply(503, `{}`), good}, 4, 200},
		"within the retries":  {retry.Policy{Unauthorized: 2, Retries: 1}, []step{refused, refused, good}, 2, 401},
		"without retries":     {retry.Policy{Unauthorized: 2, Retries: -1}, []step{refused, good}, 1, 401},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := serve(tt.steps...)
				status, _, err := send(t.Context(), quiet(s, tt.policy), "POST")
				if status != tt.status || len(s.times) != tt.tries || err != nil {
					t.Errorf("got %d after %d tries and %v, want %d after %d", status, len(s.times), err, tt.status, tt.tries)
				}
			})
		})
	}
}

type finalError struct{}

func (finalError) Error() string { return "refused" }
func (finalError) Final() bool   { return true }

func TestSuccessAfterFaultsIsHandedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(fail(io.EOF), reply(503, `{}`), cut(200, `{`, io.ErrUnexpectedEOF), good)
		status, body, err := send(t.Context(), quiet(s, retry.Policy{}), "POST")
		if status != 200 || body != `{"ok": true}` || err != nil {
			t.Errorf("got %d %q %v, want the good reply", status, body, err)
		}
	})
}

func TestUnsupportedSchemeIsNotRepeated(t *testing.T) {
	for _, url := range []string{"ftp://globus.test/", "https:///path", "/path"} {
		synctest.Test(t, func(t *testing.T) {
			s := serve(fail(errors.New("unsupported protocol scheme")))
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := quiet(s, retry.Policy{}).RoundTrip(req)
			if err == nil {
				_ = resp.Body.Close() // the test has failed already
				t.Fatal("got a reply")
			}
			if len(s.times) > 1 {
				t.Errorf("%s: %d tries, want at most one", url, len(s.times))
			}
		})
	}
}

func TestLastReplyKeepsItsBody(t *testing.T) {
	tests := map[string]struct {
		step step
		body string
		err  error
	}{
		"status":    {reply(503, `{"code": "ServiceUnavailable"}`), `{"code": "ServiceUnavailable"}`, nil},
		"page":      {reply(200, `<html>`), `<html>`, nil},
		"cut short": {cut(200, `{"ok": tr`, io.ErrUnexpectedEOF), `{"ok": tr`, io.ErrUnexpectedEOF},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := serve(tt.step)
				_, body, err := send(t.Context(), quiet(s, retry.Policy{}), "GET")
				if body != tt.body || !errors.Is(err, tt.err) {
					t.Errorf("got %q, %v; want %q, %v", body, err, tt.body, tt.err)
				}
				if len(s.times) != 9 {
					t.Errorf("%d tries, want 9", len(s.times))
				}
			})
		})
	}
}

func TestTooLongReplyIsAnErrorAndNotRepeated(t *testing.T) {
	for status, most := range map[int]int{200: 8 << 20, 404: 256 << 10} {
		synctest.Test(t, func(t *testing.T) {
			s := serve(reply(status, strings.Repeat("1", most)))
			if _, body, err := send(t.Context(), quiet(s, retry.Policy{}), "GET"); len(body) != most || err != nil {
				t.Errorf("%d: got %d bytes, %v, want %d", status, len(body), err, most)
			}
			s = serve(reply(status, strings.Repeat("1", most+1)))
			_, body, err := send(t.Context(), quiet(s, retry.Policy{}), "GET")
			long, ok := errors.AsType[interface {
				error
				TooLong() bool
			}](err)
			if body != "" || !ok || !long.TooLong() || len(s.times) != 1 {
				t.Errorf("%d: got %d bytes, %v, after %d tries", status, len(body), err, len(s.times))
			}
		})
	}
}

func TestAReplyTakesMemoryByItsLength(t *testing.T) {
	for _, length := range []int{1 << 10, 100 << 10, 1 << 20} {
		client := quiet(serve(reply(200, strings.Repeat("1", length))), retry.Policy{})
		const times = 10
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range times {
			if _, _, err := send(t.Context(), client, http.MethodGet); err != nil {
				t.Fatal(err)
			}
		}
		runtime.ReadMemStats(&after)
		took := int64(after.TotalAlloc-before.TotalAlloc) / times
		if most := int64(16*length + 64<<10); took > most {
			t.Errorf("a reply of %d bytes takes %d bytes, at most %d are expected", length, took, most)
		}
	}
}

func TestAReplyIsReadWithoutACopy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(cut(200, `{"ok": tr`, io.ErrUnexpectedEOF))
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://x.example/", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := quiet(s, retry.Policy{Retries: -1}).RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close() //nolint:errcheck // it is in memory
		if _, err := io.CopyN(io.Discard, resp.Body, 2); err != nil {
			t.Fatal(err)
		}
		data, err := resp.Body.(interface{ Bytes() ([]byte, error) }).Bytes()
		if string(data) != `ok": tr` || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("got %q, %v", data, err)
		}
	})
}

func TestLastNetworkErrorCountsTheTries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(fail(&net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}))
		_, _, err := send(t.Context(), quiet(s, retry.Policy{}), "POST")

		if want := "after 9 tries: dial tcp: connection refused"; err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
		op, ok := errors.AsType[*net.OpError](err)
		if !ok || op.Op != "dial" || !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("%#v does not lead to its cause", err)
		}
	})
}

func TestOuterPolicyDoesNotRepeatTheRepeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(fail(io.EOF))
		inner := quiet(s, retry.Policy{Retries: 2})
		_, _, err := send(t.Context(), quiet(inner, retry.Policy{}), "GET")
		if len(s.times) != 3 || !errors.Is(err, io.EOF) {
			t.Errorf("%d tries, %v; want 3", len(s.times), err)
		}
	})
}

func TestNegativeRetriesMeanOneTry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(fail(io.EOF))
		_, _, err := send(t.Context(), quiet(s, retry.Policy{Retries: -1}), "GET")
		if err == nil || err.Error() != "EOF" || len(s.times) != 1 {
			t.Errorf("got %v after %d tries, want EOF after one", err, len(s.times))
		}
	})
}

func TestBodyIsSentWithEachTry(t *testing.T) {
	const doc = `{"DATA_TYPE": "transfer"}`
	tests := map[string]io.Reader{
		"with GetBody":    strings.NewReader(doc),
		"without GetBody": io.MultiReader(strings.NewReader(doc)),
	}
	for name, body := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var lengths []int64
				below := func(next step) step {
					return func(req *http.Request) (*http.Response, error) {
						lengths = append(lengths, req.ContentLength)
						again, err := req.GetBody()
						if data, _ := io.ReadAll(again); err != nil || string(data) != doc {
							t.Errorf("a lower layer cannot repeat the body: %q, %v", data, err)
						}
						return next(req)
					}
				}
				s := serve(below(fail(io.EOF)), below(reply(503, "")), below(good))
				spy := &closeSpy{Reader: body}
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://globus.test/", body)
				if err != nil {
					t.Fatal(err)
				}
				req.Body = spy
				before := req.Clone(t.Context())
				resp, err := quiet(s, retry.Policy{}).RoundTrip(req)
				if err != nil {
					t.Fatal(err)
				}
				_ = resp.Body.Close() // it is in memory

				if diff := cmp.Diff([]string{doc, doc, doc}, s.bodies); diff != "" {
					t.Errorf("bodies (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff([]int64{25, 25, 25}, lengths); diff != "" {
					t.Errorf("lengths (-want +got):\n%s", diff)
				}
				if !spy.closed {
					t.Error("the request's body is open")
				}
				if req.Body != spy || req.ContentLength != before.ContentLength || !cmp.Equal(req.Header, before.Header) {
					t.Error("the request was changed")
				}
				if resp.Request != req {
					t.Error("the response names another request")
				}
			})
		})
	}
}

type closeSpy struct {
	io.Reader
	closed bool
}

func (s *closeSpy) Close() error { s.closed = true; return nil }

func TestReplyBodiesAreClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var spies []*closeSpy
		spied := func(next step) step {
			return func(req *http.Request) (*http.Response, error) {
				resp, err := next(req)
				spy := &closeSpy{Reader: resp.Body}
				spies, resp.Body = append(spies, spy), spy
				return resp, err
			}
		}
		s := serve(spied(reply(503, "busy")), spied(good))
		if _, _, err := send(t.Context(), quiet(s, retry.Policy{}), "GET"); err != nil {
			t.Fatal(err)
		}
		for i, spy := range spies {
			if !spy.closed {
				t.Errorf("body of reply %d is open", i)
			}
		}
		if len(spies) != 2 {
			t.Errorf("%d replies, want 2", len(spies))
		}
	})
}

func TestEachRepeatIsOneDebugLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, out := recorder(t)
		s := serve(fail(io.EOF), reply(503, `{"message": "canary"}`, "Retry-After", "7"), good)
		if _, _, err := send(t.Context(), retry.New(s, retry.Policy{}, log), "POST"); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		if len(lines) != 2 {
			t.Fatalf("got %d lines, want 2:\n%s", len(lines), out)
		}
		for i, words := range [][]string{
			{"level=DEBUG", "method=POST", "host=globus.test", "path=/v0.10/transfer ", "reason=EOF", "delay=", "attempt=1"},
			{"level=DEBUG", "status=503", `reason="HTTP 503 Service Unavailable"`, "delay=7.", "attempt=2"},
		} {
			for _, word := range words {
				if !strings.Contains(lines[i], word) {
					t.Errorf("no %s in %s", word, lines[i])
				}
			}
		}
		if strings.Contains(out.String(), "canary") {
			t.Errorf("query or body in the log:\n%s", out)
		}
	})
}

func ExampleNew() {
	tries := 0
	flaky := roundTripper(func(req *http.Request) (*http.Response, error) {
		tries++
		if tries < 3 {
			return reply(503, "")(req)
		}
		return reply(200, `{"value": "done"}`)(req)
	})

	hc := &http.Client{Transport: retry.New(flaky, retry.Policy{Base: time.Millisecond}, nil)}
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "https://transfer.api.globus.org/v0.10/submission_id", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	resp, err := hc.Do(req)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = resp.Body.Close() }()
	fmt.Println(resp.StatusCode, "after", tries, "tries")
	// Output: 200 after 3 tries
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }
