package ledger

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// explain says which database an error is about, and what to do about it. A
// [pgconn.ConnectError] has the password in a field, so only its text is passed on.
func (l *postgresStore) explain(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return &Error{fmt.Errorf("%s: %w", l.database, context.Cause(ctx)), true}
	}
	temporary := passes(err)
	said, spoke := errors.AsType[*pgconn.PgError](err)
	e, refused := errors.AsType[*pgconn.ConnectError](err)
	switch {
	case spoke && refused:
		return &Error{fmt.Errorf("%s: %s (SQLSTATE %s)%s", l.database, said.Message, said.Code, advice(said)), temporary}
	case spoke:
		return &Error{fmt.Errorf("%s: %w%s", l.database, err, advice(said)), temporary}
	case refused:
		next := secureAdvice(err)
		wrong := next != "" && !l.there.Load() // the URL is; else the server is being changed
		return &Error{fmt.Errorf("%s: no connection: %s%s", l.database, reasons(e), next), temporary && !wrong}
	}
	if temporary {
		return &Error{fmt.Errorf("%s: %w", l.database, err), true}
	}
	return err
}

// reasons lists why no connection could be made. pgx tries each address with and without
// TLS, and reports each try on a line of its own; a reason that comes twice is given once.
func reasons(e *pgconn.ConnectError) string {
	var told []string
	for line := range strings.Lines(e.Unwrap().Error()) {
		line = strings.Join(strings.Fields(line), " ")
		for _, needless := range []string{"dial error: ", "hostname resolving error: "} { // what follows says it
			line = strings.Replace(line, needless, "", 1)
		}
		if !slices.Contains(told, line) {
			told = append(told, line)
		}
	}
	return strings.Join(told, "; ")
}

// advice says what to do about an error of the server; empty where its text says it.
func advice(said *pgconn.PgError) string {
	switch said.Code {
	case "28P01":
		return "; check the user and the password in the URL"
	case "28000":
		return "; the server's pg_hba.conf has to let this user in from this machine; where it lets in only who uses TLS, write sslmode=require in the URL"
	case "3D000":
		return "; create it, or name another one in the URL"
	case "3F000":
		return "; create the schema, or name another one as search_path in the URL"
	case "42501":
		return "; let the user create tables there: GRANT CREATE, USAGE ON SCHEMA … TO …"
	case "42704":
		if strings.HasPrefix(said.Message, "unrecognized configuration parameter") {
			return "; correct or remove this parameter of the URL"
		}
	case "25006":
		return "; the server is a standby or was made read-only: name the primary, or all servers, in the URL"
	case "53300":
		return "; raise max_connections, or put fewer replicas on the server"
	case "53100":
		return "; make room on the server's disk"
	}
	return ""
}

// secureAdvice says what to do about a connection that was not made because of TLS; it is
// empty for another cause.
func secureAdvice(err error) string {
	_, authority := errors.AsType[x509.UnknownAuthorityError](err)
	_, host := errors.AsType[x509.HostnameError](err)
	switch {
	case authority:
		return "; name the file of the CA that signed its certificate as sslrootcert in the URL"
	case host:
		return "; write the name that its certificate has in the URL, or sslmode=verify-ca"
	case strings.Contains(err.Error(), "server refused TLS connection"):
		return "; turn TLS on at the server, or, in a network that you trust, write sslmode=disable in the URL"
	}
	return ""
}
