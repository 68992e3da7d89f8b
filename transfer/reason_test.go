package transfer_test

import (
	"strings"
	"testing"

	"github.com/globus-runner/globus-runner/transfer"
)

func TestReasonIsInOneLine(t *testing.T) {
	for details, want := range map[string]string{
		"Error (make directories)\nEndpoint: Globus Tutorial Endpoint 1 (aa752cea-8222-5bc8-acd9-555b090c0ccb)\nServer: ep1.transfer.globus.org:2811\n" +
			"File: /foo/\nCommand: MKD /foo\nMessage: Fatal FTP response\n---\nDetails: 550-GlobusError: v=1 c=PERMISSION_DENIED\\r\\n550-GridFTP-Error: Path not allowed.\\r\\n550 End.\\r\\n": "/foo/ on Globus Tutorial Endpoint 1: Path not allowed",
		"Error (transfer)\nEndpoint: Dev (GCP) (15f47c5e-648e-11ea-aa9b-0afa7b051b85)\nServer: 172.31.20.254:40964\nFile: /~/restricted-file\nCommand: RETR ~/restricted-file\n" +
			"Message: Fatal FTP response\n---\nDetails: 500-GlobusError: v=1 c=INTERNAL_ERROR\\r\\n500-GridFTP-Error: globus_xio_register_open\\r\\n" +
			"500-globus_xio: System error in open: Permission denied\\r\\n500-globus_xio: A system call failed: Permission denied\\r\\n500 End.\\r\\n\n": "/~/restricted-file on Dev (GCP): A system call failed: Permission denied",
		"550-GlobusError: v=1 c=PATH_NOT_FOUND%0D%0A550-GridFTP-Errno: 2%0D%0A550-GridFTP-Reason: System error in stat%0D%0A" +
			"550-GridFTP-Error-String: No such file or directory%0D%0A550 End.%0D%0A": "No such file or directory",
		"File: /a\r\n550-GridFTP-Error-String: no space left\r\n550-GridFTP-Reason: write\r\n": "/a: no space left",
		"Path not found, Error (list)\nEndpoint: Tutorial (x)\nServer: 100.26.231.26:443\nMessage: No such file or directory\n---\nDetails: Error: '~/foo' not found\\r\\n" +
			"550-GridFTP-Reason: System error in stat\\r\\n550 End.\\r\\n\n": "Tutorial: GridFTP-Reason: System error in stat",
		"Denied by endpoint, Error (list)\nEndpoint: Tutorial (x)\nCommand: MLST /foo\nMessage: Fatal FTP Response\n---\nDetails: 500 Command failed : Path not allowed.\\r\\n\n": "Tutorial: Path not allowed",
		"Error (list)\nEndpoint: lab (x)\nFile: /a\nMessage: Path not allowed.":                                                                                                   "/a on lab: Path not allowed",
		"Canceled by the task owner":                        "Canceled by the task owner",
		"File: /a\nCommand: no reply":                       "File: /a\nCommand: no reply",
		"Message: of something else":                        "Message: of something else",
		`{"type": "GridFTP Transfer", "x": ""}`:             `{"type": "GridFTP Transfer", "x": ""}`,
		"550 End.":                                          "550 End.",
		"550-GridFTP-Error: .\n550-GridFTP-Error-String: .": "550-GridFTP-Error: .\n550-GridFTP-Error-String: .",
		"": "",
	} {
		if got := transfer.Reason(details); got != want {
			t.Errorf("Reason(%q) is %q, want %q", details, got, want)
		}
	}
}

func FuzzReason(f *testing.F) {
	f.Add("Error (x)\nEndpoint: lab (id)\nFile: /a\n---\nDetails: 550-GridFTP-Error: Path not allowed.\\r\\n550 End.\\r\\n")
	f.Add("550-GridFTP-Error-String: No%0D%0A550 End.%0D%0A")
	f.Fuzz(func(t *testing.T, details string) {
		got := transfer.Reason(details)
		if got != details && strings.Contains(got, "\n") {
			t.Errorf("Reason(%q) is %q, want one line or all of it", details, got)
		}
		if strings.TrimSpace(details) != "" && got == "" {
			t.Errorf("Reason(%q) is empty", details)
		}
	})
}
