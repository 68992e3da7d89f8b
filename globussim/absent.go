package globussim

import "net/http"

// absent lists what the services have and the simulator does not, by path. The answer is 501,
// which nobody takes for a mistake in the request.
func absent() map[string][]string {
	return map[string][]string{
		"Tunnels":                     {"/v2/tunnels", "/v2/tunnels/{rest...}", "/v2/stream_access_points", "/v2/stream_access_points/{rest...}"},
		"the GCS Manager of a server": {"/api/{rest...}"},
		"subscriptions":               {"/v0.10/endpoint/{id}/subscription", "/v0.10/endpoint/{id}/subscription_admin_verified"},
		"activation":                  {"/v0.10/endpoint/{id}/activate", "/v0.10/endpoint/{id}/deactivate", "/v0.10/endpoint/{id}/activation_requirements"},
		"a way to change servers":     {"/v0.10/endpoint/{id}/server", "/v0.10/endpoint/{id}/server/{server}"},
		"a way to create endpoints":   {"/v0.10/endpoint", "/v0.10/shared_endpoint"},
		"Globus Groups":               {"/v2/groups", "/v2/groups/{rest...}", "/v2/subscription_info/{id}"},
		"Globus Search":               {"/v1/{rest...}"},
	}
}

// absentFromAuth lists what Globus Auth has and the simulator does not, by path.
func absentFromAuth() map[string][]string {
	return map[string][]string{
		"projects":                  {"/v2/api/projects", "/v2/api/projects/{rest...}"},
		"policies":                  {"/v2/api/policies", "/v2/api/policies/{rest...}"},
		"documents of scopes":       {"/v2/api/scopes", "/v2/api/scopes/{rest...}"},
		"a registration of clients": {"/v2/api/clients", "/v2/api/clients/{id}", "/v2/api/clients/{id}/{rest...}"},
	}
}

// absentFromFlows lists what Globus Flows has and the simulator does not, by path.
func absentFromFlows() map[string][]string {
	return map[string][]string{
		"a way to change flows": {"/flows", "/flows/{flow}"},
		"registered APIs":       {"/registered_apis", "/registered_apis/{rest...}"},
		"web inputs":            {"/web_inputs", "/web_inputs/{rest...}"},
	}
}

// absentRoutes adds the routes that answer 501.
func (s *Server) absentRoutes() {
	refuseAll := func(mux *router, paths map[string][]string, write func(http.ResponseWriter, *http.Request, *apiError)) {
		for what, patterns := range paths {
			e := &apiError{Status: http.StatusNotImplemented, Code: "NotImplemented", Message: "The simulator does not have " + what}
			for _, pattern := range patterns {
				mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { write(w, r, e) })
			}
		}
	}
	refuseAll(&s.transferRoutes, absent(), writeError)
	refuseAll(&s.authRoutes, absentFromAuth(), func(w http.ResponseWriter, r *http.Request, e *apiError) { refuse(w, r, true, e) })
	refuseAll(&s.flowRoutes, absentFromFlows(), func(w http.ResponseWriter, _ *http.Request, e *apiError) {
		writeFlowError(w, &apiError{Status: e.Status, Code: "NOT_IMPLEMENTED", Message: e.Message})
	})
}
