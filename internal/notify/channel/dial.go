package channel

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
)

// A dialer connects to receivers.
type dialer struct {
	network func(ctx context.Context, network, address string) (net.Conn, error) // nil: the real one
	roots   *x509.CertPool                                                       // nil: those of the system
}

// to connects to a host, and encrypts from the beginning if secure is true.
func (d dialer) to(ctx context.Context, host, port string, secure bool) (net.Conn, error) {
	dial := d.network
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	conn, err := dial(ctx, "tcp", net.JoinHostPort(host, port))
	if err != nil || !secure {
		return conn, err
	}
	encrypted := tls.Client(conn, d.tls(host))
	if err := encrypted.HandshakeContext(ctx); err != nil {
		_ = conn.Close() // nothing was sent
		return nil, err
	}
	return encrypted, nil
}

func (d dialer) tls(host string) *tls.Config {
	return &tls.Config{ServerName: host, RootCAs: d.roots, MinVersion: tls.VersionTLS12}
}
