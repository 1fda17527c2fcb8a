package nonagent

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"importer/internal/crashpoint"
)

// idleTimeout stays below Apache's usual KeepAliveTimeout of 5 s, so that a
// connection is rarely closed by the server in the moment it is used again.
const idleTimeout = 3 * time.Second

// newTransport returns a transport that speaks HTTP/1.1 to the configured host
// only: no proxy, no compression, no replay of a POST once a byte is out.
func newTransport(serverName string, o Options) *http.Transport {
	dialer := &net.Dialer{Timeout: o.Timeout}
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dialer.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &countingConn{Conn: crashpoint.Conn(conn)}, nil
	}
	// TLS is set up here rather than by http.Transport, so that the counting
	// sits above it: a handshake and a closing alert are no part of a request.
	tlsConfig := &tls.Config{
		ServerName: serverName,
		RootCAs:    o.RootCAs,
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"http/1.1"},
	}
	dialTLS := func(ctx context.Context, network, address string) (net.Conn, error) {
		// http.Transport lets a dial outlive the call it was made for.
		ctx, cancel := context.WithTimeout(ctx, o.Timeout)
		defer cancel()
		conn, err := dialer.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		secure := tls.Client(conn, tlsConfig)
		if err := secure.HandshakeContext(ctx); err != nil {
			conn.Close()
			return nil, &handshakeError{err}
		}
		return &countingConn{Conn: crashpoint.Conn(secure)}, nil
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		DialContext:            dial,
		DialTLSContext:         dialTLS,
		Protocols:              protocols,
		DisableCompression:     true,
		MaxIdleConns:           o.Concurrency,
		MaxIdleConnsPerHost:    o.Concurrency,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

// hostPort names the dialer in errors, always with its port.
func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// countingConn counts the writes that may have put a byte on the wire.
type countingConn struct {
	net.Conn

	writes atomic.Int64
}

// Write counts before it writes, so that a write in progress counts too, and
// takes the count back only when nothing at all was accepted.
func (c *countingConn) Write(p []byte) (int, error) {
	c.writes.Add(1)
	n, err := c.Conn.Write(p)
	if n == 0 && err != nil {
		c.writes.Add(-1)
	}
	return n, err
}

// tracker tells whether one request may have put a byte on the wire, over
// however many connections the transport tried. http.Transport closes a failed
// request's connection before it returns the error, so that the count cannot
// grow after it was read.
type tracker struct {
	mu   sync.Mutex
	conn *countingConn
	mark int64
	seen bool
}

func (t *tracker) gotConn(info httptrace.GotConnInfo) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fold()
	if conn, ok := info.Conn.(*countingConn); ok {
		t.conn, t.mark = conn, conn.writes.Load()
		return
	}
	t.seen = true // a connection that is not ours: the careful answer
}

func (t *tracker) fold() {
	if t.conn != nil && t.conn.writes.Load() > t.mark {
		t.seen = true
	}
}

func (t *tracker) written() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fold()
	return t.seen
}
