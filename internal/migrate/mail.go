package migrate

import (
	"slices"
	"strconv"
	"strings"

	"github.com/globus-runner/globus-runner/jobs"
)

// setMail reads a MAILTO: whom cron mails what the lines below it print. A name
// without a domain is a user of the machine, to whom only that machine can mail.
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

// noteMail says what has become of MAILTO.
func (tab *crontab) noteMail() {
	if len(tab.jobs) == 0 {
		return
	}
	for _, to := range tab.locals {
		tab.note(tab.Name, "MAILTO: %s is not an address of mail, and gets none; name one in notify (docs/notices.md)", short(to))
	}
	if slices.ContainsFunc(tab.jobs, func(j *job) bool { return len(j.mail) > 0 }) {
		tab.note(tab.Name, "MAILTO: these people get a mail when a job fails, and not what it prints; RUNNER_SMTP_URL names the mail server (docs/notices.md)")
	}
}

// A mailing is the channels by which mails are sent, in the order of the jobs.
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

// name returns the name of the channel to these people; empty if there is none.
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

// channels is the key notify of the file.
func (m mailing) channels() []field {
	var fields []field
	for _, to := range m {
		fields = append(fields, field{m.name(to), []field{{"mail", []field{{"to", to}}}}})
	}
	return fields
}

// failed is the key notify of a job, or of the defaults, that tells these people of
// runs that failed.
func (m mailing) failed(to []string) field {
	return field{"notify", []field{{"failed", []string{m.name(to)}}}}
}

// commonMail returns to whom all jobs mail; nil if they differ.
func (im *importer) commonMail() []string {
	to := im.jobs[0].mail
	if slices.ContainsFunc(im.jobs, func(j *job) bool { return !slices.Equal(j.mail, to) }) {
		return nil
	}
	return to
}
