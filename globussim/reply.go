package globussim

import (
	"bytes"
	"maps"
	"net"
	"net/http"
	"strconv"
)

// A reply is an answer that is complete before any of it is sent. It is also
// what the in-memory client receives. The zero value is ready to be written.
type reply struct {
	status int // 0 until something was written
	header http.Header
	body   bytes.Buffer
	whole  int // the length to announce; 0 means that of body
}

func (p *reply) Header() http.Header {
	if p.header == nil {
		p.header = make(http.Header)
	}
	return p.header
}

func (p *reply) WriteHeader(status int) {
	if p.status == 0 {
		p.status = status
	}
}

func (p *reply) Write(b []byte) (int, error) {
	p.WriteHeader(http.StatusOK)
	return p.body.Write(b)
}

// send writes the reply to w. If the reply announces more than it has, a server
// ends the connection afterwards.
func (p *reply) send(w http.ResponseWriter) {
	maps.Copy(w.Header(), p.Header())
	p.WriteHeader(http.StatusOK)
	if p.status != http.StatusNoContent {
		w.Header().Set("Content-Length", strconv.Itoa(max(p.whole, p.body.Len())))
	}
	w.WriteHeader(p.status)
	_, _ = w.Write(p.body.Bytes()) // the client has gone; there is nobody to tell
}

// drop ends the connection of w without an answer; on a TCP socket the client
// sees it reset.
func drop(w http.ResponseWriter) {
	hijacker, ok := w.(http.Hijacker)
	if !ok {
		panic(http.ErrAbortHandler) // HTTP/2, and the in-memory client
	}
	conn, _, err := hijacker.Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // without it the client sees an end of file: close enough
	}
	_ = conn.Close() // it is broken on purpose
}
