package engine_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

// watchDeletes notes the paths of each delete that is sent, by submission id.
func (p *process) watchDeletes(sent map[string][]string, each func()) {
	p.answer = func(r *http.Request, send http.RoundTripper) (*http.Response, error) {
		if !is(r, "POST", deletePath) {
			return nil, nil
		}
		body, err := r.GetBody()
		if err != nil {
			return nil, err
		}
		text, err := io.ReadAll(body)
		if err != nil {
			return nil, err
		}
		var doc transfer.Delete
		if err := json.Unmarshal(text, &doc); err != nil {
			return nil, err
		}
		var paths []string
		for _, i := range doc.Items {
			paths = append(paths, i.Path)
		}
		sent[doc.SubmissionID] = paths
		each()
		return nil, nil
	}
}

func TestListThatHadToWaitIsLookedAtAnew(t *testing.T) {
	fail := func(f globussim.Fault) func(*bench) {
		f.Path = deletePath
		return func(b *bench) { b.Fail(f) }
	}
	tests := map[string]func(b *bench){
		"too many tasks":          fail(globussim.Fault{Status: 409, Code: "ClientError.Conflict.TooManyPendingJobs"}),
		"another task":            fail(globussim.Fault{Status: 409, Code: "ClientError.Conflict"}),
		"it did not reach Globus": fail(globussim.Fault{Times: -1, Drop: globussim.DropBefore}),
		"its answer was lost":     fail(globussim.Fault{Times: -1, Drop: globussim.DropAfter}),
		"its task failed":         func(b *bench) { b.disturb(globussim.Disturbance{Action: globussim.FailTask}) },
	}
	for name, obstacle := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				b.sow("data/a.txt", "data/b.txt")
				p := b.process("one")
				p.wantRun(b.order(accounted, func(j *jobs.Job) { j.Steps = jobs.Single(provable("/copy/", "vault")) }, ownTimes), ledger.Succeeded)
				sent := map[string][]string{}
				p.watchDeletes(sent, func() {
					if len(sent) == 1 { // while it waits
						b.plant("data/b.txt", "DATA/b.txt")
					} else {
						b.ClearFaults()
					}
				})
				obstacle(b)
				o := b.order(expires(), func(j *jobs.Job) { j.Concurrency, j.BackoffLimit = jobs.Allow, 1 })
				r := p.wantRun(o, ledger.Succeeded)
				if name == "its answer was lost" {
					// It is at Globus, and was right when it was sent: a task that deletes
					// what changes before it begins cannot be called back.
					return
				}
				b.wantLeft("data/b.txt")
				if len(sent) != 2 {
					t.Fatalf("sent %v, want two lists", sent)
				}
				for id, paths := range sent {
					if slices.Contains(paths, "/data/b.txt") == slices.Contains(b.delivered(), id) {
						t.Errorf("list %s of %v: delivered %v", id, paths, b.delivered())
					}
				}
				contains(t, p.pruned(r.Run), "1 file deleted, 1 kept (1: changed while the prune was under way)")
			})
		})
	}
}

func TestPruneKeepsWhatItCannotSeeAgain(t *testing.T) {
	for _, side := range []string{"lab", "vault"} {
		for _, names := range [][]string{{"data/a.txt"}, {"data/a.txt", "data/b", "data/c"}} { // looked up, and listed
			t.Run(fmt.Sprint(side, len(names)), func(t *testing.T) {
				onBench(t, func(t *testing.T, b *bench) {
					b.sow(names...)
					p := b.process("one")
					p.wantRun(b.order(accounted, func(j *jobs.Job) { j.Steps = jobs.Single(provable("/copy/", "vault")) }, ownTimes), ledger.Succeeded)
					p.answer = func(r *http.Request, _ http.RoundTripper) (*http.Response, error) {
						if is(r, "GET", idPath) {
							b.Fail(globussim.Fault{Path: "/v0.10/operation/endpoint/" + globussim.CollectionID(side) + "/*", Times: -1, Status: 403, Code: "EndpointPermissionDenied"})
						}
						return nil, nil
					}
					r := p.wantRun(b.order(expires()), ledger.Succeeded)
					b.wantLeft(names...)
					contains(t, p.pruned(r.Run), fmt.Sprintf("0 files deleted, %d kept (%d: could not be listed)", len(names), len(names)))
				})
			})
		}
	}
}

// circle copies to a collection and back, and returns an order that prunes both. The
// way back has the paths in upper case if it is loud.
func (b *bench) circle(p *process, collection string, loud bool) engine.Order {
	b.t.Helper()
	b.sow("data/a.txt", "data/b")
	there, back := provable("/copy/", collection), provable("/data/", "lab")
	back.SourceEndpoint, back.Items[0].SourcePath = globussim.CollectionID(collection), "/copy/"
	if loud {
		back.Items[0] = transfer.Item{SourcePath: "/COPY/", DestinationPath: "/DATA/"}
	}
	var ways []*jobs.Job
	for i, doc := range []*transfer.Transfer{there, back} {
		doc.SyncLevel, doc.PreserveTimestamp = new(transfer.SyncChecksum), false
		o := b.order(accounted, named(fmt.Sprint("way-", i)), func(j *jobs.Job) { j.Steps = jobs.Single(doc) })
		p.wantRun(o, ledger.Succeeded)
		ways = append(ways, o.Job)
		time.Sleep(time.Hour)
	}
	return b.order(expires(func(p *jobs.Prune) { p.Of, p.Jobs = []string{"way-0", "way-1"}, ways }))
}

// wantSomewhere checks that the files of a circle are on some disk.
func (b *bench) wantSomewhere() {
	b.t.Helper()
	for _, name := range []string{"a.txt", "b"} {
		if !slices.ContainsFunc([]string{filepath.Join(b.lab, "data"), filepath.Join(b.lab, "copy"), filepath.Join(b.vault, "copy")}, func(folder string) bool {
			_, err := os.Stat(filepath.Join(folder, name))
			return err == nil
		}) {
			b.t.Errorf("%s is nowhere", name)
		}
	}
}

func TestPruneOfACircleKeepsOneCopy(t *testing.T) {
	for _, collection := range []string{"lab", "vault"} {
		for _, loud := range []bool{false, true} {
			t.Run(fmt.Sprint(collection, " in upper case: ", loud), func(t *testing.T) {
				onBench(t, func(t *testing.T, b *bench) {
					for _, disk := range []string{b.lab, b.vault} { // which do not tell cases apart
						for _, name := range []string{"copy", "data"} {
							if err := os.Symlink(name, filepath.Join(disk, strings.ToUpper(name))); err != nil {
								t.Fatal(err)
							}
						}
					}
					p := b.process("one")
					p.wantRun(b.circle(p, collection, loud), ledger.Succeeded)
					b.wantSomewhere()
				})
			})
		}
	}
}

func TestFilesOfAListThatMayBeAtGlobusProveNothing(t *testing.T) {
	for name, restart := range map[string]bool{"goes on": false, "is started again": true} {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				p := b.process("one")
				o := b.circle(p, "vault", false)
				b.stall() // the list is done late
				b.releaseAfter(3 * time.Hour)
				first, hidden := "", false
				answer := func(p *process) func(*http.Request, http.RoundTripper) (*http.Response, error) {
					blind := &process{}
					blind.forgetful()
					return func(r *http.Request, send http.RoundTripper) (*http.Response, error) {
						switch {
						case is(r, "GET", idPath) && first != "" && !hidden: // the copies of the list are not seen again
							hidden = true
							b.Fail(globussim.Fault{Path: "/v0.10/operation/endpoint/" + globussim.CollectionID("lab") + "/stat", Times: 2, Status: 403, Code: "EndpointPermissionDenied"})
						case is(r, "POST", deletePath):
							body, err := r.GetBody()
							if err != nil {
								return nil, err
							}
							text, err := io.ReadAll(body)
							if first == "" {
								first = string(text)
							}
							if err != nil || string(text) != first {
								return nil, err
							}
							resp, err := send.RoundTrip(r)
							if err == nil {
								_ = resp.Body.Close() // it is lost
							}
							if restart {
								p.die()
							}
							return nil, io.ErrUnexpectedEOF
						}
						return blind.answer(r, send)
					}
				}
				p.answer = answer(p) //nolint:bodyclose // who sends the request closes it
				r, err := p.record(t.Context(), o)
				if restart {
					time.Sleep(time.Hour)
					p = b.process("two")
					p.answer = answer(p) //nolint:bodyclose // who sends the request closes it
					r, err = p.record(t.Context(), o)
				}
				if err != nil || r.State != ledger.Succeeded {
					t.Fatalf("got %+v, %v", r, err)
				}
				time.Sleep(4 * time.Hour)
				b.wantSomewhere()
				contains(t, p.pruned(r.Run), ": has a copy that is pruned as well")
			})
		})
	}
}

// delivered returns the submission ids of the deletes that have a task.
func (b *bench) delivered() (ids []string) {
	for _, task := range b.State().Tasks {
		if task.Type == "DELETE" && task.Status == "SUCCEEDED" {
			ids = append(ids, task.SubmissionID)
		}
	}
	return ids
}

func TestPruneGivesUpWhileAnswersAreLost(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.sow("data/a.txt")
		p := b.process("one")
		p.wantRun(b.order(accounted, func(j *jobs.Job) { j.Steps = jobs.Single(provable("/copy/", "vault")) }), ledger.Succeeded)
		b.Fail(globussim.Fault{Path: deletePath, Times: -1, Drop: globussim.DropBefore})
		r, err := p.record(t.Context(), b.order(expires()))
		if err != nil || r.State.Final() || fault.Of(r.Err).Kind != fault.Unknown {
			t.Fatalf("got %+v, %v, want a run that is left", r, err)
		}
		if n := b.count("SELECT count(*) FROM submissions WHERE once = 1 AND status = 'DROPPED'"); n != 3 {
			t.Errorf("%d lists were given up", n)
		}
		b.ClearFaults()
		p.wantRun(b.order(expires()), ledger.Succeeded)
		b.wantLeft()
	})
}

func TestKilledPruneSendsNoListASecondTime(t *testing.T) {
	tests := map[string]struct {
		cut  cut
		gone bool // the list was at Globus before the kill
	}{
		"after the record":            {cut{method: "POST", path: deletePath}, false},
		"answer to it is lost":        {cut{method: "POST", path: deletePath, after: true}, true},
		"task id is not written down": {cut{method: "POST", path: deletePath, unrecorded: true}, true},
		"before the list":             {cut{method: "GET", path: idPath, skip: 1}, false},
		"while it looks anew":         {cut{method: "GET", path: "/v0.10/operation/*", skip: 5}, false},
	}
	for name, tt := range tests {
		for how, resume := range map[string]func(b *bench, p *process, o engine.Order) (*engine.Result, error){
			"": func(b *bench, p *process, o engine.Order) (*engine.Result, error) { return p.record(b.t.Context(), o) },
			", the job is gone": func(b *bench, p *process, o engine.Order) (*engine.Result, error) {
				job := *o.Job
				job.Steps = nil
				o.Job = &job
				return p.record(b.t.Context(), o)
			},
			", the step is another one": func(b *bench, p *process, o engine.Order) (*engine.Result, error) {
				job := *o.Job
				job.Steps = []jobs.Step{job.Steps[0], {Transfer: provable("/more/", "store"), Manifest: "list", ItemsPerTask: 1}}
				b.manifests = map[string]string{"list": "a.txt a.txt\n"}
				o.Job = &job
				return p.record(b.t.Context(), o)
			},
		} {
			t.Run(name+how, func(t *testing.T) {
				onBench(t, func(t *testing.T, b *bench) {
					b.sow("data/a.txt", "data/b.txt")
					o := b.order(handsOver, ownTimes)
					one := b.process("one")
					one.at(tt.cut)
					if r, err := one.record(t.Context(), o); err == nil && r.State.Final() {
						t.Fatalf("got %+v, %v, want it killed", r, err)
					}
					if !one.dead.Load() {
						t.Fatal("the process did not come to the cut")
					}
					time.Sleep(time.Hour)
					if !tt.gone {
						b.plant("data/b.txt", "DATA/b.txt")
					}
					sent := map[string][]string{}
					two := b.process("two")
					two.watchDeletes(sent, func() {})
					r, err := resume(b, two, o)
					if err != nil || !r.State.Final() {
						t.Fatalf("got %+v, %v, want the end of the run", r, err)
					}
					for _, paths := range sent {
						if slices.Contains(paths, "/data/b.txt") {
							t.Errorf("sent %v after the file had changed", sent)
						}
					}
					switch {
					case tt.gone:
						b.wantLeft()
					case how == "":
						b.wantLeft("data/b.txt")
					default:
						if len(sent) > 0 {
							t.Errorf("sent %v", sent)
						}
					}
					if how == "" && tt.gone && b.runs()[0].FilesDeleted != 2 {
						t.Errorf("got %+v, want 2 files deleted", b.runs()[0])
					}
				})
			})
		}
	}
}

func TestPruneHasListsOfABoundedLength(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.remove("data/a.txt")
		var names []string
		for i := range 205 {
			names = append(names, fmt.Sprintf("data/%03d/x", i))
		}
		// A folder counts once, and the last one of a list is not divided.
		names = append(names, "data/000/y", "data/199/y", "data/199/z")
		b.sow(names...)
		sent := map[string][]string{}
		p := b.process("one")
		p.watchDeletes(sent, func() {})
		r := p.wantRun(b.order(removes, ownTimes), ledger.Succeeded)
		b.wantLeft()
		var lengths []int
		for _, paths := range sent {
			lengths = append(lengths, len(paths))
		}
		slices.Sort(lengths)
		if d := cmp.Diff([]int{5, 5, 200, 203}, lengths); d != "" { // two of files, and two of folders
			t.Errorf("paths of a list (-want +got):\n%s", d)
		}
		p.wantPruned(r, "208 files deleted, 205 empty folders removed")
		if labels := b.labels(); !strings.HasSuffix(labels[1], " s2 p1") || !strings.HasSuffix(labels[2], " s2 p2") {
			t.Errorf("got the labels %q", labels)
		}
	})
}
