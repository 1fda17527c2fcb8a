package nonagent

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/importer"
)

// authority is a certificate authority of this test alone.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return authority{cert, key, pool}
}

func (a authority) issue(t *testing.T, ip string, until time.Time) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: until,
		IPAddresses: []net.IP{net.ParseIP(ip)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	ours := newAuthority(t)
	later := time.Now().Add(time.Hour)
	good := &tls.Config{Certificates: []tls.Certificate{ours.issue(t, "127.0.0.1", later)}}
	for name, k := range map[string]struct {
		config *tls.Config
		roots  *x509.CertPool
		says   string // empty: the lead is added
	}{
		"a private authority": {good, ours.pool, ""},
		"untrusted":           {good, newAuthority(t).pool, "authority that this machine does not trust"},
		"expired":             {&tls.Config{Certificates: []tls.Certificate{ours.issue(t, "127.0.0.1", time.Now().Add(-time.Hour))}}, ours.pool, "expired"},
		"another host":        {&tls.Config{Certificates: []tls.Certificate{ours.issue(t, "192.0.2.1", later)}}, ours.pool, "another host name"},
		"TLS 1.1 only":        {&tls.Config{Certificates: good.Certificates, MinVersion: tls.VersionTLS11, MaxVersion: tls.VersionTLS11}, ours.pool, "TLS 1.2 or newer"},
		"no TLS at all":       {nil, ours.pool, "does not speak TLS"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, func(s *server, conn net.Conn) {
				if k.config == nil {
					io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\n\r\n")
					return
				}
				conn = tls.Server(conn, k.config)
				if _, ok := s.request(bufio.NewReader(conn)); ok {
					io.WriteString(conn, page("200 OK", success))
				}
			})
			a := newClient(t, strings.Replace(s.url, "http:", "https:", 1), k.roots, 10*time.Second).AddLead(t.Context(), aCall())
			if k.says == "" {
				require.NoError(t, a.Err)
				require.Equal(t, importer.VerdictAdded, a.Verdict)
				require.True(t, a.Written)
				return
			}
			require.Equal(t, importer.VerdictStop, a.Verdict)
			require.Equal(t, ReasonTLSFailed, a.Reason)
			require.ErrorContains(t, a.Err, k.says)
			require.False(t, a.Written)
			require.Empty(t, s.seen())
		})
	}
}

func TestHandshakeThatBreaksOffIsProvablyNotSent(t *testing.T) {
	t.Parallel()
	for name, handle := range map[string]func(*server, net.Conn){
		"stalled": func(_ *server, conn net.Conn) { io.Copy(io.Discard, conn) },
		"closed":  func(_ *server, conn net.Conn) { conn.Read(make([]byte, 1)) },
		"reset":   func(_ *server, conn net.Conn) { conn.(*net.TCPConn).SetLinger(0) },
	} {
		s := serve(t, handle)
		a := newClient(t, strings.Replace(s.url, "http:", "https:", 1), nil, 200*time.Millisecond).AddLead(t.Context(), aCall())
		require.Equal(t, importer.VerdictRetry, a.Verdict, "%s: %v", name, a.Err)
		require.False(t, a.Written, name)
	}
}

func TestTLSConnectionLostAfterTheRequestIsUnknown(t *testing.T) {
	t.Parallel()
	ours := newAuthority(t)
	config := &tls.Config{Certificates: []tls.Certificate{ours.issue(t, "127.0.0.1", time.Now().Add(time.Hour))}}
	s := serve(t, func(s *server, conn net.Conn) {
		s.request(bufio.NewReader(tls.Server(conn, config)))
	})
	a := newClient(t, strings.Replace(s.url, "http:", "https:", 1), ours.pool, 10*time.Second).AddLead(t.Context(), aCall())
	require.Equal(t, importer.VerdictUnknown, a.Verdict)
	require.True(t, a.Written)
}
