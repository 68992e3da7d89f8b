package globussim

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"strconv"
)

// Client returns an HTTP client whose requests s answers in memory, whatever
// host they name. It opens no socket, so it works inside a testing/synctest
// bubble. A dropped connection is an error that wraps [io.ErrUnexpectedEOF];
// the hooks WroteRequest and GotFirstResponseByte of net/http/httptrace are
// called.
func (s *Server) Client() *http.Client {
	return &http.Client{Transport: memory{s}}
}

// memory is the RoundTripper of [Server.Client].
type memory struct{ handler http.Handler }

func (m memory) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx := r.Context()
	trace := httptrace.ContextClientTrace(ctx)
	body, err := consume(r)
	if trace != nil && trace.WroteRequest != nil {
		trace.WroteRequest(httptrace.WroteRequestInfo{Err: err})
	}
	if err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}

	answers := make(chan *reply, 1)
	go func() {
		var p reply
		answered := false
		defer func() {
			if v := recover(); v != nil && v != http.ErrAbortHandler { //nolint:errorlint // a panic value, compared as net/http does
				panic(v)
			}
			if answered {
				answers <- &p
			}
			close(answers)
		}()
		m.handler.ServeHTTP(&p, incoming(r, body))
		answered = true
	}()

	select {
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case p, ok := <-answers:
		if !ok {
			return nil, fmt.Errorf("connection dropped: %w", io.ErrUnexpectedEOF)
		}
		if trace != nil && trace.GotFirstResponseByte != nil {
			trace.GotFirstResponseByte()
		}
		return p.response(r), nil
	}
}

// consume reads the body of an outgoing request and closes it.
func consume(r *http.Request) ([]byte, error) {
	if r.Body == nil {
		return nil, nil
	}
	body, err := readSized(r.Body, r.ContentLength)
	if closeErr := r.Body.Close(); err == nil {
		err = closeErr
	}
	return body, err
}

// incoming turns an outgoing request into the one that a server would read.
func incoming(r *http.Request, body []byte) *http.Request {
	in := r.Clone(r.Context())
	in.Body = io.NopCloser(bytes.NewReader(body))
	in.ContentLength = int64(len(body))
	in.Proto, in.ProtoMajor, in.ProtoMinor = "HTTP/1.1", 1, 1
	in.RequestURI = r.URL.RequestURI()
	if in.Host == "" {
		in.Host = r.URL.Host
	}
	in.RemoteAddr = "127.0.0.1:0"
	if r.URL.Scheme == "https" {
		in.TLS = &tls.ConnectionState{}
	}
	return in
}

// response returns the reply as the client that sent r receives it.
func (p *reply) response(r *http.Request) *http.Response {
	p.WriteHeader(http.StatusOK)
	body := &memoryBody{ctx: r.Context(), left: p.body.Bytes()}
	length := int64(len(body.left))
	if announced, err := strconv.ParseInt(p.Header().Get("Content-Length"), 10, 64); err == nil {
		body.cut = announced > length
		length = announced
	}
	if r.Method == http.MethodHead {
		body.left, body.cut = nil, false
	}
	return &http.Response{
		Status:     strconv.Itoa(p.status) + " " + http.StatusText(p.status),
		StatusCode: p.status,
		Proto:      "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:        p.Header(),
		Body:          body,
		ContentLength: length,
		Request:       r,
	}
}

// A memoryBody is the body of a response. If it was cut it ends as a lost
// connection does.
type memoryBody struct {
	ctx  context.Context // the request's, which also bounds the reading
	left []byte
	cut  bool
}

func (b *memoryBody) Read(p []byte) (int, error) {
	if b.ctx.Err() != nil {
		return 0, context.Cause(b.ctx)
	}
	if len(b.left) == 0 {
		if b.cut {
			return 0, io.ErrUnexpectedEOF
		}
		return 0, io.EOF
	}
	n := copy(p, b.left)
	b.left = b.left[n:]
	return n, nil
}

func (*memoryBody) Close() error { return nil }
