package settings_test

import (
	"fmt"

	"github.com/globus-runner/globus-runner/internal/settings"
)

// The variables of a container describe one job, without a jobs file.
func Example() {
	env := settings.Read([]string{
		"RUNNER_JOB_NAME=nightly",
		"RUNNER_JOB_SOURCE=83fcef58-36aa-59ff-b3dc-897c32cd6840:/data/",
		"RUNNER_JOB_DESTINATION=1875aba5-85d5-5ac3-98e1-ce55dd072b64:/archive/",
		"RUNNER_JOB_SCHEDULE=0 2 * * *",
	})
	file, err := env.Job.File()
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, job := range file.Jobs {
		fmt.Println(job.Name, job.Schedule)
	}

	env = settings.Read([]string{"RUNNER_LOG_LEVEL=loud"})
	fmt.Println(env.Check())
	// Output:
	// nightly 0 2 * * *
	// RUNNER_LOG_LEVEL: "loud" is not one of debug, info, warn and error
}
