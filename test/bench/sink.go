package main

import (
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
)

// A sink answers to submissions like Globus and does nothing about them, so that
// no copying goes on while a program is measured. Its tasks succeed at once.
type sink struct {
	document atomic.Int64 // bytes of the document that came last
	ids      atomic.Int64 // submission ids and tasks so far
}

func (s *sink) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v2/oauth2/token", answer(http.StatusOK, `{
		"access_token": "simulated", "token_type": "Bearer", "expires_in": 172800,
		"resource_server": "transfer.api.globus.org",
		"scope": "urn:globus:auth:scope:transfer.api.globus.org:all", "other_tokens": []}`))
	mux.HandleFunc("GET /v0.10/submission_id", func(w http.ResponseWriter, r *http.Request) {
		answer(http.StatusOK, fmt.Sprintf(`{"DATA_TYPE": "submission_id", "value": %q}`, s.id()))(w, r)
	})
	mux.HandleFunc("POST /v0.10/transfer", func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			return // the program has gone, and says why
		}
		s.document.Store(n)
		answer(http.StatusAccepted, fmt.Sprintf(`{
			"DATA_TYPE": "transfer_result", "code": "Accepted", "message": "The transfer has been accepted",
			"task_id": %q, "request_id": "simulated", "resource": "/transfer"}`, s.id()))(w, r)
	})
	mux.HandleFunc("GET /v0.10/task_list", answer(http.StatusOK, `{
		"DATA_TYPE": "task_list", "total": 0, "offset": 0, "limit": 1000, "length": 0, "DATA": []}`))
	mux.HandleFunc("GET /v0.10/task/{id}", func(w http.ResponseWriter, r *http.Request) {
		answer(http.StatusOK, fmt.Sprintf(`{
			"DATA_TYPE": "task", "task_id": %q, "type": "TRANSFER", "status": "SUCCEEDED"}`, r.PathValue("id")))(w, r)
	})
	return mux
}

// id returns an id that was not there before.
func (s *sink) id() string { return fmt.Sprintf("5b0e5a8e-0000-4000-8000-%012d", s.ids.Add(1)) }

func answer(status int, document string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, document) // a program that has gone says so itself
	}
}
