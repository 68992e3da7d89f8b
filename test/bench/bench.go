// Command bench measures a runner beside bare Go programs that do the same work
// without it, and prints what it took beside the budget.
//
//	go run ./test/bench -runner bin/runner [-runs 40] [-only NAME] [-due 10000]
//
// It measures whole processes: the programs run in turn, after a warm-up, and
// the figures are medians. What only a long time shows is measured once: an idle
// and a busy scheduler, many jobs at once, long manifests, the ledger.
//
// Figures of time and memory depend on the machine and are only told; the exit
// status is 1 if a figure that is the same everywhere, such as the number of
// requests, exceeds its budget. All of it takes about seven minutes, and
// one minute less with -due 2000.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// options are what the command line says.
type options struct {
	runner string // the program to measure
	runs   int
	only   string // the name of one measurement; empty for all
	due    int    // jobs that are due in the same minute
}

// run is the program without its process. It returns the exit status: 1 also
// for an exceeded budget, 2 for a wrong command line.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.runner, "runner", "bin/runner", "the `program` to measure")
	flags.IntVar(&o.runs, "runs", 40, "how often each program is measured; what takes long an eighth as often")
	flags.StringVar(&o.only, "only", "", "take only the measurement of this `name`: "+strings.Join(names(), ", "))
	flags.IntVar(&o.due, "due", 10_000, "how many jobs are due in the same minute")
	if flags.Parse(args) != nil {
		return 2
	}
	if o.runs < 1 || o.due < 1 || flags.NArg() > 0 {
		fmt.Fprintln(stderr, "bench: want -runs and -due of at least 1, and no arguments")
		return 2
	}
	if o.only != "" && !slices.Contains(names(), o.only) {
		fmt.Fprintf(stderr, "bench: there is no measurement %q; there are %s\n", o.only, strings.Join(names(), ", "))
		return 2
	}
	t, err := measure(ctx, o, stderr)
	if err == nil {
		fmt.Fprintf(stdout, "Medians of %d runs (batch, validate: %d), %s, %s/%s, %d CPUs.\n\n",
			o.runs, longRuns(o.runs), runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
		err = t.write(stdout)
	}
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return 1
	}
	if t.broken() {
		return 1
	}
	return 0
}

// A measurement is taken under its name.
type measurement struct {
	name string
	take func(*bench, context.Context) (table, error)
}

func measurements() []measurement {
	return []measurement{
		{"start-up", (*bench).startUp},
		{"one-shot", (*bench).oneShot},
		{"batch", (*bench).batch},
		{"manifest", (*bench).manifest},
		{"audit", (*bench).audit},
		{"validate", (*bench).validate},
		{"idle", (*bench).idle},
		{"due", (*bench).lateness},
		{"tasks", (*bench).tasks},
		{"stop", (*bench).stop},
		{"ledger", (*bench).ledger},
		{"size", (*bench).size},
	}
}

func names() (all []string) {
	for _, m := range measurements() {
		all = append(all, m.name)
	}
	return all
}

// A bench is what the measurements have in common.
type bench struct {
	options        // runner is an absolute path
	bare    string // folder of the programs that were built
	dir     string // folder for the measurements' files
}

// measure takes all measurements, or the one that is asked for, and tells
// progress which one it is at.
func measure(ctx context.Context, o options, progress io.Writer) (t table, err error) {
	dir, err := os.MkdirTemp("", "runner-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	b := &bench{options: o, bare: filepath.Join(dir, "bin"), dir: dir}
	if b.runner, err = filepath.Abs(o.runner); err != nil {
		return nil, err
	}
	if err := b.build(ctx, progress); err != nil {
		return nil, err
	}
	for _, m := range measurements() {
		if o.only != "" && m.name != o.only {
			continue
		}
		fmt.Fprintf(progress, "bench: %s\n", m.name)
		rows, err := m.take(b, ctx)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.name, err)
		}
		t = append(t, rows...)
	}
	return t, nil
}

// build builds the bare programs and the stopwatch: static and without symbols,
// as the runner is.
func (b *bench) build(ctx context.Context, output io.Writer) error {
	if err := os.Mkdir(b.bare, 0o755); err != nil {
		return err
	}
	const programs = "github.com/globus-runner/globus-runner/test/bench/"
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", b.bare+"/",
		programs+"bare/...", programs+"stopwatch")
	build.Env = append(build.Environ(), "CGO_ENABLED=0")
	build.Stdout, build.Stderr = output, output
	if err := build.Run(); err != nil {
		return fmt.Errorf("build the bare programs: %w", err)
	}
	return nil
}
