// Package browser_test logs in with the program, against the simulator, and looks at
// the page of serve, in a real Chromium. Without the flag -browser.runner it does
// nothing.
package browser_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

var program = flag.String("browser.runner", "", "the program to test")

// A desk is where a person sits: a machine with the program, on a simulated
// Globus, and a browser.
type desk struct {
	t       *testing.T
	environ []string
	app     string // native app of the simulator
	lab     string // id of a collection of the person
	home    string
}

var exported = regexp.MustCompile(`(?m)^export ([A-Z_]+)='([^']*)'$`)

func newDesk(t *testing.T) *desk {
	t.Helper()
	if *program == "" {
		t.Skip("no -browser.runner")
	}
	d := &desk{t: t, home: t.TempDir()}
	lab := t.TempDir()
	if err := os.WriteFile(filepath.Join(lab, "frame.h5"), []byte("frame"), 0o600); err != nil {
		t.Fatal(err)
	}
	sim := exec.CommandContext(t.Context(), *program, "sim", "--collection", "lab="+lab+",owner=person")
	sim.Stderr = t.Output()
	sim.WaitDelay = 5 * time.Second
	out, err := sim.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := sim.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sim.Wait() }) // it was killed
	d.environ = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + d.home}
	for lines := bufio.NewScanner(out); d.lab == "" && lines.Scan(); {
		m := exported.FindStringSubmatch(lines.Text())
		switch {
		case m == nil:
		case m[1] == "COLLECTION_LAB":
			d.lab = m[2]
		case m[1] == "NATIVE_APP":
			d.app = m[2]
		case strings.HasPrefix(m[1], "GLOBUS_SDK_"):
			d.environ = append(d.environ, m[1]+"="+m[2])
		}
	}
	if d.lab == "" || d.app == "" {
		t.Fatal("the simulator did not start")
	}
	return d
}

// runner runs the program and wants an exit status.
func (d *desk) runner(status int, args ...string) {
	d.t.Helper()
	d.begin(nil, nil, args...).end(status)
}

// A process is a start of the program.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	cancel context.CancelFunc
	out    output
}

// An output can be read while a process writes to it.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func (d *desk) begin(environ []string, stdin io.Reader, args ...string) *process {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), time.Minute)
	p := &process{t: d.t, cmd: exec.CommandContext(ctx, *program, args...), cancel: cancel}
	p.cmd.Env = slices.Concat(environ, d.environ)
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = stdin, &p.out, &p.out
	p.cmd.WaitDelay = 5 * time.Second
	if err := p.cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	return p
}

func (p *process) end(status int) string {
	p.t.Helper()
	defer p.cancel()
	if err := p.cmd.Wait(); err != nil {
		if _, ok := errors.AsType[*exec.ExitError](err); !ok {
			p.t.Fatal(err)
		}
	}
	if got := p.cmd.ProcessState.ExitCode(); got != status {
		p.t.Errorf("%q: got exit status %d, want %d:\n%s", p.cmd.Args[1:], got, status, &p.out)
	}
	return p.out.String()
}

// login starts "runner login" and returns it with the address that it opens:
// its browser is a program that writes the address down for the driven one.
func (d *desk) login(args ...string) (*process, string) {
	d.t.Helper()
	dir := d.t.TempDir()
	opener, address := filepath.Join(dir, "opener"), filepath.Join(dir, "address")
	script := "#!/bin/sh\nprintf '%s' \"$1\" >" + address + ".new && mv " + address + ".new " + address + "\n"
	if err := os.WriteFile(opener, []byte(script), 0o700); err != nil { //nolint:gosec // a program
		d.t.Fatal(err)
	}
	p := d.begin([]string{"BROWSER=" + opener}, nil, append([]string{"login", "--client-id", d.app}, args...)...)
	for begin := time.Now(); time.Since(begin) < 30*time.Second; time.Sleep(10 * time.Millisecond) {
		if text, err := os.ReadFile(address); err == nil {
			return p, string(text)
		}
	}
	d.t.Fatal("no browser was opened")
	return nil, ""
}

func TestLoginInABrowser(t *testing.T) {
	d := newDesk(t)
	b := start(t)
	p, address := d.login()
	b.open(address)
	b.arrives("Log in")
	who := b.find("input[name=identity]")
	if role, label := who.get("computedrole"), who.get("computedlabel"); role != "radio" || label != "Ada Lovelace (ada@sim.example)" {
		t.Errorf("the identity is a %s called %q", role, label)
	}
	if text := b.find("main").get("text"); !strings.Contains(text, "globus-runner would like to:") || !strings.Contains(text, "Manage data using Globus Transfer") {
		t.Errorf("the page says:\n%s", text)
	}
	allow := b.find("button[value=allow]")
	if label := allow.get("computedlabel"); label != "Allow" {
		t.Errorf("the button is called %q", label)
	}
	if messages := b.log(); len(messages) > 0 {
		t.Errorf("the browser complains: %q", messages)
	}
	allow.click()
	b.arrives("Almost done")
	if text := b.find("body").get("text"); !strings.Contains(text, "You can close this window") {
		t.Errorf("the last page says:\n%s", text)
	}
	if out := p.end(0); !strings.Contains(out, "ada@sim.example") {
		t.Errorf("the program says:\n%s", out)
	}
	d.runner(0, "whoami")
	d.runner(0, "transfer", d.lab+":/frame.h5", d.lab+":/copy.h5")
	d.runner(0, "logout")
	d.runner(2, "whoami")
}

func TestLoginByKeyboard(t *testing.T) {
	d := newDesk(t)
	b := start(t)
	p, address := d.login()
	b.open(address)
	const enter = "\uE007"
	b.find("input[name=identity]").press(enter)
	p.end(0)
	d.runner(0, "whoami")
}

func TestLoginThatIsRefusedInTheBrowser(t *testing.T) {
	d := newDesk(t)
	b := start(t)
	p, address := d.login()
	b.open(address)
	b.find("button[value=refuse]").click()
	b.arrives("Not logged in")
	if out := p.end(4); !strings.Contains(out, "the login was refused in the browser") {
		t.Errorf("the program says:\n%s", out)
	}
}

func TestCodeThatIsCopiedFromTheBrowser(t *testing.T) {
	d := newDesk(t)
	b := start(t)
	in, paste := io.Pipe()
	p := d.begin(nil, in, "login", "--no-browser", "--client-id", d.app)
	var address string
	for begin := time.Now(); address == "" && time.Since(begin) < 30*time.Second; time.Sleep(10 * time.Millisecond) {
		address = regexp.MustCompile(`(?m)^http\S+$`).FindString(p.out.String())
	}
	b.open(address)
	b.find("button[value=allow]").click()
	b.arrives("Almost done")
	code := b.find("#code")
	if label := code.get("computedlabel"); label != "Code:" {
		t.Errorf("the code is called %q", label)
	}
	if _, err := io.WriteString(paste, code.get("property/value")+"\n"); err != nil {
		t.Fatal(err)
	}
	_ = paste.Close() // a pipe
	p.end(0)
	d.runner(0, "whoami")
}
