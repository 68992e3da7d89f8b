package page

import (
	"maps"
	"sync"
)

// A Progress says how far the task of a job has come, as this process has last seen it.
// Another replica may know more.
type Progress struct {
	Task             string `json:"task_id"`
	Class            string `json:"class"` // such as progressing or stalled
	Files            int64  `json:"files"` // found so far
	FilesTransferred int64  `json:"files_transferred"`
	Bytes            int64  `json:"bytes_transferred"`
	Rate             int64  `json:"bytes_per_second"`
}

// progress has the progress of the tasks that this process watches, by job.
type progress struct {
	mu    sync.Mutex
	byJob map[string]Progress
}

func newProgress() *progress { return &progress{byJob: map[string]Progress{}} }

func (p *progress) all() map[string]Progress {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.byJob)
}

// Progress says how far the task of a job has come.
func (p *Page) Progress(job string, is Progress) {
	p.progress.mu.Lock()
	defer p.progress.mu.Unlock()
	p.progress.byJob[job] = is
}

// Ended says that no task of the job is watched any more.
func (p *Page) Ended(job string) {
	p.progress.mu.Lock()
	defer p.progress.mu.Unlock()
	delete(p.progress.byJob, job)
}
