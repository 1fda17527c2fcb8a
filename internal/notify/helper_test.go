package notify_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"importer/internal/notify"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var message = notify.Message{
	ID: "f00d-run-7-ops", Subject: "acmé: 231 of 250 rows loaded, 4 errors", Text: "Run 7: 250 rows\nimporter show 7\n",
	Data: map[string]any{"event": "run", "run": 7},
}

// patience is far above what a server on this machine needs.
const patience = 30 * time.Second

// secured is a certificate for 127.0.0.1, and who believes it.
func secured(t *testing.T) (*tls.Config, *x509.CertPool) {
	t.Helper()
	s := httptest.NewTLSServer(http.NotFoundHandler())
	defer s.Close()
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return &tls.Config{Certificates: s.TLS.Certificates}, roots
}

// requireError checks what an error says, and whether waiting helps.
func requireError(t *testing.T, err error, final bool, says string) {
	t.Helper()
	var e *notify.Error
	require.ErrorAs(t, err, &e)
	require.ErrorContains(t, err, says)
	require.Equal(t, final, e.Final, err)
	require.NotRegexp(t, `(?i)hunter2|T0KEN|s3cret|what it says|Bearer|alerts@|boss@`, err.Error())
}
