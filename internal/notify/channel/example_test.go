package channel_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/globus-runner/globus-runner/internal/notify"
	"github.com/globus-runner/globus-runner/internal/notify/channel"
	"github.com/globus-runner/globus-runner/jobs"
)

func ExampleOpen() {
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println(r.Method, r.URL.Path)
		http.Error(w, "the service is away", http.StatusServiceUnavailable)
	}))
	defer receiver.Close()
	watchdog, err := channel.Open(jobs.Channel{Name: "watchdog", Ping: &jobs.Hook{URL: receiver.URL + "/{{ .Job }}"}}, channel.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	err = watchdog.Send(context.Background(), &notify.Notice{Event: notify.Started, Job: "nightly", Title: "nightly has begun"})
	fmt.Println(err != nil)
	// Output:
	// POST /nightly/start
	// true
}
