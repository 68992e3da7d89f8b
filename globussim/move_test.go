package globussim_test

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/globussim"
)

func link(t *testing.T, target, name string) {
	t.Helper()
	if err := os.Symlink(target, name); err != nil {
		t.Fatal(err)
	}
}

func TestARecursiveItemCopiesTheWholeTree(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		files := map[string]string{
			"a.txt": "alpha", "empty": "", "with space/ü.txt": "umlaut", "100%": "percent",
			"deep/er/and/deeper/x": "x", "hollow/": "", "odd\xff": "not UTF-8", "sub\xfe/y": "y",
		}
		plant(t, l.lab+"/in", files)
		task := l.do(l.transfer("/in/", "/new/parent/out/"))
		task.want(t, doc{
			"status": "SUCCEEDED", "files": 7, "directories": 8, "files_transferred": 7,
			"bytes_transferred": 29, "files_skipped": 0, "faults": 0, "symlinks": 0,
			"subtasks_pending": 0, "is_ok": nil, "fatal_error": nil, "nice_status": nil, "is_paused": false,
		})
		if diff := cmp.Diff(files, tree(t, l.vault+"/new/parent/out")); diff != "" {
			t.Errorf("the copy differs (-want +got):\n%s", diff)
		}
		if got, want := task.number("subtasks_succeeded"), task.number("subtasks_total"); got != want {
			t.Errorf("%d of %d subtasks succeeded", got, want)
		}
	})
}

func TestRecursiveSaysWhatTheSourceMustBe(t *testing.T) {
	tests := map[string]struct {
		src       string
		recursive any // absent if nil
		fault     string
	}{
		"folder, absent": {"/dir", nil, ""},
		"folder, true":   {"/dir", true, ""},
		"folder, false":  {"/dir", false, "IS_A_DIRECTORY"},
		"file, absent":   {"/file", nil, ""},
		"file, true":     {"/file", true, "NOT_A_DIRECTORY"},
		"file, false":    {"/file", false, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			inLab(t, func(t *testing.T, l *lab) {
				plant(t, l.lab, map[string]string{"dir/x": "1", "file": "2"})
				item := doc{"source_path": tt.src, "destination_path": "/out"} // without DATA_TYPE
				if tt.recursive != nil {
					item["recursive"] = tt.recursive
				}
				id := l.submit(l.transfer("", "", doc{"DATA": []doc{item}}))
				task := l.task(id)
				if tt.fault == "" {
					task.want(t, doc{"status": "SUCCEEDED"})
					return
				}
				task.want(t, doc{"status": "ACTIVE", "nice_status": tt.fault, "is_ok": false})
			})
		})
	}
}

func TestAFileIsNotPutOntoAFolderNorAFolderOntoAFile(t *testing.T) {
	tests := map[string]struct{ src, dst, fault string }{
		"file onto folder":          {"/file", "/dir", "IS_A_DIRECTORY"},
		"file into path with slash": {"/file", "/new/", "IS_A_DIRECTORY"},
		"folder onto file":          {"/dir/", "/file/", "NOT_A_DIRECTORY"},
		"file below a file":         {"/file", "/file/below", "NOT_A_DIRECTORY"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			inLab(t, func(t *testing.T, l *lab) {
				there := map[string]string{"file": "old", "dir/x": "old"}
				plant(t, l.lab, map[string]string{"file": "new", "dir/x": "new"})
				plant(t, l.vault, there)
				l.task(l.submit(l.transfer(tt.src, tt.dst))).want(t, doc{"status": "ACTIVE", "nice_status": tt.fault})
				if diff := cmp.Diff(there, tree(t, l.vault)); diff != "" {
					t.Errorf("the destination changed (-before +after):\n%s", diff)
				}
			})
		})
	}
}

func TestTheSyncLevelDecidesWhatIsCopiedAgain(t *testing.T) {
	early, late := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2021, 1, 1, 0, 0, 0, 0, time.UTC)
	tests := map[string]struct {
		level   any
		old     string // at the destination; "-" if there is none
		srcTime time.Time
		copied  bool
	}{
		"none, same":            {nil, "data", early, true},
		"exists, missing":       {0, "-", early, true},
		"exists, other":         {0, "other size", late, false},
		"size, same":            {1, "DATA", late, false},
		"size, other":           {1, "other size", early, true},
		"mtime, newer":          {2, "DATA", late.Add(time.Second), true},
		"mtime, same":           {2, "other size", late, false},
		"mtime, same second":    {2, "DATA", late.Add(time.Second / 2), false},
		"mtime, older":          {2, "DATA", early, false},
		"checksum, same":        {3, "data", late.Add(time.Hour), false},
		"checksum, other":       {3, "DATA", early, true},
		"checksum, missing":     {3, "-", early, true},
		"JavaScript sends null": {nil, "DATA", early, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			inLab(t, func(t *testing.T, l *lab) {
				plant(t, l.lab, map[string]string{"f": "data"})
				if err := os.Chtimes(l.lab+"/f", tt.srcTime, tt.srcTime); err != nil {
					t.Fatal(err)
				}
				if tt.old != "-" {
					plant(t, l.vault, map[string]string{"f": tt.old})
					if err := os.Chtimes(l.vault+"/f", late, late); err != nil {
						t.Fatal(err)
					}
				}
				task := l.do(l.transfer("/f", "/f", doc{"sync_level": tt.level}))
				want := doc{"status": "SUCCEEDED", "files_transferred": 0, "files_skipped": 1, "files": 1}
				content := tt.old
				if tt.copied {
					want["files_transferred"], want["files_skipped"], content = 1, 0, "data"
				}
				task.want(t, want)
				if got := tree(t, l.vault)["f"]; got != content {
					t.Errorf("the destination holds %q, want %q", got, content)
				}
			})
		})
	}
}

func TestASecondRunCopiesNothing(t *testing.T) {
	for level, edit := range map[string]doc{
		"exists": {"sync_level": 0}, "size": {"sync_level": 1}, "checksum": {"sync_level": 3},
		"mtime": {"sync_level": 2}, "mtime, preserved": {"sync_level": 2, "preserve_timestamp": true},
	} {
		t.Run(level, func(t *testing.T) {
			inLab(t, func(t *testing.T, l *lab) {
				plant(t, l.lab+"/in", map[string]string{"a": "1", "b/c": "2"})
				l.do(l.transfer("/in/", "/out/", edit)).want(t, doc{"files_transferred": 2, "files_skipped": 0})
				l.do(l.transfer("/in/", "/out/", edit)).want(t, doc{"files_transferred": 0, "files_skipped": 2, "bytes_transferred": 0})
			})
		})
	}
}

func TestModesAndTimesAreKept(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		defer syscall.Umask(syscall.Umask(0o077)) // whatever the process keeps from others
		plant(t, l.lab, map[string]string{"plain": "1", "script": "2"})
		past := time.Date(2019, 5, 6, 7, 8, 9, 0, time.UTC)
		for name, mode := range map[string]os.FileMode{"plain": 0o600, "script": 0o700} {
			if err := os.Chmod(filepath.Join(l.lab, name), mode); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(filepath.Join(l.lab, name), past, past); err != nil {
				t.Fatal(err)
			}
		}
		l.do(l.transfer("/", "/", doc{"preserve_timestamp": true})).want(t, doc{"status": "SUCCEEDED", "preserve_timestamp": true})
		for name, mode := range map[string]os.FileMode{"plain": 0o644, "script": 0o755} {
			info, err := os.Stat(filepath.Join(l.vault, name))
			if err != nil {
				t.Fatal(err)
			}
			if info.Mode() != mode || !info.ModTime().Equal(past) {
				t.Errorf("%s has mode %v and time %v, want %v and %v", name, info.Mode(), info.ModTime(), mode, past)
			}
		}
	})
}

func TestCopiesBearTheTimeOfTheCollection(t *testing.T) {
	const ahead = -time.Hour
	inLab(t, func(t *testing.T, l *lab) {
		plant(t, l.lab, map[string]string{"f": "1"})
		time.Sleep(24 * time.Hour)
		l.do(l.transfer("/f", "/f", doc{}))
		info, err := os.Stat(filepath.Join(l.vault, "f"))
		if err != nil {
			t.Fatal(err)
		}
		if behind := time.Until(info.ModTime()) - ahead; behind < -time.Minute || behind > 0 {
			t.Errorf("the copy has the time %v, want one of the last minute by a clock that is %v ahead", info.ModTime(), ahead)
		}
	}, func(cfg *globussim.Config) { cfg.Collections[1].Ahead = ahead })
}

func TestExtraFilesAtTheDestinationAreDeletedOnRequest(t *testing.T) {
	source := map[string]string{"keep": "1", "dir/a": "2", "was-file/x": "3", "was-dir": "4"}
	there := map[string]string{"extra": "x", "dir/old": "x", "gone/deep/x": "x", "was-file": "x", "was-dir/x": "x", "safe.log": "x"}
	inLab(t, func(t *testing.T, l *lab) {
		plant(t, l.lab+"/in", source)
		plant(t, l.vault+"/out", there)
		l.do(l.transfer("/in/", "/out/", doc{
			"delete_destination_extra": true,
			"filter_rules":             []doc{{"method": "exclude", "type": "file", "name": "*.log"}},
		})).want(t, doc{"status": "SUCCEEDED"})
		want := maps.Clone(source)
		want["safe.log"] = "x"
		if diff := cmp.Diff(want, tree(t, l.vault+"/out")); diff != "" {
			t.Errorf("the mirror differs (-want +got):\n%s", diff)
		}
	})
}

func TestNothingExtraIsDeletedWhenSourceErrorsWereSkipped(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		plant(t, l.lab+"/in", map[string]string{"a": "1"})
		link(t, "nowhere", l.lab+"/in/broken")
		plant(t, l.vault+"/out", map[string]string{"extra": "x"})
		id := l.submit(l.transfer("/in/", "/out/", doc{
			"delete_destination_extra": true, "skip_source_errors": true, "recursive_symlinks": "copy",
		}))
		l.wait(id).want(t, doc{"status": "SUCCEEDED", "subtasks_skipped_errors": 1})
		if diff := cmp.Diff(map[string]string{"a": "1", "extra": "x"}, tree(t, l.vault+"/out")); diff != "" {
			t.Errorf("the destination differs (-want +got):\n%s", diff)
		}
		events := l.call("GET", "/task/"+id+"/event_list", nil).column("code")
		want := []string{"SUCCEEDED", "SKIPPED_ERRORS", "PROGRESS", "DELETE_DESTINATION_EXTRA_SKIPPED", "STARTED"}
		if diff := cmp.Diff(want, events); diff != "" {
			t.Errorf("events differ (-want +got):\n%s", diff)
		}
	})
}

func TestFilterRulesTakeTheFirstThatMatches(t *testing.T) {
	files := map[string]string{"a.txt": "1", "a.tmp": "2", "sub/b.txt": "3", "sub/b.tmp": "4", "cache/c.txt": "5"}
	type rules = []doc
	tests := map[string]struct {
		rules any
		want  []string
	}{
		"null":              {nil, []string{"a.txt", "a.tmp", "sub/b.txt", "sub/b.tmp", "cache/c.txt"}},
		"exclude a pattern": {rules{{"DATA_TYPE": "filter_rule", "method": "exclude", "type": "file", "name": "*.tmp"}}, []string{"a.txt", "sub/b.txt", "cache/c.txt"}},
		"exclude is the default": {
			rules{{"name": "*.tmp", "method": nil, "type": nil}},
			[]string{"a.txt", "sub/b.txt", "cache/c.txt"},
		},
		"an excluded folder takes its contents along": {rules{{"type": "dir", "name": "cache"}}, []string{"a.txt", "a.tmp", "sub/b.txt", "sub/b.tmp"}},
		"only these": {
			rules{{"method": "include", "type": "file", "name": "[ab].txt"}, {"method": "exclude", "type": "file", "name": "*"}},
			[]string{"a.txt", "sub/b.txt", "cache/"},
		},
		"only these, folders too": {
			rules{{"method": "include", "name": "a.*"}, {"method": "exclude", "name": "*"}},
			[]string{"a.txt", "a.tmp"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			inLab(t, func(t *testing.T, l *lab) {
				plant(t, l.lab+"/in", files)
				l.do(l.transfer("/in/", "/out/", doc{"filter_rules": tt.rules})).want(t, doc{"status": "SUCCEEDED"})
				want := make(map[string]string)
				for _, name := range tt.want {
					want[name] = files[name]
				}
				if diff := cmp.Diff(want, tree(t, l.vault+"/out")); diff != "" {
					t.Errorf("the copy differs (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestSymlinksInATreeAreTreatedAsTheDocumentSays(t *testing.T) {
	base := map[string]string{"file": "1", "dir/x": "2"}
	tests := map[string]map[string]string{ // what is added to base
		"":       {},
		"ignore": {},
		"keep":   {"to-file": "-> file", "to-dir": "-> dir", "up": "-> ."},
		"copy":   {"to-file": "1", "to-dir/x": "2"},
	}
	for mode, added := range tests {
		t.Run("mode "+mode, func(t *testing.T) {
			inLab(t, func(t *testing.T, l *lab) {
				plant(t, l.lab+"/in", base)
				link(t, "file", l.lab+"/in/to-file")
				link(t, "dir", l.lab+"/in/to-dir")
				link(t, ".", l.lab+"/in/up")
				edit := doc{}
				if mode != "" {
					edit["recursive_symlinks"] = mode
				}
				l.do(l.transfer("/in/", "/out/", edit)).want(t, doc{"status": "SUCCEEDED", "symlinks": 3})
				want := maps.Clone(base)
				maps.Copy(want, added)
				if diff := cmp.Diff(want, tree(t, l.vault+"/out")); diff != "" {
					t.Errorf("the copy differs (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestALinkThatIsAnItemIsFollowed(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		plant(t, l.lab, map[string]string{"dir/x": "2"})
		link(t, "dir/x", l.lab+"/link")
		l.do(l.transfer("/link", "/copy")).want(t, doc{"status": "SUCCEEDED"})
		if diff := cmp.Diff(map[string]string{"copy": "2"}, tree(t, l.vault)); diff != "" {
			t.Errorf("the copy differs (-want +got):\n%s", diff)
		}
	})
}

func TestPipesAreNeverOpened(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		plant(t, l.lab, map[string]string{"in/f": "1"})
		if err := syscall.Mkfifo(l.lab+"/in/pipe", 0o644); err != nil {
			t.Fatal(err)
		}
		l.do(l.transfer("/in/", "/out/")).want(t, doc{"status": "SUCCEEDED", "files": 1})
		l.task(l.submit(l.transfer("/in/pipe", "/pipe"))).want(t, doc{"status": "ACTIVE", "is_ok": false})
		if diff := cmp.Diff(map[string]string{"out/f": "1"}, tree(t, l.vault)); diff != "" {
			t.Errorf("the copy differs (-want +got):\n%s", diff)
		}
	})
}

func TestTheExternalChecksumMustBeThatOfTheFile(t *testing.T) {
	sha := sha256.Sum256([]byte("data"))
	tests := map[string]struct {
		checksum, algorithm string
		good                bool
	}{
		"MD5 by default":    {"8d777f385d3dfec8815d20f7496026dc", "", true},
		"SHA-256":           {hex.EncodeToString(sha[:]), "SHA-256", true},
		"of something else": {"8d777f385d3dfec8815d20f7496026dd", "MD5", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			inLab(t, func(t *testing.T, l *lab) {
				plant(t, l.lab, map[string]string{"f": "data"})
				item := doc{"source_path": "/f", "destination_path": "/f", "external_checksum": tt.checksum}
				if tt.algorithm != "" {
					item["checksum_algorithm"] = tt.algorithm
				}
				id := l.submit(l.transfer("", "", doc{"DATA": []doc{item}, "verify_checksum": true}))
				task := l.task(id)
				if !tt.good {
					if task.text("status") != "FAILED" || task.fatal() != "EXTERNAL_CHECKSUM_MISMATCH" {
						t.Errorf("the task is %s", task.body)
					}
					if diff := cmp.Diff(map[string]string{}, tree(t, l.vault)); diff != "" {
						t.Errorf("a file that is not verified is there (-want +got):\n%s", diff)
					}
					return
				}
				task.want(t, doc{"status": "SUCCEEDED", "bytes_checksummed": 4})
				rows := l.call("GET", "/task/"+id+"/successful_transfers", nil).column("checksum")
				if diff := cmp.Diff([]string{tt.checksum}, rows); diff != "" {
					t.Errorf("checksums differ (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestSourceAndDestinationMayBeTheSameCollection(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		plant(t, l.lab, map[string]string{"a/x": "1"})
		// The copy lies inside what is copied and is not copied again.
		l.do(l.transfer("/a/", "/a/b/c/", doc{"destination_endpoint": l.labID})).want(t, doc{"status": "SUCCEEDED"})
		got := tree(t, l.lab)
		if got["a/x"] != "1" || got["a/b/c/x"] != "1" {
			t.Errorf("the tree is %v", got)
		}
	})
}

func TestAQuotaStopsAFileUntilThereIsRoom(t *testing.T) {
	quota := func(cfg *globussim.Config) { cfg.Collections[1].Quota = 10 }
	inLab(t, func(t *testing.T, l *lab) {
		plant(t, l.lab, map[string]string{"f": "12345678"})
		plant(t, l.vault, map[string]string{"old": "1234"})
		id := l.submit(l.transfer("/f", "/f"))
		l.task(id).want(t, doc{"status": "ACTIVE", "nice_status": "QUOTA_EXCEEDED"})
		if err := os.Remove(l.vault + "/old"); err != nil {
			t.Fatal(err)
		}
		l.wait(id).want(t, doc{"status": "SUCCEEDED"})
	}, quota)
	inLab(t, func(t *testing.T, l *lab) {
		plant(t, l.lab, map[string]string{"f": "123456789AB"})
		task := l.do(l.transfer("/f", "/f", doc{"fail_on_quota_errors": true}))
		if task.text("status") != "FAILED" || task.fatal() != "QUOTA_EXCEEDED" {
			t.Errorf("the task is %s", task.body)
		}
	}, quota)
}
