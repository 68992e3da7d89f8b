package main

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/globus-runner/globus-runner/globussim"
)

// account is the service account that the programs log in as.
func account() globussim.Account {
	return globussim.Account{ID: "5b0e5a8e-0000-4000-8000-000000000001", Secret: "simulated"}
}

// listen serves a Globus on loopback until stop is called. Env is what a
// program needs to log in there.
func listen(ctx context.Context, globus http.Handler) (env []string, stop func(), err error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	server := &http.Server{Handler: globus, ReadHeaderTimeout: 30 * time.Second}
	go server.Serve(l) //nolint:errcheck // it ends when the server is closed
	url := "http://" + l.Addr().String() + "/"
	env = []string{
		"GLOBUS_SDK_SERVICE_URL_AUTH=" + url, "GLOBUS_SDK_SERVICE_URL_TRANSFER=" + url,
		"CLIENT_ID=" + account().ID, "CLIENT_SECRET=" + account().Secret,
	}
	return env, func() { _ = server.Close() }, nil // nobody uses it any more
}
