package globussim_test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/globussim"
)

// A replay makes the requests of an official client, as testdata lists them, and
// looks in the answers for what the client reads.
type replay struct {
	*lab
	file   string
	line   int
	by     string            // the method or command that makes the request
	values map[string]string // by placeholder
	tokens map[string]string // by the kind of path that they are for
}

func TestTheSimulatorAnswersEachRequestOfOfficialClients(t *testing.T) {
	for file, requests := range map[string]int{"python-sdk.txt": 150, "globus-cli.txt": 180} {
		t.Run(file, func(t *testing.T) {
			inFlowLab(t, func(t *testing.T, l *lab) {
				r := newReplay(l, "testdata/"+file)
				if made := r.all(); made < requests {
					t.Errorf("only %d requests were made", made)
				}
			}, owned, func(cfg *globussim.Config) {
				server, spare, laptop := cfg.Collections[0], cfg.Collections[0], cfg.Collections[0]
				server.Name, server.EntityType = "server", globussim.ServerEndpoint
				spare.Name = "spare"
				laptop.Name, laptop.EntityType, laptop.Access = "laptop", globussim.GCPMappedCollection, nil
				cfg.Collections = append(cfg.Collections, server, spare, laptop)
			})
		})
	}
}

func newReplay(l *lab, file string) *replay {
	flow := globussim.FlowID("Transfer")
	return &replay{
		lab: l, file: file,
		values: map[string]string{
			"{lab}": l.labID, "{vault}": l.vaultID, "{server}": globussim.CollectionID("server"), "{spare}": globussim.CollectionID("spare"), "{laptop}": globussim.CollectionID("laptop"),
			"{token}": strings.TrimPrefix(l.token, "Bearer "),
			"{flow}":  flow, "{me}": robot, "{other}": other, "{native}": nativeApp,
		},
		tokens: map[string]string{
			"oauth2": basic(robot, robotSecret),
			"auth": bearer(l.t, l.Server, "openid profile email urn:globus:auth:scope:auth.globus.org:view_consents "+
				"urn:globus:auth:scope:auth.globus.org:manage_projects urn:globus:auth:scope:auth.globus.org:view_identity_set"),
			"timers": bearer(l.t, l.Server, timerScope),
			"flows":  bearer(l.t, l.Server, flowsScope),
			"run":    bearer(l.t, l.Server, runScope(flow)),
		},
	}
}

// token returns the authorization that the client sends to a path.
func (r *replay) token(path string) string {
	for _, kind := range []struct{ path, token string }{
		{`^/v2/oauth2/token`, "oauth2"},
		{`^/v2/(oauth2|api)/`, "auth"},
		{`^/(jobs/|v2/timer$)`, "timers"},
		{`/(run|validate_run|resume)$`, "run"},
		{`^/(flows|runs|registered_apis|web_inputs)`, "flows"},
	} {
		if regexp.MustCompile(kind.path).MatchString(path) {
			return r.tokens[kind.token]
		}
	}
	return r.lab.token
}

// all makes all requests of the file, and returns how many there are.
func (r *replay) all() (made int) {
	data, err := os.ReadFile(r.file)
	if err != nil {
		r.t.Fatal(err)
	}
	var last answer
	checked := 0
	for text := range bytes.Lines(data) {
		r.line++
		line := strings.TrimRight(string(text), "\n")
		switch {
		case line == "" || line[0] == '#':
		case strings.HasPrefix(line, "\t\t"):
			r.check(last, strings.Fields(line))
			checked++
		case line[0] == '\t':
			last = r.send(line[1:])
			made++
		default:
			r.by = line
		}
	}
	if checked != made {
		r.wrong("%d requests were made, and %d answers are listed", made, checked)
	}
	return made
}

// send makes a request: a method, an address and a body, each of which may have
// placeholders.
func (r *replay) send(request string) answer {
	request = regexp.MustCompile(`{\w+}`).ReplaceAllStringFunc(request, func(name string) string {
		if r.values[name] == "" {
			r.wrong("%s has no value", name)
		}
		return r.values[name]
	})
	time.Sleep(time.Minute) // what the request before has begun goes on
	method, rest, _ := strings.Cut(request, " ")
	address, body, _ := strings.Cut(rest, " ")
	contentType := ""
	if body != "" {
		contentType = formType
	}
	if strings.HasPrefix(body, "{") {
		contentType = "application/json"
	}
	path, _, _ := strings.Cut(address, "?")
	return ask(r.t, r.Client(), method, transferBase+address, r.token(path), contentType, body)
}

// check compares an answer with what stands in the file: a status, and keys with
// their kinds.
func (r *replay) check(a answer, want []string) {
	if strconv.Itoa(a.status) != want[0] {
		r.wrong("the answer is %d %s, want %s", a.status, a.body, want[0])
		return
	}
	if a.status == http.StatusNotImplemented && !strings.Contains(string(a.body), "The simulator does not have ") {
		r.wrong("the answer does not say what is left out: %s", a.body)
	}
	got := recording{}
	got.add("", a.doc)
	for _, key := range want[1:] {
		name, value, keep := strings.Cut(key, "=")
		if keep {
			key = value
		}
		key, kinds, ok := strings.Cut(key, ":")
		if !ok {
			kinds = "string"
		}
		if !strings.Contains("|"+kinds+"|", "|"+got[key]+"|") {
			r.wrong("%s is of the kind %q, want %s: %s", key, got[key], kinds, a.body)
		}
		if keep {
			r.values[name] = first(a.doc, key)
		}
	}
}

// first returns the first value in a document that has a key, such as DATA[].id, as
// it stands in a path.
func first(value any, key string) string {
	for part := range strings.SplitSeq(key, ".") {
		name, isList := strings.CutSuffix(part, "[]")
		object, _ := value.(map[string]any)
		value = object[name]
		if list, _ := value.([]any); isList && len(list) > 0 {
			value = list[0]
		}
	}
	if number, ok := value.(float64); ok {
		return strconv.FormatFloat(number, 'f', -1, 64)
	}
	return fmt.Sprint(value)
}

func (r *replay) wrong(format string, args ...any) {
	r.t.Errorf("%s:%d: %s: %s", r.file, r.line, r.by, fmt.Sprintf(format, args...))
}
