package export

import (
	"cmp"
	"fmt"
	"math"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/jobs"
)

// Kubernetes configures manifests for Kubernetes.
type Kubernetes struct {
	Namespace string // empty means that of kubectl apply
	Image     string // empty means globus-runner:latest
	Secret    string // name of a Secret with the keys client_id and client_secret; empty means globus-runner
}

const (
	defaultImage = "globus-runner:latest"
	// maxConfig is the largest size of a ConfigMap, in bytes.
	maxConfig = 1 << 20
	// shortestDeadline is the interval at which Kubernetes looks at CronJobs.
	shortestDeadline = 10 * time.Second
	// onTime is how late an occurrence may start if it is not caught up.
	onTime = time.Minute
	// catchUpWindow bounds how late a missed occurrence is caught up,
	// unless a job has a starting deadline.
	catchUpWindow = day
	// spare is the time that a Job needs besides its tasks, to wait for a
	// node and the image, and to restart after an interruption.
	spare = time.Hour
	// longest is a limit of Kubernetes, in seconds: 68 years.
	longest = math.MaxInt32
)

// A pod is the data of the template of a Pod.
type pod struct {
	Job           scalar // empty for the scheduler
	Image, Secret scalar
	Checksum      string
	Folder        bool
	Variables     []scalar // in the ConfigMap globus-runner-env
	Files         []channelFile
	Mail          bool
}

// A cronJob is the data of the template of a CronJob.
type cronJob struct {
	Name, Description scalar
	Schedule, Zone    scalar
	Note              string
	Concurrency       string
	StartingDeadline  int64 // in seconds; 0 means none
	Suspend           bool
	ActiveDeadline    int64 // in seconds; 0 means none
	ActiveNote        string
	Pod               string
}

// A manifest is the data of the templates for Kubernetes.
type manifest struct {
	Namespace, Secret scalar
	LocalImage        string // an image that must be on the nodes already; empty if it names a registry
	Variables         []scalar
	Files             []channelFile
	Mail              bool
	Texts             []text
	Jobs              []cronJob // or else a Deployment with
	Pod               string
}

// A text is a file of a ConfigMap.
type text struct {
	Key  scalar
	Text block
}

// CronJobs returns one CronJob for each job, and a ConfigMap with the jobs file.
// What a CronJob cannot express is an error: an [errors.Join] with a
// [*jobs.Problem] for each.
func CronJobs(in Input, k Kubernetes) (*Result, error) {
	r := &report{input: in}
	r.manifests("the Pod")
	var all []cronJob
	for _, j := range in.File.Jobs {
		all = append(all, r.cronJob(j))
	}
	m := k.manifest(r)
	return r.result(func() ([]File, error) {
		for i, j := range in.File.Jobs {
			template, err := k.pod(&in, j.Name, []*jobs.Job{j})
			if err != nil {
				return nil, err
			}
			all[i].Pod = template
		}
		m.Jobs = all
		return single("cronjobs.yaml", m)
	})
}

// Deployment returns a Deployment of one scheduler, a volume claim for its
// ledger, and a ConfigMap with the jobs file. What cannot be expressed is an
// error as in [CronJobs].
func Deployment(in Input, k Kubernetes) (*Result, error) {
	r := &report{input: in}
	r.manifests("the Pod")
	m := k.manifest(r)
	return r.result(func() (_ []File, err error) {
		if m.Pod, err = k.pod(&in, "", in.File.Jobs); err != nil {
			return nil, err
		}
		return single("deployment.yaml", m)
	})
}

// single returns the one file that a template makes.
func single(name string, data any) ([]File, error) {
	text, err := render(name, data)
	return []File{{Name: name, Text: text}}, err
}

// manifest returns the data that all kinds of manifests share.
func (k *Kubernetes) manifest(r *report) *manifest {
	m := &manifest{
		Namespace: scalar(k.Namespace), Secret: k.secret(),
		Variables: variables(r.input.File.Jobs, "CLIENT_ID"),
		Files:     r.mounted(), Mail: r.input.mails(),
	}
	if cmp.Or(k.Image, defaultImage) == defaultImage {
		m.LocalImage = defaultImage
	}
	key := regexp.MustCompile(`^[-._a-zA-Z0-9]{1,253}$`)
	size := 0
	for _, src := range r.input.Sources {
		name := "jobs.yaml"
		if r.input.folder() {
			name = filepath.Base(src.Name)
		}
		if !key.MatchString(name) {
			r.refusals = append(r.refusals, &jobs.Problem{Msg: fmt.Sprintf("the file name %q cannot be a key of a ConfigMap; use letters, digits, - _ and .", name)})
		}
		size += len(name) + len(src.Data)
		m.Texts = append(m.Texts, text{scalar(name), block(src.Data)})
	}
	if size > maxConfig {
		r.refusals = append(r.refusals, &jobs.Problem{Msg: fmt.Sprintf("the jobs have %d bytes, and a ConfigMap holds at most %d; export them in parts", size, maxConfig)})
	}
	return m
}

func (k *Kubernetes) secret() scalar {
	return scalar(cmp.Or(k.Secret, "globus-runner"))
}

func image(name string) scalar {
	return scalar(cmp.Or(name, defaultImage))
}

// pod returns the template of the Pod of a job, or of the scheduler.
func (k *Kubernetes) pod(in *Input, job string, all []*jobs.Job) (string, error) {
	return render("pod.yaml", pod{
		Job: scalar(job), Image: image(k.Image), Secret: k.secret(),
		Checksum: in.checksum(), Folder: in.folder(),
		Variables: variables(all, "CLIENT_ID"), Files: in.channelFiles(), Mail: in.mails(),
	})
}

// cronJob returns the CronJob of a job, without its Pod.
func (r *report) cronJob(j *jobs.Job) cronJob {
	c := cronJob{Name: scalar(j.Name), Description: scalar(j.Description), Zone: "UTC", Suspend: j.Suspend}
	c.Concurrency = strings.ToUpper(string(j.Concurrency[:1])) + string(j.Concurrency[1:])
	c.ActiveDeadline, c.ActiveNote = activeDeadline(j)
	r.noLedger(j, "a CronJob", "use --kind deployment")
	switch {
	case j.After != "":
		r.refuse(j, "after", "a CronJob cannot start when another has succeeded; make it a step of %s, or use --kind deployment", j.After)
	case j.Schedule == nil:
		c.Schedule, c.Suspend = "0 0 31 2 *", true
		c.Note = "Without a schedule: started by kubectl create job --from=cronjob/" + j.Name + " NAME, with a new NAME each time."
	default:
		r.schedule(j, &c)
		r.start(j, &c)
	}
	return c
}

// schedule fills in when the CronJob starts.
func (r *report) schedule(j *jobs.Job, c *cronJob) {
	if every := j.Schedule.Every(); every > 0 {
		text, ok := everyCron(every)
		if c.Schedule = scalar(text); !ok {
			r.refuse(j, "schedule", "no single cron expression has the instants of @every %s; use a part of an hour or of a day, such as 30m or 6h, or --kind deployment", period(every))
		}
		return
	}
	c.Schedule, c.Zone = scalar(j.Schedule.Cron()), scalar(j.Schedule.Location().String())
	cal, err := newCalendar(j.Schedule)
	if err != nil {
		r.refuse(j, "schedule", "%v", err)
		return
	}
	skipped, repeated := cal.clash(false), cal.clash(true)
	what := ""
	if cal.fixed && !skipped.IsZero() {
		what = cal.clashText(skipped, "does not exist") + ", and Kubernetes leaves the occurrence out"
	} else if difference := cal.differs(j.Schedule); difference != "" {
		what = fmt.Sprintf("Kubernetes %s in %s, because the clocks change", difference, cal.zone)
	}
	if what != "" {
		r.refuse(j, "schedule", "%s; choose another time, or time_zone: UTC, or --kind deployment", what)
	}
	if cal.fixed && !repeated.IsZero() {
		what = cal.clashText(repeated, "occurs twice") + ", and Kubernetes starts the job both times"
		c.Note = what + "."
		r.warn(j, "schedule", "%s", what)
	}
}

// start fills in how late the CronJob may start.
func (r *report) start(j *jobs.Job, c *cronJob) {
	if j.Jitter > 0 {
		r.refuse(j, "jitter", "a CronJob starts on the minute; spread the schedules by hand, or use --kind deployment")
	}
	deadline := cmp.Or(j.StartingDeadline, catchUpWindow)
	switch j.CatchUp {
	case jobs.CatchUpAll:
		r.refuse(j, "catch_up", "a CronJob starts only the latest of the missed occurrences; use --kind deployment")
	case jobs.CatchUpNone:
		deadline = min(deadline, onTime)
	}
	if deadline < shortestDeadline {
		r.refuse(j, "starting_deadline", "Kubernetes looks at CronJobs every 10 seconds, and might never start one with a deadline of %s; write %s or more, or use --kind deployment", period(deadline), period(shortestDeadline))
	}
	c.StartingDeadline = int64(deadline / time.Second)
}

// activeDeadline returns the seconds after which Kubernetes ends the Job. This
// is later than runner itself ends it, because runner can say why. note says
// how it was computed.
func activeDeadline(j *jobs.Job) (limit int64, note string) {
	if j.Concurrency == jobs.Allow || j.ForEach != nil {
		return 0, "" // the wait for other tasks, or the number of items, is unbounded
	}
	tasks := int64(0)
	for i := range j.Steps {
		if s := &j.Steps[i]; s.Mkdir == nil && s.Share == nil {
			tasks++
		}
	}
	var waits int64 // in seconds, between the attempts of a task
	for try := range j.BackoffLimit {
		waits = min(longest, waits+int64(j.Backoff/time.Second)<<min(try, 10))
	}
	attempts := int64(j.BackoffLimit) + 1
	limit = min(longest, tasks*(attempts*int64(j.ActiveDeadline/time.Second)+waits)+int64(spare/time.Second))
	note = fmt.Sprintf("%d × %s", tasks*attempts, period(j.ActiveDeadline))
	if waits > 0 {
		note += fmt.Sprintf(" + waits of %s", period(time.Duration(tasks*waits)*time.Second))
	}
	return limit, note + " + " + period(spare)
}
