package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/page"
	"github.com/globus-runner/globus-runner/internal/settings"
	"github.com/globus-runner/globus-runner/internal/status"
	"github.com/globus-runner/globus-runner/jobs"
)

const aboutServe = `Run the jobs of the jobs file on their schedules, until stopped.

The jobs are those of --jobs; else the one that RUNNER_JOB_* describe; else those
of RUNNER_JOBS, /etc/runner/jobs.yaml or jobs.yaml. Each occurrence is started
once, even if serve is restarted: the ledger (RUNNER_STATE) records what has begun
and how far each schedule has come, and the next start continues from there.

The jobs file is read again when it changes, and on SIGHUP. Either all of it takes
effect, or none: a file with mistakes is refused, and while the ledger cannot be
used, the reload is tried again. On SIGTERM, serve ends. Tasks go on at Globus,
and the next start follows them.`

func (a *app) serveCommand() *cobra.Command {
	source := jobsSource{env: a.env}
	onInterrupt := detach
	var shortToken bool
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run jobs on their schedules, until stopped",
		Long:  aboutServe,
		Args:  arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			s := &server{
				app: a, source: source, cancelTasks: onInterrupt == cancelTask, shortToken: shortToken,
				newHistory: make(chan jobs.History, 1), hangups: make(chan os.Signal, 1),
			}
			signal.Notify(s.hangups, syscall.SIGHUP) // before the jobs are read, so that no change is missed
			defer signal.Stop(s.hangups)
			err := s.serve(c.Context())
			sig, asked := errors.AsType[caught](context.Cause(c.Context()))
			if asked && (err == nil || canceled(err)) {
				a.log.Info("stopped", "signal", sig.Error())
				return nil
			}
			return err
		},
	}
	source.flags(c.Flags())
	c.Flags().BoolVar(&shortToken, "allow-short-token", false, "start even if the access token may expire before the next run and cannot be renewed")
	c.Flags().Var(oneOf(&onInterrupt, "POLICY", detach, cancelTask), "on-interrupt", "what happens to the tasks when serve is stopped: detach (they go on) or cancel")
	return c
}

// A server is one start of "runner serve". Its methods are in the files whose names
// begin with serve.
type server struct {
	app         *app
	source      jobsSource
	cancelTasks bool // when it is stopped
	shortToken  bool // a token that may expire before the next run will do

	ledger    *ledger.Ledger
	engine    *engine.Engine
	scheduler *engine.Scheduler
	status    *status.Status
	page      *page.Page // nil without an address
	notices   *noticeWorkers

	inForce    atomic.Pointer[jobs.File]
	reloader   *reloader         // nil for a job of the environment, which does not change
	hangups    chan os.Signal    // each asks for a reload
	newHistory chan jobs.History // holds that of a reload until it is taken
}

// serve runs the scheduler until ctx ends.
func (s *server) serve(ctx context.Context) error {
	a := s.app
	if a.env.Lookup("GOGC") == "" {
		debug.SetGCPercent(50) // it is idle most of the time, and never in a hurry
	}
	defer a.stderr.spooled(func(n int64) {
		a.log.Warn("log lines were lost because nobody read them in time", "count", n)
	})()
	file, err := s.load()
	if err != nil {
		return err
	}
	signing, err := a.signing()
	if err != nil {
		return err
	}
	l, err := a.needLedger(ctx, createIfAbsent)
	if err != nil {
		return err
	}
	defer l.Close() //nolint:errcheck // every write was checked
	s.ledger, s.status = l, newStatus(l, s.checkJobs)
	s.inForce.Store(file.File)
	if err := s.openPage(); err != nil {
		return err
	}
	globus, err := a.connect(wiring{acts: true, meter: s.status.Transport})
	if err != nil {
		return err
	}
	if err := s.logIn(ctx, globus, file); err != nil {
		return err
	}
	me := holder()
	release, err := l.Serve(ctx, me)
	if err != nil {
		return unusableLedger(err)
	}
	defer release()
	if err := a.adopt(ctx, l, file.from); err != nil {
		return err
	}
	listener, err := a.listen(ctx)
	if err != nil {
		return err
	}
	if err := a.greet(file, listener); err != nil {
		return err
	}
	s.notices = s.newNoticeWorkers(file.File, globus)
	s.engine = engine.New(globus.transfer, a.log, engine.WithManifests(openFile), engine.WithClock(globus.clock), globus.users(), engine.WithFlows(globus.flows), signing, engine.WithObserver(s),
		engine.WithAdvice(a.desk().Next), engine.WithDesk(a.desk(), func([]ledger.Notice) {})) // every run is in the ledger
	s.scheduler = engine.NewScheduler(engine.SchedulerConfig{
		Engine: s.engine,
		Ledger: l, Holder: me, Lease: lease, Log: a.log,
		CancelOnInterrupt: s.cancelTasks,
	})
	return s.schedule(ctx, file, listener)
}

// listen listens where RUNNER_LISTEN says; the listener is nil if that is nowhere.
func (a *app) listen(ctx context.Context) (net.Listener, error) {
	address := a.env.ListenAddress()
	if address == "" {
		return nil, nil
	}
	l, err := status.Listen(ctx, address)
	if err != nil {
		return nil, usageError{fmt.Errorf("RUNNER_LISTEN: %w", err)}
	}
	return l, nil
}

// logIn gets a token, unless the service is out of reach. It refuses a token that may
// expire before the next run.
func (s *server) logIn(ctx context.Context, globus *session, file *jobsFile) error {
	s.status.Require("token", s.tokenCheck(globus.account))
	if err := s.checkLife(globus.who, file); err != nil {
		return err
	}
	host := s.app.env.AuthURL().Host
	slow := time.AfterFunc(slowAfter, func() {
		s.app.log.Warn("still waiting for an answer, and no job is started before that", "host", host, "elapsed", slowAfter)
	})
	_, err := globus.account.Token(ctx, auth.TransferServer)
	slow.Stop()
	if err != nil && ctx.Err() == nil && exitStatus(ctx, err) != exitCredentials {
		s.app.log.Warn("there is no token yet, the service cannot be reached", "err", err)
		return nil
	}
	return err
}

// checkLife refuses a token that cannot be renewed and may expire before the next run.
func (s *server) checkLife(who *settings.Identity, file *jobsFile) error {
	until, known, bounded := who.Lasts()
	if !bounded || s.shortToken {
		return nil
	}
	scheduled, err := file.scheduled(nil)
	if err != nil {
		return err
	}
	coming := comingOccurrences(scheduled, time.Now(), time.Time{}, 1)
	switch {
	case len(coming) == 0:
		return nil
	case !known:
		return usageError{fmt.Errorf("it is not known whether the token in %s lasts until the next run, of %s at %s: "+
			"set RUNNER_ACCESS_TOKEN_EXPIRES, or start with --allow-short-token if the token will be replaced in time",
			who.From, coming[0].Job, coming[0].Start.Format(time.RFC3339))}
	case until.Before(coming[0].Start):
		return usageError{fmt.Errorf("the token ends at %s, before the next run, of %s at %s, and cannot be renewed: "+
			"use a service account or a refresh token, or start with --allow-short-token if the token will be replaced in time",
			until.UTC().Format(time.RFC3339), coming[0].Job, coming[0].Start.Format(time.RFC3339))}
	}
	return nil
}

// schedule runs the scheduler, and beside it what else serve does.
func (s *server) schedule(ctx context.Context, file *jobsFile, listener net.Listener) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	s.remember(ctx, file.Jobs)
	var beside sync.WaitGroup
	beside.Go(func() { s.reload(ctx) })
	beside.Go(func() { s.forgetRuns(ctx, file.History) })
	beside.Go(func() { s.completeReceipts(ctx) })
	beside.Go(func() { s.notices.run(ctx) })
	if listener != nil {
		beside.Go(func() { _ = s.page.Warm(ctx) }) // the first look reads what this could not
		beside.Go(func() { s.status.Watch(ctx) })
		beside.Go(func() {
			if err := s.status.Serve(ctx, listener); err != nil {
				stop(fmt.Errorf("RUNNER_LISTEN: %w", err))
			}
		})
	}
	err := s.scheduler.Run(ctx, file.Jobs)
	stop(err)
	beside.Wait()
	if cause := context.Cause(ctx); err == nil && !canceled(cause) {
		return cause
	}
	return err
}

// checkJobs returns why the newest jobs are not in force, or nil if they are.
func (s *server) checkJobs() error {
	if s.reloader == nil {
		return nil
	}
	return s.reloader.check()
}

// load reads the jobs that are to be run.
func (s *server) load() (*jobsFile, error) {
	described := s.source.described()
	if !described {
		s.reloader = &reloader{
			read:  func() jobsVersion { return readVersion(s.source.path()) },
			parse: s.parse,
			log:   s.app.log,
			seen:  readVersion(s.source.path()).sum, // first: a change from here on is seen later
		}
	}
	file, err := s.source.load()
	debug.FreeOSMemory() // parsing takes much more than the jobs do
	if err != nil {
		return nil, err
	}
	if described && file.Jobs[0].Schedule == nil {
		return nil, usageError{errors.New("RUNNER_JOB_SCHEDULE is not set: serve needs to know when the job is due, such as 0 2 * * *; runner run does it once, now")}
	}
	file.logEnvironment(s.app.log)
	return file, nil
}

// parse parses jobs files, and gives the memory back that this took.
func (s *server) parse(sources []jobs.Source) (*jobs.File, error) {
	file, err := s.source.parse(sources)
	debug.FreeOSMemory() // parsing takes much more than the jobs do
	return file, err
}

// reload puts new jobs in force when the jobs file changes, and on SIGHUP.
func (s *server) reload(ctx context.Context) {
	if s.reloader != nil {
		s.reloader.force = func(ctx context.Context, file *jobs.File) error {
			if err := s.scheduler.Reload(ctx, file.Jobs); err != nil {
				return err
			}
			s.remember(ctx, file.Jobs)
			s.inForce.Store(file)
			s.useChannels(s.notices, file)
			select {
			case <-s.newHistory: // nobody has taken it yet
			default:
			}
			s.newHistory <- file.History
			return nil
		}
		s.reloader.watch(ctx, s.hangups)
		return
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.hangups:
			s.app.log.Info("there is nothing to reload: the job comes from RUNNER_JOB_*, which are read at the start; restart to change it")
		}
	}
}
