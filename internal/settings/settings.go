// Package settings reads the program's environment: every variable, once, and the job,
// the occurrence and the identity that the variables describe. It also reads locations
// on collections, which have the same form in variables and on the command line.
// [Read] is the place to begin.
//
// Every error is a mistake in a variable or a text, and names it. An error never
// contains the value of a secret.
package settings

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/caarlos0/env/v11"

	"github.com/globus-runner/globus-runner/clientcreds"
	"github.com/globus-runner/globus-runner/internal/spelling"
	"github.com/globus-runner/globus-runner/login"
)

// An Environment is everything that the program reads from its environment.
// [Read] makes one, and it does not change afterwards. "runner env" prints the
// tags.
type Environment struct {
	clientcreds.Environment
	Login login.Environment

	Service   string       `env:"GLOBUS_SDK_ENVIRONMENT" envDefault:"production" desc:"Globus environment: production, preview, sandbox, integration, test, staging"`
	Auth      ServiceURL   `env:"GLOBUS_SDK_SERVICE_URL_AUTH" desc:"address of Globus Auth, instead of the environment's"`
	Transfer  ServiceURL   `env:"GLOBUS_SDK_SERVICE_URL_TRANSFER" desc:"address of Globus Transfer, instead of the environment's"`
	Timer     ServiceURL   `env:"GLOBUS_SDK_SERVICE_URL_TIMER" desc:"address of Globus Timers, instead of the environment's"`
	Timers    ServiceURL   `env:"GLOBUS_SDK_SERVICE_URL_TIMERS" desc:"the same, as the JavaScript SDK spells it"`
	Flows     ServiceURL   `env:"GLOBUS_SDK_SERVICE_URL_FLOWS" desc:"address of Globus Flows, instead of the environment's"`
	Timeout   Seconds      `env:"GLOBUS_SDK_HTTP_TIMEOUT" envDefault:"60" desc:"seconds that one try of a request may take; -1: no limit"`
	VerifySSL Verification `env:"GLOBUS_SDK_VERIFY_SSL" envDefault:"true" desc:"check certificates: true, false, or the file of a CA bundle"`

	Retries Count  `env:"RUNNER_HTTP_RETRIES" envDefault:"8" desc:"how often a request that met a temporary error is sent again"`
	Jobs    string `env:"RUNNER_JOBS" desc:"jobs file, or folder of *.yaml and *.yml; default: /etc/runner/jobs.yaml, then jobs.yaml here"`
	State   string `env:"RUNNER_STATE" desc:"ledger of runs: sqlite:<file>, postgres://..., or none: Globus itself remembers, by the task's label; default: a file in the state folder, and none for run with RUNNER_JOB_* alone"`
	Listen  string `env:"RUNNER_LISTEN" desc:"address of the page, its API, health checks and metrics of serve, such as 127.0.0.1:8080; default: none"`
	// SigningKeyFile is a file name, and not secret itself.
	SigningKeyFile string `env:"RUNNER_SIGNING_KEY_FILE" desc:"file of a private Ed25519 key (PEM) that signs receipts; default: they are not signed"`

	Mail Mail

	LogFormat LogFormat `env:"RUNNER_LOG_FORMAT" desc:"json or text; default: text on a terminal, else json"`
	LogLevel  LogLevel  `env:"RUNNER_LOG_LEVEL" envDefault:"info" desc:"debug, info, warn or error"`

	Browser        string `env:"BROWSER" desc:"command that opens an address in a browser, for login; default: what the desktop has"`
	StateDirectory string `env:"STATE_DIRECTORY" desc:"state folder, set by systemd"`
	XDGStateHome   string `env:"XDG_STATE_HOME" desc:"where the user's state folders are"`
	XDGConfigHome  string `env:"XDG_CONFIG_HOME" desc:"where the user's settings are; a person's login is in globus-runner/login.json there"`
	Home           string `env:"HOME" desc:"the user's home folder"`

	Page       Page
	CI         CI
	Occurrence Occurrence
	Job        Job `envPrefix:"RUNNER_JOB_"`

	// Misspelled are variables that nothing reads, one mistake away from one of
	// ours.
	Misspelled []Misspelling

	environ []string
	wrong   error
}

// An Occurrence holds the variables from which the key of an occurrence is made.
type Occurrence struct {
	Given         string `env:"RUNNER_OCCURRENCE" desc:"key of the occurrence: a start with the same key continues, it never repeats"`
	KubernetesJob string `env:"RUNNER_KUBERNETES_JOB" desc:"name of the Kubernetes Job, from the downward API"`
	GitHub        string `env:"GITHUB_RUN_ID" desc:"set by GitHub Actions"`
	GitLab        string `env:"CI_PIPELINE_ID" desc:"set by GitLab CI"`
	Buildkite     string `env:"BUILDKITE_BUILD_ID" desc:"set by Buildkite"`
	CircleCI      string `env:"CIRCLE_WORKFLOW_ID" desc:"set by CircleCI"`
	Jenkins       string `env:"BUILD_TAG" desc:"set by Jenkins"`
}

// A CI holds the variables of GitHub Actions.
type CI struct {
	GitHubActions string `env:"GITHUB_ACTIONS" desc:"true in GitHub Actions: an error of run or validate is annotated, and run writes the two files below"`
	GitHubSummary string `env:"GITHUB_STEP_SUMMARY" desc:"file of the summary of a step"`
	GitHubOutput  string `env:"GITHUB_OUTPUT" desc:"file of the outputs of a step"`
}

// OnGitHub reports whether the program is a step of GitHub Actions.
func (c *CI) OnGitHub() bool { return c.GitHubActions == "true" }

// Read reads the environment, given as NAME=value. An empty variable counts as
// not set. [Environment.Check] returns what is wrong; the other variables can
// still be used.
func Read(environ []string) *Environment {
	e := &Environment{environ: environ}
	set := present(environ)
	problems := e.checkNames(set)
	problems = append(problems, unwrap(set)...)
	if err := env.ParseWithOptions(e, env.Options{Environment: set}); err != nil {
		problems = append(problems, parseProblems(err)...)
	}
	problems = append(problems, e.Mail.check()...)
	problems = append(problems, e.checkListen()...)
	if _, ok := services[e.Service]; !ok && e.Service != "" {
		problems = append(problems, fmt.Errorf("GLOBUS_SDK_ENVIRONMENT: there is no environment %q%s", e.Service,
			spelling.Hint(e.Service, slices.Sorted(maps.Keys(services))...)))
	}
	e.wrong = errors.Join(problems...)
	return e
}

// Check returns everything that is wrong with the variables, or nil. The job of
// RUNNER_JOB_* is checked by [Job.File].
func (e *Environment) Check() error { return e.wrong }

// Lookup returns the value of any variable, or "" if it is not set.
func (e *Environment) Lookup(name string) string {
	for _, kv := range slices.Backward(e.environ) {
		if value, ok := strings.CutPrefix(kv, name+"="); ok {
			return value
		}
	}
	return ""
}

// Environ returns a copy of all variables as NAME=value.
func (e *Environment) Environ() []string { return slices.Clone(e.environ) }

// ListenAddress returns RUNNER_LISTEN with a host: a port alone is on loopback.
func (e *Environment) ListenAddress() string {
	if e.Listen == "" || strings.Contains(e.Listen, ":") {
		return e.Listen
	}
	return net.JoinHostPort("127.0.0.1", e.Listen)
}

func (e *Environment) checkListen() []error {
	if e.Listen == "" {
		return nil
	}
	_, _, err := net.SplitHostPort(e.ListenAddress())
	if _, wrong := strconv.ParseUint(e.Listen, 10, 16); err == nil && (wrong == nil || strings.Contains(e.Listen, ":")) {
		return nil
	}
	return []error{fmt.Errorf("RUNNER_LISTEN: %q is not HOST:PORT, such as :8080", e.Listen)}
}

// parseProblems returns the errors of caarlos0/env with the names of variables.
func parseProblems(err error) []error {
	all, ok := errors.AsType[env.AggregateError](err)
	if !ok {
		return []error{err}
	}
	var problems []error
	for _, err := range all.Errors {
		if p, ok := errors.AsType[env.ParseError](err); ok {
			err = fmt.Errorf("%s: %w", variable(p.Name), p.Err)
		}
		problems = append(problems, err)
	}
	return problems
}

// present returns the variables that are not empty, by name.
func present(environ []string) map[string]string {
	set := map[string]string{}
	for _, kv := range environ {
		if name, value, _ := strings.Cut(kv, "="); value != "" {
			set[name] = value
		}
	}
	return set
}

// ours reports whether no other program sets a variable of this name.
func ours(name string) bool {
	for _, prefix := range []string{"RUNNER_", "GLOBUS_", "CLIENT_"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// unwrap returns an error for each of our variables with quotes or the like
// around its value, and removes it from set. The errors do not show values,
// which may be secret.
func unwrap(set map[string]string) []error {
	var problems []error
	for v := range tags(reflect.TypeFor[Environment](), "") {
		value, ok := set[v.name]
		if !ok || !ours(v.name) {
			continue
		}
		around := spelling.Around(value)
		switch {
		case around == "" && strings.Trim(value, "\r\n") == value:
			continue
		case around == "":
			around = "there is a line end at its end or beginning, which files with Windows line ends leave"
		case strings.Contains(around, "quotes"):
			around += ", which docker run --env-file keeps"
		}
		delete(set, v.name)
		problems = append(problems, fmt.Errorf("%s: %s: write the value without", v.name, around))
	}
	return problems
}

// variable returns the name of the variable that fills the field.
func variable(field string) string {
	for v := range tags(reflect.TypeFor[Environment](), "") {
		if v.field == field {
			return v.name
		}
	}
	return field
}

// services are the domains of Globus's environments.
var services = map[string]struct{ auth, transfer string }{
	"production":  {"https://auth.globus.org/", "https://transfer.api.globus.org/"},
	"preview":     {"https://auth.preview.globus.org/", "https://transfer.api.preview.globus.org/"},
	"sandbox":     {"https://auth.sandbox.globuscs.info/", "https://transfer.api.sandbox.globuscs.info/"},
	"integration": {"https://auth.integration.globuscs.info/", "https://transfer.api.integration.globuscs.info/"},
	"test":        {"https://auth.test.globuscs.info/", "https://transfer.api.test.globuscs.info/"},
	"staging":     {"https://auth.staging.globuscs.info/", "https://transfer.api.staging.globuscs.info/"},
}

// AuthURL returns the address of Globus Auth.
func (e *Environment) AuthURL() *url.URL { return e.Auth.or(services[e.Service].auth) }

// TransferURL returns the address of Globus Transfer.
func (e *Environment) TransferURL() *url.URL { return e.Transfer.or(services[e.Service].transfer) }

// Production reports whether the services are those of Globus itself, and not a
// simulator or one of Globus's test environments.
func (e *Environment) Production() bool {
	return strings.EqualFold(e.TransferURL().Host, "transfer.api.globus.org")
}

// TaskPage returns the address at which people see a task or, unless flow is
// empty, a run of a flow. It is "" outside production, which is all that
// Globus's web app shows.
func (e *Environment) TaskPage(id, flow string) string {
	switch {
	case !e.Production():
		return ""
	case flow != "":
		return "https://app.globus.org/runs/" + url.PathEscape(id)
	}
	return "https://app.globus.org/activity/" + url.PathEscape(id)
}

// FlowsURL returns the address of Globus Flows.
func (e *Environment) FlowsURL() *url.URL { return e.Flows.or(e.automate("flows")) }

// automate returns the address of Flows or Timers, whose host names are built
// differently.
func (e *Environment) automate(service string) string {
	host := service + ".automate.globus.org"
	if e.Service != "production" {
		host = e.Service + "." + host
	}
	return "https://" + host + "/"
}

// TimersURL returns the address of Globus Timers.
func (e *Environment) TimersURL() *url.URL {
	u := e.automate("timer")
	if e.Timer.url == nil {
		return e.Timers.or(u)
	}
	return e.Timer.url
}
