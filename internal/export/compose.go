package export

import (
	"path/filepath"
	"strings"
)

// A service is the data of the template for compose.
type service struct {
	Image, Source, Target scalar
	Variables             []setting
	Files                 []channelFile
	Mail                  bool
}

// A setting is a variable that compose takes from its own environment.
type setting struct{ Name, Value scalar }

// Compose returns a compose file with one scheduler, which reads the jobs file
// where it is. An empty imageName means globus-runner:latest. What compose
// cannot express is an error as in [CronJobs].
func Compose(in Input, imageName string) (*Result, error) {
	r := &report{input: in}
	r.manifests("the container")
	source := filepath.ToSlash(filepath.Clean(in.Path))
	if !filepath.IsAbs(in.Path) && !strings.HasPrefix(source, "../") {
		source = "./" + strings.TrimPrefix(source, "./")
	}
	s := service{Image: literal(string(image(imageName))), Source: literal(source), Target: "/etc/runner/jobs.yaml"}
	if in.folder() {
		s.Target = jobsFolder
	}
	s.Files, s.Mail = in.given(), in.mails()
	for _, name := range variables(in.File.Jobs, "CLIENT_ID", "RUNNER_JOBS", "RUNNER_LOG_FORMAT") {
		s.Variables = append(s.Variables, setting{name, scalar("${" + string(name) + ":?templates of the jobs read it}")})
	}
	return r.result(func() ([]File, error) { return single("compose.yaml", s) })
}

// literal escapes a text so that compose does not expand variables in it.
func literal(text string) scalar { return scalar(strings.ReplaceAll(text, "$", "$$")) }
