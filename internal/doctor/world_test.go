package doctor_test

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/clientcreds"
	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/doctor"
	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

const (
	clientID  = "0c5b4a7e-2f0d-4c1e-9d6b-1a2b3c4d5e6f"
	nativeApp = "1d6c5b8f-2f0d-4c1e-9d6b-1a2b3c4d5e6f"
	person    = "2e7d6c9f-2f0d-4c1e-9d6b-1a2b3c4d5e6f"
	secret    = "canary+of/the=secret"
	robot     = clientID + "@clients.auth.globus.org"
	owner     = person + "@sim.invalid"
	server    = "3aee02ae-fafd-5833-b32b-2ed7e2eaa0ac" // that hosts the mapped collection lab

	labID   = "83fcef58-36aa-59ff-b3dc-897c32cd6840" // globussim.CollectionID("lab")
	vaultID = "1875aba5-85d5-5ac3-98e1-ce55dd072b64"
)

// A patient is a Globus, the jobs and the account that are looked at. The
// collections are lab, with /data/a.txt, and vault. Before the checks are made
// it may be changed.
type patient struct {
	cfg    globussim.Config
	lab    *globussim.Collection
	vault  *globussim.Collection
	labDir string
	client string // id of the account that logs in
	secret string
	openid bool   // it asks for a token for Globus Auth too, which takes a while to make
	jobs   string // below the collections
	check  func(*doctor.Globus)
	ill    func(*testing.T, *globussim.Server) // what befalls the services
}

// examine returns what is found about the patient, a line each, without what
// is in order. It runs in a bubble of its own, where waiting costs no time.
func examine(t *testing.T, change func(*patient)) (bad []string) {
	t.Helper()
	for _, f := range findings(t, change) {
		if f.Level == doctor.OK {
			continue
		}
		var line strings.Builder
		fmt.Fprintf(&line, "%s %s %s: %s", f.Level, f.Check, f.Subject, f.Seen)
		for _, more := range []struct{ before, text string }{
			{" → ", f.Advice}, {" code ", f.Code}, {" exit ", string(f.Kind)}, {" not looked at: ", strings.Join(f.NotChecked, ", ")},
		} {
			if more.text != "" {
				line.WriteString(more.before + more.text)
			}
		}
		bad = append(bad, line.String())
	}
	return bad
}

func findings(t *testing.T, change func(*patient)) (found []doctor.Finding) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := newPatient(t)
		change(p)
		found = p.findings(t)
		for _, f := range found {
			if strings.Contains(fmt.Sprint(f), secret) {
				t.Errorf("a finding holds the secret: %v", f)
			}
		}
	})
	return found
}

func newPatient(t *testing.T) *patient {
	t.Helper()
	lab, vault := t.TempDir(), t.TempDir()
	if err := os.MkdirAll(filepath.Join(lab, "data"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(lab, "data", "a.txt"), []byte("0123456789"), 0o644); err != nil {
		t.Fatal(err)
	}
	p := &patient{labDir: lab, client: clientID, secret: secret, jobs: `
  nightly: {transfer: {source: "lab:/data/", destination: "vault:/archive/"}}`}
	p.cfg = globussim.Config{
		Accounts: []globussim.Account{{ID: clientID, Secret: secret}, {ID: nativeApp, NativeApp: true}},
		Collections: []globussim.Collection{
			{Name: "lab", Dir: lab, Owner: person},
			{Name: "vault", Dir: vault, Owner: person},
		},
	}
	p.lab, p.vault = &p.cfg.Collections[0], &p.cfg.Collections[1]
	return p
}

// findings starts the services and makes the checks.
func (p *patient) findings(t *testing.T) []doctor.Finding {
	t.Helper()
	list, g, now := p.admit(t)
	names := map[string]string{globussim.CollectionID("lab"): "lab", globussim.CollectionID("vault"): "vault"}
	return doctor.Run(t.Context(), g.Checks(list, names, now), 10*time.Second, nil)
}

// admit starts the services and returns what the checks are made of.
func (p *patient) admit(t *testing.T) ([]*jobs.Job, *doctor.Globus, time.Time) {
	t.Helper()
	sim, err := globussim.New(p.cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sim.Close() }) // it returns nil
	if p.ill != nil {
		p.ill(t, sim)
	}
	file := new(jobs.File)
	text := fmt.Sprintf("version: 1\ncollections: {lab: %s, vault: %s, nowhere: 11111111-1111-4111-8111-111111111111}\njobs:%s\n",
		globussim.CollectionID("lab"), globussim.CollectionID("vault"), p.jobs)
	if p.jobs != "" {
		if file, err = jobs.Parse(nil, jobs.Source{Name: "jobs.yaml", Data: []byte(text)}); err != nil {
			t.Fatal(err)
		}
	}
	base := &url.URL{Scheme: "https", Host: "globus.test", Path: "/"}
	scopes := []auth.Scope{{Name: auth.TransferAll}}
	if p.openid {
		scopes = append(scopes, auth.Scope{Name: auth.OpenID}, auth.Scope{Name: auth.Profile})
	}
	account := clientcreds.New(p.client, p.secret,
		clientcreds.WithClient(auth.New(sim.Client(), auth.WithBaseURL(base))), clientcreds.WithScopes(scopes...))
	hc := sim.Client()
	hc.Transport = account.Transport(auth.TransferServer, hc.Transport)
	g := &doctor.Globus{
		AuthURL: base, Web: sim.Client(), Account: account, Who: fault.Identity{Name: p.client + "@clients.auth.globus.org"},
		Client: transfer.New(hc, transfer.WithBaseURL(base)),
	}
	if p.check != nil {
		p.check(g)
	}
	return file.Jobs, g, time.Now()
}

// client is a client of Transfer for the service account.
func client(t *testing.T, s *globussim.Server) *transfer.Client {
	t.Helper()
	hc := s.Client()
	hc.Transport = clientcreds.New(clientID, secret, clientcreds.WithClient(auth.New(s.Client()))).Transport(auth.TransferServer, hc.Transport)
	return transfer.New(hc)
}

// endless is a transfer of what is not there, to a path of its own.
func endless(id string) *transfer.Transfer {
	return &transfer.Transfer{
		Header:         transfer.Header{SubmissionID: id},
		SourceEndpoint: labID, DestinationEndpoint: vaultID,
		Items: []transfer.Item{{SourcePath: "/missing", DestinationPath: "/" + id}},
	}
}
