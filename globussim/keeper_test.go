package globussim_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/globussim"
)

// A keptLab is a lab whose simulator can die.
type keptLab struct {
	*lab
	state string // file
	edit  []func(*globussim.Config)
}

// inKeptLab is inLab with a state, the flow "Transfer" and a mapped collection.
func inKeptLab(t *testing.T, test func(t *testing.T, l *keptLab), edit ...func(*globussim.Config)) {
	t.Helper()
	state := filepath.Join(t.TempDir(), "state")
	edit = append(edit, func(cfg *globussim.Config) {
		cfg.Flows = []globussim.Flow{{Title: "Transfer"}}
		cfg.Collections = append(cfg.Collections, globussim.Collection{Name: "mapped", Dir: cfg.Collections[0].Dir, EntityType: globussim.MappedCollection})
		for i := range cfg.Collections {
			cfg.Collections[i].Owner = robot
		}
		cfg.State = state
	})
	inLab(t, func(t *testing.T, l *lab) {
		plant(t, l.lab, map[string]string{"f": "1"})
		test(t, &keptLab{l, state, edit})
	}, edit...)
}

// kept is what the state file holds now.
func (l *keptLab) kept() []byte {
	l.t.Helper()
	data, err := os.ReadFile(l.state)
	if err != nil {
		l.t.Fatal(err)
	}
	return data
}

// die ends the simulator and starts another one, with what a file held. What was only
// partly copied is left where it is: it is read while no worker renames or removes it.
func (l *keptLab) die(kept []byte) {
	l.t.Helper()
	synctest.Wait()
	parts := map[string]string{}
	for name, text := range tree(l.t, l.vault) {
		if strings.Contains(name, ".globussim-part-") {
			parts[name] = text
		}
	}
	if err := l.Close(); err != nil {
		l.t.Fatal(err)
	}
	plant(l.t, l.vault, parts)
	l.state = filepath.Join(l.t.TempDir(), "state")
	if err := os.WriteFile(l.state, kept, 0o600); err != nil {
		l.t.Fatal(err)
	}
	edit := append([]func(*globussim.Config){func(cfg *globussim.Config) {
		cfg.Collections = []globussim.Collection{{Name: "lab", Dir: l.lab.lab}, {Name: "vault", Dir: l.vault}}
	}}, l.edit...)
	edit = append(edit, func(cfg *globussim.Config) { cfg.State = l.state })
	l.Server = startWorld(l.t, edit...)
	l.token = bearer(l.t, l.Server, transferAll)
}

// everything is what the services tell of what they were asked to do.
func (l *keptLab) everything(tasks ...string) map[string]string {
	l.t.Helper()
	l.token = bearer(l.t, l.Server, transferAll) // the last one may have expired
	all := map[string]string{}
	see := func(path string, a answer) {
		for _, varies := range []string{"request_id", "resource", "effective_bytes_per_second"} {
			delete(a.doc, varies)
		}
		flatten(all, path, a.doc)
	}
	paths := []string{"/task_list?limit=100&orderby=request_time", "/bookmark_list", "/endpoint/" + l.vaultID + "/access_list", "/endpoint/" + l.vaultID, "/endpoint/" + l.labID + "/my_effective_pause_rule_list"}
	for _, id := range tasks {
		for _, list := range []string{"", "/event_list", "/successful_transfers", "/skipped_errors", "/pause_info"} {
			paths = append(paths, "/task/"+id+list)
		}
	}
	for _, path := range paths {
		see(path, l.call(http.MethodGet, path, nil))
	}
	for _, path := range []string{"/flows", "/runs"} {
		see(path, l.flows(http.MethodGet, path, bearer(l.t, l.Server, flowsScope), nil))
	}
	see("/jobs/", l.timers(http.MethodGet, "/jobs/", bearer(l.t, l.Server, timerScope), ""))
	all["consents"] = fmt.Sprint(l.State().Consents)
	all["tasks"] = fmt.Sprint(l.State().Tasks)
	return all
}

// flatten gives each value of a document a key of its own.
func flatten(all map[string]string, key string, value any) {
	switch v := value.(type) {
	case map[string]any:
		for name, below := range v {
			flatten(all, key+" "+name, below)
		}
	case []any:
		for i, below := range v {
			flatten(all, fmt.Sprint(key, " ", i), below)
		}
	default:
		all[key] = fmt.Sprint(v)
	}
}

func TestWhatWasAcknowledgedOutlivesTheProcess(t *testing.T) {
	inKeptLab(t, func(t *testing.T, l *keptLab) {
		plant(t, l.lab.lab, map[string]string{"in/a": "aa", "in/b": "bbb", "old/x": "1"})
		copied := l.submit(l.transfer("/in/", "/out/", doc{"label": "copied", "verify_checksum": true}))
		l.wait(copied)
		skipped := l.submit(l.transfer("/missing", "/missing", doc{"skip_source_errors": true}))
		l.wait(skipped)
		deleted := l.submit(l.deletion("/old/", doc{"recursive": true}))
		l.wait(deleted)
		removed := l.submit(l.transfer("/f", "/removed"))
		l.wait(removed)
		l.call(http.MethodPost, "/task/"+removed+"/remove", nil)
		if err := l.Disturb(globussim.Disturbance{Action: globussim.PauseTask, Message: "later"}); err != nil {
			t.Fatal(err)
		}
		paused := l.submit(l.transfer("/f", "/paused"))
		time.Sleep(time.Minute)
		l.call(http.MethodPut, "/task/"+paused, doc{"label": "renamed"})

		rule := doc{"DATA_TYPE": "access", "principal_type": "identity", "principal": other, "path": "/x/", "permissions": "r"}
		l.call(http.MethodPost, "/endpoint/"+l.vaultID+"/access", rule)
		l.call(http.MethodPut, "/endpoint/"+l.vaultID, doc{"DATA_TYPE": "endpoint", "description": "changed"})
		l.call(http.MethodPost, "/bookmark", doc{"name": "mine", "endpoint_id": l.labID, "path": "/in/"})
		if _, err := l.Pause(globussim.PauseRule{Collection: l.labID, Message: "closed", Ls: true}); err != nil {
			t.Fatal(err)
		}
		bearer(t, l.Server, transferAll+"[*https://auth.globus.org/scopes/"+globussim.CollectionID("mapped")+"/data_access]")
		run := l.runFlow("one", "/f", "/by-flow")
		l.timer(bearer(t, l.Server, timerScope), l.timerRequest(daily, fileItem))
		time.Sleep(62 * 24 * time.Hour)

		tasks := []string{copied, skipped, deleted, removed, paused}
		want := l.everything(tasks...)
		if want["/runs runs 0 run_id"] != strings.TrimPrefix(run, "/runs/") || want["/jobs/ jobs 0 n_runs"] != "2" || want["/bookmark_list DATA 0 name"] != "mine" {
			t.Fatal("nothing was done")
		}
		l.die(l.kept())
		if diff := cmp.Diff(want, l.everything(tasks...)); diff != "" {
			t.Errorf("another process says (-before +after):\n%s", diff)
		}
		l.die(l.kept()) // what the second one has written goes on behind the first
		if diff := cmp.Diff(want, l.everything(tasks...)); diff != "" {
			t.Errorf("the third process says (-before +after):\n%s", diff)
		}

		if err := l.Disturb(globussim.Disturbance{Action: globussim.ReleaseTask}); err != nil {
			t.Fatal(err)
		}
		l.wait(paused).want(t, doc{"status": "SUCCEEDED", "label": "renamed", "files_transferred": 1})
	})
}

func TestASubmissionIsKnownAfterTheProcessHasDied(t *testing.T) {
	inKeptLab(t, func(t *testing.T, l *keptLab) {
		d := l.transfer("/f", "/g")
		l.Fail(globussim.Fault{Path: "/v0.10/transfer", Drop: globussim.DropAfter})
		if err := l.lost(http.MethodPost, "/transfer", d); err == nil {
			t.Fatal("the answer was not lost")
		}
		l.die(l.kept())
		a := l.call(http.MethodPost, "/transfer", d)
		a.want(t, doc{"code": "Duplicate"})
		l.wait(a.text("task_id")).want(t, doc{"status": "SUCCEEDED", "files_transferred": 1})
		if n := len(l.State().Tasks); n != 1 {
			t.Errorf("there are %d tasks, want 1", n)
		}
	})
}

// lost sends a request whose answer is lost.
func (l *keptLab) lost(method, path string, d doc) error {
	l.t.Helper()
	r, err := http.NewRequestWithContext(l.t.Context(), method, transferBase+"/v0.10"+path, bytes.NewReader(encoded(l.t, d)))
	if err != nil {
		l.t.Fatal(err)
	}
	r.Header.Set("Authorization", l.token)
	answer, err := l.Client().Do(r)
	if err == nil {
		_ = answer.Body.Close() // it is not wanted
	}
	return err
}

func TestAnUnfinishedTransferGoesOnBehindItsLastFile(t *testing.T) {
	for name, lastIsThere := range map[string]bool{"the last file has its name": true, "the last file has not got its name": false} {
		t.Run(name, func(t *testing.T) {
			inKeptLab(t, func(t *testing.T, l *keptLab) {
				whole := strings.Repeat("x", 1000) // ten seconds
				plant(t, l.lab.lab, map[string]string{"in/a": whole, "in/b": whole, "in/c": whole})
				id := l.submit(l.transfer("/in/", "/out/", doc{"sync_level": 3}))
				time.Sleep(25 * time.Second)
				l.call(http.MethodGet, "/task/"+id, nil).want(t, doc{"files_transferred": 2})
				kept := l.kept()
				if !lastIsThere {
					if err := os.Remove(filepath.Join(l.vault, "out/b")); err != nil {
						t.Fatal(err)
					}
				}
				plant(t, l.lab.lab, map[string]string{"in/a": "changed"}) // was copied, and is not once more
				l.die(kept)
				l.wait(id).want(t, doc{"status": "SUCCEEDED", "files": 3, "files_transferred": 3, "bytes_transferred": 3000, "subtasks_pending": 0})
				if diff := cmp.Diff(map[string]string{"out/a": whole, "out/b": whole, "out/c": whole}, tree(t, l.vault)); diff != "" {
					t.Errorf("the vault (-want +got):\n%s", diff)
				}
				got := l.call(http.MethodGet, "/task/"+id+"/successful_transfers", nil).column("destination_path")
				if diff := cmp.Diff([]string{"/out/a", "/out/b", "/out/c"}, got); diff != "" {
					t.Errorf("the receipt (-want +got):\n%s", diff)
				}
				codes := l.call(http.MethodGet, "/task/"+id+"/event_list?limit=100", nil).column("code")
				if codes[len(codes)-1] != "STARTED" || strings.Count(fmt.Sprint(codes), "STARTED") != 1 {
					t.Errorf("the events are %v, want one STARTED", codes)
				}
			}, func(cfg *globussim.Config) { cfg.Rate = 100 })
		})
	}
}

// A delete that dies between two of its paths does not miss the first.
func TestAnUnfinishedDeleteDoesNotMissWhatItHasDeleted(t *testing.T) {
	inKeptLab(t, func(t *testing.T, l *keptLab) {
		plant(t, l.lab.lab, map[string]string{"x/a": "1", "x/b": "2"})
		d := l.deletion("/x/a")
		d["DATA"] = []doc{{"DATA_TYPE": "delete_item", "path": "/x/a"}, {"DATA_TYPE": "delete_item", "path": "/x/b"}}
		id := l.submit(d)
		l.wait(id)
		for cut := range bytes.Count(l.kept(), []byte("\n")) {
			kept := lines(l.kept(), cut+1)
			if !bytes.Contains(kept, []byte(`"found/`)) || !bytes.Contains(kept, []byte(id)) {
				continue // nothing was deleted by then
			}
			plant(t, l.lab.lab, map[string]string{"x/b": "2"})
			l.die(kept)
			l.wait(id).want(t, doc{"status": "SUCCEEDED"})
			if diff := cmp.Diff(map[string]string{"f": "1", "x/": ""}, tree(t, l.lab.lab)); diff != "" {
				t.Errorf("cut behind line %d, the lab (-want +got):\n%s", cut+1, diff)
			}
		}
	})
}

// lines returns the first n lines.
func lines(text []byte, n int) []byte {
	return bytes.Join(bytes.SplitAfter(text, []byte("\n"))[:n], nil)
}

// Wherever the process dies, the transfer of an instant is started once.
func TestTimersAndFlowsStartOnceWhereverTheProcessDies(t *testing.T) {
	inKeptLab(t, func(t *testing.T, l *keptLab) {
		run := l.runFlow("one", "/f", "/by-flow")
		timer := l.timer(bearer(t, l.Server, timerScope), l.timerRequest(`{"type": "once", "datetime": "2000-01-01T00:10:00Z"}`, fileItem))
		time.Sleep(20 * time.Minute)
		l.call(http.MethodGet, "/task_list", nil)
		whole := l.kept()
		for cut := 1; cut <= bytes.Count(whole, []byte("\n")); cut++ {
			kept := lines(whole, cut)
			l.die(kept)
			time.Sleep(20 * time.Minute)
			want := 0
			for path, a := range map[string]answer{
				run:   l.flows(http.MethodGet, run, bearer(t, l.Server, flowsScope), nil),
				timer: l.timers(http.MethodGet, timer, bearer(t, l.Server, timerScope), ""),
			} {
				if a.status == http.StatusOK {
					want++
				} else if bytes.Contains(kept, []byte(path[strings.LastIndexByte(path, '/')+1:])) {
					t.Errorf("cut behind line %d, %s answers %d", cut, path, a.status)
				}
			}
			for _, task := range l.State().Tasks {
				if task.Status != "SUCCEEDED" {
					t.Errorf("cut behind line %d, a task is %s", cut, task.Status)
				}
			}
			if n := len(l.State().Tasks); n != want {
				t.Errorf("cut behind line %d, there are %d tasks, want %d", cut, n, want)
			}
		}
	})
}

// Whatever the end of the process cuts off was told to nobody.
func TestATornRecordIsDropped(t *testing.T) {
	inKeptLab(t, func(t *testing.T, l *keptLab) {
		l.do(l.transfer("/f", "/a"))
		before := l.kept()
		l.do(l.transfer("/f", "/b"))
		whole := l.kept()
		for end := 0; end <= len(whole); end += 1 + len(whole)/37 {
			want := 0
			for task := range bytes.SplitSeq(whole[:end], []byte("\n")) {
				if bytes.Contains(task, []byte(`"submission"`)) && bytes.HasSuffix(task, []byte("}")) {
					want++
				}
			}
			l.die(whole[:end])
			if n := len(l.State().Tasks); n != want {
				t.Errorf("the first %d bytes hold %d tasks, want %d", end, n, want)
			}
			l.do(l.transfer("/f", "/c"))
			l.die(l.kept())
			if n := len(l.State().Tasks); n != want+1 {
				t.Errorf("behind the first %d bytes there are %d tasks, want %d", end, n, want+1)
			}
		}
		if len(before) == len(whole) {
			t.Error("the second task left no trace")
		}
	})
}

func TestAStateThatCannotBeReadIsRefused(t *testing.T) {
	inKeptLab(t, func(t *testing.T, l *keptLab) {
		l.do(l.transfer("/f", "/a"))
		whole := string(l.kept())
		first, rest, _ := strings.Cut(whole, "\n")
		tests := map[string]struct{ state, want string }{
			"version": {`{"globussim_state":2}` + "\n" + rest, "line 1: it has version 2, and this simulator reads version 1; name another file"},
			"foreign": {"version: 1\njobs:\n", "line 1: it is not a state of the simulator; name another file"},
			"no line": {"precious", "it is not a state of the simulator; name another file"},
			"damaged": {first + "\n{]\n" + rest, "line 2: it is damaged; name another file, or delete this one to begin anew"},
			"another collection": {
				strings.ReplaceAll(whole, `_endpoint_id":"`+l.vaultID, `_endpoint_id":"`+l.labID[:35]+"1"),
				"its collection " + l.labID[:35] + "1 is not one of those that are served",
			},
		}
		for name, tt := range tests {
			file := filepath.Join(t.TempDir(), "state")
			if err := os.WriteFile(file, []byte(tt.state), 0o600); err != nil {
				t.Fatal(err)
			}
			l.wantRefused(name, file, tt.want)
			if got, _ := os.ReadFile(file); string(got) != tt.state {
				t.Errorf("%s: the file was changed", name)
			}
		}
		l.wantRefused("in use", l.state, "another simulator uses it; stop that one, or name another file")
		l.wantRefused("a folder", t.TempDir(), "is a directory")
	})
}

// wantRefused checks that there is no simulator with this state, and why.
func (l *keptLab) wantRefused(name, file, want string) {
	l.t.Helper()
	cfg := world(l.lab.lab)
	cfg.Collections = []globussim.Collection{{Name: "lab", Dir: l.lab.lab}, {Name: "vault", Dir: l.vault}}
	cfg.State = file
	s, err := globussim.New(cfg)
	if err == nil {
		_ = s.Close() // the test has failed
		l.t.Errorf("%s: the state was taken", name)
	} else if !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), want) {
		l.t.Errorf("%s: got %v, want %q", name, err, want)
	}
}

// What cannot be written is not acknowledged: here the file is closed already.
func TestWithoutItsStateASimulatorDoesNotAnswer(t *testing.T) {
	inKeptLab(t, func(t *testing.T, l *keptLab) {
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if err := l.lost(http.MethodPost, "/bookmark", doc{"name": "mine", "endpoint_id": l.labID, "path": "/in/"}); err == nil {
			t.Error("the bookmark was acknowledged")
		}
	})
}

func encoded(t *testing.T, d doc) []byte {
	t.Helper()
	data, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
