package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// A sample is what one process took, or the median of several.
type sample struct {
	wall, cpu span
	memory    size // resident, at most

	// Of a process that was stopped:
	resident size // when it was, 0 if the system does not tell
	stop     span // from the signal to the end
}

// A process is a program to be measured. Its arguments and its environment may
// depend on the number of the run, so that no run meets what an earlier one did.
type process struct {
	path string
	args func(run int) []string
	env  func(run int) []string
	// stopAfter is when a process that does not end by itself is sent SIGTERM.
	stopAfter time.Duration
}

// compare runs two processes in turn, so that both meet the same noise of the
// machine, and returns their medians. The first run, number 0, is a warm-up.
func (b *bench) compare(ctx context.Context, runs int, ours, bare process) (mine, theirs sample, err error) {
	both := [2]process{ours, bare}
	var samples [2][]sample
	for run := range runs + 1 {
		for n := range both {
			i := (n + run) % 2 // neither always comes first
			s, err := b.time(ctx, both[i], run)
			if err != nil {
				return sample{}, sample{}, err
			}
			if run > 0 {
				samples[i] = append(samples[i], s)
			}
		}
	}
	return medians(samples[0]), medians(samples[1]), nil
}

// repeat runs a process several times, after a warm-up, and returns the medians.
func (b *bench) repeat(ctx context.Context, runs int, p process) (sample, error) {
	var samples []sample
	for run := range runs + 1 {
		s, err := b.time(ctx, p, run)
		if err != nil {
			return sample{}, err
		}
		if run > 0 {
			samples = append(samples, s)
		}
	}
	return medians(samples), nil
}

// time runs a process under the stopwatch.
func (b *bench) time(ctx context.Context, p process, run int) (sample, error) {
	args := slices.Concat([]string{"-stop-after", p.stopAfter.String(), p.path}, p.args(run))
	watch := exec.CommandContext(ctx, filepath.Join(b.bare, "stopwatch"), args...)
	watch.Cancel = func() error { return watch.Process.Signal(syscall.SIGTERM) }
	watch.Env = append([]string{"HOME=" + b.dir}, p.env(run)...)
	var stdout, stderr bytes.Buffer
	watch.Stdout, watch.Stderr = &stdout, &stderr
	if err := watch.Run(); err != nil {
		return sample{}, fmt.Errorf("%w: %s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	var s sample
	if _, err := fmt.Fscan(&stdout, &s.wall, &s.cpu, &s.memory, &s.resident, &s.stop); err != nil {
		return sample{}, fmt.Errorf("read the stopwatch: %w", err)
	}
	return s, nil
}

// same gives every run the same arguments or environment.
func same(words ...string) func(int) []string {
	return func(int) []string { return words }
}

// medians returns the median of each quantity by itself.
func medians(samples []sample) sample {
	return sample{
		wall:   median(samples, func(s sample) span { return s.wall }),
		cpu:    median(samples, func(s sample) span { return s.cpu }),
		memory: median(samples, func(s sample) size { return s.memory }),

		resident: median(samples, func(s sample) size { return s.resident }),
		stop:     median(samples, func(s sample) span { return s.stop }),
	}
}

// median returns the middle of what of gives for each sample, or the mean of
// the two in the middle. There must be a sample.
func median[Q quantity](samples []sample, of func(sample) Q) Q {
	values := make([]Q, len(samples))
	for i, s := range samples {
		values[i] = of(s)
	}
	slices.Sort(values)
	half := len(values) / 2
	if len(values)%2 == 1 {
		return values[half]
	}
	return (values[half-1] + values[half]) / 2
}
