package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/globus-runner/globus-runner/globussim"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"runner": main, "person": openAsPerson, "peak": peak})
}

var update = flag.Bool("update", false, "rewrite the files that scripts compare with")

// canary is the secret of the simulated service account: it must not be seen
// in anything that is printed.
const canary = "canary+/=Xq7Zt0"

// TestScript runs the command line, as users see it, against a simulator.
//
// Scripts have these commands besides the usual ones:
//
//	sim [NAME=FOLDER[,OPTION...]]...   start a simulator; sets the environment,
//	                                   $NAME for each collection and $NATIVE_APP;
//	                                   --rotate-refresh-tokens as for runner sim
//	exits STATUS runner ARG...         run at debug level, want the exit status
//	                                   and no secret in what is printed
//	signals SIG STATUS runner ARG...   the same, with a signal once a task exists
//	fault JSON, disturb JSON           order trouble
//	order PATH JSON                    the same, on the control path /_sim/PATH
//	shows LOG PATH TEXT...             wait until a path of the serve that writes LOG has each text
//	receive STATUS FILE                take notices at $HOOK, and write them into a file
//	revoke, expire                     end all tokens
//	tasks N                            want so many tasks at Globus
//	posts N                            want so many requests that submit
//
// The condition [hangup] holds unless SIGHUP is ignored, as under nohup.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		UpdateScripts:       *update,
		Setup: func(e *testscript.Env) error {
			examples, err := filepath.Abs("../../examples")
			if err != nil {
				return err
			}
			e.Setenv("EXAMPLES", examples)
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("RUNNER_HTTP_RETRIES", "3")
			e.Values["sim"] = new(*globussim.Server)
			return nil
		},
		Condition: func(cond string) (bool, error) {
			if cond != "hangup" {
				return false, fmt.Errorf("there is no condition %s", cond)
			}
			return !signal.Ignored(syscall.SIGHUP), nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"sim":     startSim,
			"receive": receive,
			"shows":   shows,
			"exits":   exits,
			"signals": signals,
			"fault": func(ts *testscript.TestScript, _ bool, args []string) {
				var f globussim.Fault
				decode(ts, args, &f)
				sim(ts).Fail(f)
			},
			"disturb": func(ts *testscript.TestScript, _ bool, args []string) {
				var d globussim.Disturbance
				decode(ts, args, &d)
				ts.Check(sim(ts).Disturb(d))
			},
			"order":  order,
			"expire": func(ts *testscript.TestScript, _ bool, _ []string) { sim(ts).ExpireTokens() },
			"revoke": func(ts *testscript.TestScript, _ bool, _ []string) { sim(ts).RevokeTokens() },
			"tasks": func(ts *testscript.TestScript, _ bool, args []string) {
				want(ts, args, len(sim(ts).State().Tasks), "tasks")
			},
			"posts": func(ts *testscript.TestScript, _ bool, args []string) {
				routes := sim(ts).State().Routes
				want(ts, args, routes["POST /v0.10/transfer"]+routes["POST /v0.10/delete"], "submissions")
			},
		},
	})
}

// startSim starts a simulator for the rest of the script.
func startSim(ts *testscript.TestScript, _ bool, args []string) {
	cfg := globussim.Config{
		Accounts: []globussim.Account{{ID: simClientID(), Secret: canary}, {ID: simAppID(), NativeApp: true}},
		Persons:  []globussim.Person{{Username: simPerson}},
		Flows:    []globussim.Flow{{Title: simFlow}},
	}
	for _, arg := range args {
		if arg == "--rotate-refresh-tokens" {
			cfg.RotateRefreshTokens = true
			continue
		}
		c, err := parseCollection(arg)
		ts.Check(err)
		c.Dir = ts.MkAbs(c.Dir)
		ts.Check(os.MkdirAll(c.Dir, 0o755))
		cfg.Collections = append(cfg.Collections, c)
		ts.Setenv(c.Name, globussim.CollectionID(c.Name))
	}
	own(cfg.Collections, simClientID())
	s, err := globussim.New(cfg)
	ts.Check(err)
	server := httptest.NewServer(s)
	ts.Defer(func() {
		server.Close()
		ts.Check(s.Close())
		for _, r := range s.State().Requests {
			if strings.HasPrefix(r.Path, "/v0.10/") && !strings.HasPrefix(r.ClientInfo, "product=globus-runner,version=") {
				ts.Fatalf("%s %s says that it is sent by %q", r.Method, r.Path, r.ClientInfo)
			}
		}
	})
	ts.Setenv("GLOBUS_SDK_SERVICE_URL_AUTH", server.URL)
	ts.Setenv("GLOBUS_SDK_SERVICE_URL_TRANSFER", server.URL)
	ts.Setenv("GLOBUS_SDK_SERVICE_URL_TIMER", server.URL)
	ts.Setenv("GLOBUS_SDK_SERVICE_URL_FLOWS", server.URL)
	ts.Setenv("flow", globussim.FlowID(simFlow))
	ts.Setenv("CLIENT_ID", simClientID())
	ts.Setenv("CLIENT_SECRET", canary)
	ts.Setenv("NATIVE_APP", simAppID())
	*ts.Value("sim").(**globussim.Server) = s
}

// receive starts a service that takes notices for the rest of the script. It
// answers with a status, and writes the address and the body of each request into
// a file. Its address is in the variable HOOK.
func receive(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("want a status and the name of a file")
	}
	status, err := strconv.Atoi(args[0])
	ts.Check(err)
	file, err := os.Create(ts.MkAbs(args[1]))
	ts.Check(err)
	var mu sync.Mutex
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // a cut one is seen in the file
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(file, "%s %s\n", r.URL.Path, body)
		w.WriteHeader(status)
	}))
	ts.Defer(func() {
		server.Close()
		ts.Check(file.Close())
	})
	ts.Setenv("HOOK", server.URL)
}

// shows waits until a path of the serve that writes a log answers with each text.
func shows(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 3 {
		ts.Fatalf("want the log of serve, a path and texts")
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	text := ""
	for ctx.Err() == nil {
		log, err := os.Open(ts.MkAbs(args[0]))
		if err == nil {
			var address string
			if address, err = startedAt(bufio.NewReader(log)); err == nil {
				text, err = get(ctx, "http://"+address+args[1])
			}
			_ = log.Close() // it was only read
		}
		if err == nil && !slices.ContainsFunc(args[2:], func(want string) bool { return !strings.Contains(text, want) }) {
			return
		}
		time.Sleep(50 * time.Millisecond) // the program is another process
	}
	ts.Fatalf("%s does not show all of %q:\n%s", args[1], args[2:], text)
}

func sim(ts *testscript.TestScript) *globussim.Server {
	s := *ts.Value("sim").(**globussim.Server)
	if s == nil {
		ts.Fatalf("there is no simulator")
	}
	return s
}

func decode(ts *testscript.TestScript, args []string, to any) {
	if len(args) != 1 {
		ts.Fatalf("want one JSON document")
	}
	ts.Check(json.Unmarshal([]byte(args[0]), to))
}

func order(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("want a path and a JSON document")
	}
	reply := httptest.NewRecorder()
	request := httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/_sim/"+args[0], strings.NewReader(args[1]))
	sim(ts).ServeHTTP(reply, request)
	if reply.Code != http.StatusOK {
		ts.Fatalf("order: %d %s", reply.Code, reply.Body)
	}
}

func want(ts *testscript.TestScript, args []string, got int, what string) {
	if len(args) != 1 || args[0] != strconv.Itoa(got) {
		ts.Fatalf("got %d %s, want %v", got, what, args)
	}
}

func exits(ts *testscript.TestScript, _ bool, args []string) {
	status := 0
	if err := ts.Exec(args[1], append([]string{"--verbose"}, args[2:]...)...); err != nil {
		e, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		status = e.ExitCode()
	}
	check(ts, args[0], status, ts.ReadFile("stdout"), ts.ReadFile("stderr"))
}

// signals runs a command in a process of its own, sends it a signal as soon as
// a task exists, and leaves its output in the files signaled-stdout and
// signaled-stderr.
func signals(ts *testscript.TestScript, _ bool, args []string) {
	s := sim(ts)
	before := len(s.State().Tasks)
	sig := map[string]syscall.Signal{"HUP": syscall.SIGHUP, "INT": syscall.SIGINT, "TERM": syscall.SIGTERM, "KILL": syscall.SIGKILL}[args[0]]
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	path := filepath.Join(filepath.SplitList(ts.Getenv("PATH"))[0], args[2])
	cmd := exec.CommandContext(ctx, path, append([]string{"--verbose"}, args[3:]...)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGQUIT) } // it says where it hangs
	cmd.WaitDelay = 10 * time.Second
	cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"PATH", "HOME", "CLIENT_ID", "CLIENT_SECRET", "GLOBUS_SDK_SERVICE_URL_AUTH", "GLOBUS_SDK_SERVICE_URL_TRANSFER", "RUNNER_HTTP_RETRIES", "RUNNER_OCCURRENCE", "RUNNER_JOB_NAME", "RUNNER_JOB_SOURCE", "RUNNER_JOB_DESTINATION", "RUNNER_JOBS", "RUNNER_STATE", "RUNNER_LISTEN"} {
		if value := ts.Getenv(name); value != "" {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	ts.Check(cmd.Start())
	for len(s.State().Tasks) == before && ctx.Err() == nil {
		time.Sleep(5 * time.Millisecond) // the other process gives no other sign
	}
	ts.Check(cmd.Process.Signal(sig))
	_ = cmd.Wait() // the status says it
	status := cmd.ProcessState.ExitCode()
	if status < 0 {
		status = 128 + int(cmd.ProcessState.Sys().(syscall.WaitStatus).Signal())
	}
	ts.Check(os.WriteFile(ts.MkAbs("signaled-stdout"), []byte(stdout.String()), 0o644))
	ts.Check(os.WriteFile(ts.MkAbs("signaled-stderr"), []byte(stderr.String()), 0o644))
	check(ts, args[1], status, stdout.String(), stderr.String())
}

// check compares an exit status, and looks for secrets in what was printed.
func check(ts *testscript.TestScript, want string, got int, stdout, stderr string) {
	if want != strconv.Itoa(got) {
		ts.Fatalf("got exit status %d, want %s; stderr:\n%s", got, want, stderr)
	}
	for _, printed := range []string{stdout, stderr} {
		basic := base64.StdEncoding.EncodeToString([]byte(simClientID() + ":" + canary))
		for _, secret := range []string{canary, "Bearer ", basic, `"access_token"`} {
			if strings.Contains(printed, secret) {
				ts.Fatalf("%q was printed:\n%s", secret, printed)
			}
		}
		if token := simToken.FindString(printed); token != "" {
			ts.Fatalf("the token %s was printed:\n%s", token, printed)
		}
	}
	for line := range strings.SplitSeq(stderr, "\n") {
		if after, ok := strings.CutPrefix(line, "runner: "); ok && (after == "" || len(after) > 1000) {
			ts.Fatalf("not a sentence: %s", fmt.Sprintf("%.1200q", line))
		}
	}
}
