package login_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/login"
)

func TestWhereATokenCannotBeWrittenIsKnownBefore(t *testing.T) {
	dir := t.TempDir()
	there := filepath.Join(dir, "there")
	write(t, there, "old\n")
	tests := map[string]struct {
		file     string
		writable bool
	}{
		"new":       {filepath.Join(dir, "new"), true},
		"there":     {there, true},
		"a folder":  {dir, false},
		"no folder": {filepath.Join(dir, "none", "token"), false},
		"in a file": {filepath.Join(there, "token"), false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if err := login.Writable(tt.file); (err == nil) != tt.writable {
				t.Errorf("got %v, want writable: %t", err, tt.writable)
			}
			entries, err := os.ReadDir(dir)
			check(t, err)
			if old, err := os.ReadFile(there); len(entries) != 1 || err != nil || string(old) != "old\n" {
				t.Errorf("it left a trace: %v, %q, %v", entries, old, err)
			}
		})
	}
	for name, tt := range tests {
		if err := login.WriteToken(tt.file, auth.NewSecret("token")); (err == nil) != tt.writable {
			t.Errorf("%s: writing the token: %v", name, err)
		}
	}
}
