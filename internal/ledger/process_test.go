package ledger_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/test/long"
)

// A process is this test binary as another process. It does what beChild says.
type process struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	lines *bufio.Scanner // of its standard output
}

func startProcess(t testing.TB, what, url, name string) *process {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "LEDGER_TEST_CHILD="+what, "LEDGER_TEST_URL="+url, "LEDGER_TEST_NAME="+name)
	cmd.Stderr = t.Output()
	stdin, err := cmd.StdinPipe()
	ok(t, err)
	stdout, err := cmd.StdoutPipe()
	ok(t, err)
	ok(t, cmd.Start())
	return &process{cmd, stdin, bufio.NewScanner(stdout)}
}

// says returns the next line that the process prints.
func (p *process) says(t testing.TB) string {
	t.Helper()
	if !p.lines.Scan() {
		t.Fatalf("the process ended: %v, %v", p.lines.Err(), p.cmd.Wait())
	}
	return p.lines.Text()
}

func (p *process) kill(t testing.TB) {
	t.Helper()
	ok(t, p.cmd.Process.Kill())
	_ = p.cmd.Wait() // it was killed
}

// occurrences is how many there are to claim.
var occurrences = long.Or(200, 50)

func beChild(what string) int {
	ctx, url, name := context.Background(), os.Getenv("LEDGER_TEST_URL"), os.Getenv("LEDGER_TEST_NAME")
	l, err := ledger.Open(ctx, url, slog.New(slog.DiscardHandler))
	if err == nil {
		err = map[string]func(context.Context, *ledger.Ledger, string) error{
			"claim": claimAll, "submit": submitAndHang, "write": writeOn, "serve": serveOn, "attend": attendOn,
		}[what](ctx, l, name)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, name, err)
		return 1
	}
	return 0
}

// waitForParent returns when the parent writes or closes our input.
func waitForParent() { _, _ = os.Stdin.Read(make([]byte, 1)) }

func claimAll(ctx context.Context, l *ledger.Ledger, name string) error {
	fmt.Println("ready")
	waitForParent()
	for _, i := range rand.Perm(occurrences) {
		_, mine, err := l.Claim(ctx, ledger.Claim{Job: "j", Key: fmt.Sprint(i), Holder: name, Lease: time.Hour})
		if err != nil {
			return err
		}
		if mine {
			fmt.Println(i)
		}
	}
	return nil
}

func submitAndHang(ctx context.Context, l *ledger.Ledger, name string) error {
	r, _, err := l.Claim(ctx, ledger.Claim{Job: "j", Key: "k", Holder: name, Lease: -time.Second})
	if err == nil {
		err = l.Submit(ctx, name, ledger.Submission{ID: "s1", Run: r.ID, Attempt: 1, Document: []byte("{}")})
	}
	if err == nil {
		fmt.Println("submitted")
		waitForParent()
	}
	return err
}

func writeOn(ctx context.Context, l *ledger.Ledger, name string) error {
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				key := fmt.Sprintf("%s-%d-%d", name, w, i)
				r, _, err := l.Claim(ctx, ledger.Claim{Job: "j", Key: key, Holder: name, Lease: -time.Second})
				if err == nil {
					err = l.Submit(ctx, name, ledger.Submission{ID: key, Run: r.ID, Document: []byte(strings.Repeat(key, 500))})
				}
				if err != nil {
					fmt.Println("error:", err)
					return
				}
				fmt.Println(key)
			}
		})
	}
	wg.Wait()
	return nil
}

func serveOn(ctx context.Context, l *ledger.Ledger, name string) error {
	_, err := l.Serve(ctx, name)
	if err == nil {
		fmt.Println("serving")
		waitForParent()
	}
	return err
}

func attendOn(ctx context.Context, l *ledger.Ledger, name string) error {
	_, err := l.Attend(ctx, name)
	if err == nil {
		fmt.Println("attending")
		waitForParent()
	}
	return err
}

func TestGoroutinesClaimEachOccurrenceOnce(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l := open(t, url)
		var mu sync.Mutex
		claimed := map[int]int{}
		var wg sync.WaitGroup
		for g := range 20 {
			wg.Go(func() {
				for _, i := range rand.Perm(occurrences) {
					_, mine, err := l.Claim(t.Context(), ledger.Claim{Job: "j", Key: fmt.Sprint(i), Holder: fmt.Sprint(g), Lease: time.Hour})
					if err != nil {
						t.Error(err)
						return
					}
					if mine {
						mu.Lock()
						claimed[i]++
						mu.Unlock()
					}
				}
			})
		}
		wg.Wait()
		eachOnce(t, claimed)
	})
}

func eachOnce(t *testing.T, claimed map[int]int) {
	t.Helper()
	for i := range occurrences {
		if claimed[i] != 1 {
			t.Errorf("occurrence %d was claimed %d times", i, claimed[i])
		}
	}
}

func TestProcessesClaimEachOccurrenceOnce(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		var all []*process
		for i := range 4 { // without a ledger at first: they make the schema, too
			all = append(all, startProcess(t, "claim", url, fmt.Sprint("p", i)))
		}
		for _, p := range all {
			p.says(t)
		}
		for _, p := range all {
			ok(t, p.stdin.Close())
		}
		claimed := map[int]int{}
		for _, p := range all {
			for p.lines.Scan() {
				var i int
				_, err := fmt.Sscan(p.lines.Text(), &i)
				ok(t, err)
				claimed[i]++
			}
			ok(t, p.cmd.Wait())
		}
		eachOnce(t, claimed)
	})
}

func TestTakeOversGetEachRunOnce(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l := open(t, url)
		for i := range 100 {
			claim(t, l, "j", fmt.Sprint(i), "dead", -time.Second)
		}
		var mu sync.Mutex
		taken := map[int64]int{}
		var wg sync.WaitGroup
		for g := range 8 {
			wg.Go(func() {
				for {
					runs, err := l.TakeOver(t.Context(), fmt.Sprint(g), time.Hour, 7)
					if err != nil {
						t.Error(err)
					}
					if len(runs) == 0 {
						return
					}
					mu.Lock()
					for _, r := range runs {
						taken[r.ID]++
					}
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		// A take-over passes by what another one is about to take, so that one
		// may end early; together they miss nothing.
		if len(taken) != 100 {
			t.Errorf("%d runs were taken over", len(taken))
		}
		for id, n := range taken {
			if n != 1 {
				t.Errorf("run %d was taken over %d times", id, n)
			}
		}
	})
}

func TestAKillAfterSubmitLosesNothing(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		p := startProcess(t, "submit", url, "victim")
		p.says(t)
		p.kill(t)

		l := open(t, url)
		runs, err := l.TakeOver(t.Context(), "heir", time.Hour, 10)
		ok(t, err)
		if len(runs) != 1 || runs[0].Key != "k" {
			t.Fatalf("took over %v", runs)
		}
		s, err := l.Submissions(t.Context(), runs[0].ID)
		ok(t, err)
		if len(s) != 1 || s[0].ID != "s1" || string(s[0].Document) != "{}" || s[0].TaskID != "" {
			t.Fatalf("got submissions %+v", s)
		}
		ok(t, l.Accepted(t.Context(), "s1", "t1"))
		ok(t, l.Finish(t.Context(), runs[0].ID, "heir", ledger.Outcome{State: ledger.Succeeded}))
	})
}

func TestAKillInTheMiddleLosesNothingThatWasSaid(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		said := map[string]bool{}
		for i := range long.Or(5, 3) {
			a, b := startProcess(t, "write", url, fmt.Sprint("a", i)), startProcess(t, "write", url, fmt.Sprint("b", i))
			for range 1 + rand.IntN(60) {
				said[a.says(t)] = true
			}
			a.kill(t)
			said[b.says(t)] = true
			b.kill(t)
		}
		l := open(t, url)
		for key := range said {
			r, err := l.Find(t.Context(), "j", key)
			ok(t, err)
			s, err := l.Submissions(t.Context(), r.ID)
			ok(t, err)
			if len(s) != 1 || string(s[0].Document) != strings.Repeat(key, 500) {
				t.Errorf("%s has submissions %+v", key, s)
			}
		}
		ok(t, l.Check(t.Context()))
	})
}
