package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"

	"github.com/globus-runner/globus-runner/clientcreds"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/login"
)

// An environment is all that the program reads from its environment. The tags
// are also what "runner env" prints.
type environment struct {
	clientcreds.Environment
	Login login.Environment

	Service     string      `env:"GLOBUS_SDK_ENVIRONMENT" envDefault:"production" desc:"Globus environment: production, preview, sandbox, integration, test, staging"`
	AuthURL     serviceURL  `env:"GLOBUS_SDK_SERVICE_URL_AUTH" desc:"address of Globus Auth, instead of the environment's"`
	TransferURL serviceURL  `env:"GLOBUS_SDK_SERVICE_URL_TRANSFER" desc:"address of Globus Transfer, instead of the environment's"`
	TimerURL    serviceURL  `env:"GLOBUS_SDK_SERVICE_URL_TIMER" desc:"address of Globus Timers, instead of the environment's"`
	TimersURL   serviceURL  `env:"GLOBUS_SDK_SERVICE_URL_TIMERS" desc:"the same, as the JavaScript SDK spells it"`
	Timeout     httpTimeout `env:"GLOBUS_SDK_HTTP_TIMEOUT" envDefault:"60" desc:"seconds that one try of a request may take; -1: no limit"`
	VerifySSL   verifySSL   `env:"GLOBUS_SDK_VERIFY_SSL" envDefault:"true" desc:"check certificates: true, false, or the file of a CA bundle"`

	Retries   int        `env:"RUNNER_HTTP_RETRIES" envDefault:"8" desc:"how often a request that met a temporary error is sent again"`
	Jobs      string     `env:"RUNNER_JOBS" desc:"jobs file, or folder of *.yaml and *.yml; default: /etc/runner/jobs.yaml, then jobs.yaml here"`
	State     string     `env:"RUNNER_STATE" desc:"ledger of runs: sqlite:<file>, postgres://..., or none: Globus itself remembers, by the task's label; default: a file in the state folder, and none for run with RUNNER_JOB_* alone"`
	Listen    string     `env:"RUNNER_LISTEN" desc:"address of health checks and metrics in serve, such as 127.0.0.1:8080; default: none"`
	LogFormat logFormat  `env:"RUNNER_LOG_FORMAT" desc:"json or text; default: text on a terminal, else json"`
	LogLevel  slog.Level `env:"RUNNER_LOG_LEVEL" envDefault:"info" desc:"debug, info, warn or error"`

	Browser        string `env:"BROWSER" desc:"command that opens an address in a browser, for login; default: what the desktop has"`
	StateDirectory string `env:"STATE_DIRECTORY" desc:"state folder, set by systemd"`
	XDGStateHome   string `env:"XDG_STATE_HOME" desc:"where the user's state folders are"`
	XDGConfigHome  string `env:"XDG_CONFIG_HOME" desc:"where the user's settings are; a person's login is in globus-runner/login.json there"`
	Home           string `env:"HOME" desc:"the user's home folder"`

	CI         ciEnvironment
	Occurrence occurrenceEnvironment
	Job        jobEnvironment `envPrefix:"RUNNER_JOB_"`
}

// An occurrenceEnvironment is what the key of an occurrence is made of.
type occurrenceEnvironment struct {
	Given         string `env:"RUNNER_OCCURRENCE" desc:"key of the occurrence: a start with the same key continues, it never repeats"`
	KubernetesJob string `env:"RUNNER_KUBERNETES_JOB" desc:"name of the Kubernetes Job, from the downward API"`
	GitHub        string `env:"GITHUB_RUN_ID" desc:"set by GitHub Actions"`
	GitLab        string `env:"CI_PIPELINE_ID" desc:"set by GitLab CI"`
	Buildkite     string `env:"BUILDKITE_BUILD_ID" desc:"set by Buildkite"`
	CircleCI      string `env:"CIRCLE_WORKFLOW_ID" desc:"set by CircleCI"`
	Jenkins       string `env:"BUILD_TAG" desc:"set by Jenkins"`
}

// A ciEnvironment is what GitHub Actions says about itself.
type ciEnvironment struct {
	GitHubActions string `env:"GITHUB_ACTIONS" desc:"true in GitHub Actions: an error of run or validate is annotated, and run writes the two files below"`
	GitHubSummary string `env:"GITHUB_STEP_SUMMARY" desc:"file of the summary of a step"`
	GitHubOutput  string `env:"GITHUB_OUTPUT" desc:"file of the outputs of a step"`
}

func (c *ciEnvironment) github() bool { return c.GitHubActions == "true" }

// A jobEnvironment describes one job without any file.
type jobEnvironment struct {
	Name             string           `env:"NAME" desc:"name of the job; default: made of source and destination"`
	Source           string           `env:"SOURCE" desc:"<collection id>:<path> to copy from; the path may hold templates, as in jobs files"`
	Destination      string           `env:"DESTINATION" desc:"<collection id>:<path> to copy to"`
	Schedule         string           `env:"SCHEDULE" desc:"when serve starts it: five cron fields, or @hourly, @daily, @every 90m"`
	TimeZone         string           `env:"TIME_ZONE" envDefault:"UTC" desc:"IANA name of the time zone of schedule and templates, such as America/Chicago"`
	Recursive        triState         `env:"RECURSIVE" desc:"true: a folder, false: a file; default: Globus finds out"`
	SyncLevel        string           `env:"SYNC_LEVEL" desc:"copy only what is missing (exists) or differs in size, mtime or checksum; default: copy everything"`
	VerifyChecksum   bool             `env:"VERIFY_CHECKSUM" envDefault:"true" desc:"compare checksums after each file"`
	Preserve         bool             `env:"PRESERVE_TIMESTAMP" desc:"set the modification times at the destination"`
	Encrypt          bool             `env:"ENCRYPT_DATA" desc:"encrypt the data channel"`
	DeleteExtra      bool             `env:"DELETE_DESTINATION_EXTRA" desc:"delete at the destination what the source does not have"`
	AllowEmptySource bool             `env:"ALLOW_EMPTY_SOURCE" desc:"let DELETE_DESTINATION_EXTRA work on an empty source"`
	SkipSourceErrors bool             `env:"SKIP_SOURCE_ERRORS" desc:"skip source paths that are missing or unreadable"`
	AllowSkipped     bool             `env:"ALLOW_SKIPPED" desc:"count a task that skipped source errors as a success"`
	FailOnQuota      bool             `env:"FAIL_ON_QUOTA_ERRORS" desc:"fail at once when the destination is full"`
	Include          []string         `env:"INCLUDE" desc:"file names to keep although excluded, such as *.h5,*.nxs"`
	Exclude          []string         `env:"EXCLUDE" desc:"file names to leave out, such as *.tmp,*.part"`
	ActiveDeadline   time.Duration    `env:"ACTIVE_DEADLINE" envDefault:"24h" desc:"how long the task may take before Globus ends it"`
	Concurrency      jobs.Concurrency `env:"CONCURRENCY_POLICY" envDefault:"forbid" desc:"another task is at work on the same paths: forbid (skip), allow (wait) or replace"`
	BackoffLimit     int              `env:"BACKOFF_LIMIT" envDefault:"0" desc:"new attempts after a task that FAILED"`
	Backoff          time.Duration    `env:"BACKOFF" envDefault:"1m" desc:"wait before the first new attempt, then doubled"`
	StalledAfter     time.Duration    `env:"STALLED_AFTER" envDefault:"30m" desc:"time without progress after which a task is stalled"`
	OnStalled        jobs.Reaction    `env:"ON_STALLED" envDefault:"warn" desc:"wait, warn or cancel"`
	OnNeedsHuman     jobs.Reaction    `env:"ON_NEEDS_HUMAN" envDefault:"warn" desc:"a suspended or paused task: wait, warn or cancel"`
	OnHopeless       jobs.Reaction    `env:"ON_HOPELESS" envDefault:"cancel" desc:"a missing path or permission, a full disk: wait, warn or cancel"`
}

// readEnvironment reads the environment and names everything wrong in it.
// A variable that is set to nothing counts as not set.
func readEnvironment(environ []string) (environment, error) {
	var e environment
	err := env.ParseWithOptions(&e, env.Options{Environment: settings(environ)})
	if err == nil {
		return e, e.check()
	}
	all, ok := errors.AsType[env.AggregateError](err)
	if !ok {
		return e, err
	}
	var problems []error
	for _, err := range all.Errors {
		if p, ok := errors.AsType[env.ParseError](err); ok {
			err = fmt.Errorf("%s: %w", variable(p.Name), p.Err)
		}
		problems = append(problems, err)
	}
	return e, errors.Join(problems...)
}

// settings are the variables that are set to something, by name.
func settings(environ []string) map[string]string {
	set := map[string]string{}
	for _, kv := range environ {
		if name, value, _ := strings.Cut(kv, "="); value != "" {
			set[name] = value
		}
	}
	return set
}

// check looks at what a single variable cannot tell.
func (e *environment) check() error {
	if _, ok := services[e.Service]; !ok {
		return fmt.Errorf("GLOBUS_SDK_ENVIRONMENT: there is no environment %q", e.Service)
	}
	if e.Retries < 0 {
		return fmt.Errorf("RUNNER_HTTP_RETRIES: %d is negative", e.Retries)
	}
	return nil
}

// variable finds the name of the variable that fills the field.
func variable(field string) string {
	for v := range variables(reflect.TypeFor[environment](), "") {
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

func (e *environment) authURL() *url.URL     { return e.AuthURL.or(services[e.Service].auth) }
func (e *environment) transferURL() *url.URL { return e.TransferURL.or(services[e.Service].transfer) }

// timersURL is the address of Globus Timers, whose hosts are named after the
// environments in another way.
func (e *environment) timersURL() *url.URL {
	host := "timer.automate.globus.org"
	if e.Service != "production" {
		host = e.Service + "." + host
	}
	if e.TimerURL.url == nil {
		return e.TimersURL.or("https://" + host + "/")
	}
	return e.TimerURL.url
}

// A serviceURL is the address of a service, or nothing.
type serviceURL struct{ url *url.URL }

func (s *serviceURL) UnmarshalText(text []byte) error {
	u, err := url.Parse(string(text))
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil {
		return fmt.Errorf("%q is not an address such as https://transfer.api.globus.org/", text)
	}
	s.url = u
	return nil
}

func (s serviceURL) or(fallback string) *url.URL {
	if s.url != nil {
		return s.url
	}
	u, err := url.Parse(fallback)
	if err != nil {
		panic(err) // the fallbacks are constants
	}
	return u
}

// An httpTimeout is a number of seconds; negative means no limit.
type httpTimeout time.Duration

func (t *httpTimeout) UnmarshalText(text []byte) error {
	s, err := strconv.ParseFloat(string(text), 64)
	if err != nil || s == 0 || s != s || s > 1e6 || (s < 0 && s != -1) {
		return fmt.Errorf("%q is not a number of seconds above 0, or -1", text)
	}
	*t = httpTimeout(s * float64(time.Second))
	return nil
}

// verifySSL says whether certificates are checked, and against which bundle.
type verifySSL struct {
	off    bool
	bundle string // file; empty means the system's
}

func (v *verifySSL) UnmarshalText(text []byte) error {
	switch strings.ToLower(string(text)) {
	case "y", "yes", "t", "true", "on", "1":
		return nil
	case "n", "no", "f", "false", "off", "0":
		v.off = true
		return nil
	}
	if info, err := os.Stat(string(text)); err != nil || info.IsDir() {
		return fmt.Errorf("%q is neither true nor false nor the file of a CA bundle", text)
	}
	v.bundle = string(text)
	return nil
}

// A logFormat is one of the formats below.
type logFormat string

const (
	logAuto logFormat = ""
	logText logFormat = "text"
	logJSON logFormat = "json"
)

func (f *logFormat) UnmarshalText(text []byte) error {
	switch logFormat(text) {
	case logText, logJSON:
		*f = logFormat(text)
		return nil
	}
	return fmt.Errorf("%q is neither json nor text", text)
}

// A triState is true, false or not said.
type triState struct{ value *bool }

func (t *triState) UnmarshalText(text []byte) error {
	b, err := strconv.ParseBool(string(text))
	if err != nil {
		return fmt.Errorf("%q is neither true nor false", text)
	}
	t.value = &b
	return nil
}
