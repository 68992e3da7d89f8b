package main

import (
	"bytes"
	"context"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/globussim"
)

var shellBlock = regexp.MustCompile("(?ms)^```sh\n(.*?)^```$")

// TestDocumentedCommandsWork runs every shell block of the documentation, with
// a simulator behind it. What a reader has to fill in is filled in here: the
// service account, the native app APP, the collections LAB, VAULT and MAPPED,
// and the person in front of the browser. A line with make must name a target.
func TestDocumentedCommandsWork(t *testing.T) {
	files, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	targets, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	blocks := 0
	for _, file := range append(files, "../../README.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i, m := range shellBlock.FindAllSubmatch(text, -1) {
			blocks++
			t.Run(filepath.Base(file)+" "+string(rune('1'+i)), func(t *testing.T) {
				t.Parallel()
				var script []string
				for line := range strings.Lines(string(m[1])) {
					switch {
					case strings.HasPrefix(line, "make "):
						if target := strings.Fields(line)[1]; !bytes.Contains(targets, []byte("\n"+target+":")) {
							t.Errorf("there is no target %s", target)
						}
					case strings.HasPrefix(line, "export CLIENT_"):
					default:
						script = append(script, line)
					}
				}
				runBlock(t, strings.Join(script, ""))
			})
		}
	}
	if blocks < 5 {
		t.Errorf("got %d shell blocks, want those of the README at least", blocks)
	}
}

// runBlock runs a shell script in an empty folder, on a simulated Globus.
func runBlock(t *testing.T, script string) {
	t.Helper()
	for _, program := range []string{"bash", "curl", "openssl"} {
		_, err := exec.LookPath(program)
		if needed := program == "bash" || strings.Contains(script, program+" "); needed && err != nil {
			t.Skip("there is no " + program)
		}
	}
	lab, vault, dir := t.TempDir(), t.TempDir(), t.TempDir()
	if err := os.Mkdir(filepath.Join(lab, "data"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(lab, "data", "frame.h5"), []byte("frame"), 0o644); err != nil {
		t.Fatal(err)
	}
	sim, err := globussim.New(globussim.Config{
		Accounts: []globussim.Account{{ID: simClientID(), Secret: canary}, {ID: simAppID(), NativeApp: true}},
		Persons:  []globussim.Person{{Username: simPerson}},
		Collections: []globussim.Collection{
			{Name: "lab", Dir: lab}, {Name: "vault", Dir: vault}, {Name: "mapped", Dir: lab, EntityType: globussim.MappedCollection},
		},
		Flows: []globussim.Flow{{Title: simFlow}},
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(sim)
	t.Cleanup(func() {
		server.Close()
		_ = sim.Close() // it returns nil
	})
	examples, err := filepath.Abs("../../examples")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	const cleanUp = `trap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT` + "\n"
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-m", "-c", cleanUp+script)
	cmd.WaitDelay = 10 * time.Second // a process left behind must not hold the test
	cmd.Dir = dir
	cmd.Env = append(os.Environ(),
		"CLIENT_ID="+simClientID(), "CLIENT_SECRET="+canary,
		"GLOBUS_SDK_SERVICE_URL_AUTH="+server.URL, "GLOBUS_SDK_SERVICE_URL_TRANSFER="+server.URL, "GLOBUS_SDK_SERVICE_URL_TIMER="+server.URL,
		"GLOBUS_SDK_SERVICE_URL_FLOWS="+server.URL, "FLOW="+globussim.FlowID(simFlow),
		"HOME="+dir, "EXAMPLES="+examples,
		"BROWSER=person", "APP="+simAppID(), "MAPPED="+globussim.CollectionID("mapped"),
		"LAB="+globussim.CollectionID("lab"), "VAULT="+globussim.CollectionID("vault"),
	)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s\n%s", err, script, out)
	}
	if bytes.Contains(out, []byte(canary)) {
		t.Errorf("the secret was printed:\n%s", out)
	}
}
