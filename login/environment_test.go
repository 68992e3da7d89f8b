package login_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caarlos0/env/v11"

	"github.com/globus-runner/globus-runner/login"
)

// environment reads variables as the program does.
func environment(t *testing.T, vars map[string]string) (login.Environment, error) {
	t.Helper()
	return env.ParseAsWithOptions[login.Environment](env.Options{Environment: vars})
}

func TestEnvironmentGivesTokens(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	write(t, file, canary+"\r\n")
	for name, vars := range map[string]map[string]string{
		"by themselves": {"RUNNER_REFRESH_TOKEN": canary, "RUNNER_ACCESS_TOKEN": canary, "RUNNER_ACCESS_TOKEN_EXPIRES": "2026-11-21T03:00:00+01:00"},
		"in files":      {"RUNNER_REFRESH_TOKEN_FILE": file, "RUNNER_ACCESS_TOKEN_FILE": file, "RUNNER_ACCESS_TOKEN_EXPIRES": "1795226400"},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := environment(t, vars)
			check(t, err)
			refresh, warning, err := e.RefreshToken(app)
			if err != nil || warning != "" || refresh.Token.Reveal() != canary || refresh.ClientID != app || refresh.File != vars["RUNNER_REFRESH_TOKEN_FILE"] {
				t.Errorf("refresh token %+v, %q, %v", refresh, warning, err)
			}
			access, warning, err := e.AccessToken()
			if err != nil || warning != "" || access.Token.Reveal() != canary || access.File != vars["RUNNER_ACCESS_TOKEN_FILE"] {
				t.Errorf("access token %+v, %q, %v", access, warning, err)
			}
			if want := time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC); !access.Expires.Equal(want) {
				t.Errorf("expires %v, want %v", access.Expires, want)
			}
		})
	}
	var none login.Environment
	refresh, _, err := none.RefreshToken(app)
	access, _, err2 := none.AccessToken()
	if refresh != nil || access != nil || err != nil || err2 != nil {
		t.Errorf("nothing gives %v, %v, %v, %v", refresh, err, access, err2)
	}
}

func TestEnvironmentWarnsOfFilesThatEverybodyMayRead(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	write(t, file, canary)
	chmod(t, file, 0o644)
	e := login.Environment{RefreshFile: file, AccessFile: file}
	_, one, _ := e.RefreshToken(app)
	_, two, _ := e.AccessToken()
	for _, warning := range []string{one, two} {
		if !strings.Contains(warning, "_TOKEN_FILE: everybody may read "+file) {
			t.Errorf("got %q", warning)
		}
	}
}

func TestEnvironmentThatIsRefused(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty")
	write(t, empty, "\n")
	tests := map[string]struct {
		vars map[string]string
		want string
	}{
		"token and file":  {map[string]string{"RUNNER_REFRESH_TOKEN": canary, "RUNNER_REFRESH_TOKEN_FILE": empty}, "RUNNER_REFRESH_TOKEN and RUNNER_REFRESH_TOKEN_FILE are both set"},
		"no file":         {map[string]string{"RUNNER_ACCESS_TOKEN_FILE": dir + "/none"}, "RUNNER_ACCESS_TOKEN_FILE: open " + dir + "/none"},
		"empty file":      {map[string]string{"RUNNER_REFRESH_TOKEN_FILE": empty}, empty + " is empty"},
		"blank":           {map[string]string{"RUNNER_ACCESS_TOKEN": "Bearer " + canary}, "RUNNER_ACCESS_TOKEN has a blank"},
		"line end":        {map[string]string{"RUNNER_REFRESH_TOKEN": canary + "\n" + canary}, "copy the token alone"},
		"end of nothing":  {map[string]string{"RUNNER_ACCESS_TOKEN_EXPIRES": "1795226400"}, "RUNNER_ACCESS_TOKEN is not"},
		"no time":         {map[string]string{"RUNNER_ACCESS_TOKEN": canary, "RUNNER_ACCESS_TOKEN_EXPIRES": "tomorrow"}, `"tomorrow" is neither a time`},
		"milliseconds":    {map[string]string{"RUNNER_ACCESS_TOKEN": canary, "RUNNER_ACCESS_TOKEN_EXPIRES": "1795226400000"}, "is neither a time"},
		"long before all": {map[string]string{"RUNNER_ACCESS_TOKEN": canary, "RUNNER_ACCESS_TOKEN_EXPIRES": "-5"}, "is neither a time"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			e, err := environment(t, tt.vars)
			if err == nil {
				_, _, err = e.RefreshToken(app)
			}
			if err == nil {
				_, _, err = e.AccessToken()
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), canary) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
