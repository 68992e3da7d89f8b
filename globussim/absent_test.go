package globussim_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestWhatIsNotSimulatedSaysSo(t *testing.T) {
	l := newLab(t)
	manager := l.call(http.MethodGet, "/endpoint/"+l.labID, nil).text("gcs_manager_url")
	for address, what := range map[string]string{
		"PUT " + transferBase + "/v2/tunnels":                                                 "Tunnels",
		"PUT " + transferBase + "/v2/tunnels/x/events":                                        "Tunnels",
		"GET " + transferBase + "/v2/stream_access_points":                                    "Tunnels",
		"PUT " + transferBase + "/v0.10/endpoint/" + l.labID + "/subscription":                "subscriptions",
		"PUT " + transferBase + "/v0.10/endpoint/" + l.labID + "/subscription_admin_verified": "subscriptions",
		"POST " + transferBase + "/v0.10/endpoint":                                            "a way to create endpoints",
		"POST " + transferBase + "/v0.10/endpoint/" + l.labID + "/activate":                   "activation",
		"PUT " + transferBase + "/v0.10/endpoint/" + l.labID + "/server/1":                    "a way to change servers",
		"DELETE https://auth.globus.org/v2/api/clients/" + other:                              "a registration of clients",
		"PUT " + manager + "/api/collections":                                                 "the GCS Manager of a server",
		"GET https://groups.api.globus.org/v2/groups/my_groups":                               "Globus Groups",
		"POST https://groups.api.globus.org/v2/groups":                                        "Globus Groups",
		"GET https://search.api.globus.org/v1/index/x/search":                                 "Globus Search",
		"GET https://auth.globus.org/v2/api/projects":                                         "projects",
		"GET https://auth.globus.org/v2/api/policies/x":                                       "policies",
		"GET https://auth.globus.org/v2/api/scopes":                                           "documents of scopes",
		"GET https://auth.globus.org/v2/api/clients":                                          "a registration of clients",
		"PUT https://auth.globus.org/v2/api/clients/x":                                        "a registration of clients",
		"POST https://auth.globus.org/v2/api/clients/x/credentials":                           "a registration of clients",
		"POST " + flowsAddress + "/flows":                                                     "a way to change flows",
		"POST " + flowsAddress + "/flows/validate":                                            "a way to change flows",
		"PUT " + flowsAddress + "/flows/x":                                                    "a way to change flows",
		"GET " + flowsAddress + "/registered_apis":                                            "registered APIs",
		"POST " + flowsAddress + "/web_inputs/x/respond":                                      "web inputs",
	} {
		method, address, _ := strings.Cut(address, " ")
		a := ask(t, l.Client(), method, address, l.token, "application/json", "{}")
		if a.status != http.StatusNotImplemented || !strings.Contains(string(a.body), "The simulator does not have "+what+`"`) {
			t.Errorf("%s %s answers %d %s", method, address, a.status, a.body)
		}
	}
	form := url.Values{"grant_type": {"urn:globus:auth:grant_type:dependent_token"}, "token": {"x"}}
	if a := post(t, l.Server, "/v2/oauth2/token", form); a.status != http.StatusNotImplemented || !strings.Contains(string(a.body), "does not have dependent tokens") {
		t.Errorf("the grant of dependent tokens answers %d %s", a.status, a.body)
	}
}
