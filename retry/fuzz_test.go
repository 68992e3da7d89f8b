package retry_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/globus-runner/globus-runner/retry"
)

// FuzzRetryAfter checks that no service can make a request wait for longer than
// the policy allows, or send it again at once.
func FuzzRetryAfter(f *testing.F) {
	for _, value := range []string{
		"0", "5", "-1", "99999999999999999999", "9223372036854775807", "1e99", "Fri, 31 Dec 9999 23:59:59 GMT", "Sat, 01 Jan 2000 00:01:00 GMT",
		"Thu, 01 Jan 1970 00:00:00 GMT", "soon", "5, 10", " 5", "",
	} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		synctest.Test(t, func(t *testing.T) {
			policy := retry.Policy{Retries: 1, Base: time.Second, Cap: time.Second, MaxRetryAfter: time.Minute}
			s := serve(reply(503, "{}", "Retry-After", value), reply(200, "{}"))
			if _, _, err := send(t.Context(), quiet(s, policy), "GET"); err != nil || len(s.times) != 2 {
				t.Fatalf("%d tries, %v", len(s.times), err)
			}
			if wait := s.times[1] - s.times[0]; wait < 0 || wait > policy.MaxRetryAfter {
				t.Errorf("Retry-After %q makes a request wait for %v", value, wait)
			}
		})
	})
}
