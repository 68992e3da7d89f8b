package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/internal/ledger"
)

func TestAPasswordNeverShows(t *testing.T) {
	// Each has pieces of a password, and whatever the parser takes for the
	// host is not reached.
	tests := map[string]string{
		"refused":                   "postgres://u:hunter2@127.0.0.1:1/d",
		"as a parameter":            "postgres://u@127.0.0.1:1/d?password=hunter2",
		"port is no number":         "postgres://u:hunter2@127.0.0.1:x/d",
		"with an at sign":           "postgres://u:hun@ter2@127.0.0.1:1/d",
		"with a slash":              "postgres://u:hun/ter2@127.0.0.1:1/d",
		"number and slash":          "postgres://127.0.0.1:1/ter2@127.0.0.1:1/d",
		"with a question mark":      "postgres://u:hun?ter2@127.0.0.1:1/d",
		"with a hash":               "postgres://u:hun#ter2@127.0.0.1:1/d",
		"with a bad escape":         "postgres://u:hun%zzter2@127.0.0.1:1/d",
		"with a space":              "postgres://u:hun ter2@127.0.0.1:1/d",
		"with a colon":              "postgres://u:hun:ter2@127.0.0.1:1/d",
		"with a line break":         "postgres://u:hun\nter2@127.0.0.1:1/d",
		"another scheme":            "mysql://u:hunter2@127.0.0.1:1/d",
		"no scheme":                 "u:hunter2@127.0.0.1:1/d",
		"bad parameter of the time": "postgres://u:hunter2@127.0.0.1:1/d?connect_timeout=x",
		"keyword form":              "postgres:host=127.0.0.1 port=1 password=hunter2",
	}
	for name, u := range tests {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			_, err := ledger.Open(t.Context(), u, slog.New(slog.NewTextHandler(&log, nil)))
			wantText(t, err, "open ledger")
			for _, piece := range []string{"hun", "ter2"} {
				for _, where := range []string{err.Error(), fmt.Sprintf("%+v", err), log.String()} {
					if strings.Contains(where, piece) {
						t.Errorf("%q shows it", where)
					}
				}
			}
		})
	}
}

func TestAWrongPasswordIsSaid(t *testing.T) {
	good, err := url.Parse(engines["postgres"](t))
	ok(t, err)
	good.User = url.UserPassword("runner", "hunter2")
	err = openError(t, good.String())
	wantText(t, err, "password authentication failed", "runner")
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%q shows it", err)
	}
}

func TestWhatIsWrongWithAURLIsSaidOnceWithTheNextStep(t *testing.T) {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	ok(t, err)
	nobody := listener.Addr().String()
	ok(t, listener.Close())
	edit := func(change func(*url.URL)) string {
		u, err := url.Parse(schema(t))
		ok(t, err)
		change(u)
		return u.String()
	}
	parameter := func(name, value string) string {
		return edit(func(u *url.URL) {
			q := u.Query()
			q.Set(name, value)
			u.RawQuery = q.Encode()
		})
	}
	tests := map[string]struct {
		url  string
		want []string
	}{
		"password":  {edit(func(u *url.URL) { u.User = url.UserPassword("runner", "x") }), []string{"password authentication failed", "; check the user and the password in the URL"}},
		"database":  {edit(func(u *url.URL) { u.Path = "/elsewhere" }), []string{"database elsewhere on", "; create it, or name another one"}},
		"schema":    {parameter("search_path", "nowhere"), []string{"; create the schema, or name another one as search_path"}},
		"parameter": {parameter("sslmodus", "off"), []string{"sslmodus", "; correct or remove this parameter"}},
		"no TLS":    {"postgres://u:p@" + withoutTLS(t) + "/d?sslmode=require", []string{"server refused TLS connection; turn TLS on at the server", "sslmode=disable"}},
		"nobody":    {"postgres://u:p@" + nobody, []string{"PostgreSQL database u on 127.0.0.1: no connection: ", "connection refused"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			err := openError(t, tt.url)
			wantText(t, err, tt.want...)
			if n := strings.Count(err.Error(), "refused"); n > 1 {
				t.Errorf("%q says it %d times", err, n)
			}
			if e, is := errors.AsType[*ledger.Error](err); !is || e.Temporary() != (name == "nobody") {
				t.Errorf("%v is temporary, or is not", err)
			}
		})
	}
}

// withoutTLS is the address of a server that answers each request for TLS with no.
func withoutTLS(t *testing.T) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	ok(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // the test is over
			}
			if _, err := io.ReadFull(conn, make([]byte, 8)); err == nil {
				_, _ = conn.Write([]byte("N"))
			}
			_ = conn.Close()
		}
	}()
	return listener.Addr().String()
}

func TestASilentServerIsGivenUp(t *testing.T) {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	ok(t, err)
	defer func() { ok(t, listener.Close()) }()
	u := fmt.Sprintf("postgres://u:p@%s/d?sslmode=disable", listener.Addr())

	t.Run("after its connect_timeout", func(t *testing.T) {
		begin := time.Now()
		wantText(t, openError(t, u+"&connect_timeout=1"), "127.0.0.1", "timeout")
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("it took %v", took)
		}
	})
	t.Run("with the context", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err := ledger.Open(ctx, u, logger(t))
		wantError(t, "Open", err, context.DeadlineExceeded)
	})
}

func TestAConnectionThatBreaksIsReplaced(t *testing.T) {
	l := open(t, engines["postgres"](t))
	for i := range 20 {
		ok(t, server.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'globus-runner'`))
		r := claim(t, l, "j", strconv.Itoa(i), "me", time.Hour)
		ok(t, l.Finish(t.Context(), r.ID, "me", ledger.Outcome{State: ledger.Succeeded}))
	}
}

func TestConnectionsThatBreakInTheMiddleLoseNothing(t *testing.T) {
	l := open(t, engines["postgres"](t))
	stop := make(chan struct{})
	var cutting sync.WaitGroup
	cutting.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				ok(t, server.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'globus-runner'`))
			}
		}
	})
	for i := range 8 {
		id := strconv.Itoa(i)
		r := claim(t, l, "j", id, "me", time.Hour)
		ok(t, l.Submit(t.Context(), "me", ledger.Submission{ID: id, Run: r.ID, Attempt: 1, Document: []byte("{}")}))
		ok(t, l.Accepted(t.Context(), id, "task "+id))
		ok(t, l.Ended(t.Context(), id, "SUCCEEDED", ledger.Totals{}))
		ok(t, l.Finish(t.Context(), r.ID, "me", ledger.Outcome{State: ledger.Succeeded}))
	}
	close(stop)
	cutting.Wait()
}

// A process that is frozen in the middle of a change would hold its rows until
// it goes on.
func TestTransactionWithoutAWordIsEndedByTheServer(t *testing.T) {
	l := open(t, engines["postgres"](t))
	err := l.Exec(t.Context(), `DO $$ BEGIN
		IF current_setting('idle_in_transaction_session_timeout') <> '30s' THEN
			RAISE 'the server waits for %', current_setting('idle_in_transaction_session_timeout');
		END IF;
	END $$`)
	ok(t, err)
}

func TestAReadOnlyServerIsSaid(t *testing.T) {
	u := engines["postgres"](t)
	ok(t, open(t, u).Check(t.Context()))
	l := open(t, u+"&default_transaction_read_only=on")
	_, _, err := l.Claim(t.Context(), ledger.Claim{Job: "j", Key: "1", Holder: "me"})
	wantText(t, err, "read-only transaction")
	wantText(t, l.Check(t.Context()), "read-only transaction")
}

func TestTablesOfOthersAreLeftAlone(t *testing.T) {
	u := engines["postgres"](t)
	parsed, err := url.Parse(u)
	ok(t, err)
	ok(t, server.Exec(t.Context(), "CREATE TABLE "+parsed.Query().Get("search_path")+".orders (id BIGINT)"))
	wantText(t, openError(t, u), "another program", "orders")
}

func TestAServerThatIsAwayIsTemporary(t *testing.T) {
	tests := map[string]struct {
		url       string
		temporary bool
	}{
		"nobody listens": {"postgres://u:p@127.0.0.1:1/d?sslmode=disable", true},
		"wrong password": {strings.Replace(schema(t), "%40", "x", 1), false},
		"malformed":      {"postgres://u:p@127.0.0.1:port/d", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			e, ok := errors.AsType[interface {
				error
				Temporary() bool
			}](openError(t, tt.url))
			if got := ok && e.Temporary(); got != tt.temporary {
				t.Errorf("got %v, temporary: %t, want %t", e, got, tt.temporary)
			}
		})
	}
}
