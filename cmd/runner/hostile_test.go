package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/globus-runner/globus-runner/globussim"
)

// evil is what a service, or whoever names files and labels, could say to
// somebody's terminal: escape sequences of both kinds, line ends, text that runs
// backwards, and what cannot be seen.
const evil = "evil\x1b[2J\u009b31m\x07\rx\u0085y\u2028z\u202etxt\u2066\u200b\ufeff\U000e0041\x7f\nrunner: success"

// harmless reports the first character of a text that must not reach a terminal.
func harmless(text string) error {
	if !utf8.ValidString(text) {
		return fmt.Errorf("it is not UTF-8: %q", text)
	}
	for _, r := range text {
		if r != '\n' && (unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp)) {
			return fmt.Errorf("%U is in it: %q", r, text)
		}
	}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "runner: success") {
			return fmt.Errorf("it has a line that a service wrote: %q", text)
		}
	}
	return nil
}

// A hostileGlobus answers each request of both services with texts that do harm
// where they are shown as they are.
type hostileGlobus struct{ refuse, refuseLogin bool }

func (h hostileGlobus) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	say := func(status int, doc map[string]any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(doc) // the client may have gone
	}
	switch id := globussim.CollectionID("evil"); {
	case strings.HasPrefix(r.URL.Path, "/v2/") && h.refuseLogin:
		say(http.StatusUnauthorized, map[string]any{"error": "invalid_client" + evil, "error_description": evil})
	case r.URL.Path == "/.well-known/openid-configuration":
		say(http.StatusOK, map[string]any{"issuer": evil, "token_endpoint": "http://" + r.Host + "/v2/oauth2/token"})
	case r.URL.Path == "/v2/oauth2/token":
		say(http.StatusOK, map[string]any{
			"access_token": "t", "expires_in": 3600, "resource_server": "transfer.api.globus.org", "token_type": "Bearer",
			"scope": "urn:globus:auth:scope:transfer.api.globus.org:all", "other_tokens": []any{map[string]any{
				"access_token": "u", "expires_in": 3600, "resource_server": "auth.globus.org", "token_type": "Bearer", "scope": evil,
			}},
		})
	case strings.HasPrefix(r.URL.Path, "/v2/"):
		say(http.StatusOK, map[string]any{
			"sub": id, "preferred_username": evil, "name": evil,
			"identities": []any{map[string]any{"id": id, "username": evil, "name": evil}},
		})
	case h.refuse:
		say(http.StatusForbidden, map[string]any{"code": "PermissionDenied" + evil, "message": evil, "request_id": evil})
	case r.URL.Path == "/v0.10/submission_id":
		say(http.StatusOK, map[string]any{"value": id})
	case r.Method == http.MethodPost && r.URL.Path == "/v0.10/transfer":
		say(http.StatusAccepted, map[string]any{"code": "Accepted", "task_id": id, "submission_id": id, "message": evil})
	default:
		say(http.StatusOK, hostileDocument(id))
	}
}

// hostileDocument is a document with the fields of them all, and a list of one.
func hostileDocument(id string) map[string]any {
	doc := map[string]any{
		"status": "FAILED", "is_paused": false, "size": 1, "files": 1, "subtasks_skipped_errors": 1, "is_error": true,
		"fatal_error":      map[string]any{"code": "FATAL" + evil, "description": evil},
		"pause_rules":      []any{map[string]any{"message": evil, "endpoint_display_name": evil, "endpoint_id": evil, "start_time": "2026-11-21T02:00:00+00:00"}},
		"last_modified":    "2026-11-21 02:00:00+00:00",
		"time":             "2026-11-21T02:00:00+00:00",
		"request_time":     "2026-11-21T02:00:00+00:00",
		"completion_time":  "2026-11-21T02:00:00+00:00",
		"total":            1,
		"has_next_page":    false,
		"faults":           3,
		"is_connected":     true,
		"gcp_connected":    true,
		"default_endpoint": nil,
	}
	for _, name := range []string{
		"name", "permissions", "user", "group", "link_target", "label", "nice_status", "nice_status_short_description", "code",
		"description", "details", "source_path", "destination_path", "error_code", "display_name", "owner_string", "entity_type",
		"message", "request_id", "source_endpoint_display_name", "destination_endpoint_display_name", "source_endpoint_id",
		"destination_endpoint_id", "source_pause_message", "destination_pause_message", "canonical_name", "owner_id", "type",
		"canceled_by_admin_message", "default_directory", "contact_email", "organization",
	} {
		doc[name] = evil
	}
	doc["id"], doc["task_id"] = id, id
	row := map[string]any{}
	maps.Copy(row, doc)
	doc["DATA"] = []any{row}
	return doc
}

// TestNothingFromAServiceReachesTheTerminalAsItIs runs each command that shows
// a service's texts, or a person's, against a service that means harm.
func TestNothingFromAServiceReachesTheTerminalAsItIs(t *testing.T) {
	id := globussim.CollectionID("evil")
	commands := [][]string{
		{"ls", id + ":/"},
		{"ls", "--long", id + ":/"},
		{"stat", id + ":/x"},
		{"mkdir", id + ":/x"},
		{"rename", id, "/a", "/b"},
		{"endpoints", "x"},
		{"whoami"},
		{"task", "list"},
		{"task", "show", id},
		{"task", "events", id},
		{"task", "successful", id},
		{"task", "skipped", id},
		{"task", "pause-info", id},
		{"task", "cancel", id},
		{"task", "wait", id},
		{"transfer", id + ":/a\u202e\x1b[2J", id + ":/b"},
		{"delete", id + ":/a\u202e\x1b[2J"},
		{"plan", "evil"},
		{"jobs"},
		{"next"},
		{"validate"},
		{"run", "evil", "--junit", "junit.xml"},
		{"runs"},
		{"runs", "show", "1"},
		{"doctor"},
		{"run", evil},
		{evil},
		{"ls", "--" + evil},
		{"ls", evil},
		{"validate", "--jobs", evil},
	}
	services := map[string]hostileGlobus{"answers": {}, "refuses": {refuse: true}, "refuses the login": {refuseLogin: true}}
	for name, service := range services {
		for _, format := range []string{"text", "json"} {
			t.Run(name+" in "+format, func(t *testing.T) {
				t.Parallel()
				server := httptest.NewServer(service)
				defer server.Close()
				dir := t.TempDir()
				file := filepath.Join(dir, "jobs.yaml")
				// A jobs file refuses line ends itself.
				description := strings.NewReplacer("\n", "", "\r", "", "\u0085", "", "\u2028", "").Replace(evil)
				job := fmt.Sprintf(`version: 1
collections: {e: %s}
jobs: {evil: {schedule: "@daily", description: %s, transfer: {source: "e:/a/", destination: "e:/b/"}}}`, id, strconv.QuoteToASCII(description))
				if err := os.WriteFile(file, []byte(job), 0o600); err != nil {
					t.Fatal(err)
				}
				environ := []string{
					"CLIENT_ID=" + simClientID(), "CLIENT_SECRET=" + canary, "RUNNER_HTTP_RETRIES=0", "HOME=" + dir, "RUNNER_JOBS=" + file,
					"RUNNER_STATE=sqlite:" + filepath.Join(dir, "ledger.db"), "RUNNER_LOG_FORMAT=" + format, "RUNNER_LOG_LEVEL=debug",
					"GLOBUS_SDK_SERVICE_URL_AUTH=" + server.URL, "GLOBUS_SDK_SERVICE_URL_TRANSFER=" + server.URL,
					"GITHUB_ACTIONS=true", "GITHUB_STEP_SUMMARY=" + filepath.Join(dir, "summary"), "GITHUB_OUTPUT=" + filepath.Join(dir, "output"),
				}
				said := 0
				for _, command := range commands {
					args := append(append([]string{}, command...), "--format", format)
					for i, arg := range args {
						if arg == "junit.xml" {
							args[i] = filepath.Join(dir, arg)
						}
					}
					var stdout, stderr bytes.Buffer
					status := run(t.Context(), args, environ, strings.NewReader(""), &stdout, &stderr)
					for stream, text := range map[string]string{"stdout": stdout.String(), "stderr": stderr.String()} {
						if err := harmless(text); err != nil {
							t.Errorf("%q, %s: %v", command, stream, err)
						}
						said += strings.Count(text, `evil\u001b`)
					}
					if testing.Verbose() {
						t.Logf("%q: exit %d\n%s%s", command, status, stdout.String(), stderr.String())
					}
				}
				if _, err := os.Stat(filepath.Join(dir, "ledger.db")); err != nil {
					t.Error(err)
				}
				for _, name := range []string{"summary", "output", "junit.xml"} {
					text, err := os.ReadFile(filepath.Join(dir, name))
					if err == nil {
						err = harmless(string(text))
					}
					if err != nil {
						t.Errorf("%s: %v", name, err)
					}
				}
				if said == 0 {
					t.Error("nothing of what the service said was shown")
				}
			})
		}
	}
}

// TestJSONResultsAreExact checks that escapes do not change the data.
func TestJSONResultsAreExact(t *testing.T) {
	server := httptest.NewServer(hostileGlobus{})
	defer server.Close()
	environ := []string{
		"CLIENT_ID=" + simClientID(), "CLIENT_SECRET=" + canary,
		"GLOBUS_SDK_SERVICE_URL_AUTH=" + server.URL, "GLOBUS_SDK_SERVICE_URL_TRANSFER=" + server.URL,
	}
	var stdout bytes.Buffer
	args := []string{"ls", globussim.CollectionID("evil") + ":/", "-F", "json"}
	if status := run(t.Context(), args, environ, strings.NewReader(""), &stdout, io.Discard); status != 0 {
		t.Fatalf("exit status %d", status)
	}
	var got struct{ DATA []struct{ Name string } }
	if err := json.Unmarshal(stdout.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.DATA) != 1 || got.DATA[0].Name != evil {
		t.Errorf("got %q, want one entry named %q", got.DATA, evil)
	}
}

// The package net/http writes what nobody has asked for to the log of the process.
func TestTheEndOfAReplyThatIsTooLongIsNotPrinted(t *testing.T) {
	const doc = `{"access_token":"x","token_type":"Bearer","expires_in":3600,"resource_server":"transfer.api.globus.org","scope":"s"}`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close() //nolint:errcheck // nothing more is written
		_, _ = fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s%s", len(doc), doc, canary)
		_, _ = conn.Read(make([]byte, 1)) // until the client has closed it
	}))
	defer server.Close()
	cmd, _ := program(t, "run")
	cmd.Env = append(cmd.Env, "GLOBUS_SDK_SERVICE_URL_AUTH="+server.URL)
	if out, _ := cmd.CombinedOutput(); len(out) == 0 || strings.Contains(string(out), canary) {
		t.Errorf("it printed %q", out)
	}
}
