package engine_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/notify"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/test/long"
)

// itemJob is a job that looks at /runs/ of the lab every minute, and copies each
// folder run_* that has stayed the same for five minutes.
func (b *bench) itemJob(edits ...func(*jobs.Job)) *jobs.Job {
	b.t.Helper()
	return b.job("runs", "* * * * *", append([]func(*jobs.Job){func(j *jobs.Job) {
		j.Steps = jobs.Single(copyOf("/runs/{{ .Item.Name }}/", "/raw/{{ .Item.Name }}/"))
		j.ForEach = &jobs.ForEach{
			Collection: globussim.CollectionID("lab"), Folder: "/runs/",
			Match: jobs.MatchGlobs("run_*", "!*_test"),
			Ready: jobs.Readiness{UnchangedFor: 5 * time.Minute},
		}
	}}, edits...)...)
}

// marked has items be ready when they have a file done.
func marked(j *jobs.Job) { j.ForEach.Ready = jobs.Readiness{Marker: "done"} }

// begin begins a plan of what happens to files of the lab.
func (b *bench) begin(steps ...globussim.FileStep) {
	b.t.Helper()
	for i := range steps {
		steps[i].Collection = "lab"
	}
	if err := b.Files(globussim.FilePlan{Steps: steps}); err != nil {
		b.t.Fatal(err)
	}
}

// written is a step that writes some bytes, at that many a second unless it is 0.
func written(at time.Duration, path string, size, rate int64) globussim.FileStep {
	return globussim.FileStep{At: at, Write: &globussim.FileWrite{Path: path, Size: size, Rate: rate}}
}

// renamed is a step that renames a file or folder.
func renamed(at time.Duration, from, to string) globussim.FileStep {
	return globussim.FileStep{At: at, Rename: &globussim.FileRename{From: from, To: to}}
}

// wantCopies checks that items at the destination are as those of the lab, and that
// there are no others.
func (b *bench) wantCopies(names ...string) {
	b.t.Helper()
	want, got := map[string]string{}, b.content(filepath.Join(b.vault, "raw"))
	for file, text := range b.content(filepath.Join(b.lab, "runs")) {
		for _, name := range names {
			if strings.HasPrefix(file, name+"/") || file == name {
				want[file] = text
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		b.t.Errorf("copies (-want +got):\n%s", diff)
	}
}

// content returns the files below a folder.
func (b *bench) content(dir string) map[string]string {
	b.t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		files[name] = string(text)
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		b.t.Fatal(err)
	}
	return files
}

// items returns what the ledger has of the items of the job runs: the name, the
// generation, and what has come of them.
func (b *bench) items() (all []string) {
	b.t.Helper()
	l := b.ledger()
	defer l.Close() //nolint:errcheck // it was only read
	for row, err := range l.Items(b.t.Context(), "runs") {
		if err != nil {
			b.t.Fatal(err)
		}
		state := row.State
		if row.RunState != "" {
			state = string(row.RunState)
		}
		if !row.Gone.IsZero() {
			state += " gone"
		}
		all = append(all, fmt.Sprintf("%s %d %s", row.Name, row.Generation, state))
	}
	return all
}

func (b *bench) wantItems(want ...string) {
	b.t.Helper()
	if diff := cmp.Diff(want, b.items()); diff != "" {
		b.t.Errorf("items (-want +got):\n%s", diff)
	}
}

func TestEachFinishedFolderIsCopiedOnce(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.begin(
			written(0, "/runs/run_1/a", 6000, 10), // for ten minutes
			written(20*time.Second, "/runs/run_1/sub/b", 5, 0),
			written(0, "/runs/tmp/c", 5, 0),
			renamed(30*time.Minute, "/runs/tmp", "/runs/run_2"),
			written(0, "/runs/run_3/d", 5, 0),
			written(4*time.Minute, "/runs/run_3/e", 5, 0), // after a pause that is too short
			written(0, "/runs/run_4_test/f", 5, 0),
			written(0, "/runs/run_file", 5, 0),
		)
		p := b.process("one").serve(b.itemJob())
		until(2 * time.Hour)
		p.stop()
		b.wantCopies("run_1", "run_2", "run_3")
		b.wantRuns("runs item:run_1 succeeded", "runs item:run_2 succeeded", "runs item:run_3 succeeded")
		b.wantTasks("SUCCEEDED runs item:run_3", "SUCCEEDED runs item:run_1", "SUCCEEDED runs item:run_2")
		for i, want := range []time.Duration{9 * time.Minute, 15 * time.Minute, 35 * time.Minute} {
			if got := b.posts()[i]; got < want || got > want+time.Minute+2*time.Second {
				t.Errorf("task %d was submitted after %v, want %v and a minute", i+1, got, want)
			}
		}
		b.wantItems("run_1 1 succeeded", "run_2 1 succeeded", "run_3 1 succeeded")
	})
}

func TestARestartDoesNotBeginToWaitAnew(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.begin(written(0, "/runs/run_1/a", 5, 0))
		for i := range 10 {
			p := b.process(fmt.Sprint("start ", i)).serve(b.itemJob())
			until(time.Duration(i+1)*time.Minute + 20*time.Second)
			if i%2 == 0 {
				p.kill()
			} else {
				p.stop()
			}
		}
		b.wantTasks("SUCCEEDED runs item:run_1")
		if got := b.posts()[0]; got < 5*time.Minute || got > 8*time.Minute {
			t.Errorf("it was submitted after %v, want five minutes and a look or two", got)
		}
	})
}

// A name that Globus cannot copy is told once, and again when there are more of them.
func TestItemsThatCannotBeCopiedAreTold(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		for _, name := range []string{"run_1", "run_*"} {
			b.plant("runs/"+name+"/done", "")
		}
		p := b.process("one").serve(b.itemJob(marked))
		until(10 * time.Minute)
		b.plant("runs/run_?/done", "")
		until(20 * time.Minute)
		p.stop()
		b.wantRuns("runs item:run_1 succeeded")
		const msg = "items are not copied because of their names: rename them"
		contains(t, b.log.String(), `"items":1,"item":"run_*"`, `"items":2,"item":"run_*"`)
		if got := b.log.values(t, msg, "item"); !slices.Equal(got, []string{"run_*", "run_*"}) {
			t.Errorf("got the items %q, want the first", got)
		}
	})
}

func TestAnItemThatChangesWhileItIsCopiedIsCopiedAgain(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.begin(
			written(0, "/runs/run_1/a", 600, 0),
			written(6*time.Minute+10*time.Second, "/runs/run_1/b", 5, 0), // the copy takes a minute
		)
		b.desk = newDesk()
		p := b.process("one").serve(b.itemJob(func(j *jobs.Job) {
			j.Notify.To = map[string][]string{"skipped": {"ops"}}
			j.Steps = append(j.Steps, jobs.Step{Mkdir: &jobs.Mkdir{Collection: globussim.CollectionID("vault"), Path: "/finished/{{ .Item.Name }}/"}})
		}))
		until(7*time.Minute + 30*time.Second)
		if _, err := os.Stat(filepath.Join(b.vault, "finished")); err == nil {
			t.Error("the second step was done for an item that had changed")
		}
		until(time.Hour)
		p.stop()
		b.wantRuns("runs item:run_1 skipped", "runs item:run_1@2 succeeded")
		b.wantCopies("run_1")
		b.wantItems("run_1 2 succeeded")
		if _, err := os.Stat(filepath.Join(b.vault, "finished/run_1")); err != nil {
			t.Error(err)
		}
		contains(t, b.runs()[0].Message, "item run_1 changed while it was copied; when it is ready again, it is done as occurrence item:run_1@2; nothing is to be done once item:run_1@2 has succeeded")
		if strings.Contains(b.runs()[0].Message, "retry") {
			t.Errorf("%q tells to retry", b.runs()[0].Message)
		}
		l := b.ledger()
		defer l.Close() //nolint:errcheck // it was only read
		for n, err := range l.Notices(t.Context(), false) {
			if err != nil {
				t.Fatal(err)
			}
			contains(t, n.Body, "runs begins again because the item changed: run_1", "nothing is to be done once item:run_1@2 has succeeded")
		}
		if told := b.notified(time.Now()); len(told) != 1 {
			t.Errorf("told %q, want one notice", told)
		}
	}, func(cfg *globussim.Config) { cfg.Rate = 10 })
}

// A run of an item that is wanted again, and of which a later occurrence is done, is
// known by its key, also if that holds only a checksum of the name.
func TestAnEarlierOccurrenceOfAnItemIsNotDoneAgain(t *testing.T) {
	for _, name := range []string{"run_1", "run_ü"} {
		onBench(t, func(t *testing.T, b *bench) {
			b.begin(
				written(0, "/runs/"+name+"/a", 600, 0),
				written(6*time.Minute+10*time.Second, "/runs/"+name+"/b", 5, 0), // the copy takes a minute
			)
			p := b.process("one").serve(b.itemJob())
			until(30 * time.Minute)
			tasks := len(b.State().Tasks)
			p.retry(1)
			until(time.Hour)
			p.stop()
			first, second := jobs.ItemKey(name, 1), jobs.ItemKey(name, 2)
			b.wantRuns(fmt.Sprintf("runs %s skipped", first), fmt.Sprintf("runs %s succeeded", second))
			contains(t, b.runs()[0].Message, fmt.Sprintf("item %[1]s has changed, and occurrence %[2]s has replaced this one; nothing is to be done once %[2]s has succeeded", name, second))
			if n := len(b.State().Tasks); n != tasks {
				t.Errorf("%d tasks, want no more than the %d before", n, tasks)
			}
		}, func(cfg *globussim.Config) { cfg.Rate = 10 })
	}
}

// Whoever cancels a task at Globus has not given up the item: it is on the list of those
// that failed, and its end is told.
func TestAnItemWhoseTaskIsCanceledAtGlobusHasFailed(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		begin := time.Now()
		b.desk = newDesk()
		b.begin(written(0, "/runs/run_1/a", 20, 0), written(0, "/runs/run_1/done", 0, 0))
		b.stall()
		p := b.process("one").serve(b.itemJob(marked, func(j *jobs.Job) {
			j.Notify.To = map[string][]string{"failed": {"ops"}, "recovered": {"ops"}}
		}))
		until(30*time.Minute + time.Second)
		if _, err := b.client().CancelTask(t.Context(), b.State().Tasks[0].TaskID); err != nil {
			t.Fatal(err)
		}
		until(time.Hour)
		b.wantItems("run_1 1 failed")
		if n, err := p.ledger.Failed(t.Context(), "runs", begin); n != 1 || err != nil {
			t.Errorf("%d items have failed, and the error is %v; want 1", n, err)
		}
		p.retry(1)
		until(2 * time.Hour)
		p.stop()
		b.wantItems("run_1 1 succeeded")
		if told := b.notified(begin); len(told) != 2 || !strings.HasSuffix(told[0], "failed") || !strings.HasSuffix(told[1], "recovered") {
			t.Errorf("told %q, want that it failed, and that it has recovered", told)
		}
	})
}

func TestNoMoreItemsThanMaxActiveAreAtWorkInAllReplicas(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		var want []string
		for i := range 12 {
			b.begin(written(time.Duration(i)*time.Second, fmt.Sprintf("/runs/run_%02d/a", i), 100, 0), written(30*time.Second, fmt.Sprintf("/runs/run_%02d/done", i), 0, 0))
			want = append(want, fmt.Sprintf("runs item:run_%02d succeeded", i))
		}
		job := b.itemJob(marked, func(j *jobs.Job) { j.ForEach.MaxActive = 4 })
		var all []*process
		for i := range 3 {
			all = append(all, b.process(fmt.Sprint("replica ", i)).serve(job))
		}
		most := 0
		for range 600 {
			time.Sleep(time.Second)
			synctest.Wait()
			active := 0
			for _, task := range b.State().Tasks {
				if task.Status == "ACTIVE" {
					active++
				}
			}
			most = max(most, active)
		}
		for _, p := range all {
			p.stop()
		}
		b.wantRuns(want...)
		if n := len(b.State().Tasks); n != 12 {
			t.Errorf("%d tasks, want 12", n)
		}
		if most != 4 {
			t.Errorf("%d tasks were at work at the same time, want 4", most)
		}
	}, func(cfg *globussim.Config) { cfg.Rate = 10; cfg.MaxActive = 100 })
}

// An item that must wait for a place, and changes meanwhile, is not submitted.
func TestAnItemThatChangesWhileItWaitsForItsTurnIsNotSubmitted(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.begin(
			written(0, "/runs/run_1/a", 6000, 0), // whose copy takes ten minutes
			written(time.Second, "/runs/run_2/a", 5, 0),
			written(0, "/runs/run_3/a", 5, 0),
			written(10*time.Minute, "/runs/run_2/b", 5, 0),
			globussim.FileStep{At: 10 * time.Minute, Remove: "/runs/run_3"},
		)
		p := b.process("one").serve(b.itemJob(func(j *jobs.Job) { j.ForEach.MaxActive = 1; j.ForEach.Order = jobs.ByName }))
		until(15*time.Minute + 45*time.Second) // run_1 is copied
		b.wantItems("run_1 1 submitted", "run_2 1 ready", "run_3 1 ready gone")
		until(time.Hour)
		p.stop()
		b.wantRuns("runs item:run_1 succeeded", "runs item:run_2 skipped", "runs item:run_2@2 succeeded")
		b.wantTasks("SUCCEEDED runs item:run_1", "SUCCEEDED runs item:run_2@2")
		b.wantCopies("run_1", "run_2")
		contains(t, b.runs()[1].Message, "item run_2 changed after it was found ready, and nothing was submitted")
	}, func(cfg *globussim.Config) { cfg.Rate = 10 })
}

func TestFollowersGetTheItem(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		first := b.itemJob(marked)
		second := b.job("publish", "", follows("runs"), func(j *jobs.Job) {
			j.Items, j.ItemsOf = first.ForEach, first.Name
			doc := copyOf("/raw/{{ .Item.Name }}/", "/public/{{ .Item.Name }}/")
			doc.SourceEndpoint = doc.DestinationEndpoint
			j.Steps = jobs.Single(doc)
		})
		for i := range 3 {
			b.begin(written(0, fmt.Sprintf("/runs/run_%d/a", i), 20, 0), written(0, fmt.Sprintf("/runs/run_%d/done", i), 0, 0))
		}
		p := b.process("one").serve(first, second)
		until(time.Minute + 4*time.Second)
		p.kill() // between the two
		p = b.process("two").serve(first, second)
		until(time.Hour)
		p.stop()
		var want []string
		for i := range 3 {
			want = append(want, fmt.Sprintf("runs item:run_%d succeeded", i), fmt.Sprintf("publish item:run_%d succeeded", i))
		}
		b.wantRuns(want...)
		if n := len(b.State().Tasks); n != 6 {
			t.Errorf("%d tasks, want 6", n)
		}
		if diff := cmp.Diff(b.content(filepath.Join(b.lab, "runs")), b.content(filepath.Join(b.vault, "public"))); diff != "" {
			t.Errorf("(-lab +public):\n%s", diff)
		}
	}, func(cfg *globussim.Config) { cfg.Rate = 10 })
}

// A job that follows items has not recovered because it has done another one.
func TestAFollowerHasNotRecoveredWhileItemsAreLeft(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		begin := time.Now()
		told := func() (all []string) { // without the minute, which depends on when the tasks are looked at
			for _, notice := range b.notified(begin) {
				_, what, _ := strings.Cut(notice, " ")
				all = append(all, what)
			}
			return all
		}
		b.desk = newDesk()
		first := b.itemJob(marked)
		second := b.job("publish", "", follows("runs"), func(j *jobs.Job) {
			j.Items, j.ItemsOf = first.ForEach, first.Name
			j.Notify.To = map[string][]string{"failed": {"ops"}, "recovered": {"ops"}}
			doc := copyOf("/raw/{{ .Item.Name }}/sub/", "/public/{{ .Item.Name }}/")
			doc.SourceEndpoint = doc.DestinationEndpoint
			j.Steps = jobs.Single(doc)
		})
		for i, file := range []string{"sub/a", "a", "sub/a"} { // the second has nothing to publish
			at := time.Duration(i) * time.Hour
			b.begin(written(at, fmt.Sprintf("/runs/run_%d/%s", i, file), 20, 0), written(at, fmt.Sprintf("/runs/run_%d/done", i), 0, 0))
		}
		p := b.process("one").serve(first, second)
		until(4 * time.Hour)
		b.wantRuns("runs item:run_0 succeeded", "publish item:run_0 succeeded", "runs item:run_1 succeeded", "publish item:run_1 failed",
			"runs item:run_2 succeeded", "publish item:run_2 succeeded")
		if diff := cmp.Diff([]string{"ops failed"}, told()); diff != "" {
			t.Errorf("notices while one has failed (-want +got):\n%s", diff)
		}
		b.begin(written(0, "/runs/run_3/sub/a", 20, 0), written(0, "/runs/run_3/done", 0, 0))
		for _, run := range b.runs() {
			if run.State == ledger.Failed {
				b.act(ledger.Action{Kind: ledger.ActionCancel, Run: run.ID, Alarms: notify.Failures()})
			}
		}
		until(8 * time.Hour)
		p.stop()
		if diff := cmp.Diff([]string{"ops failed", "ops recovered"}, told()); diff != "" {
			t.Errorf("notices after it was given up (-want +got):\n%s", diff)
		}
	}, func(cfg *globussim.Config) { cfg.Rate = 10 })
}

func TestWhatBecameReadyWhileTheCollectionWasOfflineComesInOrder(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		p := b.process("one", func(c *engine.SchedulerConfig) { c.Lease = time.Hour }).serve(b.itemJob(func(j *jobs.Job) {
			j.ForEach.MaxActive = 2
			j.Schedule = b.schedule("*/10 * * * *", nil)
		}))
		offline := func(off bool) {
			for _, name := range []string{"lab", "vault"} {
				if err := b.ChangeCollection(globussim.CollectionID(name), func(c *globussim.Condition) { c.Offline = off }); err != nil {
					t.Fatal(err)
				}
			}
		}
		var want []string
		for i := range 6 {
			name := fmt.Sprintf("run_%d", 5-i) // the names are in another order
			b.begin(written(time.Duration(i+1)*24*time.Hour, "/runs/"+name+"/a", 50, 0))
			want = append(want, "item:"+name)
		}
		until(time.Hour)
		offline(true)
		until(7 * 24 * time.Hour)
		if n := len(b.State().Tasks); n != 0 {
			t.Errorf("%d tasks while the collections are offline", n)
		}
		offline(false)
		until(8 * 24 * time.Hour)
		p.stop()
		var got []string // in the order of their claims
		for _, r := range b.runs() {
			got = append(got, r.Key)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("runs (-want +got):\n%s", diff)
		}
		b.wantCopies("run_0", "run_1", "run_2", "run_3", "run_4", "run_5")
	})
}

func TestALookAsksForNoMoreThanNewFolders(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		all, fresh := long.Or(10_000, 2_000), 10
		done := make([]ledger.Item, 0, all)
		for i := range all {
			name := fmt.Sprintf("run_%05d", i)
			if err := os.MkdirAll(filepath.Join(b.lab, "runs", name), 0o755); err != nil {
				t.Fatal(err)
			}
			if i%(all/fresh) != 0 {
				done = append(done, ledger.Item{Name: name, Key: "item:" + name, Generation: 1, State: "succeeded"})
				continue
			}
			b.plant("runs/"+name+"/sub/a", name)
			b.plant("runs/"+name+"/done", "")
		}
		l := b.ledger()
		for batch := range slices.Chunk(done, 1000) {
			if err := l.KeepItems(t.Context(), "runs", batch); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		p := b.process("one").serve(b.itemJob(marked, func(j *jobs.Job) { j.ForEach.MaxActive = fresh }))
		until(90 * time.Second)
		p.stop()
		requests := 0
		for _, r := range b.State().Requests {
			if strings.HasSuffix(r.Path, "/ls") {
				requests++
			}
		}
		// One for the folder, two for each new item, and two to see that it has not
		// changed meanwhile.
		if most := 1 + 2*fresh + 2*fresh; requests != most {
			t.Errorf("%d listings, want %d", requests, most)
		}
		if n := len(b.posts()); n != fresh {
			t.Errorf("%d submissions, want %d", n, fresh)
		}
	})
}

// What an item was done for stays known when its run is forgotten.
func TestAnItemThatComesBackIsNotDoneAgain(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.begin(
			written(0, "/runs/run_1/a", 5, 0), written(0, "/runs/run_1/done", 0, 0),
			written(2*time.Minute, "/runs/run_2/a", 5, 0), written(2*time.Minute, "/runs/run_2/done", 0, 0),
			renamed(10*time.Minute, "/runs/run_1", "/away"),
			renamed(20*time.Minute, "/away", "/runs/run_1"),
		)
		p := b.process("one").serve(b.itemJob(marked))
		until(5 * time.Minute)
		l := b.ledger()
		if n, err := l.ForgetRuns(t.Context(), ledger.Retention{Since: time.Now().Add(time.Hour)}); n != 1 || err != nil {
			t.Errorf("forgot %d runs, %v, want that of run_1", n, err)
		}
		_ = l.Close()
		until(15 * time.Minute)
		b.wantItems("run_1 1 succeeded gone", "run_2 1 succeeded")
		until(time.Hour)
		p.stop()
		b.wantItems("run_1 1 succeeded", "run_2 1 succeeded")
		b.wantTasks("SUCCEEDED runs item:run_1", "SUCCEEDED runs item:run_2")
		b.wantRuns("runs item:run_2 succeeded")
	})
}

// An instrument may take a folder away for a moment, also right when it is its turn.
func TestAnItemThatIsAwayWhenItIsItsTurnIsNotForgotten(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.begin(
			written(0, "/runs/run_1/a", 6100, 0), // whose copy takes until 16:10
			written(0, "/runs/run_2/a", 5, 0),
			renamed(16*time.Minute+5*time.Second, "/runs/run_2", "/away"),
			renamed(16*time.Minute+50*time.Second, "/away", "/runs/run_2"),
		)
		p := b.process("one").serve(b.itemJob(func(j *jobs.Job) { j.ForEach.MaxActive = 1; j.ForEach.Order = jobs.ByName }))
		until(time.Hour)
		p.stop()
		b.wantRuns("runs item:run_1 succeeded", "runs item:run_2 skipped", "runs item:run_2@2 succeeded")
		b.wantTasks("SUCCEEDED runs item:run_1", "SUCCEEDED runs item:run_2@2")
		b.wantCopies("run_1", "run_2")
		contains(t, b.runs()[1].Message, "item run_2 vanished after it was found ready, and nothing was submitted")
	}, func(cfg *globussim.Config) { cfg.Rate = 10 })
}

func TestAnItemWhoseCollectionIsOfflineAtItsTurnIsDoneLater(t *testing.T) {
	asked := map[string]struct {
		status int
		code   string
		is     func(*http.Request) bool
	}{
		"its look": {http.StatusBadGateway, "ExternalError.DirListingFailed.GCDisconnected", func(r *http.Request) bool {
			return strings.Contains(r.URL.Query().Get("path"), "run_2")
		}},
		"its submission": {http.StatusConflict, "GCDisconnectedException", func(r *http.Request) bool { return is(r, "POST", transferPath) }},
	}
	for name, c := range asked {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				b.begin(written(0, "/runs/run_1/a", 6100, 0), written(0, "/runs/run_2/a", 5, 0)) // the copy of the first takes until 16:10
				p, begin, refused := b.process("one"), time.Now(), 0
				p.answer = func(r *http.Request, _ http.RoundTripper) (*http.Response, error) {
					since := time.Since(begin)
					if since < 16*time.Minute+5*time.Second || since > 20*time.Minute || !c.is(r) {
						return nil, nil
					}
					refused++
					return &http.Response{
						StatusCode: c.status, Header: http.Header{"Content-Type": {"application/json"}}, Request: r,
						Body: io.NopCloser(strings.NewReader(`{"code": "` + c.code + `", "message": "not connected"}`)),
					}, nil
				}
				p.serve(b.itemJob(func(j *jobs.Job) { j.ForEach.MaxActive = 1; j.ForEach.Order = jobs.ByName }))
				until(time.Hour)
				p.stop()
				if refused == 0 {
					t.Error("nothing was refused")
				}
				b.wantRuns("runs item:run_1 succeeded", "runs item:run_2 succeeded")
				b.wantTasks("SUCCEEDED runs item:run_1", "SUCCEEDED runs item:run_2")
				b.wantCopies("run_1", "run_2")
			}, func(cfg *globussim.Config) { cfg.Rate = 10 })
		})
	}
}

func TestOneReplicaLooksAtATime(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.plant("runs/other/a", "x")
		var all []*process
		for i := range 3 {
			all = append(all, b.process(fmt.Sprint("replica ", i)).serve(b.itemJob()))
		}
		until(10*time.Minute + 30*time.Second)
		all[0].kill()
		all[1].stop() // whichever of them looked, its turn is free now, or after a lease
		until(20*time.Minute + 30*time.Second)
		all[2].stop()
		looks := b.requests("GET /v0.10/operation/endpoint/{id}/ls")
		if looks < 15 || looks > 20 {
			t.Errorf("the folder was looked at %d times in 20 minutes, want one look a minute, and a lease of five minutes without", looks)
		}
	})
}
