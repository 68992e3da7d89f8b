// Command runner moves research data with Globus Transfer on behalf of a
// service account, with nobody at the keyboard.
//
// A command is a file that is named after it: flags, checks, one call into a package,
// printing. Files whose names begin with that of a command, such as serve, doctor or
// demo, belong to it. Read app.go first: an [app] is one start of the program, and
// lists all commands. Most commands need some of these:
//
//   - jobsfile.go finds and reads the jobs (a [jobsSource])
//   - globus.go connects to the services (a [session])
//   - state.go finds and opens the ledger
//   - worker.go brings an occurrence to its end, for commands that run one (a [worker])
//   - output.go prints results, and result.go has that of a run
//   - exit.go says which exit status an error has
package main

import (
	"context"
	"io"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"
	_ "time/tzdata" // the image has no database of time zones

	"github.com/spf13/cobra"
)

func main() {
	// A hangup has serve read its jobs again, and must not end it while it
	// starts. In run, all other commands go back to the default.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	// Whoever reads the log or the result may go away. The write then fails,
	// which is reported where it matters, and does not end the process. The
	// signal is caught and not ignored, because children would inherit that.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	// The package net/http prints what a server sends without being asked, which may be
	// the end of a reply that holds a token.
	log.SetOutput(io.Discard)
	go func() {
		cancel(caught{(<-signals).(syscall.Signal)})
		// The second one ends the process at once, by os.Exit: the first process
		// of a container ignores the default action of a signal.
		os.Exit(caught{(<-signals).(syscall.Signal)}.status())
	}()
	os.Exit(run(ctx, os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr))
}

// caught is the cause of a context that a signal has ended.
type caught struct{ signal syscall.Signal }

func (c caught) Error() string { return c.signal.String() }

// status is the exit status that shells give to a process ended by the signal.
func (c caught) status() int { return 128 + int(c.signal) }

// run is the program without its process. It returns the exit status.
func run(ctx context.Context, args, environ []string, stdin io.Reader, stdout, stderr io.Writer) int {
	a := newApp(environ, stdin, stdout, stderr)
	root := a.command()
	if len(args) > 0 && strings.HasPrefix(args[0], cobra.ShellCompRequestCmd) {
		completer{a}.addTo(root) //nolint:contextcheck // cobra hands the context over
	}
	if c, _, err := root.Find(args); err != nil || c.Name() != "serve" {
		signal.Reset(syscall.SIGHUP)
	}
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	return a.report(ctx, err)
}
