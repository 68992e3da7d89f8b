// Command bench measures a runner beside bare Go programs that do the same work
// without it, and prints what it took beside the budget.
//
//	go run ./test/bench -runner bin/runner [-runs 40]
//
// It measures whole processes: the programs run in turn, after a warm-up, and
// the figures are medians. Figures of time and memory depend on the machine and
// are only told; the exit status is 1 if a figure that is the same everywhere,
// such as the number of requests, exceeds its budget.
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
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program without its process. It returns the exit status: 1 also
// for an exceeded budget, 2 for a wrong command line.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	runner := flags.String("runner", "bin/runner", "the `program` to measure")
	runs := flags.Int("runs", 40, "how often each program is measured; with a batch an eighth as often")
	if flags.Parse(args) != nil {
		return 2
	}
	if *runs < 1 || flags.NArg() > 0 {
		fmt.Fprintln(stderr, "bench: want -runs of at least 1, and no arguments")
		return 2
	}
	t, err := measure(ctx, *runner, *runs, stderr)
	if err == nil {
		fmt.Fprintf(stdout, "Medians of %d runs (batch: %d), %s, %s/%s, %d CPUs.\n\n",
			*runs, batchRuns(*runs), runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
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

// A bench is what the measurements have in common.
type bench struct {
	runner string // absolute path
	bare   string // folder of the programs that were built
	dir    string // folder for the measurements' files
	runs   int
}

// measure takes all measurements and tells progress which one it is at.
func measure(ctx context.Context, runner string, runs int, progress io.Writer) (t table, err error) {
	dir, err := os.MkdirTemp("", "runner-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	b := &bench{bare: filepath.Join(dir, "bin"), dir: dir, runs: runs}
	if b.runner, err = filepath.Abs(runner); err != nil {
		return nil, err
	}
	if err := b.build(ctx, progress); err != nil {
		return nil, err
	}
	for _, m := range []struct {
		name string
		take func(context.Context) (table, error)
	}{
		{"start-up", b.startUp},
		{"one-shot", b.oneShot},
		{"batch", b.batch},
		{"size", b.size},
	} {
		fmt.Fprintf(progress, "bench: %s\n", m.name)
		rows, err := m.take(ctx)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.name, err)
		}
		t = append(t, rows...)
	}
	return t, nil
}

// build builds the bare programs and the stopwatch, with the flags the runner
// is built with.
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
