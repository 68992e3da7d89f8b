package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/internal/doctor"
	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/plain"
	"github.com/globus-runner/globus-runner/internal/settings"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/schedule"
)

// The headings.
const (
	environmentGroup = "environment"
	networkGroup     = "network"
)

// localChecks are the checks of the environment and of the way to the network. The
// last one is about the credentials.
func (a *app) localChecks(w *workload) []*doctor.Check {
	check := func(group, name string, found ...doctor.Finding) *doctor.Check {
		return &doctor.Check{Group: group, Name: name, Look: static(found...)}
	}
	if wrong := a.env.Check(); wrong != nil {
		var found []doctor.Finding
		for line := range strings.SplitSeq(wrong.Error(), "\n") {
			found = append(found, doctor.Bad(fault.Usage, line, "see runner env").Stopping())
		}
		variables := check(environmentGroup, "variables", found...)
		credentials := check(environmentGroup, "credentials")
		credentials.Needs = []*doctor.Check{variables}
		return []*doctor.Check{variables, credentials}
	}
	services := []*url.URL{a.env.AuthURL(), a.env.TransferURL()}
	checks := []*doctor.Check{
		check(environmentGroup, "variables", a.variablesFindings()...),
		check(environmentGroup, "time_zones", zones(w.jobs)),
		check(environmentGroup, "jobs_file", w.findings...),
		check(networkGroup, "proxy", a.proxy(services)),
		check(networkGroup, "certificates", a.certificates(services)...),
	}
	return append(checks, &doctor.Check{
		Group: environmentGroup, Name: "credentials", Needs: checks[3:],
		Look: static(), // until it is known who it is
	})
}

// variablesFindings is about variables that can all be read.
func (a *app) variablesFindings() []doctor.Finding {
	found := []doctor.Finding{doctor.Good("can all be read")}
	for _, m := range a.env.Misspelled {
		found = append(found, doctor.Doubt("nobody reads "+m.Name, "did you mean "+m.Meant+"? See runner env"))
	}
	return found
}

// credentialsFindings says which identity is used, and what is unsafe about it.
func (a *app) credentialsFindings(who *settings.Identity) []doctor.Finding {
	what := string(who.Kind)
	switch {
	case who.Kind == settings.ServiceAccount:
		what += " " + who.ClientID
	case who.Username != "":
		what += " of " + who.Username
	}
	found := []doctor.Finding{doctor.Good(what + ", from " + who.From)}
	for _, w := range who.Warnings {
		advice := "unset the one that is not meant"
		if strings.Contains(w, "(mode ") { // of a file
			advice = "chmod 600, or in Kubernetes a defaultMode of 0440 with an fsGroup"
		}
		found = append(found, doctor.Doubt(w, advice))
	}
	if who.Kind != settings.ServiceAccount {
		return found
	}
	secret, err := a.secretOf()
	if err != nil {
		return append(found, doctor.Doubt("the secret cannot be checked: "+err.Error(), ""))
	}
	bare := strings.TrimRight(secret, "\r\n")
	if bare != secret {
		found[0].Seen += ", without the line end behind the secret"
	}
	return append(found, doctor.Secret(who.ClientID, bare)...)
}

// manifests checks the manifests of each job's next occurrence.
func (a *app) manifests(list []*jobs.Job, now time.Time) []*doctor.Check {
	var checks []*doctor.Check
	for _, j := range list {
		if !slices.ContainsFunc(j.Steps, func(s jobs.Step) bool { return s.Manifest != "" }) {
			continue
		}
		checks = append(checks, &doctor.Check{Group: "jobs", Name: "manifest", Subject: j.Name, Look: func(context.Context) []doctor.Finding {
			return a.manifestsOf(j, now)
		}})
	}
	return checks
}

// manifestsOf checks the manifests of the next occurrence of a job.
func (a *app) manifestsOf(j *jobs.Job, now time.Time) (found []doctor.Finding) {
	at := now
	if j.Schedule != nil {
		at = j.Schedule.Next(now)
	}
	steps, err := j.Render(jobs.ScheduledKey(at), at, j.SampleItem())
	if err != nil {
		return nil // the check of the paths tells why
	}
	for i := range steps {
		if steps[i].Manifest != "" {
			found = append(found, a.manifest(j, &j.Steps[i], &steps[i]))
		}
	}
	return found
}

// manifest checks the manifest of a step; raw has the template of its name.
func (a *app) manifest(j *jobs.Job, raw, step *jobs.Step) doctor.Finding {
	p, err := a.planStep(step)
	switch {
	case err != nil && strings.Contains(raw.Manifest, "{{"):
		return doctor.Doubt(err.Error(), "make sure that it exists before the job is due")
	case err != nil:
		return doctor.Bad(fault.Usage, err.Error(), "correct it; runner plan "+j.Name+" shows what would be submitted")
	}
	return doctor.Good(fmt.Sprintf("%s in %s", plain.Count(p.Items, "item"), plain.Count(p.Tasks, "task")))
}

// zones checks that the time zones of the jobs are known.
func zones(list []*jobs.Job) doctor.Finding {
	names := []string{"America/Chicago"} // one with daylight saving
	for _, j := range list {
		if j.Schedule != nil && !slices.Contains(names, j.Schedule.Location().String()) {
			names = append(names, j.Schedule.Location().String())
		}
	}
	for _, name := range names {
		zone, err := schedule.LoadZone(name)
		if err != nil {
			return doctor.Bad(fault.Usage, err.Error(), "check what ZONEINFO points to")
		}
		if name == names[0] {
			_, winter := time.Unix(0, 0).In(zone).Zone()
			if winter != -6*3600 {
				return doctor.Bad(fault.Usage, "the database of time zones is damaged", "check what ZONEINFO points to")
			}
		}
	}
	return doctor.Good("known, with their daylight saving")
}

// proxy says by which proxy the services are reached, without its user and password.
// The variables are checked first, because net/http ignores an address that it cannot
// parse.
func (a *app) proxy(services []*url.URL) doctor.Finding {
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"} {
		if value := a.env.Lookup(name); value != "" && !isProxy(value) {
			return doctor.Bad(fault.Usage, name+" is not the address of a proxy", "write it as http://host:port").Stopping()
		}
	}
	var ways []string
	for _, u := range services {
		p, err := http.ProxyFromEnvironment(&http.Request{URL: u})
		way := "none"
		switch {
		case err != nil:
			return doctor.Bad(fault.Usage, "the address of the proxy cannot be read", "write HTTPS_PROXY as http://host:port").Stopping()
		case p != nil && p.User != nil:
			way = p.Scheme + "://" + p.Host + ", with a user"
		case p != nil:
			way = p.Scheme + "://" + p.Host
		}
		if !slices.Contains(ways, way) {
			ways = append(ways, way)
		}
	}
	return doctor.Good(strings.Join(ways, " and "))
}

// isProxy reports whether a text is the address of a proxy, as the network
// reads it: the scheme may be left out.
func isProxy(address string) bool {
	if !strings.Contains(address, "://") {
		address = "http://" + address
	}
	u, err := url.Parse(address)
	return err == nil && u.Hostname() != ""
}

// certificates says which CA certificates verify the services.
func (a *app) certificates(services []*url.URL) []doctor.Finding {
	var found []doctor.Finding
	secure := false
	for _, u := range services {
		secure = secure || u.Scheme == "https"
		if u.Scheme == "http" && !jobs.Loopback(u.Hostname()) && len(found) == 0 {
			found = append(found, doctor.Doubt(u.Hostname()+" is reached by http: secrets, tokens and the data about files can be read on the way", "use its https address"))
		}
	}
	verify := a.env.VerifySSL
	own := a.env.Lookup("SSL_CERT_FILE") + a.env.Lookup("SSL_CERT_DIR")
	pool, err := x509.SystemCertPool()
	switch {
	case verify.Off:
		found = append(found, doctor.Doubt("are not checked", "set GLOBUS_SDK_VERIFY_SSL to true, or to the file of a CA bundle"))
	case verify.Bundle != "":
		found = append(found, bundle(verify.Bundle))
	case !secure && len(found) == 0:
		found = append(found, doctor.Good("not needed: both services are on this machine"))
	case !secure:
	case err != nil || pool.Equal(x509.NewCertPool()):
		found = append(found, doctor.Bad(fault.Usage, "this machine has no CA certificates", "mount them, and name them in SSL_CERT_FILE or GLOBUS_SDK_VERIFY_SSL").Stopping())
	case own != "":
		found = append(found, doctor.Good("those of SSL_CERT_FILE or SSL_CERT_DIR"))
	default:
		found = append(found, doctor.Good("the system's"))
	}
	return found
}

// bundle checks the file of a CA bundle.
func bundle(name string) doctor.Finding {
	if _, err := readBundle(name); err != nil {
		return doctor.Bad(fault.Usage, err.Error(), "name a file that can be read and holds certificates in PEM form").Stopping()
	}
	return doctor.Good("those of " + name)
}

// secretOf returns the secret of the service account as it is, to look at it.
func (a *app) secretOf() (string, error) {
	e := a.env.Environment
	if e.ClientSecretFile != "" {
		text, err := readBounded(e.ClientSecretFile)
		return string(text), err
	}
	for _, s := range []string{e.ClientSecret.Reveal(), e.GlobusClientSecret.Reveal(), e.CLIClientSecret.Reveal()} {
		if s != "" {
			return s, nil
		}
	}
	return "", errors.New("there is no secret")
}
