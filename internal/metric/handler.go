package metric

import (
	"compress/gzip"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// contentType is the media type of the text format.
const contentType = "text/plain; version=0.0.4; charset=utf-8"

// Handler returns a handler of scrapes. It compresses its reply if the request
// accepts that. It answers at most atOnce scrapes at the same time, because each
// keeps a core busy, and others with 503.
func (s *Set) Handler(atOnce int) http.Handler {
	free := make(chan struct{}, atOnce)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case free <- struct{}{}:
			defer func() { <-free }()
		default:
			http.Error(w, "too many scrapes at once", http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Vary", "Accept-Encoding")
		if !acceptsGzip(r) {
			_ = s.write(w) // the client has gone
			return
		}
		w.Header().Set("Content-Encoding", "gzip")
		z, _ := gzip.NewWriterLevel(w, gzip.BestSpeed) // the level is valid
		if err := s.write(z); err == nil {
			_ = z.Close() // the client has gone
		}
	})
}

// write writes all families.
func (s *Set) write(to io.Writer) error {
	w := newWriter(to)
	for _, c := range s.collectors {
		c.Collect(w)
	}
	return w.flush()
}

// acceptsGzip reports whether a request names gzip and does not rule it out (RFC
// 9110, section 12.5.3).
func acceptsGzip(r *http.Request) bool {
	for part := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		coding, weight, _ := strings.Cut(part, ";")
		if strings.TrimSpace(coding) == "gzip" {
			q, err := strconv.ParseFloat(strings.TrimPrefix(strings.TrimSpace(weight), "q="), 64)
			return err != nil || q > 0
		}
	}
	return false
}
