package transfer

import (
	"encoding/json"
	"strings"

	"github.com/globus-runner/globus-runner/internal/plain"
)

// AuthorizationParameters say which session or consents the caller needs before
// the service allows the call. A service account has no session and cannot meet
// the session requirements.
type AuthorizationParameters struct {
	SessionMessage              string   // to show to the user; one line
	SessionRequiredIdentities   []string // log in with one of these
	SessionRequiredSingleDomain []string // log in with an identity of one of these domains
	SessionRequiredPolicies     []string // ids of authentication policies to satisfy
	SessionRequiredMFA          *bool    // log in with a second factor; nil if not said
	RequiredScopes              []string // consent to these
	Prompt                      string   // login: log in afresh; may be empty
}

// session reports whether p requires anything of the session. p may be nil.
func (p *AuthorizationParameters) session() bool {
	return p != nil && (len(p.SessionRequiredIdentities) > 0 ||
		len(p.SessionRequiredSingleDomain) > 0 ||
		len(p.SessionRequiredPolicies) > 0 ||
		p.SessionRequiredMFA != nil && *p.SessionRequiredMFA ||
		p.Prompt == "login")
}

// authorization returns the parameters in doc, or nil if it is not an object. A
// field of a wrong type counts as absent.
func authorization(doc json.RawMessage) *AuthorizationParameters {
	f, ok := object(doc)
	if !ok {
		return nil
	}
	p := &AuthorizationParameters{
		SessionMessage:              plain.Short(text(f["session_message"]), maxMessage),
		SessionRequiredIdentities:   words(f["session_required_identities"]),
		SessionRequiredSingleDomain: words(f["session_required_single_domain"]),
		SessionRequiredPolicies:     words(f["session_required_policies"]),
		RequiredScopes:              texts(f["required_scopes"]),
		Prompt:                      plain.Short(text(f["prompt"]), maxQuote),
	}
	var mfa *bool
	if json.Unmarshal(f["session_required_mfa"], &mfa) == nil {
		p.SessionRequiredMFA = mfa
	}
	return p
}

// object returns the fields of the JSON object doc, and whether it is one.
func object(doc []byte) (map[string]json.RawMessage, bool) {
	var fields map[string]json.RawMessage
	err := json.Unmarshal(doc, &fields)
	return fields, err == nil && fields != nil
}

// text returns the JSON string doc, or "" if doc is not a string.
func text(doc json.RawMessage) string {
	var s string
	if json.Unmarshal(doc, &s) != nil {
		return ""
	}
	return s
}

// texts returns the strings of the JSON list doc, or doc itself if it is a
// string.
func texts(doc json.RawMessage) []string {
	if s := text(doc); s != "" {
		return []string{s}
	}
	var list []json.RawMessage
	if json.Unmarshal(doc, &list) != nil {
		return nil
	}
	var out []string
	for _, elem := range list {
		if s := text(elem); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// words returns the strings of the JSON list doc. Older services join several
// by commas in one string; these are split.
func words(doc json.RawMessage) []string {
	var out []string
	for _, s := range texts(doc) {
		for word := range strings.SplitSeq(s, ",") {
			if word = strings.TrimSpace(word); word != "" {
				out = append(out, word)
			}
		}
	}
	return out
}
