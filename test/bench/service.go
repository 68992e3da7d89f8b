package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/globus-runner/globus-runner/globussim"
)

// account is the service account that the programs log in as.
func account() globussim.Account {
	return globussim.Account{ID: "5b0e5a8e-0000-4000-8000-000000000001", Secret: "simulated"}
}

// listen serves a Globus on loopback until stop is called.
func listen(ctx context.Context, globus http.Handler) (base *url.URL, stop func(), err error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	server := &http.Server{Handler: globus, ReadHeaderTimeout: 30 * time.Second}
	go server.Serve(l)                   //nolint:errcheck // it ends when the server is closed
	stop = func() { _ = server.Close() } // nobody uses it any more
	return &url.URL{Scheme: "http", Host: l.Addr().String(), Path: "/"}, stop, nil
}

// access is what a program needs in its environment to log in to a Globus.
func access(base *url.URL) []string {
	return []string{
		"GLOBUS_SDK_SERVICE_URL_AUTH=" + base.String(), "GLOBUS_SDK_SERVICE_URL_TRANSFER=" + base.String(),
		"CLIENT_ID=" + account().ID, "CLIENT_SECRET=" + account().Secret,
	}
}

// A simulation is a simulated Globus of two collections that can be reached.
// The first one, lab, holds a tiny file.
type simulation struct {
	*globussim.Server
	url  *url.URL
	env  []string
	dir  string // of its collections
	stop func()
}

// simulate serves a Globus whose limits no number of runs meets.
func (b *bench) simulate(ctx context.Context) (*simulation, error) {
	dir, err := os.MkdirTemp(b.dir, "globus-")
	if err != nil {
		return nil, err
	}
	lab, vault := filepath.Join(dir, "lab"), filepath.Join(dir, "vault")
	if err := errors.Join(os.Mkdir(lab, 0o755), os.Mkdir(vault, 0o755), os.WriteFile(filepath.Join(lab, "file"), []byte("tiny"), 0o644)); err != nil {
		return nil, err
	}
	const unlimited = 1 << 30
	sim, err := globussim.New(globussim.Config{
		Accounts:    []globussim.Account{account()},
		Collections: []globussim.Collection{{Name: "lab", Dir: lab}, {Name: "vault", Dir: vault}},
		MaxActive:   unlimited,
		MaxPending:  unlimited,
	})
	if err != nil {
		return nil, err
	}
	base, stop, err := listen(ctx, sim)
	if err != nil {
		return nil, errors.Join(err, sim.Close())
	}
	return &simulation{sim, base, access(base), dir, func() {
		stop()
		_ = sim.Close() // it returns nil
	}}, nil
}
