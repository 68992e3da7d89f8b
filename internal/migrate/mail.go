package migrate

import (
	"slices"
	"strconv"
	"strings"

	"github.com/globus-runner/globus-runner/jobs"
)

// setMail reads a MAILTO, the addresses to which cron mails the output of the
// lines below. A name without a domain is a user of that machine, and other
// machines cannot mail to it.
func (tab *crontab) setMail(value string) {
	tab.mail = nil
	for _, to := range strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ' ' }) {
		switch {
		case jobs.CheckMail(to) == nil:
			tab.mail = append(tab.mail, to)
		case !slices.Contains(tab.locals, to):
			tab.locals = append(tab.locals, to)
		}
	}
}

// noteMail notes what became of MAILTO.
func (tab *crontab) noteMail() {
	if len(tab.jobs) == 0 {
		return
	}
	for _, to := range tab.locals {
		tab.note(tab.Name, "MAILTO: %s is not a mail address, and gets no mail; name an address in notify (docs/notices.md)", short(to))
	}
	if slices.ContainsFunc(tab.jobs, func(j *job) bool { return len(j.mail) > 0 }) {
		tab.note(tab.Name, "MAILTO: these people get mail when a job fails, but not its output; RUNNER_SMTP_URL names the mail server (docs/notices.md)")
	}
}

// A mailing is the addresses of each mail channel, in the order of the jobs.
type mailing [][]string

// mailing returns the channels that the jobs need.
func (im *importer) mailing() (m mailing) {
	for _, j := range im.jobs {
		if len(j.mail) > 0 && m.name(j.mail) == "" {
			m = append(m, j.mail)
		}
	}
	return m
}

// name returns the name of the channel to these addresses, or "".
func (m mailing) name(to []string) string {
	switch i := slices.IndexFunc(m, func(known []string) bool { return slices.Equal(known, to) }); i {
	case -1:
		return ""
	case 0:
		return "mail"
	default:
		return "mail-" + strconv.Itoa(i+1)
	}
}

// channels returns the channels for the key notify of the file.
func (m mailing) channels() []field {
	var fields []field
	for _, to := range m {
		fields = append(fields, field{m.name(to), []field{{"mail", []field{{"to", to}}}}})
	}
	return fields
}

// failed returns the key notify of a job, or of the defaults, by which failed runs
// are reported to these addresses.
func (m mailing) failed(to []string) field {
	return field{"notify", []field{{"failed", []string{m.name(to)}}}}
}

// commonMail returns the addresses that all jobs have in common, or nil if they
// differ.
func (im *importer) commonMail() []string {
	to := im.jobs[0].mail
	if slices.ContainsFunc(im.jobs, func(j *job) bool { return !slices.Equal(j.mail, to) }) {
		return nil
	}
	return to
}
