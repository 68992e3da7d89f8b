package main

import (
	"fmt"
	"time"

	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/jobs"
)

// lastOccurrence is the value of --scheduled-for that stands for the newest
// instant at which a job was due.
const lastOccurrence = "last"

// lastOrders are the orders for the newest occurrences of jobs.
func lastOrders(chosen []*jobs.Job, now time.Time) ([]engine.Order, error) {
	var orders []engine.Order
	for _, job := range chosen {
		if job.Schedule == nil {
			return nil, usageError{fmt.Errorf("--scheduled-for last: job %s has no schedule; give an instant such as 2026-11-21T02:00:00Z", job.Name)}
		}
		at := job.Schedule.Last(now)
		if at.IsZero() {
			return nil, usageError{fmt.Errorf("--scheduled-for last: job %s was not due in the last ten years", job.Name)}
		}
		orders = append(orders, engine.Order{Job: job, Key: jobs.ScheduledKey(at), At: at})
	}
	return orders, nil
}
