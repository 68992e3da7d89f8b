package globussim

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"time"
)

const (
	issuer   = "https://auth.globus.org"
	jwksPath = "/jwk.json"
	keyID    = "globussim"
)

// idToken returns a signed statement, for the client, of who the identity is.
func (a *authority) idToken(p party, now time.Time) (string, error) {
	key, err := a.key()
	if err != nil {
		return "", err
	}
	who, _ := a.identityByID(p.identity)
	header, err := json.Marshal(map[string]any{"alg": "RS512", "typ": "JWT", "kid": keyID})
	if err != nil {
		return "", err
	}
	claims, err := json.Marshal(map[string]any{
		"iss":                            issuer,
		"aud":                            p.client,
		"sub":                            who.ID,
		"iat":                            now.Unix(),
		"exp":                            now.Add(a.lifetime).Unix(),
		"preferred_username":             who.Username,
		"name":                           who.Name,
		"email":                          who.Email,
		"organization":                   who.Organization,
		"identity_provider":              who.IdentityProvider,
		"identity_provider_display_name": "Globus Auth",
	})
	if err != nil {
		return "", err
	}
	text := encode(header) + "." + encode(claims)
	digest := sha512.Sum512([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA512, digest[:])
	if err != nil {
		return "", err
	}
	return text + "." + encode(signature), nil
}

// encode is base64 as JSON web tokens and keys use it.
func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// serveKeys answers GET /jwk.json.
func (a *authority) serveKeys(w http.ResponseWriter, _ *http.Request) {
	key, err := a.key()
	if err != nil {
		writeAuthError(w, newAuthError(http.StatusInternalServerError, "", "There is no key"))
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"keys": []map[string]string{{
		"kty": "RSA", "use": "sig", "alg": "RS512", "kid": keyID,
		"n": encode(key.N.Bytes()),
		"e": encode(big.NewInt(int64(key.E)).Bytes()),
	}}})
}

// serveDiscovery answers GET /.well-known/openid-configuration. The addresses
// are on the host that was asked, so that clients stay with the simulator.
func (a *authority) serveDiscovery(w http.ResponseWriter, r *http.Request) {
	base := "http://" + r.Host
	if r.TLS != nil {
		base = "https://" + r.Host
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"issuer":                                issuer,
		"authorization_endpoint":                base + "/v2/oauth2/authorize",
		"token_endpoint":                        base + "/v2/oauth2/token",
		"userinfo_endpoint":                     base + "/v2/oauth2/userinfo",
		"introspection_endpoint":                base + "/v2/oauth2/token/introspect",
		"revocation_endpoint":                   base + "/v2/oauth2/token/revoke",
		"jwks_uri":                              base + jwksPath,
		"scopes_supported":                      []string{"openid", "email", "profile"},
		"claims_supported":                      []string{"sub", "preferred_username", "name", "email", "organization", "identity_provider", "identity_provider_display_name", "identity_set", "aud", "iss", "iat", "exp"},
		"response_types_supported":              []string{"code"},
		"grant_types_supported":                 []string{"client_credentials", "authorization_code", "refresh_token"},
		"code_challenge_methods_supported":      []string{"S256"},
		"subject_types_supported":               []string{"public"},
		"id_token_signing_alg_values_supported": []string{"RS512"},
		"token_endpoint_auth_methods_supported": []string{"client_secret_basic", "client_secret_post"},
	})
}
