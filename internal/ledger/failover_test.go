package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/test/postgres"
)

// isTemporary reports whether err is a ledger's, and what it says about itself.
func isTemporary(t *testing.T, err error) bool {
	t.Helper()
	e, ok := errors.AsType[*ledger.Error](err)
	if !ok {
		t.Fatalf("%v is not a *ledger.Error", err)
	}
	return e.Temporary()
}

// A proxy passes on what a client and a server say to each other over TCP.
type proxy struct {
	net.Listener
	mu     sync.Mutex
	conns  []net.Conn
	frozen map[net.Conn]bool
}

// newProxy returns a proxy in front of a server with a socket in a folder.
func newProxy(t *testing.T, socket string) *proxy {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	ok(t, err)
	p := &proxy{Listener: l, frozen: map[net.Conn]bool{}}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := new(net.Dialer).DialContext(context.Background(), "unix", socket)
			if err != nil {
				t.Error(err)
				return
			}
			p.mu.Lock()
			p.conns = append(p.conns, client, server)
			p.mu.Unlock()
			serving.Go(func() { p.pass(client, server) })
			serving.Go(func() { p.pass(server, client) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close() // it was only listened to
		p.mu.Lock()
		for _, c := range p.conns {
			_ = c.Close() // who used it is done
		}
		p.mu.Unlock()
		serving.Wait()
	})
	return p
}

func (p *proxy) pass(from, to net.Conn) {
	b := make([]byte, 4096)
	for {
		n, err := from.Read(b)
		p.mu.Lock()
		frozen := p.frozen[from] || p.frozen[to]
		p.mu.Unlock()
		if frozen {
			_, _ = io.Copy(io.Discard, from) // until the end of the test
			return
		}
		if err == nil {
			_, err = to.Write(b[:n])
		}
		if err != nil {
			_ = to.Close() // so that the other side hears of it
			return
		}
	}
}

// freeze has the connections of now carry nothing any more, without an end.
func (p *proxy) freeze() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		p.frozen[c] = true
	}
}

// overTCP returns the URL of a new schema by way of hosts, such as "h:1,h:2".
func overTCP(t *testing.T, hosts string) string {
	t.Helper()
	u, err := url.Parse(schema(t))
	ok(t, err)
	return fmt.Sprintf("postgres://%s@%s%s?sslmode=disable&search_path=%s", u.User, hosts, u.Path, u.Query().Get("search_path"))
}

// socketOf returns the socket of the test's server.
func socketOf(t *testing.T) string {
	t.Helper()
	u, err := url.Parse(schema(t))
	ok(t, err)
	return u.Query().Get("host") + "/.s.PGSQL.5432"
}

// wholeLife records a run from its claim to its end.
func wholeLife(t *testing.T, l *ledger.Ledger, key string) {
	t.Helper()
	r := claim(t, l, "j", key, "me", time.Hour)
	ok(t, l.Submit(t.Context(), "me", ledger.Submission{ID: "s" + key, Run: r.ID, Attempt: 1, Document: []byte("{}")}))
	ok(t, l.Accepted(t.Context(), "s"+key, "task "+key))
	ok(t, l.Ended(t.Context(), "s"+key, "SUCCEEDED", ledger.Totals{}))
	ok(t, l.Finish(t.Context(), r.ID, "me", ledger.Outcome{State: ledger.Succeeded}))
}

func TestSessionsOfADemotedServerAreReplaced(t *testing.T) {
	u := schema(t)
	l := open(t, u)
	var busy sync.WaitGroup
	for i := range 20 { // so that there are several sessions
		busy.Go(func() { claim(t, l, "many", strconv.Itoa(i), "me", time.Hour) })
	}
	busy.Wait()
	old, err := pgx.Connect(t.Context(), server.URL(nil))
	ok(t, err)
	defer old.Close(context.Background()) //nolint:errcheck // it was only read
	demote := func(how string) {
		ok(t, server.Exec(context.Background(), "ALTER SYSTEM "+how))
		ok(t, server.Exec(context.Background(), "SELECT pg_reload_conf()"))
	}
	// Sessions that are open become read-only, new ones can write.
	ok(t, server.Exec(t.Context(), "ALTER ROLE runner SET default_transaction_read_only = off"))
	demote("SET default_transaction_read_only = on")
	t.Cleanup(func() {
		demote("RESET default_transaction_read_only")
		ok(t, server.Exec(context.Background(), "ALTER ROLE runner RESET default_transaction_read_only"))
	})
	for setting := ""; setting != "on"; {
		ok(t, old.QueryRow(t.Context(), "SHOW default_transaction_read_only").Scan(&setting))
	}
	for i := range 20 {
		wholeLife(t, l, strconv.Itoa(i))
	}
	if n := len(keys(t, l, ledger.Query{Job: "j"})); n != 20 {
		t.Errorf("there are %d runs", n)
	}
}

func TestAServerThatVanishesIsLeft(t *testing.T) {
	p := newProxy(t, socketOf(t))
	l := open(t, overTCP(t, p.Addr().String()))
	wholeLife(t, l, "before")
	p.freeze()
	begin := time.Now()
	time.Sleep(1100 * time.Millisecond) // a connection that was idle that long is asked first
	wholeLife(t, l, "after")
	if took := time.Since(begin); took >= 10*time.Second { // what a statement without an answer takes
		t.Errorf("it took %v", took)
	}
}

func TestThePrimaryAmongSeveralServersIsFound(t *testing.T) {
	p := newProxy(t, socketOf(t))
	standby, err := postgres.Start(postgresPassword, "fsync=off", "default_transaction_read_only=on")
	ok(t, err)
	defer func() { ok(t, standby.Close()) }()
	u, err := url.Parse(standby.URL(nil))
	ok(t, err)
	other := newProxy(t, u.Query().Get("host")+"/.s.PGSQL.5432")
	l := open(t, overTCP(t, "127.0.0.1:1,"+other.Addr().String()+","+p.Addr().String()))
	wholeLife(t, l, "1")

	err = openError(t, overTCP(t, "127.0.0.1:1,"+other.Addr().String()))
	if !isTemporary(t, err) {
		t.Errorf("%v is not temporary, although one of them may become the primary", err)
	}
	wantText(t, err, "read only")
}

func TestWhatTheServerSaysIsTemporaryOrNot(t *testing.T) {
	tests := map[string]bool{ // whether it passes
		"25006": true, "26000": true, "40001": true, "40P01": true, "53000": true, "53100": true, "53200": true, "53300": true,
		"55P03": true, "57014": true, "57P01": true, "57P03": true, "57P05": true, "58030": true, "08006": true,
		"42501": false, "57P04": false, "22001": false, "XX001": false,
	}
	u := schema(t)
	l := open(t, u)
	parsed, err := url.Parse(u)
	ok(t, err)
	name := parsed.Query().Get("search_path")
	for code, temporary := range tests {
		t.Run(code, func(t *testing.T) {
			// The first claim raises the error.
			ok(t, server.Exec(t.Context(), fmt.Sprintf(`
				SET search_path = %s; CREATE SEQUENCE calls;
				CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
					IF nextval('%s.calls') = 1 THEN RAISE EXCEPTION 'trouble' USING ERRCODE = '%s'; END IF;
					RETURN NEW;
				END $$;
				CREATE TRIGGER refuse BEFORE INSERT ON runs FOR EACH ROW EXECUTE FUNCTION refuse()`, name, name, code)))
			defer func() {
				ok(t, server.Exec(t.Context(), fmt.Sprintf(`SET search_path = %s;
					DROP TRIGGER refuse ON runs; DROP FUNCTION refuse; DROP SEQUENCE calls`, name)))
			}()
			run, mine, err := l.Claim(t.Context(), ledger.Claim{Job: "j", Key: code, Holder: "me", Lease: time.Hour})
			if temporary {
				if err != nil || !mine || run.Claims != 1 {
					t.Errorf("the claim was not repeated well: %v, %+v", err, run)
				}
				return
			}
			if isTemporary(t, err) {
				t.Errorf("%v is temporary", err)
			}
			wantText(t, err, "trouble", code)
		})
	}
}

func TestAServerWithoutRoomForAConnectionIsTemporary(t *testing.T) {
	u := schema(t)
	parsed, err := url.Parse(u)
	ok(t, err)
	name := parsed.Query().Get("search_path")
	ok(t, server.Exec(t.Context(), fmt.Sprintf(`CREATE ROLE limited LOGIN PASSWORD 'p' CONNECTION LIMIT 1; GRANT ALL ON SCHEMA %s TO limited`, name)))
	defer func() { ok(t, server.Exec(t.Context(), `DROP OWNED BY limited; DROP ROLE limited`)) }()
	parsed.User = url.UserPassword("limited", "p")
	holds, err := pgx.Connect(t.Context(), parsed.String())
	ok(t, err)

	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err = ledger.Open(ctx, parsed.String(), logger(t))
	if !isTemporary(t, err) {
		t.Errorf("%v is not temporary", err)
	}
	opened := make(chan error, 1)
	go func() {
		l, err := ledger.Open(t.Context(), parsed.String(), logger(t)) // it waits for a while
		if err == nil {
			err = l.Close()
		}
		opened <- err
	}()
	ok(t, holds.Close(t.Context()))
	ok(t, <-opened)
}
