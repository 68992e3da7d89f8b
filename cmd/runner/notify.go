package main

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/internal/doctor"
	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/notify"
	"github.com/globus-runner/globus-runner/internal/notify/channel"
	"github.com/globus-runner/globus-runner/jobs"
)

// noticeTimeout is how long a command waits for the receivers of its notices.
const noticeTimeout = 15 * time.Second

// channels opens the channels of a jobs file. The error names those that cannot be
// opened before somebody mends something: they are opened once more for each notice.
func (a *app) channels(described map[string]*jobs.Channel) (map[string]notify.Channel, error) {
	open := map[string]notify.Channel{}
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(described)) {
		c, err := channel.Open(*described[name], a.channelOptions())
		if err != nil {
			problems = append(problems, err)
			c = unopenedChannel(func() (notify.Channel, error) { return channel.Open(*described[name], a.channelOptions()) })
		}
		open[name] = c
	}
	if len(problems) > 0 {
		return open, usageError{errors.Join(problems...)}
	}
	return open, nil
}

// An unopenedChannel is opened for each notice, until what it needs is there.
type unopenedChannel func() (notify.Channel, error)

func (open unopenedChannel) Send(ctx context.Context, n *notify.Notice) error {
	c, err := open()
	if err != nil {
		return err
	}
	return c.Send(ctx, n)
}

// channelDoubts are warnings about channels that need a variable. Files are left to doctor,
// because they may exist only where the jobs will run.
func (a *app) channelDoubts(described map[string]*jobs.Channel) []*jobs.Problem {
	var doubts []*jobs.Problem
	for _, name := range slices.Sorted(maps.Keys(described)) {
		if described[name].Mail == nil {
			continue
		}
		if _, err := channel.Open(*described[name], a.channelOptions()); err != nil {
			doubts = append(doubts, &jobs.Problem{Field: "notify." + name, Msg: errors.Unwrap(err).Error()})
		}
	}
	return doubts
}

// channelChecks connect to the receiver of each channel, without sending a notice. Problems
// are warnings, because jobs run even if nobody hears of them.
func (a *app) channelChecks(described map[string]*jobs.Channel, needs []*doctor.Check) []*doctor.Check {
	var checks []*doctor.Check
	for _, name := range slices.Sorted(maps.Keys(described)) {
		checks = append(checks, &doctor.Check{Group: "notices", Name: "channel", Subject: name, Needs: needs, Look: func(ctx context.Context) []doctor.Finding {
			answer, err := channel.Reach(ctx, *described[name], a.channelOptions())
			if err != nil {
				return []doctor.Finding{doctor.Doubt(err.Error(), "until this is mended, nobody hears of anything on this channel; runner notify test "+name+" sends a notice")}
			}
			if answer.EndsSoon(time.Now()) {
				return []doctor.Finding{doctor.Doubt(answer.Host+" answers, and "+certificateEnds(answer), renewCertificate(name))}
			}
			return []doctor.Finding{doctor.Good(answer.Host + " answers")}
		}})
	}
	return checks
}

// channelOptions are what the channels need to know besides the jobs file.
func (a *app) channelOptions() channel.Options {
	return channel.Options{Version: build().Version, SMTP: a.env.Mail.Server(), From: a.env.Mail.From, PageLink: a.env.Page.Address.At}
}

// desk turns events into notices.
func (a *app) desk() *notify.Desk {
	return &notify.Desk{TaskLink: a.env.TaskPage, Next: a.nextStep}
}

// nextStep says what to do about an error of a run. If a secret was refused, it says where
// the program reads a new one.
func (a *app) nextStep(err error) string {
	who, _ := a.env.Identity() // where it is not known, the step does not depend on it
	step := fault.Next(err, who.Fault())
	c, isAuth := errors.AsType[*auth.Error](err)
	_, check, refused := strings.Cut(step, " was refused: ")
	switch {
	case !isAuth || !refused:
		return step
	case c.Native:
		return check
	case a.env.ClientSecretFile != "":
		return check + "; a new secret in CLIENT_SECRET_FILE is read by itself"
	}
	return check + "; with a new CLIENT_SECRET, start the program anew"
}

// finalNotices sends the notices of a one-shot command when it ends.
type finalNotices struct {
	app      *app
	channels map[string]notify.Channel

	mu   sync.Mutex
	news []ledger.Notice // of runs without a ledger
}

// finalNotices returns a sender for the notices of a command, and the option for its
// engine. A channel that cannot be opened does not stop a run.
func (a *app) finalNotices(described map[string]*jobs.Channel) (*finalNotices, engine.Option) {
	f := &finalNotices{app: a}
	var err error
	if f.channels, err = a.channels(described); err != nil {
		a.log.Warn("notices cannot be sent on some channels", "err", err)
	}
	return f, engine.WithDesk(a.desk(), f.add)
}

func (f *finalNotices) add(news []ledger.Notice) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.news = append(f.news, news...)
}

// send sends the notices of a ledger, unless it is nil, and those that were added. Notices
// that a receiver does not take now stay in the ledger; without a ledger they are lost. An
// error does not change the result of the run.
func (f *finalNotices) send(ctx context.Context, l *ledger.Ledger) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noticeTimeout)
	defer cancel()
	if l != nil && len(f.channels) > 0 {
		s := notify.NewSender(l, f.app.log, nil)
		s.Use(f.channels)
		s.Drain(ctx)
	}
	if len(f.news) == 0 {
		return
	}
	if err := notify.SendNow(ctx, f.channels, f.news); err != nil {
		f.app.log.Warn("notices could not be sent, and without a ledger they are not tried again", "err", err)
	}
}
