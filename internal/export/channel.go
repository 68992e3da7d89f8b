package export

import (
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/globus-runner/globus-runner/jobs"
)

// jobsFolder is where the jobs are in a container.
const jobsFolder = "/etc/runner"

// A channelFile is a secret file of a channel for notices.
type channelFile struct {
	Name scalar // of the secret
	Path scalar // where the jobs file says that it is

	field string // in the jobs file
}

// channelFiles are the files that channels read where the jobs file is in
// [jobsFolder], by field.
func (in *Input) channelFiles() (files []channelFile) {
	var moved []jobs.Source
	for _, src := range in.Sources {
		moved = append(moved, jobs.Source{Name: path.Join(jobsFolder, filepath.Base(src.Name)), Data: src.Data})
	}
	file, err := jobs.Parse(nil, moved...)
	if err != nil {
		return nil // it was parsed before
	}
	for _, name := range slices.Sorted(maps.Keys(file.Channels)) {
		c := file.Channels[name]
		add := func(kind, key, path string) {
			known := slices.ContainsFunc(files, func(f channelFile) bool { return string(f.Path) == path })
			if path != "" && !known {
				files = append(files, channelFile{scalar("notify." + name + "." + key), scalar(path), "notify." + name + "." + kind + "." + key})
			}
		}
		for kind, hook := range map[string]*jobs.Hook{"slack": c.Slack, "teams": c.Teams, "ping": c.Ping} {
			if hook != nil {
				add(kind, "url_file", hook.URLFile)
			}
		}
		if c.Webhook != nil {
			add("webhook", "url_file", c.Webhook.URLFile)
			add("webhook", "secret_file", c.Webhook.SecretFile)
		}
	}
	return files
}

// mails reports whether a channel sends mail, for which there must be a server.
func (in *Input) mails() bool {
	return slices.ContainsFunc(slices.Collect(maps.Values(in.File.Channels)), func(c *jobs.Channel) bool { return c.Mail != nil })
}

// mounted returns the files of the channels, each of which is mounted at its place.
// In a folder that is a volume itself, there is no place.
func (r *report) mounted() []channelFile {
	files := r.input.channelFiles()
	for _, f := range files {
		for _, folder := range []string{jobsFolder, "/run/secrets/globus"} {
			if strings.HasPrefix(string(f.Path), folder+"/") {
				r.refuseChannel(f, "the file would be in %s, which is a volume that can hold no other; write a name such as /run/secrets/%s", folder, path.Base(string(f.Path)))
			}
		}
	}
	return files
}

// given returns the files of the channels that are not in the folder of the jobs, if
// that is mounted with all that is in it.
func (in *Input) given() []channelFile {
	return slices.DeleteFunc(in.channelFiles(), func(f channelFile) bool {
		return in.folder() && strings.HasPrefix(string(f.Path), jobsFolder+"/")
	})
}

// unread refuses channels with secret files, which a service of systemd cannot read:
// it has a user of its own.
func (r *report) unread() {
	for _, f := range r.input.channelFiles() {
		r.refuseChannel(f, "the user of the service exists only while it runs, so the file cannot be readable by that user alone; use mail, or let runner serve do it")
	}
}

func (r *report) refuseChannel(f channelFile, format string, args ...any) {
	r.refusals = append(r.refusals, &jobs.Problem{Field: f.field, Msg: fmt.Sprintf(format, args...)})
}
