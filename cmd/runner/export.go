package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/globus-runner/globus-runner/internal/export"
	"github.com/globus-runner/globus-runner/jobs"
)

const aboutExport = `Write the jobs of the jobs file for another scheduler, to standard output.

Each policy of a job is translated. If the target cannot express something, the
message names its place in the jobs file and what to do instead; nothing is
written, and the exit status is 2. Secrets are never written.`

func (a *app) exportCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "export",
		Short: "Write the jobs for Kubernetes, compose or systemd timers",
		Long:  aboutExport,
		Args:  cobra.ArbitraryArgs, // group tells about an unknown command
		RunE:  group,
	}
	c.AddCommand(a.exportKubernetesCommand(), a.exportComposeCommand(), a.exportTimersCommand())
	return c
}

func (a *app) exportKubernetesCommand() *cobra.Command {
	kind := kindCronJob
	source := jobsSource{env: a.env}
	var k export.Kubernetes
	c := &cobra.Command{
		Use:   "kubernetes",
		Short: "One CronJob for each job, or a Deployment of the scheduler",
		Example: `  runner export kubernetes -f jobs.yaml | kubectl apply -f -
  runner export kubernetes --kind deployment --namespace lab7 --image registry.example.org/globus-runner:1.0`,
		Args: arguments(0, 0),
		RunE: func(*cobra.Command, []string) error {
			for _, flag := range []struct{ name, value, want string }{
				{"--namespace", k.Namespace, labelName},
				{"--secret", k.Secret, subdomainName},
			} {
				if flag.value != "" && (len(flag.value) > 253 || !regexp.MustCompile(flag.want).MatchString(flag.value)) {
					return usageError{fmt.Errorf("%s %q: want lower-case letters, digits and inner dashes", flag.name, flag.value)}
				}
			}
			if err := checkImage(k.Image); err != nil {
				return err
			}
			return a.export(source, func(in export.Input) (*export.Result, error) {
				if kind == kindDeployment {
					return export.Deployment(in, k)
				}
				return export.CronJobs(in, k)
			}, "")
		},
	}
	flags := c.Flags()
	source.flags(flags)
	flags.Var(oneOf(&kind, "KIND", kindCronJob, kindDeployment), "kind", "cronjob: Kubernetes does the scheduling; deployment: runner serve does")
	flags.StringVar(&k.Namespace, "namespace", "", "namespace of all objects (default: the one in use when they are applied)")
	flags.StringVar(&k.Image, "image", "globus-runner:latest", "image of the runner")
	flags.StringVar(&k.Secret, "secret", "globus-runner", "name of the Secret with the keys client_id and client_secret")
	return c
}

func (a *app) exportComposeCommand() *cobra.Command {
	source := jobsSource{env: a.env}
	var image string
	c := &cobra.Command{
		Use:     "compose",
		Short:   "A compose file with the scheduler",
		Example: `  runner export compose -f jobs.yaml >compose.yaml`,
		Args:    arguments(0, 0),
		RunE: func(*cobra.Command, []string) error {
			if err := checkImage(image); err != nil {
				return err
			}
			return a.export(source, func(in export.Input) (*export.Result, error) { return export.Compose(in, image) }, "")
		},
	}
	source.flags(c.Flags())
	c.Flags().StringVar(&image, "image", "globus-runner:latest", "image of the runner")
	return c
}

func (a *app) exportTimersCommand() *cobra.Command {
	source := jobsSource{env: a.env}
	var dir string
	c := &cobra.Command{
		Use:   "systemd-timers",
		Short: "A service for each job, and a timer for each job with a schedule",
		Long: `Write a service for each job, runner-JOB.service, and a timer for each job with
a schedule, runner-JOB.timer. They expect the jobs file in /etc/runner.

Without --output-dir all of them are printed, each below its name.`,
		Example: `  sudo runner export systemd-timers -f /etc/runner/jobs.yaml --output-dir /etc/systemd/system`,
		Args:    arguments(0, 0),
		RunE:    func(*cobra.Command, []string) error { return a.export(source, export.Timers, dir) },
	}
	source.flags(c.Flags())
	c.Flags().StringVar(&dir, "output-dir", "", "write the units into this folder, in place of older ones of the same names")
	return c
}

// export makes the files of a target and prints them, or writes them into dir.
func (a *app) export(source jobsSource, target func(export.Input) (*export.Result, error), dir string) error {
	if source.described() {
		return usageError{errors.New("export needs a jobs file, and RUNNER_JOB_* describe the job instead: write the job into a file and name it with --jobs")}
	}
	path := source.path()
	sources, err := readJobs(path)
	if err != nil {
		return usageError{err}
	}
	// The values of variables are those of the place where the jobs will run.
	file, err := jobs.Parse(nil, sources...)
	if err != nil {
		return usageError{err}
	}
	res, err := target(export.Input{File: file, Sources: sources, Path: path})
	if err != nil {
		return usageError{err}
	}
	a.stderr.clear()
	showProblems(a.stderr, res.Warnings, "warning: ")
	if dir != "" {
		if err := writeUnits(dir, res.Files); err != nil {
			return err
		}
	}
	return a.print(res, func(w io.Writer) {
		for i, f := range res.Files {
			switch {
			case dir != "":
				fmt.Fprintln(w, filepath.Join(dir, f.Name))
				continue
			case i > 0:
				fmt.Fprintln(w)
			}
			if len(res.Files) > 1 {
				fmt.Fprintf(w, "# %s\n", f.Name)
			}
			fmt.Fprint(w, f.Text)
		}
	})
}

// writeUnits writes files into a folder, each as a whole or not at all.
func writeUnits(dir string, files []export.File) error {
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return usageError{fmt.Errorf("--output-dir: %s is not an existing folder; create it first", dir)}
	}
	for _, f := range files {
		if err := replaceFile(filepath.Join(dir, f.Name), []byte(f.Text)); err != nil {
			return usageError{fmt.Errorf("--output-dir: write %s: %w", f.Name, err)}
		}
	}
	return nil
}

// What Kubernetes allows as the name of a namespace, and of a Secret.
const (
	labelName     = `^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`
	subdomainName = `^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`
)

// checkImage returns an error if a text is obviously not the name of an image.
func checkImage(image string) error {
	odd := func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }
	if image == "" || strings.ContainsFunc(image, odd) {
		return usageError{fmt.Errorf("--image %q is not the name of an image such as globus-runner:latest", image)}
	}
	return nil
}

// An exportKind is one of the kinds below.
type exportKind string

const (
	kindCronJob    exportKind = "cronjob"
	kindDeployment exportKind = "deployment"
)
