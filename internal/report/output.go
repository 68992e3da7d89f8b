package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/globus-runner/globus-runner/internal/plain"
)

// Outputs writes task_id, state, bytes, files and exit_code as lines of
// key=value, the form of GitHub's output file and of GitLab's dotenv reports.
// With several runs, task_id has the last task of each, separated by spaces,
// and bytes and files are sums. A value is always on one line.
func Outputs(w io.Writer, r Report) error {
	var tasks []string
	var bytes, files int64
	for _, run := range r.Runs {
		if n := len(run.Tasks); n > 0 {
			tasks = append(tasks, run.Tasks[n-1].ID)
		}
		bytes += run.Bytes
		files += run.Files
	}
	_, err := fmt.Fprintf(w, "task_id=%s\nstate=%s\nbytes=%d\nfiles=%d\nexit_code=%d\n",
		plain.Line(strings.Join(tasks, " ")), plain.Line(r.State()), bytes, files, r.ExitCode)
	return err
}
