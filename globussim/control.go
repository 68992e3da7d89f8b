package globussim

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
)

// State is what a Server has seen and done, for assertions. It holds no token.
type State struct {
	// Routes counts the requests to both services by the route they matched,
	// such as "POST /v0.10/transfer" or "GET /v0.10/task/{id}"; those that
	// matched none are "unknown".
	Routes map[string]int `json:"routes"`
	// Requests are the requests to both services in order of arrival, but
	// OPTIONS: the newest ten thousand at least.
	Requests []Request `json:"requests"`
	// Tokens counts the tokens issued, by client id and resource server.
	Tokens map[string]map[string]int `json:"tokens"`
	// Consents are the consents of each identity, as scopes with their
	// dependency in brackets, oldest first. A service account's identity is its
	// client id.
	Consents map[string][]string `json:"consents"`
	// Tasks are all tasks, oldest first.
	Tasks []TaskState `json:"tasks"`
}

// State returns what has happened so far.
func (s *Server) State() State {
	requests, routes := s.journal.snapshot()
	return State{
		Routes:   routes,
		Requests: requests,
		Tokens:   s.auth.issuedTokens(),
		Consents: s.auth.consentedScopes(),
		Tasks:    s.transfer.state(),
	}
}

// ExpireTokens ends all access tokens of the clients now, as if their time were
// over, and returns how many there were. Without clients it ends those of all.
func (s *Server) ExpireTokens(clients ...string) int { return s.endTokens(clients) }

// RevokeTokens ends all tokens of the clients now, refresh tokens too, as if
// their owner had revoked them, and returns how many there were. Without
// clients it ends all tokens.
func (s *Server) RevokeTokens(clients ...string) int {
	return s.endTokens(clients) + s.auth.endRefreshes(clients)
}

// control adds the routes of the control path, but those about tasks.
func (s *Server) control(mux *router) {
	mux.HandleFunc("GET /_sim/state", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, s.State())
	})
	mux.HandleFunc("GET /_sim/routes", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]any{"routes": s.services()})
	})
	mux.HandleFunc("GET /_sim/faults", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]any{"faults": faultDocuments(s.Faults())})
	})
	mux.HandleFunc("POST /_sim/faults", func(w http.ResponseWriter, r *http.Request) {
		data, err := io.ReadAll(r.Body)
		if err != nil {
			writeError(w, r, badOrder(err))
			return
		}
		faults, err := parseFaults(data)
		if err != nil {
			writeError(w, r, badOrder(err))
			return
		}
		s.Fail(faults...)
		writeJSON(w, http.StatusOK, map[string]any{"faults": faultDocuments(s.Faults())})
	})
	mux.HandleFunc("DELETE /_sim/faults", func(w http.ResponseWriter, _ *http.Request) {
		s.ClearFaults()
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("POST /_sim/tokens/expire", s.orderTokens(s.ExpireTokens))
	mux.HandleFunc("POST /_sim/tokens/revoke", s.orderTokens(s.RevokeTokens))
	mux.HandleFunc("POST /_sim/consents/rescind", func(w http.ResponseWriter, r *http.Request) {
		clients, e := s.orderedClients(r)
		if e != nil {
			writeError(w, r, e)
			return
		}
		for _, client := range clients {
			s.RescindConsents(client)
		}
		w.WriteHeader(http.StatusNoContent)
	})
}

// services lists the routes of all services, such as "GET /v0.10/task/{id}".
func (s *Server) services() []string {
	var routes []string
	for _, mux := range []*router{&s.authRoutes, &s.transferRoutes, &s.timerRoutes, &s.flowRoutes} {
		for _, pattern := range mux.patterns {
			if strings.Contains(pattern, " ") { // the others are refusals
				routes = append(routes, pattern)
			}
		}
	}
	slices.Sort(routes)
	return routes
}

func (s *Server) orderTokens(end func(clients ...string) int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		clients, e := s.orderedClients(r)
		if e != nil {
			writeError(w, r, e)
			return
		}
		writeJSON(w, http.StatusOK, map[string]any{"ended": end(clients...)})
	}
}

// orderedClients returns the client that the body {"client": id} names, or,
// without a body, all of them.
func (s *Server) orderedClients(r *http.Request) ([]string, *apiError) {
	var order struct {
		Client string `json:"client"`
	}
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&order); err != nil && !errors.Is(err, io.EOF) {
		return nil, badOrder(err)
	}
	if order.Client != "" {
		return []string{strings.ToLower(order.Client)}, nil
	}
	return s.auth.clients(), nil
}

// badOrder is the answer to an order on the control path that makes no sense.
func badOrder(err error) *apiError {
	return &apiError{Status: http.StatusBadRequest, Code: "BadRequest", Message: err.Error()}
}
