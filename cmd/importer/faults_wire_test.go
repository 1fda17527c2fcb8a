package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"importer/internal/nonagent/dialersim"
)

// poisoned puts a toxiproxy between the site's importers and its dialer.
func (s *site) poisoned(t *testing.T) *toxiproxy.Proxy {
	t.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	p := toxiproxy.NewProxy(server, t.Name(), free(t), s.host(t))
	require.NoError(t, p.Start())
	t.Cleanup(p.Stop)
	s.through("http://" + p.Listen)
	return p
}

// poison adds a toxic of that kind to the stream, and the returned function
// removes it.
func poison(t *testing.T, p *toxiproxy.Proxy, kind, stream string, attributes map[string]int) (heal func()) {
	t.Helper()
	toxic, err := json.Marshal(map[string]any{"name": kind, "type": kind, "stream": stream, "attributes": attributes})
	require.NoError(t, err)
	_, err = p.Toxics.AddToxicJson(bytes.NewReader(toxic))
	require.NoError(t, err)
	return func() { require.NoError(t, p.Toxics.RemoveToxic(t.Context(), kind)) }
}

// Faults 19 to 22. The dialer is well all the time, but for a while nothing
// that is sent to it, or nothing that it says, gets through.
func TestACallLostOnTheWireIsAskedAboutAndNotSentBlindly(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		kind, stream string
		attributes   map[string]int
		arrives      bool // the request does
	}{
		"reset after the request":            {"reset_peer", "downstream", map[string]int{"timeout": 0}, true},
		"reset inside the request's body":    {"limit_data", "upstream", map[string]int{"bytes": 300}, false},
		"answers fall into a black hole":     {"timeout", "downstream", map[string]int{"timeout": 0}, true},
		"requests fall into a black hole":    {"timeout", "upstream", map[string]int{"timeout": 0}, false},
		"an answer that comes byte by byte":  {"slicer", "downstream", map[string]int{"average_size": 1, "size_variation": 0, "delay": 2_000_000}, true},
		"an answer that breaks off half-way": {"limit_data", "downstream", map[string]int{"bytes": 200}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const rows, nth = 24, 8
			s := faultySite(t, rows, brisk)
			proxy := s.poisoned(t)
			reached, release := s.at(t, nth)
			p := s.imports(t)
			<-reached
			heal := poison(t, proxy, c.kind, c.stream, c.attributes)
			release()
			s.eventually(t, `SELECT count(*) >= 2 FROM rows WHERE lost > 0`)
			heal()
			require.Zero(t, p.ends(t), &p.err)
			reconciled := s.requireAllLoaded(t, rows)
			calls := p.result(t).Calls
			if c.arrives {
				require.GreaterOrEqual(t, reconciled, 2, "what has arrived is found")
				require.Equal(t, rows, calls, "and not sent again")
				require.Equal(t, rows, s.dialer.Calls("add_lead"))
			} else {
				require.Greater(t, calls, rows, "what has not is sent again")
			}
		})
	}
}

// Fault 17.
func TestARefusedConnectionIsProvablyNotSentAndTriedAgain(t *testing.T) {
	t.Parallel()
	const rows, nth = 40, 12
	s := faultySite(t, rows, brisk)
	proxy := s.poisoned(t)
	var sent journal
	closing := sync.OnceFunc(proxy.Stop) // the port is closed, and so is what went over it
	s.dialer.SetFault(func(r *dialersim.Request) dialersim.Fault {
		sent.note(r)
		if r.Function == "add_lead" && r.Nth >= nth {
			closing()
		}
		return dialersim.Fault{}
	})
	p := s.imports(t)
	s.eventually(t, `SELECT count(*) > 0 FROM rows WHERE state = 'pending' AND reason = 'not_sent'`)
	require.NoError(t, proxy.Start())
	require.Zero(t, p.ends(t), &p.err)
	s.requireAllLoaded(t, rows)
	sent.requireEachAttemptOnce(t)
	require.GreaterOrEqual(t, p.result(t).Calls, rows)
	require.LessOrEqual(t, p.result(t).Calls, rows+4, "only what was on the wire can have been lost")
}

// Fault 17.
func TestADialerThatCannotBeReachedStopsTheRunWithNothingSent(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ base, says string }{
		"refused":      {"http://127.0.0.1:1", "the connection was refused"}, // nothing listens there
		"unknown name": {"http://" + strings.Repeat("x", 64) + ".invalid", "the host name could not be looked up"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const rows = 12
			s := faultySite(t, rows, with(brisk, "timeout: 1m", "stop_after: 1s\n    allow_http: true"))
			env := s.env
			s.through(c.base)
			p := s.imports(t)
			require.Equal(t, exitFailed, p.ends(t), &p.err)
			require.Contains(t, p.err.String(), c.says)
			require.Contains(t, p.err.String(), "nothing was sent")
			s.requireNothingSent(t, rows)
			require.Zero(t, p.result(t).Calls)

			s.env = env
			p = s.imports(t)
			require.Zero(t, p.ends(t), &p.err)
			require.Zero(t, s.requireAllLoaded(t, rows), "none of them was in doubt")
		})
	}
}

// Fault 18.
func TestACertificateThatIsNotBelievedStopsTheRunWithNothingSent(t *testing.T) {
	t.Parallel()
	trusted, other := newAuthority(t), newAuthority(t)
	const here = "127.0.0.1"
	for name, c := range map[string]struct {
		certificate tls.Certificate
		says        string
	}{
		"untrusted":  {other.issue(t, here, time.Hour), "signed by an authority that this machine does not trust"},
		"expired":    {trusted.issue(t, here, -time.Hour), "has expired"},
		"wrong host": {trusted.issue(t, "192.0.2.1", time.Hour), "is for another host name"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const rows = 12
			s := faultySite(t, rows, with(brisk, "timeout: 1m\n    ca_file: ca.pem"))
			s.write(t, "ca.pem", trusted.pem)
			s.secured(t, c.certificate)
			p := s.imports(t)
			require.Equal(t, exitFailed, p.ends(t), &p.err)
			require.Contains(t, p.err.String(), c.says)
			require.Zero(t, s.dialer.Calls(""))
			s.requireNothingSent(t, rows)

			s.secured(t, trusted.issue(t, here, time.Hour))
			p = s.imports(t)
			require.Zero(t, p.ends(t), &p.err)
			require.Zero(t, s.requireAllLoaded(t, rows))
		})
	}
}

// secured puts the site's dialer behind TLS.
func (s *site) secured(t *testing.T, certificate tls.Certificate) {
	t.Helper()
	front := httptest.NewUnstartedServer(s.dialer)
	front.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	front.Config.ErrorLog = quiet
	front.StartTLS()
	t.Cleanup(front.Close)
	s.through(front.URL)
}

// authority is a certificate authority of one test.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	pem         string
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: t.Name()}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	certificate, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return authority{certificate, key, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))}
}

// issue makes a web server's certificate that ends so long from now.
func (a authority) issue(t *testing.T, address string, ends time.Duration) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(ends),
		IPAddresses: []net.IP{net.ParseIP(address)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, &key.PublicKey, a.key)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// dyingListener makes connections that the server closes in the very moment in
// which they are used once more, after so many answers, the one after a few more
// than the other: a question of several calls must not meet it each time. It keeps
// what was sent to them then.
type dyingListener struct {
	net.Listener
	answers, accepted int

	mu   sync.Mutex
	lost []string
}

func (l *dyingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.accepted++
	if l.accepted > 12 { // enough: no row is to lose all its attempts
		return conn, nil
	}
	return &dyingConn{Conn: conn, of: l, left: l.answers + l.accepted%7}, nil
}

type dyingConn struct {
	net.Conn
	of *dyingListener

	mu   sync.Mutex
	left int // answers until it dies
}

func (c *dyingConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	c.left--
	c.mu.Unlock()
	return c.Conn.Write(p)
}

func (c *dyingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	if n == 0 || c.left > 0 {
		return n, err
	}
	// The whole request comes: its sender knows nothing yet.
	text, rest := string(p[:n]), make([]byte, 4096)
	for err == nil && !strings.HasSuffix(text, "&end=1") {
		n, err = c.Conn.Read(rest)
		text += string(rest[:n])
	}
	c.of.mu.Lock()
	c.of.lost = append(c.of.lost, text)
	c.of.mu.Unlock()
	c.Close()
	return 0, net.ErrClosed
}

// Fault 23.
func TestACallOnADyingConnectionIsNotReplayed(t *testing.T) {
	t.Parallel()
	const rows = 60
	s := faultySite(t, rows, brisk)
	var sent journal
	s.dialer.SetFault(func(r *dialersim.Request) dialersim.Fault {
		sent.note(r)
		return dialersim.Fault{}
	})
	port, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	dying := &dyingListener{Listener: port, answers: 5}
	front := &http.Server{Handler: s.dialer, ErrorLog: quiet}
	served := make(chan error, 1)
	go func() { served <- front.Serve(dying) }()
	t.Cleanup(func() {
		require.NoError(t, front.Close())
		require.ErrorIs(t, <-served, http.ErrServerClosed)
	})
	s.through("http://" + port.Addr().String())

	p := s.imports(t)
	require.Zero(t, p.ends(t), &p.err)
	s.requireAllLoaded(t, rows)
	sent.requireEachAttemptOnce(t)
	swallowed := 0
	for _, text := range dying.lost {
		swallowed += strings.Count(text, "function=add_lead")
	}
	require.Positive(t, swallowed)
	// No call has arrived, or was swallowed, that was not made: what was written to
	// a connection that closed before it was read is neither.
	require.LessOrEqual(t, s.dialer.Calls("add_lead")+swallowed, p.result(t).Calls)
}

// Fault 29.
func TestAHugeAnswerTakesNoMemory(t *testing.T) {
	t.Parallel()
	for name, zipped := range map[string]bool{"1 GB": false, "a gzip bomb": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const rows, nth = 24, 6
			s := faultySite(t, rows, brisk)
			measured, measure := make(chan struct{}), make(chan struct{})
			s.dialer.SetFault(func(r *dialersim.Request) dialersim.Fault {
				switch {
				case r.Function != "add_lead":
				case r.Nth == nth, r.Nth == nth+1:
					return dialersim.Fault{Answer: func(a *dialersim.Response) {
						a.Blanks = 1 << 30
						if zipped {
							a.Header["Content-Encoding"] = []string{"gzip"}
						}
					}}
				case r.Nth == rows: // the last one: both are over
					close(measure)
					<-measured
				}
				return dialersim.Fault{}
			})
			p := s.imports(t)
			<-measure
			peak := peakMemory(t, p.Process.Pid)
			close(measured)
			require.Zero(t, p.ends(t), &p.err)
			require.GreaterOrEqual(t, s.requireAllLoaded(t, rows), 2, "their leads are found")
			require.Less(t, peak, 256<<20, "bytes of memory")
		})
	}
}
