package status

import (
	"context"
	"net"
	"net/http"
	"slices"
	"sync"
)

// maxVisitors is how many connections may be open at a time: from a metrics server,
// from an orchestrator, and for the live updates of each page that a person has
// open.
const maxVisitors = 256

// A door is a listener that bounds the number of open connections. One more
// connection closes the one that has been idle longest, so that silent or slow
// clients cannot keep others out.
type door struct {
	net.Listener
	slots chan struct{} // one for each connection that the server has not finished

	mu       sync.Mutex
	visitors []*visitor // the one that has been idle longest comes first
}

// newDoor returns a door around l. Connections that were turned away keep a
// slot until the server has finished them, so that a crowd gets in only as fast
// as it leaves.
func newDoor(l net.Listener) *door {
	return &door{Listener: l, slots: make(chan struct{}, maxVisitors+maxVisitors/4)}
}

// A visitor is one connection.
type visitor struct {
	net.Conn
	door *door
	busy bool      // a request is being answered; guarded by door.mu
	left sync.Once // when the server has finished it
}

// Accept waits for the next connection.
func (d *door) Accept() (net.Conn, error) {
	for {
		d.slots <- struct{}{}
		c, err := d.Listener.Accept()
		if err != nil {
			<-d.slots
			return nil, err
		}
		v := &visitor{Conn: c, door: d}
		turned := d.enter(v)
		if turned == v {
			_ = v.Close() // nothing was sent yet
			continue
		}
		if turned != nil {
			_ = turned.Conn.Close() // the server notices and closes it, too
		}
		return v, nil
	}
}

// enter makes room for v and returns the visitor that is turned away, or nil.
// It is v itself if all others are busy.
func (d *door) enter(v *visitor) (turned *visitor) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.visitors) >= maxVisitors {
		i := slices.IndexFunc(d.visitors, func(v *visitor) bool { return !v.busy })
		if i < 0 {
			return v
		}
		turned = d.visitors[i]
		d.visitors = slices.Delete(d.visitors, i, i+1)
	}
	d.visitors = append(d.visitors, v)
	return turned
}

// Close closes the connection.
func (v *visitor) Close() error {
	v.left.Do(func() { <-v.door.slots })
	v.door.mu.Lock()
	if i := slices.Index(v.door.visitors, v); i >= 0 {
		v.door.visitors = slices.Delete(v.door.visitors, i, i+1)
	}
	v.door.mu.Unlock()
	return v.Conn.Close()
}

// serve records whether a request of the visitor is being answered.
func (v *visitor) serve(busy bool) {
	v.door.mu.Lock()
	defer v.door.mu.Unlock()
	v.busy = busy
	if i := slices.Index(v.door.visitors, v); i >= 0 { // unless it was turned away meanwhile
		v.door.visitors = append(slices.Delete(v.door.visitors, i, i+1), v)
	}
}

type visitorKey struct{}

// remember puts the visitor into the context of requests on its connection.
func remember(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, visitorKey{}, c)
}

// attended serves requests with next, and marks their visitors as busy.
func attended(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if v, ok := r.Context().Value(visitorKey{}).(*visitor); ok {
			v.serve(true)
			defer v.serve(false)
		}
		next.ServeHTTP(w, r)
	})
}
