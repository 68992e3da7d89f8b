package settings

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/globus-runner/globus-runner/jobs"
)

// JobPrefix is the prefix of the variables that describe one job.
const JobPrefix = "RUNNER_JOB_"

// A Job holds the variables that describe one job without a jobs file. The tag key is
// the name of the variable's key in a jobs file, whose parser checks the value.
type Job struct {
	Name             string       `env:"NAME" desc:"name of the job; default: made of source and destination"`
	Source           string       `env:"SOURCE" desc:"<collection id>:<path> to copy from; the path may hold templates, as in jobs files"`
	Destination      string       `env:"DESTINATION" desc:"<collection id>:<path> to copy to"`
	Schedule         string       `env:"SCHEDULE" key:"schedule" desc:"when serve starts it: five cron fields, or @hourly, @daily, @every 90m"`
	TimeZone         string       `env:"TIME_ZONE" key:"time_zone" desc:"IANA name of the time zone of schedule and templates, such as America/Chicago; default: UTC"`
	Jitter           durationText `env:"JITTER" key:"jitter" desc:"delay each occurrence by up to this long, the same for the same occurrence"`
	StartingDeadline durationText `env:"STARTING_DEADLINE" key:"starting_deadline" desc:"how late an occurrence may start; default: at any time, 24h for what was missed"`
	CatchUp          string       `env:"CATCH_UP" key:"catch_up" envDefault:"latest" desc:"what serve starts of what fell due while it did not run: none, latest or all"`
	Recursive        flagText     `env:"RECURSIVE" key:"transfer.recursive" desc:"true: a folder, false: a file; default: Globus finds out"`
	SyncLevel        string       `env:"SYNC_LEVEL" key:"transfer.sync_level" desc:"copy only what is missing (exists) or differs in size, mtime or checksum; default: copy everything"`
	VerifyChecksum   flagText     `env:"VERIFY_CHECKSUM" key:"transfer.verify_checksum" envDefault:"true" desc:"compare checksums after each file"`
	Preserve         flagText     `env:"PRESERVE_TIMESTAMP" key:"transfer.preserve_timestamp" desc:"set the modification times at the destination"`
	Encrypt          flagText     `env:"ENCRYPT_DATA" key:"transfer.encrypt_data" desc:"encrypt the data channel"`
	DeleteExtra      flagText     `env:"DELETE_DESTINATION_EXTRA" key:"transfer.delete_destination_extra" desc:"delete at the destination what the source does not have"`
	AllowEmptySource flagText     `env:"ALLOW_EMPTY_SOURCE" desc:"let DELETE_DESTINATION_EXTRA work on an empty source"`
	MaxDelete        string       `env:"GUARD_MAX_DELETE" key:"guard.max_delete" envDefault:"50%" desc:"how much of the destination DELETE_DESTINATION_EXTRA may delete: a share of its files, a number of files, or none for no bound"`
	Look             numberText   `env:"GUARD_LOOK" key:"guard.look" desc:"how many folders are looked at on each side before DELETE_DESTINATION_EXTRA may delete; default: 2000"`
	SkipSourceErrors flagText     `env:"SKIP_SOURCE_ERRORS" key:"transfer.skip_source_errors" desc:"skip source paths that are missing or unreadable"`
	AllowSkipped     flagText     `env:"ALLOW_SKIPPED" key:"allow_skipped" desc:"count a task that skipped source errors as a success"`
	Receipts         flagText     `env:"RECEIPTS" key:"receipts" desc:"keep a receipt of what was copied, file by file; needs a ledger, so run needs RUNNER_STATE"`
	FailOnQuota      flagText     `env:"FAIL_ON_QUOTA_ERRORS" key:"transfer.fail_on_quota_errors" desc:"fail at once when the destination is full"`
	Include          string       `env:"INCLUDE" desc:"file names to keep although excluded, such as *.h5,*.nxs"`
	Exclude          string       `env:"EXCLUDE" desc:"file names to leave out, such as *.tmp,*.part"`
	ActiveDeadline   durationText `env:"ACTIVE_DEADLINE" key:"active_deadline" envDefault:"24h" desc:"how long the task may take before Globus ends it"`
	Concurrency      string       `env:"CONCURRENCY_POLICY" key:"concurrency_policy" envDefault:"forbid" desc:"another task is at work on the same paths: forbid (skip), allow (wait) or replace"`
	BackoffLimit     numberText   `env:"BACKOFF_LIMIT" key:"backoff_limit" envDefault:"0" desc:"new attempts after a task that FAILED"`
	Backoff          durationText `env:"BACKOFF" key:"backoff" envDefault:"1m" desc:"wait before the first new attempt, then doubled"`
	StalledAfter     durationText `env:"STALLED_AFTER" key:"stalled_after" envDefault:"30m" desc:"time without progress after which a task is stalled"`
	OnStalled        string       `env:"ON_STALLED" key:"on.stalled" envDefault:"warn" desc:"wait, warn or cancel"`
	OnNeedsHuman     string       `env:"ON_NEEDS_HUMAN" key:"on.needs_human" envDefault:"warn" desc:"a suspended or paused task: wait, warn or cancel"`
	OnHopeless       string       `env:"ON_HOPELESS" key:"on.hopeless" envDefault:"cancel" desc:"a missing path or permission, a full disk: wait, warn or cancel"`
}

// A flagText should be true or false, a numberText a number, and a durationText
// a duration such as 90s, 12h or 7d. The parser of jobs files reports values
// that are not.
type (
	flagText     string
	numberText   string
	durationText string
)

// Describes reports whether the variables describe a job, even a faulty one.
func (e *Job) Describes() bool { return e.Source != "" || e.Destination != "" }

// File returns the described job in the form of a jobs file, or everything that
// is wrong with the variables. The Field of a problem is the variable.
func (e *Job) File() (*jobs.File, error) {
	if e.Source == "" || e.Destination == "" {
		return nil, errors.New("no job is described: RUNNER_JOB_SOURCE and RUNNER_JOB_DESTINATION must both be set, as <collection id>:<path>")
	}
	d := newDescription(e)
	if len(d.problems) > 0 && !utf8.ValidString(e.Source+e.Destination) {
		return nil, errors.Join(d.problems...) // the text would not have the values that were set
	}
	text, err := d.text()
	if err != nil {
		return nil, err
	}
	file, err := jobs.Parse(nil, jobs.Source{Data: text})
	for _, p := range jobs.Problems(err) {
		if name := d.variable(p.Field); !d.bad[name] {
			d.problems = append(d.problems, &jobs.Problem{Field: name, Msg: p.Msg})
		}
	}
	if len(d.problems) > 0 {
		return nil, errors.Join(d.problems...)
	}
	file.Collections = nil // their names are made up
	for i, w := range file.Warnings {
		file.Warnings[i] = &jobs.Problem{Field: d.variable(w.Field), Msg: w.Msg}
	}
	d.refine(file.Jobs[0])
	return file, nil
}

// A description builds a jobs file from variables.
type description struct {
	env      *Job
	name     string
	job      map[string]any
	src, dst Location
	precise  map[string]time.Duration // durations that a jobs file cannot express, by key
	bad      map[string]bool          // variables that have a problem already
	problems []error
}

func newDescription(e *Job) *description {
	d := &description{env: e, job: map[string]any{}, precise: map[string]time.Duration{}, bad: map[string]bool{}}
	v := reflect.ValueOf(*e)
	for f := range v.Type().Fields() {
		text := v.FieldByIndex(f.Index).String()
		if !utf8.ValidString(text) {
			d.problem(JobPrefix+f.Tag.Get("env"), "the text is not UTF-8")
			continue
		}
		if key := f.Tag.Get("key"); key != "" && text != "" && (key != "guard.max_delete" || text != string(jobs.DefaultMaxDelete)) {
			d.set(key, d.value(f.Type, key, text))
		}
	}
	d.src, d.dst = d.location("SOURCE", e.Source), d.location("DESTINATION", e.Destination)
	d.set("transfer.source", "source:"+d.src.Path)
	d.set("transfer.destination", "destination:"+d.dst.Path)
	if e.AllowEmptySource != "" {
		answer := d.value(reflect.TypeFor[flagText](), "", string(e.AllowEmptySource))
		if allowed, ok := answer.(bool); ok {
			answer = map[bool]string{true: "allow", false: "refuse"}[allowed]
		} else {
			d.problem("RUNNER_JOB_ALLOW_EMPTY_SOURCE", fmt.Sprintf("got %q, want true or false", e.AllowEmptySource))
			answer = "refuse"
		}
		d.set("guard.empty_source", answer)
	}
	if rules := append(rules("include", e.Include), rules("exclude", e.Exclude)...); len(rules) > 0 {
		d.set("transfer.filter_rules", rules)
	}
	if d.name = e.Name; d.name == "" {
		d.name = nameFor(d.src, d.dst)
	}
	return d
}

func (d *description) problem(variable, msg string) {
	d.bad[variable] = true
	d.problems = append(d.problems, &jobs.Problem{Field: variable, Msg: msg})
}

// set sets a dotted key.
func (d *description) set(key string, value any) {
	at := d.job
	if head, rest, ok := strings.Cut(key, "."); ok {
		inner, _ := at[head].(map[string]any)
		if inner == nil {
			inner = map[string]any{}
			at[head] = inner
		}
		at, key = inner, rest
	}
	at[key] = value
}

// value returns the value of a text in a jobs file.
func (d *description) value(t reflect.Type, key, text string) any {
	switch t {
	case reflect.TypeFor[flagText]():
		if b, err := strconv.ParseBool(text); err == nil {
			return b
		}
	case reflect.TypeFor[numberText]():
		if n, err := strconv.Atoi(text); err == nil {
			return n
		}
	case reflect.TypeFor[durationText]():
		precise, err := time.ParseDuration(text)
		if err == nil && precise > 0 && (strings.Contains(text, "ms") || strings.ContainsAny(text, ".nuµ")) {
			d.precise[key] = precise
			return "1h"
		}
	}
	return text
}

// location reads one end of the transfer. It returns a placeholder for one that is
// wrong.
func (d *description) location(name, text string) Location {
	l, err := parseLocation(text)
	if err == nil {
		err = l.WantPath(text)
	}
	if err != nil {
		d.problem(JobPrefix+name, err.Error())
		return Location{"00000000-0000-4000-8000-000000000000", "/" + strings.ToLower(name) + "/x"}
	}
	return l
}

func rules(method, names string) []any {
	var rules []any
	for name := range strings.SplitSeq(names, ",") {
		if name = strings.TrimSpace(name); name != "" {
			rules = append(rules, map[string]any{"method": method, "type": "file", "name": name})
		}
	}
	return rules
}

// text returns the jobs file, as JSON, which is YAML.
func (d *description) text() ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	err := enc.Encode(map[string]any{
		"version":     1,
		"collections": map[string]any{"source": d.src.Collection, "destination": d.dst.Collection},
		"jobs":        map[string]any{d.name: d.job},
	})
	if err != nil {
		return nil, fmt.Errorf("describe the job of RUNNER_JOB_*: %w", err)
	}
	return buf.Bytes(), nil
}

// variable returns the variable, or the variables, that set a field of the jobs
// file.
func (d *description) variable(field string) string {
	if field == "jobs."+d.name {
		return "RUNNER_JOB_NAME"
	}
	key := strings.TrimPrefix(field, "jobs."+d.name+".")
	for f := range reflect.TypeFor[Job]().Fields() {
		if f.Tag.Get("key") == key {
			return JobPrefix + f.Tag.Get("env")
		}
	}
	var index int
	switch n, _ := fmt.Sscanf(key, "transfer.filter_rules[%d]", &index); {
	case key == "transfer.source" || strings.HasPrefix(key, "collections.source"):
		return "RUNNER_JOB_SOURCE"
	case key == "transfer.destination" || strings.HasPrefix(key, "collections.destination"):
		return "RUNNER_JOB_DESTINATION"
	case key == "guard.empty_source":
		return "RUNNER_JOB_ALLOW_EMPTY_SOURCE"
	case n == 1 && index < len(rules("", d.env.Include)):
		return "RUNNER_JOB_INCLUDE"
	case strings.HasPrefix(key, "transfer.filter_rules"):
		return "RUNNER_JOB_EXCLUDE"
	case key == "transfer":
		return "RUNNER_JOB_SOURCE, RUNNER_JOB_DESTINATION"
	}
	return "RUNNER_JOB_*"
}

// refine sets durations that a jobs file cannot express.
func (d *description) refine(j *jobs.Job) {
	for key, to := range map[string]*time.Duration{
		"jitter": &j.Jitter, "starting_deadline": &j.StartingDeadline, "active_deadline": &j.ActiveDeadline,
		"backoff": &j.Backoff, "stalled_after": &j.StalledAfter,
	} {
		if precise, ok := d.precise[key]; ok {
			*to = precise
		}
	}
}

// nameFor names a job after its paths, so that each start uses the same name,
// and no start adopts the task of a different job.
func nameFor(src, dst Location) string {
	sum := sha256.Sum256([]byte(src.Collection + ":" + src.Path + "\n" + dst.Collection + ":" + dst.Path))
	return "transfer-" + hex.EncodeToString(sum[:4])
}
