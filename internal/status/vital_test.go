package status_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/globus-runner/globus-runner/internal/status"
)

func TestHealthTurnsWhenNothingCanBeDoneForTooLong(t *testing.T) {
	tests := map[string]struct {
		name  string // of the check that fails
		hangs bool
		down  time.Duration
		up    time.Duration // it is well again for so long, and then fails as long
		want  int
	}{
		"just gone":                 {name: "ledger", down: 4 * time.Minute, want: http.StatusOK},
		"gone for long":             {name: "ledger", down: 6 * time.Minute, want: http.StatusServiceUnavailable},
		"no answer for long":        {name: "ledger", hangs: true, down: 6 * time.Minute, want: http.StatusServiceUnavailable},
		"back in between":           {name: "ledger", down: 4 * time.Minute, up: time.Minute, want: http.StatusOK},
		"what is not vital is gone": {name: "token", down: time.Hour, want: http.StatusOK},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var down atomic.Bool
				check := func(own string) func(context.Context) error {
					return func(ctx context.Context) error {
						switch {
						case own != tt.name || !down.Load():
							return nil
						case tt.hangs:
							<-ctx.Done()
							return ctx.Err()
						}
						return errors.New("the disk is full")
					}
				}
				s := status.New(status.Config{
					Checks: map[string]func(context.Context) error{"ledger": check("ledger"), "token": check("token")},
					Vital:  []string{"ledger"},
				})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				go s.Watch(ctx)
				wait := func(d time.Duration) {
					for range int(d / time.Minute) {
						s.Beat()
						time.Sleep(time.Minute)
					}
				}
				ask := func() *httptest.ResponseRecorder {
					w := httptest.NewRecorder()
					s.Handler().ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/healthz", nil))
					return w
				}
				wait(time.Minute)
				down.Store(true)
				wait(tt.down)
				if tt.up > 0 {
					down.Store(false)
					wait(tt.up)
					down.Store(true)
					wait(tt.down)
				}
				w := ask()
				if w.Code != tt.want {
					t.Errorf("got %d, want %d: %s", w.Code, tt.want, w.Body)
				}
				if tt.want != http.StatusOK && !strings.Contains(w.Body.String(), "ledger") {
					t.Errorf("it says %s", w.Body)
				}
				down.Store(false)
				wait(time.Minute)
				if w := ask(); w.Code != http.StatusOK {
					t.Errorf("it is well again, and /healthz says %d: %s", w.Code, w.Body)
				}
			})
		})
	}
}
