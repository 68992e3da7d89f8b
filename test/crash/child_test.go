package crash_test

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"time"
)

// A child is a process of the program.
type child struct {
	w              *world
	door           int
	cmd            *exec.Cmd
	stdout, stderr transcript
	done           chan struct{} // closed when it has ended
	status         int           // exit status; -1 if a signal ended it
	blow           blow          // what was done to it; empty if nothing was; guarded by w.mu
	ending         bool          // SIGTERM was sent to it; guarded by w.mu
}

// start starts the program.
func (w *world) start(door int, args ...string) *child {
	w.t.Helper()
	c := &child{w: w, door: door, cmd: exec.CommandContext(w.ctx, binary, args...), done: make(chan struct{})}
	c.cmd.Dir = w.dir
	c.cmd.Env = slices.Concat(w.env, []string{"GLOBUS_SDK_SERVICE_URL_AUTH=" + w.urls[door], "GLOBUS_SDK_SERVICE_URL_TRANSFER=" + w.urls[door], "GLOBUS_SDK_SERVICE_URL_FLOWS=" + w.urls[door]})
	c.cmd.Stdout, c.cmd.Stderr = &c.stdout, &c.stderr
	if err := c.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.starts++
	go func() {
		defer close(c.done)
		_ = c.cmd.Wait() // the status says all
		c.status = c.cmd.ProcessState.ExitCode()
	}()
	w.children = append(w.children, c)
	return c
}

// wait waits for the end of the child.
func (c *child) wait() {
	<-c.done
	c.w.gate.clear(c.door)
}

// alive reports whether the child has not ended yet.
func (c *child) alive() bool {
	select {
	case <-c.done:
		return false
	default:
		return true
	}
}

// signal sends a signal. That the child has ended meanwhile does not matter.
func (c *child) signal(s syscall.Signal) { _ = c.cmd.Process.Signal(s) }

// strike does something to the child and, unless it only freezes, waits until
// it is dead.
func (c *child) strike(b blow) {
	if !c.alive() {
		return
	}
	c.w.mu.Lock()
	c.ending = c.ending || b == term
	c.blow = b
	c.w.blows[b]++
	c.w.mu.Unlock()
	c.signal(signals[b])
	if b == freeze {
		return
	}
	begin := time.Now()
	<-c.done
	if took := time.Since(begin); b == term && took > patience {
		c.w.t.Errorf("SIGTERM to exit took %v\n%s", took, c.log())
	}
}

// struck says what was done to the child.
func (c *child) struck() blow {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	return c.blow
}

// patience is how long a child may take to end: the two seconds that are
// promised, on a machine that is busy with many others.
const patience = 6 * time.Second

// A result is what a child has printed on standard output.
type result struct {
	State    string `json:"state"`
	ExitCode int    `json:"exit_code"`
	Attempt  int    `json:"attempt"`
	Tasks    []struct {
		TaskID string `json:"task_id"`
		Label  string `json:"label"`
	} `json:"tasks"`
	Error struct {
		Class string `json:"class"`
	} `json:"error"`
}

// result returns the result document; its zero value if there is none.
func (c *child) result() (r result) {
	text := c.stdout.String()
	if text == "" {
		return r
	}
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		c.w.t.Errorf("%v in the output %q", err, text)
	}
	return r
}

// log is the end of what the child has logged.
func (c *child) log() string {
	const most = 6000 // bytes
	log := c.stderr.String()
	return log[max(0, len(log)-most):]
}

// A transcript is what a process prints, and may be read meanwhile.
type transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (t *transcript) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.Write(b)
}

func (t *transcript) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.String()
}
