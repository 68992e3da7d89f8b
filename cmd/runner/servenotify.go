package main

import (
	"context"
	"sync"

	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/notify"
	"github.com/globus-runner/globus-runner/jobs"
)

// noticeWorkers are what serve runs beside the scheduler so that people hear of runs.
type noticeWorkers struct {
	sender *notify.Sender
	watch  *notify.Watch
	access *notify.AccessWatch
}

func (s *server) newNoticeWorkers(file *jobs.File, globus *session) *noticeWorkers {
	t := &noticeWorkers{sender: notify.NewSender(s.ledger, s.app.log, s.countNotice)}
	t.watch = &notify.Watch{Ledger: s.ledger, Log: s.app.log, Jobs: s.inForce.Load, Told: t.sender.Wake}
	t.access = &notify.AccessWatch{Ledger: s.ledger, Log: s.app.log, Jobs: s.inForce.Load, Told: t.sender.Wake, Find: s.app.findEndings(globus)}
	s.useChannels(t, file)
	return t
}

// useChannels puts the channels of a jobs file in force. Data are moved even if
// nobody can hear of it.
func (s *server) useChannels(t *noticeWorkers, file *jobs.File) {
	all, err := s.app.channels(file.Channels)
	if err != nil {
		s.app.log.Error("notices cannot be sent on some channels, they wait for a day until this is mended", "err", err)
	}
	t.sender.Use(all)
}

// run tells people what happens, and what does not, until ctx ends.
func (t *noticeWorkers) run(ctx context.Context) {
	var all sync.WaitGroup
	all.Go(func() { t.sender.Run(ctx) })
	all.Go(func() { t.watch.Run(ctx) })
	all.Go(func() { t.access.Run(ctx) })
	all.Wait()
}

// countNotice tells the metrics what the sender does.
func (s *server) countNotice(c notify.Count) {
	switch c.State {
	case ledger.NoticeWaiting:
		s.status.NoticesWait(c.Channel, c.Waiting)
	case ledger.NoticeSent:
		s.status.NoticeSent(c.Channel)
	case ledger.NoticeGivenUp:
		s.status.NoticeGivenUp(c.Channel)
	}
}
