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

// A channelFile is a file with the secret of a notice channel.
type channelFile struct {
	Name scalar // of the secret
	Path scalar // its path in the jobs file

	field string // in the jobs file
}

// channelFiles returns the files that channels read if the jobs file is in
// [jobsFolder], ordered by field.
func (in *Input) channelFiles() (files []channelFile) {
	var moved []jobs.Source
	for _, src := range in.Sources {
		moved = append(moved, jobs.Source{Name: path.Join(jobsFolder, filepath.Base(src.Name)), Data: src.Data})
	}
	file, err := jobs.Parse(nil, moved...)
	if err != nil {
		return nil // it has been parsed before
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

// mails reports whether a channel sends mail, which needs a mail server.
func (in *Input) mails() bool {
	return slices.ContainsFunc(slices.Collect(maps.Values(in.File.Channels)), func(c *jobs.Channel) bool { return c.Mail != nil })
}

// mounted returns the files of the channels, each of which is mounted at its path.
// A file in a folder that is itself a volume is refused.
func (r *report) mounted() []channelFile {
	files := r.input.channelFiles()
	for _, f := range files {
		for _, folder := range []string{jobsFolder, "/run/secrets/globus"} {
			if strings.HasPrefix(string(f.Path), folder+"/") {
				r.refuseChannel(f, "the file would be in %s, which is already a volume; write a name such as /run/secrets/%s", folder, path.Base(string(f.Path)))
			}
		}
	}
	return files
}

// given returns the files of the channels that are not already mounted with the
// folder of the jobs.
func (in *Input) given() []channelFile {
	return slices.DeleteFunc(in.channelFiles(), func(f channelFile) bool {
		return in.folder() && strings.HasPrefix(string(f.Path), jobsFolder+"/")
	})
}

// unread refuses channels with secret files. A systemd service cannot read them,
// because it runs as a dynamic user.
func (r *report) unread() {
	for _, f := range r.input.channelFiles() {
		r.refuseChannel(f, "the user of the service exists only while it runs, so the file cannot be readable by that user alone; use mail, or let runner serve do it")
	}
}

func (r *report) refuseChannel(f channelFile, format string, args ...any) {
	r.refusals = append(r.refusals, &jobs.Problem{Field: f.field, Msg: fmt.Sprintf(format, args...)})
}
