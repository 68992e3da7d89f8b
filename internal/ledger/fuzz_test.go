package ledger_test

import (
	"strings"
	"testing"

	"github.com/globus-runner/globus-runner/internal/ledger"
)

// FuzzPostgresURL checks that neither an error nor the name of the database
// shows a password, wherever the rest of the URL breaks.
func FuzzPostgresURL(f *testing.F) {
	for _, parts := range [][2]string{
		{"postgres://user:", "@db:5432/runner"},
		{"postgres://user:", "%zz@db/runner"},
		{"postgres://user:a/", "@db/runner"},
		{"postgres://user:", "@db:port/runner"},
		{"postgres://user:", "@[::1/runner"},
		{"postgres://db/runner?password=", ""},
		{"postgres://db/runner?user=u&password=", "&sslmode=what"},
		{"postgres://u:", "@db1,db2/runner?connect_timeout=x"},
		{"postgresql://u:", "\x00@db/r"},
		{"postgres://db?sslpassword=", "&sslkey=/none"},
		{"postgres://u:", "@/r?host=/run"},
		{"postgres://db/user=u&password=", "&sslmode=wt"},
	} {
		f.Add(parts[0], parts[1])
	}
	f.Fuzz(func(t *testing.T, before, after string) {
		const password = "hunter2hunter2"
		user, _, _ := strings.Cut(strings.TrimPrefix(before, "postgres://"), "@")
		if !strings.HasSuffix(before, "password=") && (!strings.HasSuffix(user, ":") || !strings.Contains(after, "@") || strings.ContainsAny(user, "/?#")) {
			t.Skip("what stands there is no password")
		}
		place, err := ledger.ReadURL(before + password + after)
		if err != nil {
			place = err.Error()
		}
		if strings.Contains(place, password) {
			t.Errorf("%q shows its password: %s", before+password+after, place)
		}
	})
}
