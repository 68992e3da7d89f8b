package doctor

import (
	"encoding/base64"
	"strings"

	"github.com/google/uuid"

	"github.com/globus-runner/globus-runner/auth"
)

// Secret checks whether a client secret is probably something else, such as the
// words of an example. No finding shows it.
func Secret(clientID, secret string) []Finding {
	const again = "copy the client secret from " + auth.Developers + ", where it is shown once"
	inner, err := base64.StdEncoding.DecodeString(secret)
	twice, _ := base64.StdEncoding.DecodeString(string(inner))
	switch {
	case strings.ContainsFunc(secret, func(r rune) bool { return r <= ' ' || r > '~' }):
		return []Finding{Doubt("the secret contains a character that secrets do not have, such as a blank or a byte order mark", again)}
	case strings.ContainsAny(secret, `"'`):
		return []Finding{Doubt("the secret has quotes around it or in it", "remove the quotes: they are not part of it")}
	case strings.Contains(strings.ToUpper(secret), "SECRET="):
		return []Finding{Doubt("the secret begins with the name of a variable", "keep only what comes after the =")}
	case strings.EqualFold(secret, clientID):
		return []Finding{Doubt("the secret is the client id", again)}
	case uuid.Validate(secret) == nil:
		return []Finding{Doubt("the secret is a UUID, as ids are", again)}
	case isPlaceholder(secret):
		return []Finding{Doubt("the secret looks like the words of an example", again)}
	case err == nil && len(twice) >= 32 && printable(inner):
		return []Finding{Doubt("the secret looks as if it had been base64-encoded again",
			"in a Kubernetes Secret, put it as it is below stringData, or encoded once below data")}
	}
	return nil
}

// isPlaceholder reports whether a text is a placeholder for a secret.
func isPlaceholder(secret string) bool {
	letters := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' {
			return r
		}
		return -1
	}, strings.ToLower(secret))
	if strings.Trim(letters, "x") == "" {
		return true // or only digits, dots and stars
	}
	for _, word := range []string{"changeme", "replaceme", "placeholder", "yoursecret", "yourclientsecret", "clientsecret", "mysecret", "todo"} {
		if strings.Contains(letters, word) && len(secret) < 40 {
			return true
		}
	}
	return letters == "secret" || strings.HasPrefix(secret, "<") || strings.HasPrefix(secret, "${")
}

func printable(b []byte) bool {
	for _, c := range b {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return true
}
