package globussim_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/globussim"
)

// A bubble does not end before its goroutines do.
func TestCloseEndsTasksInEveryState(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		whole := strings.Repeat("x", 10)
		plant(t, l.lab, map[string]string{"in/a": whole, "in/b": strings.Repeat("y", 1000), "f": whole, "old/x": "1"})
		for _, action := range []globussim.Action{globussim.StallTask, globussim.PauseTask, globussim.SuspendTask} {
			if err := l.Disturb(globussim.Disturbance{Action: action, Label: string(action)}); err != nil {
				t.Fatal(err)
			}
			l.submit(l.transfer("/f", "/"+string(action), doc{"label": string(action)}))
		}
		l.submit(l.transfer("/in/", "/out/", doc{"verify_checksum": true})) // in the middle of b
		l.submit(l.transfer("/missing", "/missing"))
		queued := ""
		for i := range 3 {
			queued = l.submit(l.transfer("/f", fmt.Sprint("/queued", i), doc{"label": "stall"}))
		}
		if err := l.Disturb(globussim.Disturbance{Action: globussim.StallTask}); err != nil {
			t.Fatal(err)
		}
		l.submit(l.deletion("/old/", doc{"recursive": true}))
		time.Sleep(15 * time.Second)
		l.task(queued).want(t, doc{"nice_status": "Queued"})

		for range 2 {
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(map[string]string{"out/a": whole}, tree(t, l.vault)); diff != "" {
			t.Errorf("the destination differs (-want +got):\n%s", diff)
		}
		if got := tree(t, l.lab)["old/x"]; got != "1" {
			t.Errorf("the delete went on: %q", got)
		}
		a := l.call(http.MethodPost, "/transfer", l.transfer("/f", "/late"))
		if a.status != http.StatusServiceUnavailable {
			t.Errorf("a submission after the end gets %d %s", a.status, a.body)
		}
		l.call(http.MethodPost, "/task/"+queued+"/cancel", nil)
		time.Sleep(100 * 24 * time.Hour)
		synctest.Wait()
		if _, ok := tree(t, l.vault)["late"]; ok {
			t.Error("something is copied after the end")
		}
	}, func(cfg *globussim.Config) { cfg.Rate, cfg.MaxActive = 10, 5 })
}

func TestManyTasksAndOrdersAtOnceDoNotHarmEachOther(t *testing.T) {
	const clients, rounds = 4, 6
	l := newLab(t, func(cfg *globussim.Config) {
		cfg.FaultInterval, cfg.MaxActive, cfg.MaxPending = time.Millisecond, 4, 1000
	})
	files := map[string]string{"a": strings.Repeat("a", 10_000), "b/c": strings.Repeat("c", 1000)}
	plant(t, l.lab+"/in", files)
	try := func(err error) {
		if err != nil {
			t.Error(err)
		}
	}
	tasks := make(chan string, clients*rounds*3)
	var wg sync.WaitGroup
	for n := range clients {
		wg.Go(func() {
			for i := range rounds {
				plant(t, l.lab, map[string]string{fmt.Sprintf("old/%d-%d/x", n, i): "1"})
				out := fmt.Sprintf("/out/%d-%d/", n, i)
				for _, d := range []doc{
					l.transfer("/in/", out, doc{"verify_checksum": true}),
					l.transfer("/missing", out+"missing", doc{"label": "doomed"}),
					l.deletion(fmt.Sprintf("/old/%d-%d/", n, i), doc{"recursive": true}),
				} {
					tasks <- persist(l, d)
				}
			}
		})
	}
	stop := make(chan struct{})
	var noise sync.WaitGroup
	noise.Go(func() { // whatever can be done meanwhile
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			try(l.ChangeCollection(l.vaultID, func(c *globussim.Condition) { c.Offline, c.Quota = i%2 == 1, int64(i%2)<<20 }))
			rule, err := l.Pause(globussim.PauseRule{Collection: l.labID})
			try(err)
			try(l.Disturb(globussim.Disturbance{Action: globussim.ReleaseTask}))
			l.Resume(rule)
			l.State()
			l.call(http.MethodGet, "/task_list?limit=1000&orderby=status", nil)
			l.call(http.MethodGet, "/endpoint/"+l.vaultID, nil)
			l.ls("path", "/in/")
		}
	})
	wg.Wait()
	close(stop)
	noise.Wait()
	try(l.ChangeCollection(l.vaultID, func(c *globussim.Condition) { c.Offline = false }))
	close(tasks)
	want := make(map[string]string)
	for n := range clients {
		for i := range rounds {
			for name, text := range files {
				want[fmt.Sprintf("out/%d-%d/%s", n, i, name)] = text
			}
		}
	}
	for id := range tasks {
		ends(t, l, id)
	}
	if diff := cmp.Diff(want, tree(t, l.vault)); diff != "" {
		t.Errorf("the copies differ (-want +got):\n%s", diff)
	}
	if left, err := filepath.Glob(l.lab + "/old/*"); err != nil || len(left) > 0 {
		t.Errorf("the deletes left %v, %v", left, err)
	}
}

// persist submits a document until no collection is offline.
func persist(l *lab, d doc) string {
	for {
		a := l.call(http.MethodPost, "/"+d["DATA_TYPE"].(string), d)
		if a.text("code") != "GCDisconnectedException" {
			return a.text("task_id")
		}
	}
}

// ends waits outside of a bubble until a task has succeeded; a doomed one it
// cancels.
func ends(t *testing.T, l *lab, id string) {
	t.Helper()
	for range 200_000 {
		task := l.call(http.MethodGet, "/task/"+id, nil)
		switch {
		case task.text("status") == "SUCCEEDED":
			return
		case task.text("label") == "doomed":
			l.call(http.MethodPost, "/task/"+id+"/cancel", nil).want(t, doc{"code": "Canceled"})
			return
		case task.text("status") == "FAILED":
			t.Errorf("the task is %s", task.body)
			return
		}
		runtime.Gosched()
	}
	t.Errorf("the task %s does not end: %s", id, l.call(http.MethodGet, "/task/"+id, nil).body)
}
