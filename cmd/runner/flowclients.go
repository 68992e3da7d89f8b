package main

import (
	"net/http"
	"strings"
	"sync"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/internal/flows"
)

// flowClients makes the HTTP clients that start flows. Each flow has a resource
// server of its own, so a service account has an account for each.
type flowClients struct {
	client func(scope, flow string) *http.Client

	mu      sync.Mutex
	clients map[string]*http.Client // by scope
}

// open returns the client for a flow that may use the data of collections.
func (c *flowClients) open(flow string, dataAccess []string) *http.Client {
	scope := flows.Scope(flow, dataAccess)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.clients[scope] == nil {
		c.clients[scope] = c.client(scope, flow)
	}
	return c.clients[scope]
}

// scopesOf reads scopes of our own making.
func scopesOf(names ...string) []auth.Scope {
	scopes, _ := auth.ParseScopes(strings.Join(names, " ")) // they parse
	return scopes
}
