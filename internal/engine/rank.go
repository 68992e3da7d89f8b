package engine

import (
	"context"
	"net/http"
)

// Ranks of requests. Zero is that of all others.
const (
	submits = -1 // what leads to a new task: data are ready and wait for it
	later   = 1  // nobody waits for the reply
)

// rankKey is the key of a rank in a context.
type rankKey struct{}

// ranked gives the requests that are sent with ctx a rank.
func ranked(ctx context.Context, rank int) context.Context {
	return context.WithValue(ctx, rankKey{}, rank)
}

// Rank returns which requests of an engine are sent first when an account may send no
// more for the moment: the smallest. Submissions come first, and last what is asked
// about tasks that Globus has.
func Rank(r *http.Request) int {
	rank, _ := r.Context().Value(rankKey{}).(int)
	return rank
}
