package engine

import (
	"context"
	"net/http"
)

// Ranks of requests. All other requests have rank 0.
const (
	submits = -1 // requests for a new task, because data wait for it
	later   = 1  // nobody waits for the reply
)

// rankKey is the key of a rank in a context.
type rankKey struct{}

// ranked gives the requests that are sent with ctx a rank.
func ranked(ctx context.Context, rank int) context.Context {
	return context.WithValue(ctx, rankKey{}, rank)
}

// Rank returns the rank of an engine's request. When the rate limit makes requests
// wait, those with the smallest rank are sent first: submissions come first, and
// requests about existing tasks last.
func Rank(r *http.Request) int {
	rank, _ := r.Context().Value(rankKey{}).(int)
	return rank
}
