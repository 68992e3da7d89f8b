package doctor_test

import (
	"context"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/doctor"
)

func TestAProbeTellsWhetherTheDestinationCanBeWritten(t *testing.T) {
	const (
		mkdir  = "/v0.10/operation/endpoint/" + vaultID + "/mkdir"
		writes = "write access to /archive/ code "
		folder = "the folder /archive/.runner-doctor-* may be left: "
		remove = " → remove it: runner delete " + vaultID + ":/archive/.runner-doctor-* --recursive"
	)
	fault := func(f globussim.Fault) func(*patient) {
		return func(p *patient) { p.ill = func(_ *testing.T, s *globussim.Server) { s.Fail(f) } }
	}
	tests := map[string]struct {
		change func(*patient)
		want   []string
		left   int // folders
	}{
		"yes": {func(*patient) {}, nil, 0},
		"read only": {
			func(p *patient) { p.vault.Access = []globussim.AccessRule{{Principal: clientID, Permissions: "r"}} },
			[]string{"error write_probe vault: /archive/: no folder could be made: EndpointPermissionDenied: /archive/.runner-doctor-* on vault: Path not allowed → ask the collection's owner (" + owner + ") to give " + robot + " " + writes + "EndpointPermissionDenied exit refused"},
			0,
		},
		"a rule for a folder that is not there": {
			func(p *patient) {
				p.vault.Access = []globussim.AccessRule{{Principal: clientID, Path: "/new/", Permissions: "rw"}}
				p.jobs = `
  nightly: {transfer: {source: "lab:/data/", destination: "vault:/new/folder/"}}`
			},
			[]string{"warning write_probe vault: /new/folder/: is not there yet, and cannot be tried: / may not be listed → if its access rules do not have it, ask the collection's owner (" +
				owner + ") to give " + robot + " write access to /new/folder/"},
			0,
		},
		"the answer is lost": {fault(globussim.Fault{Path: mkdir, Drop: globussim.DropAfter}), []string{
			"error write_probe vault: /archive/: no folder could be made: globus.test: connection dropped: unexpected EOF → check the network, the proxy and the address, or run again later exit temporary",
		}, 0},
		"the request is lost": {fault(globussim.Fault{Path: mkdir, Drop: globussim.DropBefore}), []string{
			"error write_probe vault: /archive/: no folder could be made: globus.test: connection dropped: unexpected EOF → check the network, the proxy and the address, or run again later exit temporary",
		}, 0},
		"the answer says that it was there": {
			fault(globussim.Fault{Path: mkdir, Status: 502, Code: "ExternalError.MkdirFailed.Exists", AfterEffect: true}), nil, 0,
		},
		"it cannot be deleted": {
			fault(globussim.Fault{Path: "/v0.10/delete", Status: 403, Code: "PermissionDenied", Message: "no"}),
			[]string{"warning write_probe vault: " + folder + "PermissionDenied: no" + remove},
			1,
		},
		"no id for the task": {
			fault(globussim.Fault{Path: "/v0.10/submission_id", Status: 500, Message: "no"}),
			[]string{"warning write_probe vault: " + folder + "ServerError: no" + remove},
			1,
		},
		"the task fails": {
			func(p *patient) {
				p.ill = func(t *testing.T, s *globussim.Server) {
					if err := s.Disturb(globussim.Disturbance{Action: "fail"}); err != nil {
						t.Fatal(err)
					}
				}
			},
			[]string{"warning write_probe vault: " + folder + "task T has failed" + remove},
			1,
		},
		"the task takes too long": {
			func(p *patient) {
				p.ill = func(t *testing.T, s *globussim.Server) {
					if err := s.Disturb(globussim.Disturbance{Action: "stall"}); err != nil {
						t.Fatal(err)
					}
				}
			},
			[]string{"warning write_probe vault: " + folder + "task T that removes it has not ended yet" + remove},
			1,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir() // stays when the bubble is gone
			got := examine(t, func(p *patient) {
				p.vault.Dir = dir
				tt.change(p)
				p.check = func(g *doctor.Globus) { g.Write = true }
				if err := os.MkdirAll(dir+"/archive", 0o755); err != nil {
					t.Fatal(err)
				}
			})
			for i := range got {
				got[i] = withoutNames(got[i])
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
			if left := entries(t, dir+"/archive"); len(left) != tt.left {
				t.Errorf("left in the destination: %v, want %d", left, tt.left)
			}
		})
	}
}

// withoutNames replaces what is different each time.
func withoutNames(line string) string {
	words := strings.Fields(line)
	for i, word := range words {
		before, _, random := strings.Cut(word, ".runner-doctor-")
		switch {
		case random && i > 0 && words[i-1] == "File:":
			words[i] = "*"
		case random:
			words[i] = before + ".runner-doctor-*"
		case i > 0 && words[i-1] == "task" && len(word) == 36:
			words[i] = "T"
		}
	}
	return strings.Join(words, " ")
}

func entries(t *testing.T, dir string) []string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

func TestAnInterruptedProbeLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPatient(t)
		p.check = func(g *doctor.Globus) { g.Write = true }
		p.ill = func(_ *testing.T, s *globussim.Server) {
			s.Fail(globussim.Fault{Path: "/v0.10/operation/endpoint/" + vaultID + "/mkdir", Delay: 5 * time.Second})
		}
		list, g, now := p.admit(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		doctor.Run(ctx, g.Checks(list, nil, now), time.Minute, nil)
		time.Sleep(time.Minute) // for the task
		if left := entries(t, p.vault.Dir); left != nil {
			t.Errorf("left: %v", left)
		}
	})
}
