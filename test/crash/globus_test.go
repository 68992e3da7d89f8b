package crash_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/globussim"
)

// A globus is the simulator as the rounds use it: in this process, or as a [mortal].
type globus interface {
	http.Handler
	Client() *http.Client
	State() globussim.State
	Fail(faults ...globussim.Fault)
	ClearFaults()
	Disturb(orders ...globussim.Disturbance) error
	ExpireTokens(clients ...string) int
	Close() error
}

// simulated is the configuration of the simulator over the folders of dir.
func simulated(dir string) globussim.Config {
	cfg := globussim.Config{
		Accounts: []globussim.Account{{ID: clientID, Secret: canary}}, MaxActive: 20,
		Persons: []globussim.Person{{Username: colleague}}, Flows: []globussim.Flow{{Title: "Transfer"}},
		Answers: globussim.Answers{RefuseOtherDocument: true, RunsListed: 2}, // what is sent again is what was sent, and a list of runs lags
	}
	for _, name := range []string{"lab", "vault"} {
		cfg.Collections = append(cfg.Collections, globussim.Collection{Name: name, Dir: filepath.Join(dir, name)})
	}
	return cfg
}

// mortalDir is the variable that makes the test's program serve the simulator over a
// folder, instead of testing.
const mortalDir = "CRASH_GLOBUS"

// Files of a mortal beside the folders of its collections.
const (
	mortalState  = "globus.state"
	mortalSocket = "globus.sock"
)

// serveMortal serves the simulator over dir until its standard input ends, which it
// does at the latest when the test does.
func serveMortal(dir string) error {
	cfg := simulated(dir)
	cfg.State = filepath.Join(dir, mortalState)
	sim, err := globussim.New(cfg)
	if err != nil {
		return err
	}
	socket := filepath.Join(dir, mortalSocket)
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) { // that of one that was killed
		return err
	}
	l, err := new(net.ListenConfig).Listen(context.Background(), "unix", socket)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: sim, ReadHeaderTimeout: time.Minute}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // its end is all that matters
		_ = server.Close()                   // Serve returns what there is to say
	}()
	fmt.Println("ready")
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return sim.Close()
}

// A mortal is the simulator in a process of its own, which can be killed and is then
// started again with the state that it has on disk. While it is dead, connections to
// it are dropped.
type mortal struct {
	*httputil.ReverseProxy
	t   *testing.T
	dir string

	mu      sync.Mutex // held while it is dead
	process *exec.Cmd
	input   io.Closer
	kills   int
	fell    time.Time       // when it was killed last
	last    globussim.State // once it is closed
	closed  bool
}

// newMortal starts the simulator over the folders of dir.
func newMortal(t *testing.T, dir string) *mortal {
	t.Helper()
	m := &mortal{t: t, dir: dir}
	m.ReverseProxy = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = "http", "localhost" },
		Transport: &http.Transport{
			DisableKeepAlives: true, // so that no request is sent twice
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(dir, mortalSocket))
			},
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	if err := m.start(); err != nil {
		t.Fatal(err)
	}
	return m
}

// start starts the process, and returns when it answers.
func (m *mortal) start() error {
	own, err := os.Executable()
	if err != nil {
		return err
	}
	m.process = exec.CommandContext(context.Background(), own)
	m.process.Env = append(os.Environ(), mortalDir+"="+m.dir)
	m.process.Stderr = os.Stderr
	input, errIn := m.process.StdinPipe()
	output, errOut := m.process.StdoutPipe()
	if err := errors.Join(errIn, errOut, m.process.Start()); err != nil {
		return err
	}
	m.input = input
	if _, err := io.ReadFull(output, make([]byte, len("ready\n"))); err != nil {
		return errors.Join(fmt.Errorf("the simulator did not start: %w", err), m.process.Wait())
	}
	return nil
}

// fall kills the simulator, and starts it again after a while; not if it has been killed a
// moment ago.
func (m *mortal) fall(ctx context.Context, dead time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed || time.Since(m.fell) < betweenFalls {
		return
	}
	defer func() { m.fell = time.Now() }()
	m.kills++
	_ = m.process.Process.Kill() // if it has ended by itself, the start below fails or the tasks are gone
	_ = m.process.Wait()         // the signal
	pause(ctx, dead)
	if err := m.start(); err != nil {
		m.t.Error(err)
	}
}

// fallen returns how often it was killed.
func (m *mortal) fallen() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.kills
}

// Close ends the process. What the simulator has done is still known.
func (m *mortal) Close() error {
	m.last = m.State()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	return errors.Join(m.input.Close(), m.process.Wait())
}

// Client returns a client of the simulator, whatever host it asks.
func (m *mortal) Client() *http.Client { return &http.Client{Transport: m.Transport} }

// State returns what the simulator has done. The requests are those since its start.
func (m *mortal) State() (state globussim.State) {
	if m.closed {
		return m.last
	}
	m.order(http.MethodGet, "/_sim/state", nil, &state)
	return state
}

// Fail orders faults.
func (m *mortal) Fail(faults ...globussim.Fault) {
	for _, f := range faults {
		doc := struct {
			globussim.Fault
			Delay string `json:"delay,omitempty"`
		}{Fault: f}
		if f.Delay > 0 {
			doc.Delay = f.Delay.String()
		}
		m.order(http.MethodPost, "/_sim/faults", doc, nil)
	}
}

// ClearFaults forgets all faults.
func (m *mortal) ClearFaults() { m.order(http.MethodDelete, "/_sim/faults", nil, nil) }

// Disturb orders disturbances of tasks.
func (m *mortal) Disturb(orders ...globussim.Disturbance) error {
	for _, d := range orders {
		m.order(http.MethodPost, "/_sim/tasks", d, nil)
	}
	return nil
}

// ExpireTokens ends the access tokens of all clients, and returns how many there were.
func (m *mortal) ExpireTokens(...string) int {
	var answer struct{ Ended int }
	m.order(http.MethodPost, "/_sim/tokens/expire", nil, &answer)
	return answer.Ended
}

// order sends an order to the control path, and waits until the simulator lives.
func (m *mortal) order(method, path string, doc, into any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var body bytes.Buffer
	if doc != nil {
		if err := json.NewEncoder(&body).Encode(doc); err != nil {
			m.t.Error(err)
		}
	}
	req, err := http.NewRequestWithContext(context.WithoutCancel(m.t.Context()), method, "http://localhost"+path, &body)
	if err != nil {
		m.t.Error(err)
		return
	}
	resp, err := m.Client().Do(req)
	if err != nil {
		m.t.Error(err)
		return
	}
	defer resp.Body.Close() //nolint:errcheck // it was only read
	if resp.StatusCode >= http.StatusBadRequest {
		m.t.Errorf("the simulator answers %s %s with %s", method, path, resp.Status)
	}
	if into != nil {
		if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
			m.t.Error(err)
		}
	}
}

// What a round orders of a mortal is done by the process, and its tasks outlive that.
func TestMortalObeysAndRemembers(t *testing.T) {
	w := newWorld(t, rand.New(rand.NewPCG(1, 0)))
	defer w.end()
	m := w.becomeMortal()
	once := w.oneShots()["one task"]
	w.env = append(w.env, once.env...)
	m.Fail(globussim.Fault{Method: "POST", Path: "/v0.10/transfer", Drop: globussim.DropAfter, Delay: time.Millisecond})
	c := w.start(0, "run")
	if c.wait(); c.status != 0 {
		t.Errorf("exit status %d\n%s", c.status, c.log())
	}
	m.fall(t.Context(), 0)
	tasks := m.State().Tasks
	if len(tasks) != 1 || tasks[0].Submissions != 2 || tasks[0].Status != "SUCCEEDED" {
		t.Errorf("got the tasks %+v, want one that was posted twice and has succeeded", tasks)
	}
}
