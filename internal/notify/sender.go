package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/globus-runner/globus-runner/internal/ledger"
)

const (
	// keepFor is how long a notice is tried, and remember is how long it is listed after
	// it was sent or given up.
	keepFor  = 24 * time.Hour
	remember = 7 * 24 * time.Hour

	sendTime  = 20 * time.Second // for one try
	sendLease = 2 * time.Minute  // before somebody else tries, if no outcome is recorded

	firstWait = 15 * time.Second // before the second try; doubled for each further one
	lastWait  = 30 * time.Minute
	longWait  = 2 * time.Hour // what a receiver may ask for

	lookEvery   = 15 * time.Second
	forgetEvery = 5 * time.Minute
)

// A Sender sends the notices that wait in a ledger. Several may share the ledger: each
// notice is sent by one of them.
type Sender struct {
	ledger *ledger.Ledger
	log    *slog.Logger
	count  func(Count)
	wake   chan struct{}

	mu       sync.Mutex // guards the rest
	channels map[string]Channel
	busy     map[string]bool // channels on which notices are being sent
}

// A Count is either the end of one notice, or the number of notices that wait.
type Count struct {
	Channel string
	State   ledger.NoticeState
	Waiting int // if the State is [ledger.NoticeWaiting]
}

// NewSender returns a Sender, which calls count for the metrics; count may be nil.
func NewSender(l *ledger.Ledger, log *slog.Logger, count func(Count)) *Sender {
	if count == nil {
		count = func(Count) {}
	}
	return &Sender{ledger: l, log: log, count: count, wake: make(chan struct{}, 1), busy: map[string]bool{}}
}

// Use replaces the channels. Notices for other channels wait for a Sender that has them.
func (s *Sender) Use(channels map[string]Channel) {
	s.mu.Lock()
	s.channels = channels
	s.mu.Unlock()
	s.Wake()
}

// Wake makes Run look for new notices now.
func (s *Sender) Wake() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Run sends notices until ctx ends. A receiver that does not answer delays only its own
// channel.
func (s *Sender) Run(ctx context.Context) {
	var sending sync.WaitGroup
	defer sending.Wait()
	look, forget := time.NewTicker(lookEvery), time.NewTicker(forgetEvery)
	defer look.Stop()
	defer forget.Stop()
	for {
		s.begin(ctx, &sending)
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		case <-look.C:
		case <-forget.C:
			s.forget(ctx)
		}
	}
}

// Drain tries each notice that is due once, and returns when that is done or ctx has
// ended. Notices that could not be sent stay in the ledger.
func (s *Sender) Drain(ctx context.Context) {
	var sending sync.WaitGroup
	s.begin(ctx, &sending)
	sending.Wait()
}

// begin sends what is due on each channel, one notice after the other.
func (s *Sender) begin(ctx context.Context, sending *sync.WaitGroup) {
	for _, name := range s.waiting(ctx) {
		sending.Go(func() {
			defer s.free(name)
			for s.sendOne(ctx, name) {
			}
		})
	}
}

// waiting returns the channels that have notices and are not busy, and makes them busy
// until the caller calls free.
func (s *Sender) waiting(ctx context.Context) (names []string) {
	n, err := s.ledger.WaitingNotices(ctx)
	if err != nil {
		if ctx.Err() == nil {
			s.log.Error("the notices that wait could not be read", "err", err)
		}
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(s.channels)) {
		s.count(Count{name, ledger.NoticeWaiting, n[name]})
		if n[name] > 0 && !s.busy[name] {
			s.busy[name] = true
			names = append(names, name)
		}
	}
	return names
}

func (s *Sender) free(channel string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.busy, channel)
}

// sendOne sends the next notice of a channel, and reports whether there was one.
func (s *Sender) sendOne(ctx context.Context, name string) bool {
	if ctx.Err() != nil {
		return false
	}
	row, err := s.ledger.TakeNotice(ctx, name, sendLease)
	if err != nil || row == nil {
		if err != nil && ctx.Err() == nil {
			s.log.Error("the next notice could not be read", "channel", name, "err", err)
		}
		return false
	}
	s.mu.Lock()
	channel := s.channels[name]
	s.mu.Unlock()
	if channel == nil { // a new jobs file does not have it any more
		return false
	}
	var n Notice
	if err := json.Unmarshal([]byte(row.Body), &n); err != nil {
		err = fmt.Errorf("its text is damaged: %w", err)
		return s.end(ctx, row, lasting{err})
	}
	sending, cancel := context.WithTimeout(ctx, sendTime)
	err = channel.Send(sending, &n)
	cancel()
	if err != nil && ctx.Err() != nil { // it may have been sent, and is sent again
		s.postpone(ctx, row, 0, errors.New("interrupted"))
		return false
	}
	return s.end(ctx, row, err)
}

// A lasting error would come again with each later try.
type lasting struct{ error }

func (lasting) Lasting() bool { return true }

// IsLasting reports whether sending again is of no use; err is that of a [Channel].
func IsLasting(err error) bool {
	e, ok := errors.AsType[interface {
		error
		Lasting() bool
	}](err)
	return ok && e.Lasting()
}

// isPartly reports whether a notice has reached some of the receivers, and will never
// reach the others; err is that of a [Channel].
func isPartly(err error) bool {
	e, ok := errors.AsType[interface {
		error
		Partly() bool
	}](err)
	return ok && e.Partly()
}

// end records the outcome of a try, and reports whether that could be recorded.
func (s *Sender) end(ctx context.Context, row *ledger.Notice, err error) bool {
	log := s.log.With("channel", row.Channel, "event", row.Event, "job", row.Job, "notice", row.ID)
	state, why := ledger.NoticeSent, ""
	switch {
	case err == nil:
		log.Debug("notice sent", "tries", row.Tries)
	case !IsLasting(err):
		wait := pause(row.Tries, err)
		if row.Tries == 1 { // the next ones would say the same
			log.Warn("notice could not be sent, it is tried again for a day", "err", err, "wait", wait.Round(time.Second))
		}
		return s.postpone(ctx, row, wait, err)
	case isPartly(err):
		why = err.Error()
		log.Error("notice sent, but not to everybody", "tries", row.Tries, "err", err)
	default:
		state, why = ledger.NoticeGivenUp, err.Error()
		log.Error("notice given up: the receiver does not want it", "tries", row.Tries, "err", err)
	}
	s.count(Count{Channel: row.Channel, State: state})
	return s.note(ctx, func(ctx context.Context) error {
		return s.ledger.EndNotice(ctx, row.ID, row.Channel, state, why)
	})
}

func (s *Sender) postpone(ctx context.Context, row *ledger.Notice, wait time.Duration, why error) bool {
	return s.note(ctx, func(ctx context.Context) error {
		return s.ledger.PostponeNotice(ctx, row.ID, row.Channel, wait, why.Error())
	})
}

// note records what has become of a notice, and reports whether it could. If it could
// not, the notice is sent again under the same id.
func (s *Sender) note(ctx context.Context, write func(context.Context) error) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sendTime)
	defer cancel()
	if err := write(ctx); err != nil {
		s.log.Error("what has become of a notice could not be recorded, it may be sent twice", "err", err)
		return false
	}
	return true
}

// pause returns how long to wait after so many tries: at least as long as the receiver
// asks for, up to longWait.
func pause(tries int, err error) time.Duration {
	wait := firstWait
	for n := 1; n < tries && wait < lastWait; n++ {
		wait *= 2
	}
	wait = min(wait, lastWait)
	wait -= rand.N(wait/2 + 1)
	e, ok := errors.AsType[interface {
		error
		RetryAfter() time.Duration
	}](err)
	if ok {
		wait = max(wait, min(e.RetryAfter(), longWait))
	}
	return wait
}

// forget gives up the notices that have waited too long, and forgets those that
// ended long ago.
func (s *Sender) forget(ctx context.Context) {
	now := time.Now()
	given, err := s.ledger.ForgetNotices(ctx, now.Add(-keepFor), now.Add(-remember))
	if err != nil && ctx.Err() == nil {
		s.log.Error("old notices could not be forgotten", "err", err)
	}
	for _, n := range given {
		s.count(Count{Channel: n.Channel, State: ledger.NoticeGivenUp})
		s.log.Error("notice given up after a day", "channel", n.Channel, "event", n.Event, "job", n.Job, "notice", n.ID, "tries", n.Tries, "err", n.Why)
	}
}

// SendNow tries notices that are in no ledger, each once. It returns when that is done or
// ctx has ended; the error names those that could not be sent.
func SendNow(ctx context.Context, channels map[string]Channel, notices []ledger.Notice) error {
	byChannel := map[string][]ledger.Notice{}
	for _, n := range notices {
		byChannel[n.Channel] = append(byChannel[n.Channel], n)
	}
	errs := make(chan error, len(notices))
	var sending sync.WaitGroup
	for name, its := range byChannel {
		sending.Go(func() {
			for _, row := range its {
				if err := sendNow(ctx, channels[name], row); err != nil {
					errs <- fmt.Errorf("send the notice %s of job %s on channel %s: %w", row.Event, row.Job, name, err)
				}
			}
		})
	}
	sending.Wait()
	close(errs)
	var all []error
	for err := range errs {
		all = append(all, err)
	}
	return errors.Join(all...)
}

func sendNow(ctx context.Context, channel Channel, row ledger.Notice) error {
	if channel == nil {
		return errors.New("the jobs file does not describe it")
	}
	var n Notice
	if err := json.Unmarshal([]byte(row.Body), &n); err != nil {
		return err
	}
	return channel.Send(ctx, &n)
}
