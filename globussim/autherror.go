package globussim

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// An authError is an error document of Globus Auth. It carries both forms, that
// of OAuth and the list of errors, unless it has no code.
type authError struct {
	status      int
	oauth       string // the form of OAuth: "invalid_client"
	description string
	code        string // in the list: "UNAUTHORIZED"; empty if there is no list
	detail      string
}

// oauthError is an error of the token endpoint.
func oauthError(status int, oauth, description string) *authError {
	return &authError{
		status: status, oauth: oauth, description: description,
		code: strings.ToUpper(oauth), detail: description,
	}
}

// newAuthError is an error of Auth's other resources. An empty code stands for
// the status: 404 is "NOT_FOUND".
func newAuthError(status int, code, detail string) *authError {
	title := http.StatusText(status)
	if code == "" {
		code = strings.NewReplacer(" ", "_", "-", "_").Replace(strings.ToUpper(title))
	}
	return &authError{
		status: status, oauth: strings.ToLower(code), description: title,
		code: code, detail: detail,
	}
}

func errUnauthenticated() *authError {
	return newAuthError(http.StatusUnauthorized, "UNAUTHORIZED", "Call must be authenticated")
}

func errForbidden() *authError {
	return newAuthError(http.StatusForbidden, "FORBIDDEN", "Call must be authenticated")
}

func writeAuthError(w http.ResponseWriter, e *authError) { writeAuthErrorAs(w, e, AuthBoth) }

// writeAuthErrorAs writes an error in a form.
func writeAuthErrorAs(w http.ResponseWriter, e *authError, form AuthForm) {
	if e.status == http.StatusUnauthorized {
		scheme := "Bearer"
		if e.oauth == "invalid_client" {
			scheme = "Basic"
		}
		w.Header().Set("WWW-Authenticate", scheme+` realm="Globus Auth"`)
	}
	doc := map[string]any{}
	if form != AuthList {
		doc["error"], doc["error_description"] = e.oauth, e.description
	}
	if e.code != "" && form != AuthOAuth {
		doc["errors"] = []map[string]string{{
			"id":     uuid.NewString(),
			"status": strconv.Itoa(e.status),
			"code":   e.code,
			"title":  http.StatusText(e.status),
			"detail": e.detail,
		}}
	}
	writeJSON(w, e.status, doc)
}
