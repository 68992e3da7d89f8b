package notify_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/notify"
)

// A receiver is a channel that remembers the notices that it has taken.
type receiver struct {
	mu    sync.Mutex
	taken []string // ids
	tried []time.Time
	// answer says what comes of a notice; nil means that it is taken.
	answer func(ctx context.Context, try int) error
}

func (r *receiver) Send(ctx context.Context, n *notify.Notice) error {
	r.mu.Lock()
	r.tried = append(r.tried, time.Now())
	try := len(r.tried)
	r.mu.Unlock()
	if r.answer != nil {
		if err := r.answer(ctx, try); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.taken = append(r.taken, n.ID)
	return nil
}

type lasting struct{ error }

func (lasting) Lasting() bool { return true }

type later struct{ error }

func (later) RetryAfter() time.Duration { return time.Hour }

// An office is a sender with its ledger, in virtual time.
type office struct {
	*notify.Sender
	t      *testing.T
	file   string
	ledger *ledger.Ledger
	log    strings.Builder
	counts map[string]int
	mu     sync.Mutex
}

// open opens the ledger, as each start does.
func (o *office) open() {
	o.t.Helper()
	var err error
	if o.ledger, err = ledger.Open(o.t.Context(), "sqlite:"+o.file, slog.New(slog.DiscardHandler)); err != nil {
		o.t.Fatal(err)
	}
}

func newOffice(t *testing.T, channels map[string]notify.Channel) *office {
	t.Helper()
	o := &office{t: t, file: filepath.Join(t.TempDir(), "runner.db"), counts: map[string]int{}}
	o.open()
	t.Cleanup(func() { _ = o.ledger.Close() })
	o.Sender = notify.NewSender(o.ledger, slog.New(slog.NewTextHandler(&o.log, nil)), func(c notify.Count) {
		o.mu.Lock()
		defer o.mu.Unlock()
		if c.State != ledger.NoticeWaiting {
			o.counts[c.Channel+" "+string(c.State)]++
		}
	})
	o.Use(channels)
	return o
}

// put puts a notice into the outbox.
func (o *office) put(id, job string, channels ...string) {
	o.t.Helper()
	err := o.ledger.Tell(o.t.Context(), job, func(s ledger.Standing) (ledger.Standing, []ledger.Notice) {
		var all []ledger.Notice
		for _, c := range channels {
			all = append(all, ledger.Notice{ID: id, Channel: c, Job: job, Event: "failed", Body: fmt.Sprintf(`{"id": %q}`, id)})
		}
		return s, all
	})
	if err != nil {
		o.t.Fatal(err)
	}
}

// work runs the sender for some time.
func (o *office) work(d time.Duration) {
	ctx, cancel := context.WithTimeout(o.t.Context(), d)
	defer cancel()
	o.Run(ctx)
}

// waiting is how many notices wait.
func (o *office) waiting() (sum int) {
	n, err := o.ledger.WaitingNotices(o.t.Context())
	if err != nil {
		o.t.Fatal(err)
	}
	for _, n := range n {
		sum += n
	}
	return sum
}

func hang(ctx context.Context, _ int) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestEachChannelGetsItsNotices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ops, chat, stuck := &receiver{}, &receiver{}, &receiver{answer: hang}
		o := newOffice(t, map[string]notify.Channel{"ops": ops, "chat": chat, "stuck": stuck})
		o.put("a1", "a", "stuck", "ops")
		o.put("a2", "a", "ops", "chat")
		o.work(time.Second)
		if !slices.Equal(ops.taken, []string{"a1", "a2"}) || !slices.Equal(chat.taken, []string{"a2"}) {
			t.Errorf("ops got %v, chat %v, want both in time although another receiver hangs", ops.taken, chat.taken)
		}
		if n := o.waiting(); n != 1 {
			t.Errorf("%d notices wait, want that of the receiver that hangs", n)
		}
		stuck.answer = nil
		o.work(time.Second)
		if !slices.Equal(stuck.taken, []string{"a1"}) {
			t.Errorf("got %v, want a1 when the receiver is well again", stuck.taken)
		}
		if diff := cmp.Diff(map[string]int{"ops sent": 2, "chat sent": 1, "stuck sent": 1}, o.counts); diff != "" {
			t.Errorf("counts (-want +got):\n%s", diff)
		}
	})
}

func TestAReceiverThatIsAwayIsTriedForADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		away := &receiver{answer: func(context.Context, int) error { return errors.New("it answers 500") }}
		o := newOffice(t, map[string]notify.Channel{"ops": away})
		o.put("a1", "a", "ops")
		o.work(23 * time.Hour)
		tries := len(away.tried)
		if tries < 40 || tries > 120 || o.waiting() != 1 {
			t.Errorf("%d tries in 23 h, %d wait, want between 40 and 120, and the notice still there", tries, o.waiting())
		}
		for i := 1; i < tries; i++ {
			if wait := away.tried[i].Sub(away.tried[i-1]); wait < 7*time.Second || wait > 31*time.Minute {
				t.Errorf("the wait before try %d was %v", i+1, wait)
			}
		}
		o.work(2 * time.Hour)
		if o.waiting() != 0 || o.counts["ops given_up"] != 1 || len(away.taken) != 0 {
			t.Errorf("%d wait, counts %v, want it given up", o.waiting(), o.counts)
		}
		if last := away.tried[len(away.tried)-1].Sub(begin); last > 24*time.Hour+10*time.Minute {
			t.Errorf("it was tried after %v", last)
		}
		log := o.log.String()
		if n := strings.Count(log, "level=ERROR"); n != 1 || !strings.Contains(log, "given up after a day") || !strings.Contains(log, "it answers 500") {
			t.Errorf("got %d errors in the log, want one that says why:\n%s", n, log)
		}
	})
}

func TestWhatAReceiverDoesNotWantIsGivenUpAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		strict := &receiver{answer: func(_ context.Context, try int) error {
			if try == 1 {
				return fmt.Errorf("send: %w", lasting{errors.New("it answers 410")})
			}
			return nil
		}}
		o := newOffice(t, map[string]notify.Channel{"ops": strict})
		o.put("a1", "a", "ops")
		o.put("a2", "a", "ops")
		o.work(time.Minute)
		if !slices.Equal(strict.taken, []string{"a2"}) || o.waiting() != 0 || o.counts["ops given_up"] != 1 {
			t.Errorf("got %v, counts %v, want a2 alone", strict.taken, o.counts)
		}
	})
}

type partly struct{ lasting }

func (partly) Partly() bool { return true }

func TestWhatSomebodyGotCountsAsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mail := &receiver{answer: func(context.Context, int) error { return partly{lasting{errors.New("pi is refused")}} }}
		o := newOffice(t, map[string]notify.Channel{"ops": mail})
		o.put("a1", "a", "ops")
		o.work(time.Minute)
		for n, err := range o.ledger.Notices(t.Context(), false) {
			if err != nil || n.State != ledger.NoticeSent || n.Why != "pi is refused" {
				t.Errorf("got %+v, %v, want it sent, with the reason", n, err)
			}
		}
		if o.counts["ops sent"] != 1 || o.counts["ops given_up"] != 0 || !strings.Contains(o.log.String(), "level=ERROR") {
			t.Errorf("counts %v, log %s", o.counts, o.log.String())
		}
	})
}

func TestAReceiverMaySayWhenToComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		busy := &receiver{answer: func(_ context.Context, try int) error {
			if try == 1 {
				return later{errors.New("it answers 429")}
			}
			return nil
		}}
		o := newOffice(t, map[string]notify.Channel{"ops": busy})
		o.put("a1", "a", "ops")
		o.work(2 * time.Hour)
		if len(busy.tried) != 2 || busy.tried[1].Sub(begin) < time.Hour {
			t.Errorf("tried at %v, want the second time after an hour", busy.tried)
		}
	})
}

func TestANoticeThatWasTakenAndNotConfirmedKeepsItsID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := &receiver{}
		slow.answer = func(ctx context.Context, try int) error {
			if try < 3 {
				slow.mu.Lock()
				slow.taken = append(slow.taken, "a1")
				slow.mu.Unlock()
				return hang(ctx, try)
			}
			return nil
		}
		o := newOffice(t, map[string]notify.Channel{"ops": slow})
		o.put("a1", "a", "ops")
		o.work(time.Hour)
		if !slices.Equal(slow.taken, []string{"a1", "a1", "a1"}) || o.waiting() != 0 {
			t.Errorf("got %v, want the same id each time", slow.taken)
		}
	})
}

func TestOfTwoSendersOneSends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := &receiver{answer: func(ctx context.Context, _ int) error {
			time.Sleep(10 * time.Second)
			return nil
		}}
		o := newOffice(t, map[string]notify.Channel{"ops": slow})
		other := notify.NewSender(o.ledger, slog.New(slog.DiscardHandler), nil)
		other.Use(map[string]notify.Channel{"ops": slow})
		for i := range 10 {
			o.put(fmt.Sprint("a", i), "a", "ops")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		var both sync.WaitGroup
		both.Go(func() { o.Run(ctx) })
		both.Go(func() { other.Run(ctx) })
		both.Wait()
		want := []string{"a0", "a1", "a2", "a3", "a4", "a5", "a6", "a7", "a8", "a9"}
		if diff := cmp.Diff(want, slow.taken); diff != "" {
			t.Errorf("taken (-want +got):\n%s", diff)
		}
	})
}

func TestAStartThatEndsSoonTriesEachNoticeOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		ops, stuck := &receiver{}, &receiver{answer: hang}
		o := newOffice(t, map[string]notify.Channel{"ops": ops, "stuck": stuck})
		o.put("a1", "a", "ops", "stuck")
		o.put("b1", "b", "ops", "stuck")
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
		defer cancel()
		o.Drain(ctx)
		if took := time.Since(begin); took > 15*time.Second {
			t.Errorf("it took %v", took)
		}
		if !slices.Equal(ops.taken, []string{"a1", "b1"}) || o.waiting() != 2 {
			t.Errorf("ops got %v, %d wait, want what could be sent sent, and the rest there", ops.taken, o.waiting())
		}
	})
}

func TestNoticesWithoutALedgerAreSentAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ops := &receiver{}
		channels := map[string]notify.Channel{"ops": ops, "stuck": &receiver{answer: hang}}
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
		defer cancel()
		err := notify.SendNow(ctx, channels, []ledger.Notice{
			{ID: "a1", Channel: "ops", Job: "a", Event: "failed", Body: `{"id": "a1"}`},
			{ID: "a1", Channel: "stuck", Job: "a", Event: "failed", Body: `{"id": "a1"}`},
			{ID: "a1", Channel: "gone", Job: "a", Event: "failed", Body: `{"id": "a1"}`},
		})
		for _, want := range []string{"send the notice failed of job a on channel stuck: context deadline exceeded", "on channel gone: the jobs file does not describe it"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %q in it", err, want)
			}
		}
		if !slices.Equal(ops.taken, []string{"a1"}) {
			t.Errorf("ops got %v, want a1", ops.taken)
		}
	})
}

func TestAChannelSendsOneNoticeAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		now, most := 0, 0
		slow := &receiver{answer: func(ctx context.Context, _ int) error {
			mu.Lock()
			now++
			most = max(most, now)
			mu.Unlock()
			<-ctx.Done()
			mu.Lock()
			now--
			mu.Unlock()
			return ctx.Err()
		}}
		o := newOffice(t, map[string]notify.Channel{"ops": slow})
		for _, job := range []string{"a", "b", "c"} {
			o.put(job+"1", job, "ops")
		}
		o.work(5 * time.Minute)
		if most != 1 || len(slow.tried) < 3 {
			t.Errorf("%d notices were sent at the same time, and %d in all; want one at a time", most, len(slow.tried))
		}
	})
}
