package status

import (
	"net/http"
	"strconv"
	"time"
)

// Transport returns a RoundTripper that sends requests through next and counts
// them for service, a constant word such as "transfer", by the status of the
// reply, or as error without one. It also measures the time until the header of
// the reply. Stacked below the retries, it counts each try.
func (s *Status) Transport(service string, next http.RoundTripper) http.RoundTripper {
	return &transport{metrics: s.metrics, service: service, next: next}
}

type transport struct {
	metrics *metrics
	service string
	next    http.RoundTripper
}

func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	begin := time.Now()
	resp, err := t.next.RoundTrip(r)
	code := "error"
	if err == nil {
		code = strconv.Itoa(resp.StatusCode)
	}
	t.metrics.requests.Add(1, code, t.service)
	t.metrics.requestTime.Observe(time.Since(begin).Seconds(), t.service)
	return resp, err
}
