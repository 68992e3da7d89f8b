package crash_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/internal/ledger"
)

const safeMove = `
  move:
    steps:
      - transfer: {source: "lab:/in/", destination: "vault:/raw/"}
      - prune: {empty_folders: remove}
`

// A mover knows what the files of the lab hold.
type mover struct {
	*world
	holds map[string]string // by path below in
	n     int
}

// write writes new content at a path, unless a delete that names it was sent, as a
// task that Globus has got cannot be called back, or recorded, as a file that comes
// back after that is refused.
func (m *mover) write(l *ledger.Ledger, name string) {
	m.t.Helper()
	for list, err := range l.Lists(m.ctx) {
		if err != nil {
			m.t.Fatal(err)
		}
		if bytes.Contains(list.Document, []byte(`"/in/`+name+`"`)) {
			return
		}
	}
	if m.gate.named("/in/" + name) {
		return
	}
	m.n++
	content := fmt.Sprintf("content %04d", m.n) // all of one size
	file := filepath.Join(m.dir, "lab", "in", name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		m.t.Fatal(err)
	}
	m.holds[name] = content
}

// check checks that what each file holds is where it was written, or where it was
// copied to. In the end, nothing is left at the lab.
func (m *mover) check(end bool) {
	m.t.Helper()
	for name, content := range m.holds {
		at, err := os.ReadFile(filepath.Join(m.dir, "lab", "in", name))
		if err == nil && string(at) == content && !end {
			continue
		}
		copied, _ := os.ReadFile(filepath.Join(m.dir, "vault", "raw", name)) // then it is empty
		if string(copied) != content {
			m.t.Errorf("%s with %q is gone: the lab has %q, %v, and the vault %q", name, content, at, err, copied)
		}
		if end && !os.IsNotExist(err) {
			m.t.Errorf("%s is still at the lab: %q, %v", name, at, err)
		}
	}
	entries, err := os.ReadDir(filepath.Join(m.dir, "lab", "in"))
	if end && (err != nil || len(entries) > 0) {
		m.t.Errorf("in the end the lab has %v, %v", entries, err)
	}
}

func TestPrunedFilesAreElsewhere(t *testing.T) {
	names := []string{"a.h5", "b.h5", "s/c.h5", "s/d.h5", "t/e.h5"}
	inRounds(t, mostShort/3, func(w *world) {
		w.hasLedger, w.crowd = true, 6
		w.likely = []call{other, other, other, other, other, lookUp}
		url := "sqlite:" + filepath.Join(w.dir, "runner.db")
		w.env = append(w.env, "RUNNER_STATE="+url, "RUNNER_JOBS="+w.jobsFile(safeMove))
		l := w.openLedger(url)
		m := &mover{world: w, holds: map[string]string{}}
		for _, name := range names {
			m.write(l, name)
		}
		env := slices.Clone(w.env)
		for i, strikes := range []int{2 + w.rng.IntN(4), 0, 0} {
			w.env = append(slices.Clone(env), fmt.Sprint("RUNNER_OCCURRENCE=github:", i))
			m.move(l, strikes, names)
			m.check(false)
		}
		m.check(true)
		m.checkReceipts(l)
	})
}

// move starts the job until an occurrence is done, strikes it a few times, and
// writes files in between.
func (m *mover) move(l *ledger.Ledger, strikes int, names []string) {
	m.t.Helper()
	for n := range mostStarts {
		if n >= strikes {
			m.calm()
		}
		c := m.start(0, "run", "move", "-F", "json")
		if n < strikes {
			m.ambush(c, m.killOrTerm(), 5*time.Second)
			if m.chance(3) {
				m.trouble()
			}
		}
		c.wait()
		if m.finished(c, n >= strikes) {
			return
		}
		m.lapse(l, c)
		m.check(false)
		if n < strikes && m.chance(2) {
			m.write(l, names[m.rng.IntN(len(names))])
		}
		if m.ctx.Err() == nil && c.struck() == "" && c.status == 5 {
			pause(m.ctx, time.Second)
		}
	}
	m.t.Errorf("%d starts have not brought it to its end", mostStarts)
}

// checkReceipts checks that each transfer has a receipt.
func (m *mover) checkReceipts(l *ledger.Ledger) {
	m.t.Helper()
	kept, err := l.Receipts(m.ctx, ledger.ReceiptQuery{Job: "move"})
	if err != nil {
		m.t.Fatal(err)
	}
	transfers := 0
	for _, task := range m.globus.State().Tasks {
		if task.Type == "TRANSFER" && task.Status == "SUCCEEDED" {
			transfers++
		}
	}
	if len(kept) != transfers {
		m.t.Errorf("%d receipts of %d transfers", len(kept), transfers)
	}
}

// notice takes note of the paths of a delete.
func (g *gate) notice(body []byte) {
	var doc struct {
		Items []struct {
			Path string `json:"path"`
		} `json:"DATA"`
	}
	if json.NewDecoder(bytes.NewReader(body)).Decode(&doc) != nil {
		return // the simulator refuses it
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, i := range doc.Items {
		g.deletes[i.Path] = true
	}
}

// named reports whether a delete of a path was sent.
func (g *gate) named(path string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.deletes[path]
}
