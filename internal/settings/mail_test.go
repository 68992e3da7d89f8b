package settings

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheMailServerIsReadEachTime(t *testing.T) {
	file := filepath.Join(t.TempDir(), "smtp")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	e := Read([]string{"RUNNER_SMTP_URL_FILE=" + file, "RUNNER_SMTP_FROM=Runner <runner@example.org>"})
	if err := e.Check(); err != nil {
		t.Fatal(err)
	}
	server := e.Mail.Server()
	if _, err := server(); err == nil {
		t.Error("without the file there is no error")
	}
	for _, text := range []string{"smtp://old.example.org", "smtp://new.example.org"} {
		write(text)
		if got, err := server(); err != nil || got.Reveal() != text {
			t.Errorf("got %q, %v, want %q", got.Reveal(), err, text)
		}
	}
	if got, err := Read([]string{"RUNNER_SMTP_URL=smtp://x.example.org"}).Mail.Server()(); err != nil || got.Reveal() != "smtp://x.example.org" {
		t.Errorf("got %q, %v", got.Reveal(), err)
	}
	if Read(nil).Mail.Server() != nil {
		t.Error("there is a server without a variable")
	}
}

func TestMistakesInTheVariablesOfMail(t *testing.T) {
	for _, tt := range []struct {
		environ []string
		want    string
	}{
		{[]string{"RUNNER_SMTP_URL=smtp://me:CANARY@x", "RUNNER_SMTP_URL_FILE=/x"}, "are both set"},
		{[]string{"RUNNER_SMTP_FROM=runner"}, "RUNNER_SMTP_FROM is not an address"},
		{[]string{"RUNNER_SMTP_URL='smtp://me:CANARY@x'"}, "RUNNER_SMTP_URL: "},
	} {
		if err := Read(tt.environ).Check(); err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%q: got %v, want an error with %q", tt.environ, err, tt.want)
		}
	}
	for _, v := range Read([]string{"RUNNER_SMTP_URL=smtp://me:CANARY@x"}).Variables() {
		if strings.Contains(fmt.Sprint(v), "CANARY") {
			t.Errorf("the password is shown: %v", v)
		}
	}
}
